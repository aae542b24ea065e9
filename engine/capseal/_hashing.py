"""SHA-256 of many equal blocks: the only importer of the compiled module, and its hashlib fallback.

Public bytes only (ciphertext and digests) may be passed in: see csrc/capseal_hash.h.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .params import DIGEST_BYTES

_native: Any
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
        ffi.from_buffer("uint8_t[]", view), n, block_bytes, ffi.from_buffer("uint8_t[]", out, require_writable=True)
    )
