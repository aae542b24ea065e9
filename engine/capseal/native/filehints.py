"""Files in the making: room on the disk, early writeback; for files that live in memory, huge pages and mapping.

Thin calls into the compiled module. Without it nothing lives in memory, and hints are not given.
"""

import os
from typing import Any

try:
    from .._native import ffi as _ffi
    from .._native import lib as _lib
except ImportError:  # built without a C compiler
    _ffi = _lib = None

HUGE_BYTES = 2 * 1024 * 1024


def preallocate(fd: int, size: int) -> None:
    """Have the file system find room for that many bytes at once, and not run by run, where the file is on disk.

    Only a hint (Linux: fallocate(2), which leaves the file's size alone), not given where there is no room: to try
    would take all there is from everybody else meanwhile. What fails is told by writing.
    """
    if _lib is not None and size > 0:
        _lib.capseal_preallocate(fd, size)


def start_writeback(fd: int, offset: int, size: int) -> None:
    """Have the kernel start writing a range of a file, in bytes, and return without waiting.

    Only a hint (Linux: sync_file_range(2)); what fails is told by the next fsync().
    """
    if _lib is not None:
        _lib.capseal_start_writeback(fd, offset, size)


def is_in_memory(fd: int) -> bool:
    """Say whether a file lives in memory (tmpfs), so that to map it costs less than to read it."""
    return _lib is not None and bool(_lib.capseal_is_in_memory(fd))


def is_cached(fd: int, offset: int, size: int) -> bool:
    """Say whether all of a range of a file, in bytes, is in the page cache now (Linux 6.5: cachestat(2))."""
    return _lib is not None and bool(_lib.capseal_is_cached(fd, offset, size))


def can_sync_file_system(fd: int) -> bool:
    """Say whether sync_file_system() would do it: on kernels and file systems known to write all and to tell errors."""
    return _lib is not None and bool(_lib.capseal_can_sync_file_system(fd))


def sync_file_system(fd: int) -> None:
    """Have all of the file system that an open folder is on, on disk (Linux: syncfs(2)).

    The folder must have been opened before what matters was written. Raises OSError, also for what could not be
    written since then.
    """
    error = _lib.capseal_sync_file_system(fd)
    if error:
        raise OSError(-error, os.strerror(-error))


def allocate_huge(fd: int, offset: int) -> int:
    """Have a huge page at that offset, in bytes, of a file that lives in memory; return the ns that it took.

    Negative where there is none to be had, or the file does not live in memory.
    """
    return -1 if _lib is None else int(_lib.capseal_allocate_huge(fd, offset))


def map_file(fd: int, offset: int, size: int) -> tuple[Any, memoryview]:
    """Map a range of a file, which must lie within it: its address, for unmap_file(), and its bytes, to be written.

    Raises OSError.
    """
    address = _lib.capseal_map(fd, offset, size, 1)
    if not address:
        raise OSError(_ffi.errno, os.strerror(_ffi.errno))
    return address, memoryview(_ffi.buffer(address, size))


def unmap_file(address: Any, offset: int, size: int) -> None:
    """Take a mapping of map_file() away; nothing of its bytes may be in use any more."""
    _lib.capseal_unmap(address, offset, size)
