"""Files in the making: room on the disk, early writeback; for files that live in memory, huge pages and mapping."""

import os

try:
    from .._native import ffi as _ffi
    from .._native import lib as _lib
except ImportError:  # built without a C compiler
    _ffi = _lib = None

HUGE_BYTES = 2 * 1024 * 1024

# A huge page is made in 0.15 ms and saves 0.5. A virtual machine may have to ask its host for the memory
# first, a fragmented one has to move things about; either takes longer than small pages would.
_FAIR_NS = 500_000
_ALLOWANCE_NS = 20_000_000


def preallocate(fd: int, size: int) -> None:
    """Have the file system find room for that many bytes at once, and not run by run, where the file is on disk.

    Only a hint (Linux: fallocate(2), which leaves the file's size alone); what fails is told by writing.
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


class HugePages:
    """Gives a file that lives in memory (tmpfs) huge pages, from its start on, just before they are filled.

    The kernel finds, counts and clears small pages one by one, which takes longer than filling them. Only
    a hint: where huge pages are not to be had, or only slowly, the rest of the file gets small ones. For
    one thread at a time.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._end = 0
        self._patience_ns = _ALLOWANCE_NS

    def cover(self, end: int) -> bool:
        """Have huge pages up to that offset, in bytes, and say whether all of them are."""
        while self._end < end and self._patience_ns >= 0:
            taken_ns = -1 if _lib is None else _lib.capseal_allocate_huge(self._fd, self._end)
            if taken_ns < 0:
                self._patience_ns = -1
            else:
                self._patience_ns += _FAIR_NS - taken_ns
                self._end += HUGE_BYTES
        return self._patience_ns >= 0

    def trim(self, size: int) -> None:
        """Cut the file to its size, in bytes, so that the last page holds nothing beyond it."""
        if self._end:
            os.ftruncate(self._fd, size)


class Window:
    """A range of a file, mapped: what is stored in `view` is in the file. It must lie within the file.

    Raises OSError.
    """

    __slots__ = ("_address", "_offset", "view")

    def __init__(self, fd: int, offset: int, size: int) -> None:
        self._offset = offset
        self._address = _lib.capseal_map(fd, offset, size, 1)
        if not self._address:
            raise OSError(_ffi.errno, os.strerror(_ffi.errno))
        self.view = memoryview(_ffi.buffer(self._address, size))

    def close(self) -> None:
        """Take the view away; nothing of it may be in use any more."""
        size = len(self.view)
        self.view.release()
        _lib.capseal_unmap(self._address, self._offset, size)
