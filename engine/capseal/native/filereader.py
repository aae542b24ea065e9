"""Many small files, listed and read in one call each, without the interpreter's lock: for the zip of a folder."""

import errno
import os
import stat
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from ..errors import SourceChangedError

try:
    from .._native import ffi as _ffi
    from .._native import lib as _lib

    _lib.capseal_list_folder, _lib.capseal_read_files  # noqa: B018 - are they there?
except (ImportError, AttributeError):  # built without a C compiler, or before these were there
    _ffi = _lib = None

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


FILE, FOLDER, OTHER = 0, 1, 2
"""Kinds of what a folder has: other is a link, which is not followed, or a special file."""

Listed = tuple[list[bytes], list[int], list[int], list[int]]
"""Names, kinds, sizes in bytes, times of the last change in nanoseconds, as _changed_ns() has them."""

_NAMES_BYTES = 8 * 1024
_MAX_NAMES_BYTES = 1 << 30
_ROW_BYTES = 24
_BYTES_PER_NAME = 16  # how many are expected to fit
_MOST_OPEN = 32
_ENTRY_BYTES = 12  # of an entry with the shortest name, in a folder of ext4


def list_folder(path: bytes) -> Listed:
    """List a folder, in any order. Raises OSError."""
    if _lib is None:
        return _list_folder(path)
    names_bytes = _NAMES_BYTES
    while True:
        rows = names_bytes // _BYTES_PER_NAME
        names, table = bytearray(names_bytes), bytearray(rows * _ROW_BYTES)
        count = _lib.capseal_list_folder(
            path, _ffi.from_buffer("char[]", names), names_bytes, _ffi.from_buffer("int64_t[]", table), rows
        )
        if count >= 0:
            fields = memoryview(table)[: count * _ROW_BYTES].cast("q").tolist()
            return bytes(names).split(b"\0", count)[:count], fields[0::3], fields[1::3], fields[2::3]
        if count != -errno.ENOBUFS or names_bytes >= _MAX_NAMES_BYTES:
            raise OSError(-count, os.strerror(-count), os.fsdecode(path))
        # On most file systems a folder is longer than its names; where not, it goes on as before.
        names_bytes = max(
            8 * names_bytes, min(_MAX_NAMES_BYTES, os.stat(path).st_size * _BYTES_PER_NAME // _ENTRY_BYTES)
        )


def _list_folder(path: bytes) -> Listed:
    names, kinds, sizes, changed_ns = [], [], [], []
    with os.scandir(path) as scan:
        for child in scan:
            status = child.stat(follow_symlinks=False)
            names.append(child.name)
            kinds.append(FILE if stat.S_ISREG(status.st_mode) else FOLDER if stat.S_ISDIR(status.st_mode) else OTHER)
            sizes.append(status.st_size)
            changed_ns.append(_changed_ns(status))
    return names, kinds, sizes, changed_ns


def _changed_ns(status: os.stat_result) -> int:
    """Return the time of the last change as C has it, in 64 bits: what lies outside of 1677 to 2262 wraps around."""
    return (status.st_mtime_ns + (1 << 63)) % (1 << 64) - (1 << 63)


class FileTable:
    """Files below one folder, opened at each read, laid out one after the other in a whole, with gaps between them.

    names: paths below the folder; sizes: bytes, -1 for what is no file; changed_ns: times of the last
    change; data_at: where each one's data starts in the whole, rising.
    """

    def __init__(
        self,
        folder: str,
        names: Sequence[bytes],
        sizes: Sequence[int],
        changed_ns: Sequence[int],
        data_at: Sequence[int],
    ) -> None:
        self._folder = folder
        self._names = names
        self._fields = (sizes, changed_ns, data_at)
        if _lib is not None:
            self._blob = b"\0".join(names) + b"\0"
            starts = accumulate([len(name) + 1 for name in names[:-1]], initial=0)
            self._columns = [
                _ffi.from_buffer("int64_t[]", array("q", column))
                for column in (list(starts), sizes, changed_ns, data_at)
            ]

    def read_into(self, first: int, last: int, start: int, buffer: memoryview) -> None:
        """Fill a buffer with what files first to last - 1 have in the whole from `start` on; leave the gaps.

        Raises SourceChangedError where one is not as it was listed, OSError.
        """
        stop = start + len(buffer)
        if _lib is None:
            for number in range(first, last):
                self._read(number, start, stop, buffer)
            return
        out = _ffi.from_buffer(buffer)
        folder = os.open(self._folder, _FOLDER)
        try:
            done = _lib.capseal_read_files(folder, self._blob, *self._columns, first, last, start, stop, out)
            error = _ffi.errno
        finally:
            os.close(folder)
        if done < last - first:
            self._fail(first + done, error)

    def open(self, number: int) -> int:
        """Open one file. Raises OSError."""
        return os.open(os.path.join(os.fsencode(self._folder), self._names[number]), _FILE)

    def listed(self, number: int) -> tuple[int, int]:
        """Return the size of a file in bytes and the time of its last change, as they were listed."""
        sizes, changed_ns, _ = self._fields
        return sizes[number], changed_ns[number]

    def check_unchanged(self, number: int, fd: int) -> None:
        """Raise SourceChangedError where an open file is not as it was listed."""
        sizes, changed_ns, _ = self._fields
        now = os.fstat(fd)
        if not stat.S_ISREG(now.st_mode) or (now.st_size, _changed_ns(now)) != (sizes[number], changed_ns[number]):
            self._fail(number, errno.ESTALE)

    def _read(self, number: int, start: int, stop: int, buffer: memoryview) -> None:
        sizes, _, data_at = self._fields
        data, size = data_at[number], sizes[number]
        begin, end = max(data, start), min(data + size, stop)
        if size < 0 or (size > 0 and begin >= end):
            return
        fd = self.open(number)
        try:
            self.check_unchanged(number, fd)
            while begin < end:
                count = os.preadv(fd, [buffer[begin - start : end - start]], begin - data)
                if count == 0:
                    self._fail(number, errno.ESTALE)
                begin += count
            self.check_unchanged(number, fd)
        finally:
            os.close(fd)

    def _fail(self, number: int, error: int) -> None:
        path = os.path.join(self._folder, os.fsdecode(self._names[number]))
        if error == errno.ESTALE:
            size = self._fields[0][number]
            raise SourceChangedError(f"{path}: changed since it was read first ({size} bytes then)")
        raise OSError(error, os.strerror(error), path)


class OpenFiles:
    """The files of a table that were read last, which stay open, a few: for many small reads of the same.

    data_at: where each file's data starts in the whole, rising; sizes: bytes.
    """

    def __init__(self, table: FileTable, data_at: Sequence[int], sizes: Sequence[int]) -> None:
        self._table = table
        self._columns = data_at, sizes
        self._open: dict[int, int] = {}  # descriptors by numbers, the one that was opened first in front
        self._fd = self._number = -1  # of the file that was read last
        self._start = self._stop = 0
        self._listed = (0, 0)

    def read_into(self, start: int, buffer: memoryview) -> bool:
        """Fill a buffer from an offset of the whole; False, and nothing is done, where not all of it is in one file.

        Raises SourceChangedError where it is not as it was listed, OSError.
        """
        stop = start + len(buffer)
        if (start < self._start or stop > self._stop) and not self._turn_to(start, stop):
            return False
        done = start
        while done < stop:
            count = os.preadv(self._fd, [buffer[done - start :]], done - self._start)
            if count == 0:
                break  # it is shorter now, which is said next
            done += count
        now = os.fstat(self._fd)
        if (now.st_size, now.st_mtime_ns) != self._listed:
            self._table.check_unchanged(self._number, self._fd)
        return True

    def close(self) -> None:
        """Close them; calling it again does nothing."""
        while self._open:
            os.close(self._open.popitem()[1])
        self._start = self._stop = 0

    def _turn_to(self, start: int, stop: int) -> bool:
        data_at, sizes = self._columns
        number = bisect_right(data_at, start) - 1
        if number < 0 or stop > data_at[number] + sizes[number]:
            return False
        fd = self._open.get(number)
        if fd is None:
            if len(self._open) >= _MOST_OPEN:
                os.close(self._open.pop(next(iter(self._open))))
                self._start = self._stop = 0  # it may be the one that was read last
            fd = self._open[number] = self._table.open(number)
        self._fd, self._number, self._start, self._stop = fd, number, data_at[number], data_at[number] + sizes[number]
        self._listed = self._table.listed(number)
        return True
