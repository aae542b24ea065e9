"""The integrity tree: index -> root -> digest (Linux fs-verity; docs/format.md, Tree and index)."""

import hashlib
import struct

import numpy as np
from numpy.typing import NDArray

from . import _hashing
from .params import BLOCK_BYTES, BLOCKS_PER_SEGMENT, DIGEST_BYTES, SEGMENT_BYTES

_DESCRIPTOR = struct.Struct("<BBBBIQ64s32s144s")
_VERSION = 1
_HASH_SHA256 = 1
_LOG_BLOCK_BYTES = 12


def index_entries(run: memoryview, *, whole_payload: bool = False) -> NDArray[np.uint8]:
    """Return the index entries of a run of segments, shape (segments, 32).

    run: payload bytes from the start of a segment; only the payload's last segment may be short.
    whole_payload: the run is all of the payload. A payload of one block has no hash block: its entry
    is its leaf.
    """
    if whole_payload and len(run) <= BLOCK_BYTES:
        return _hashing.leaf_digests(run)
    return _hashing.segment_digests(run)


def root(index: bytes | memoryview, payload_bytes: int) -> bytes:
    """Return the 32-byte root over an index of 32-byte entries, one per segment."""
    if payload_bytes == 0:
        return bytes(DIGEST_BYTES)
    level = np.frombuffer(index, np.uint8).reshape(-1, DIGEST_BYTES)
    while len(level) > 1:
        blocks = -(-len(level) // BLOCKS_PER_SEGMENT)
        padded = np.zeros((blocks * BLOCKS_PER_SEGMENT, DIGEST_BYTES), np.uint8)
        padded[: len(level)] = level
        level = np.empty((blocks, DIGEST_BYTES), np.uint8)
        _hashing.digest_blocks(padded, BLOCK_BYTES, level)
    return level.tobytes()


def digest(index: bytes | memoryview, payload_bytes: int) -> bytes:
    """Return the 32-byte payload digest: SHA-256 of the fs-verity descriptor.

    This is what `fsverity digest` prints and the kernel measures. It binds root and size together.
    """
    return hashlib.sha256(
        _DESCRIPTOR.pack(
            _VERSION,
            _HASH_SHA256,
            _LOG_BLOCK_BYTES,
            0,
            0,
            payload_bytes,
            root(index, payload_bytes),
            b"",
            b"",
        )
    ).digest()


def segment_count(payload_bytes: int) -> int:
    """Return how many segments, and so index entries, a payload of that size has."""
    return -(-payload_bytes // SEGMENT_BYTES)
