"""SHA-256 of many equal blocks: the compiled kernels, and their hashlib fallback.

Public bytes only (ciphertext and digests) may be passed in: see csrc/sha256/capseal_hash.h. The GIL is
free while the compiled module works. Without it, results are the same and only slower.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from ..constants import BLOCK_BYTES, DIGEST_BYTES, SEGMENT_BYTES

try:
    from .._native import ffi as _ffi
    from .._native import lib as _lib
except ImportError:  # built without a C compiler
    _ffi = _lib = None

FALLBACK: Final = "hashlib"
_CPU_MIXES: Final = 16  # CAPSEAL_CPU_MIXES of csrc/sha256/capseal_hash.h
# The order of the figures in docs/hashing.md, The choice: the hybrid mixes SSE and AVX instructions.
_BEST_WHERE_SSE_IS_FREE: Final = ("hybrid", "shani", "armv8", "avx512", "avx2")
_BEST_WHERE_SSE_IS_DEAR: Final = ("avx512", "shani", "armv8", "avx2")


def _usable() -> dict[str, int | None]:
    """Each kernel's number in the compiled module, or None for hashlib; the first is the one to take."""
    found: dict[str, int | None] = {FALLBACK: None}
    preferred: tuple[str, ...] = _BEST_WHERE_SSE_IS_DEAR
    if _lib is not None:
        for number in range(_lib.capseal_kernel_count()):
            if _lib.capseal_kernel_usable(number):
                found[_ffi.string(_lib.capseal_kernel_name(number)).decode("ascii")] = number
        if _lib.capseal_cpu_features() & _CPU_MIXES:
            preferred = _BEST_WHERE_SSE_IS_FREE
    # What is not preferred to OpenSSL's assembly is there for tests only.
    names = [name for name in (*preferred, FALLBACK) if name in found]
    return {name: found[name] for name in dict.fromkeys([*names, *found])}


# Decided once, when the module is imported. A thread reads _chosen once per call, so that use() in
# another thread changes the next call and never a running one.
_NUMBERS: Final = _usable()
KERNELS: Final = tuple(_NUMBERS)
_chosen: str = KERNELS[0]


def kernels() -> tuple[str, ...]:
    """The kernels that this machine can run, the fastest first."""
    return KERNELS


def candidates() -> tuple[str, ...]:
    """Those of them that are ever taken, the fastest first, hashlib the last: the others are there for tests only."""
    return KERNELS[: KERNELS.index(FALLBACK) + 1]


def kernel() -> str:
    """The name of the kernel in use."""
    return _chosen


def kernel_number() -> int | None:
    """Its number in the compiled module, or None for hashlib: for other functions of that module which digest."""
    return _NUMBERS[_chosen]


def use(name: str) -> None:
    """Take this kernel from now on, in all threads: for benchmarks and tests.

    Raises ValueError for a kernel that this machine cannot run.
    """
    global _chosen
    if name not in _NUMBERS:
        raise ValueError(f"no kernel {name!r} here, only {', '.join(KERNELS)}")
    _chosen = name


def cpu_features() -> tuple[str, ...]:
    """The instruction sets found that a kernel could use; empty without the compiled module."""
    if _lib is None:
        return ()
    lib = _lib
    found = lib.capseal_cpu_features()
    names = {
        lib.CAPSEAL_CPU_SHA: "sha",
        lib.CAPSEAL_CPU_AVX2: "avx2",
        lib.CAPSEAL_CPU_AVX512: "avx512",
        lib.CAPSEAL_CPU_ARM_SHA2: "sha2",
    }
    return tuple(name for bit, name in names.items() if found & bit)


def digest_blocks(data: Any, block_bytes: int, out: Any) -> None:
    """Write the SHA-256 of each of n blocks of `data` into `out`.

    data: any C-contiguous buffer of n * block_bytes bytes; out: any writable C-contiguous buffer of
    n * 32 bytes that does not overlap it. Raises ValueError where the sizes do not agree.
    """
    view = _bytes_of(data)
    digests = _bytes_of(out)
    n, rest = divmod(len(digests), DIGEST_BYTES)
    if block_bytes < 0 or rest or len(view) != n * block_bytes:
        raise ValueError(f"{len(view)} bytes are not {n} blocks of {block_bytes}, or out has {len(digests)} bytes")
    if digests.readonly and n > 0:
        raise ValueError("out is not writable")
    number = _NUMBERS[_chosen]
    if number is None:
        for i in range(n):
            digests[i * DIGEST_BYTES : (i + 1) * DIGEST_BYTES] = _digest(view[i * block_bytes : (i + 1) * block_bytes])
    elif n > 0:
        _call(_lib.capseal_sha256_blocks, number, view, n, block_bytes, out=digests)


