"""The integrity tree: index -> root -> digest (Linux fs-verity; docs/format.md, Tree and index)."""

import struct
from typing import TYPE_CHECKING

from ..constants import BLOCK_BYTES, DIGEST_BYTES, SEGMENT_BYTES
from ..native import hashing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DESCRIPTOR = struct.Struct("<BBBBIQ64s32s144s")
_VERSION = 1
_HASH_SHA256 = 1
_LOG_BLOCK_BYTES = 12


def index_entries(run: memoryview, *, whole_payload: bool = False) -> bytes:
    """Return the index entries of a run of segments, 32 bytes each.

    run: payload bytes from the start of a segment; only the payload's last segment may be short.
    whole_payload: the run is all of the payload. A payload of one block has no hash block: its entry
    is its leaf.
    """
    if whole_payload and len(run) <= BLOCK_BYTES:
        return hashing.leaf_digests(run)
    return hashing.segment_digests(run)


def root(index: bytes | memoryview, payload_bytes: int) -> bytes:
    """Return the 32-byte root over an index of 32-byte entries, one per segment."""
    if payload_bytes == 0:
        return bytes(DIGEST_BYTES)
    level = bytes(index)
    while len(level) > DIGEST_BYTES:
        level = level_above(level)
    return level


def level_above(index: bytes | memoryview) -> bytes:
    """Return the level of the tree above an index: the digest of each of its blocks of 4096 bytes, the last padded.

    Of an index of more than one entry it has the same root, and digest, as the index.
    """
    blocks = -(-len(index) // BLOCK_BYTES)
    upper = bytearray(blocks * DIGEST_BYTES)
    hashing.digest_blocks(bytes(index).ljust(blocks * BLOCK_BYTES, b"\0"), BLOCK_BYTES, upper)
    return bytes(upper)


def digest(index: bytes | memoryview, payload_bytes: int) -> bytes:
    """Return the 32-byte payload digest: SHA-256 of the fs-verity descriptor.

    This is what `fsverity digest` prints and the kernel measures. It binds root and size together.
    """
    descriptor = _DESCRIPTOR.pack(
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
    found = bytearray(DIGEST_BYTES)
    hashing.digest_blocks(descriptor, len(descriptor), found)
    return bytes(found)


def segment_count(payload_bytes: int) -> int:
    """Return how many segments, and so index entries, a payload of that size has."""
    return -(-payload_bytes // SEGMENT_BYTES)


def differing(found: bytes, expected: bytes) -> "NDArray[np.intp]":
    """Return which entries of two equally long indexes differ: their positions, ascending."""
    # Imported here: a bundle that is as it should be never gets to this point, and numpy takes longer
    # to import than a small bundle takes to verify.
    import numpy as np

    entries = [np.frombuffer(index, np.uint8).reshape(-1, DIGEST_BYTES) for index in (found, expected)]
    return np.flatnonzero((entries[0] != entries[1]).any(axis=1))
