"""SHA-256 of many equal blocks: the only importer of the compiled module, and its hashlib fallback.

Public bytes only (ciphertext and digests) may be passed in: see csrc/capseal_hash.h.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .params import DIGEST_BYTES

try:
    from . import _native
except ImportError:  # built without a C compiler
    _native = None


def digest_blocks(data: Any, block_bytes: int, out: NDArray[np.uint8]) -> None:
    """Write the SHA-256 of each block of `data` into `out`.

    data: any C-contiguous buffer of n * block_bytes bytes; out: uint8 array of shape (n, 32).
    Raises ValueError where the sizes do not agree.
    """
    view = memoryview(data).cast("B")
    n = len(out)
    if len(view) != n * block_bytes or out.shape != (n, DIGEST_BYTES):
        raise ValueError(f"{len(view)} bytes are not {n} blocks of {block_bytes}, or out has shape {out.shape}")
    if _native is None:
        for i in range(n):
            digest = hashlib.sha256(view[i * block_bytes : (i + 1) * block_bytes]).digest()
            out[i] = np.frombuffer(digest, np.uint8)
        return
    ffi = _native.ffi
    _native.lib.capseal_sha256_blocks(
        ffi.from_buffer("uint8_t[]", view),
        n,
        block_bytes,
        ffi.from_buffer("uint8_t[]", out, require_writable=True),
    )


def leaf_digests(data: Any) -> NDArray[np.uint8]:
    """Return the SHA-256 of each 4096-byte block, the last zero-padded; shape (blocks, 32)."""
    view = memoryview(data).cast("B")
    whole, rest = divmod(len(view), 4096)
    out = np.empty((whole + bool(rest), DIGEST_BYTES), np.uint8)
    digest_blocks(view[: whole * 4096], 4096, out[:whole])
    if rest:
        digest_blocks(bytes(view[whole * 4096 :]).ljust(4096, b"\0"), 4096, out[whole:])
    return out


def segment_digests(data: Any) -> NDArray[np.uint8]:
    """Return the index entry of each 512 KiB segment of a run, the last may be short; shape (segments, 32)."""
    leaves = leaf_digests(data)
    segments = -(-len(leaves) // 128)
    blocks = np.zeros((segments * 128, DIGEST_BYTES), np.uint8)
    blocks[: len(leaves)] = leaves
    out = np.empty((segments, DIGEST_BYTES), np.uint8)
    digest_blocks(blocks, 4096, out)
    return out
