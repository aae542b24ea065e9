"""Sources and outputs that are in memory: mapped in place of copied, in huge pages in place of small ones.

In memory is all of a tmpfs, and of a file on a disk, where it is read, what the page cache holds of it.

Optional throughout: what is not here is read and written as ever. Outputs come here on their own, once they are
large; sources are mapped only for callers that ask for it, since that installs a handler of SIGBUS for the process.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..native import hashing
from ..native.filehints import (
    HUGE_BYTES,
    allocate_huge,
    is_cached,
    is_in_memory,
    map_file,
    preallocate,
    start_writeback,
    unmap_file,
)

if TYPE_CHECKING:
    from .source import Source

# A huge page is made in 0.15 ms and saves 0.5. A virtual machine may have to ask its host for the memory
# first, a fragmented one has to move things about; either takes longer than small pages would.
_FAIR_NS = 500_000
_ALLOWANCE_NS = 20_000_000

Digests = Callable[[int, int], bytes | None]
"""Gives the index entries of so many bytes of a source from an offset on, or None where these have to be read."""


@runtime_checkable
class Placed(Protocol):
    """A source that is a file."""

    def place(self) -> tuple[int, int]:
        """Return the file's descriptor and the offset in it of the source's byte 0."""


def digests_in_place(source: "Source") -> Digests | None:
    """Return what digests a source where it lies in memory, or None where it has to be read.

    Its first call installs a handler of SIGBUS, for good, since a file may shrink under a mapping
    (csrc/file/capseal_mapped.h).
    """
    if not isinstance(source, Placed):
        return None
    fd, start = source.place()
    always = is_in_memory(fd)

    def digests(offset: int, size: int) -> bytes | None:
        # What the page cache does not hold, a mapping would wait for, page by page.
        if not always and not is_cached(fd, start + offset, size):
            return None
        return hashing.file_segment_digests(fd, start + offset, size)

    return digests


class LargeOutput:
    """What is done for a large file while it is written: room on the disk, huge pages in memory. Only hints.

    cover() and reserve() are for one thread at a time.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pages = HugePages(fd)

    def expect(self, size: int) -> None:
        """Be told how many bytes there will be."""
        preallocate(self._fd, size)

    def cover(self, end: int) -> bool:
        """Be told that something will be written up to that offset; say whether all is in huge pages until there."""
        return self._pages.cover(end)

    def reserve(self, end: int) -> bool:
        """Make the file that long, in huge pages, so that window() can be had; say whether it is. Raises OSError."""
        if not self._pages.cover(end):
            return False
        if os.fstat(self._fd).st_size < end:
            os.ftruncate(self._fd, end)
        return True

    def window(self, offset: int, size: int) -> "Window":
        """Return a range of the file, mapped. Raises OSError."""
        return Window(self._fd, offset, size)

    def written(self, offset: int, size: int) -> None:
        """Be told what was written: the disk works while we do, and the sync then waits for the last runs only."""
        start_writeback(self._fd, offset, size)

    def trim(self, size: int) -> None:
        """Cut the file to its size, in bytes."""
        self._pages.trim(size)


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
            taken_ns = allocate_huge(self._fd, self._end)
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
        self._address, self.view = map_file(fd, offset, size)

    def close(self) -> None:
        """Take the view away; nothing of it may be in use any more."""
        size = len(self.view)
        self.view.release()
        unmap_file(self._address, self._offset, size)