def leaf_digests(data: Any) -> bytes:
    """SHA-256 of each block of 4096 bytes, the last one zero-padded (docs/format.md, Tree and index).

    data: any C-contiguous buffer. Gives 32 bytes per block.
    """
    return _leaf_digests(_bytes_of(data), _NUMBERS[_chosen])


def segment_digests(data: Any) -> bytes:
    """The index entry of each segment: SHA-256 of its zero-padded hash block of leaves.

    data: any C-contiguous buffer that starts where a segment starts, 524288 bytes a segment, the
    last may be shorter. Gives 32 bytes per segment. A payload of one block alone, whose root is its
    leaf, is the caller's business (docs/format.md, Tree and index).
    """
    return _segment_digests(_bytes_of(data), _NUMBERS[_chosen])


def file_segment_digests(fd: int, offset: int, size: int) -> bytes | None:
    """The same for `size` bytes of a file from an offset on, which are mapped and not read.

    Gives None where that cannot be done, or the file does not hold them any more: reading them tells why.
    That the file shrinks meanwhile does no harm (csrc/file/capseal_mapped.h).
    """
    number = _NUMBERS[_chosen]
    if number is None:
        return None
    out = bytearray(-(-size // SEGMENT_BYTES) * DIGEST_BYTES)
    error = _lib.capseal_sha256_file_segments(
        number, fd, offset, size, _ffi.from_buffer("uint8_t[]", out, require_writable=True)
    )
    return None if error else bytes(out)


def _leaf_digests(view: memoryview, number: int | None) -> bytes:
    if number is None:
        blocks = (view[i : i + BLOCK_BYTES] for i in range(0, len(view), BLOCK_BYTES))
        return b"".join(_digest(block, padded_to=BLOCK_BYTES) for block in blocks)
    out = bytearray(-(-len(view) // BLOCK_BYTES) * DIGEST_BYTES)
    if out:
        _call(_lib.capseal_sha256_leaves, number, view, len(view), out=out)
    return bytes(out)


def _segment_digests(view: memoryview, number: int | None) -> bytes:
    if number is None:
        leaves = (_leaf_digests(view[i : i + SEGMENT_BYTES], None) for i in range(0, len(view), SEGMENT_BYTES))
        return b"".join(_digest(hash_block, padded_to=BLOCK_BYTES) for hash_block in leaves)
    out = bytearray(-(-len(view) // SEGMENT_BYTES) * DIGEST_BYTES)
    if out:
        _call(_lib.capseal_sha256_segments, number, view, len(view), out=out)
    return bytes(out)


class Speed(NamedTuple):
    """How fast one kernel digested 4096-byte blocks in memory, on one thread."""

    kernel: str
    bytes_per_s: float
    chosen: bool


def measure(
    names: Sequence[str] = KERNELS,
    *,
    size_bytes: int = 4 * SEGMENT_BYTES,
    rounds: int = 20,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Speed]:
    """Measure kernels, by default every one that this machine can run, best of `rounds` each, all in turn.

    Takes about 0.2 s with the defaults and leaves the kernel in use as it is.
    """
    data = memoryview(os.urandom(size_bytes))
    best_s = dict.fromkeys(names, float("inf"))
    for _ in range(rounds):
        for name in names:
            start = clock()
            _segment_digests(data, _NUMBERS[name])
            best_s[name] = min(best_s[name], clock() - start)
    return [Speed(name, size_bytes / best_s[name], name == _chosen) for name in names]


def _bytes_of(data: Any) -> memoryview:
    view = memoryview(data)
    # Zero bytes cannot be cast from shapes that hold a zero.
    return view.cast("B") if view.nbytes else memoryview(b"")


def _digest(view: bytes | memoryview, *, padded_to: int = 0) -> bytes:
    import hashlib  # here, since few machines need it

    sha256 = hashlib.sha256(view)
    if len(view) < padded_to:
        sha256.update(bytes(padded_to - len(view)))
    return sha256.digest()


def _call(function: Any, number: int, view: memoryview, *sizes: int, out: bytearray | memoryview) -> None:
    from_buffer = _ffi.from_buffer
    error = function(
        number, from_buffer("uint8_t[]", view), *sizes, from_buffer("uint8_t[]", out, require_writable=True)
    )
    if error:
        raise ValueError(f"the compiled module refused {len(view)} bytes with {os.strerror(-error)}")
