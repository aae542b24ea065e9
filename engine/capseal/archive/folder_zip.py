"""A folder as a zip, made while it is read: any part of it at any time, by any number of threads.

Deterministic: sorted names, fixed times and modes, so equal folders give equal bytes. Every entry has its
size and checksum in front of its data, so that any unzip reads it in a stream (Java's ZipInputStream
refuses stored entries that have them behind). Names and sizes alone tell where everything lies, so a stored zip's
size is known before a file is opened, and a file that lies in one read is read once; of a larger one the
checksum takes a pass of its own. Deflated data is made beforehand (see _deflating).
"""

import os
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from zlib_ng.zlib_ng import crc32

from ..errors import FormatError, UsageError
from ..native import processors
from ..native.filereader import FileTable, OpenFiles
from ._listing import list_folder
from ._private_keys import KeySearch, hints_at_private_key, private_key_found
from .check import ArchiveLimits, check_sizes
from .directory import DEFLATED, STORED, check_directory_bytes
from .headers import Headers, directory_bytes, end_bytes, local_header_bytes

if TYPE_CHECKING:
    from ._deflating import Deflated, Packed

_CHUNK_BYTES = 1024 * 1024
_DEFAULT_LIMITS = ArchiveLimits()
_UNKNOWN = -1  # a CRC-32 that is yet to be taken


class FolderZip:
    """The zip of a folder, as a source: read_into(), or peek(), at any offset.

    name: the folder's, with .zip; size: bytes; left_out: paths in it that do not ship (docs/device.md,
    Archives), a folder's with a final '/'; doubtful: those that do, and may not have to.
    """

    ordered = False
    seekable = True

    def __init__(
        self,
        folder: str,
        *,
        deflate: bool = False,
        exclude: Sequence[str] = (),
        leave_out: Sequence[str] = (),
        limits: ArchiveLimits = _DEFAULT_LIMITS,
    ) -> None:
        """List a folder, and check that devices will take it.

        exclude: more patterns in gitignore syntax; leave_out: paths of files that are being made. Raises
        UsageError at a link, a special file, a private key and what devices refuse; OSError.
        """
        self.name = f"{os.path.basename(os.path.abspath(folder))}.zip"
        listing = list_folder(folder, exclude=exclude, leave_out=leave_out, entries=limits.entries)
        self.left_out, self.doubtful = listing.left_out, listing.doubtful
        self._folder = os.path.abspath(folder)
        self._names, self._sizes, self._changed_ns = listing.names, listing.sizes, listing.changed_ns
        self._lock = threading.Lock()
        self._directory: bytes | None = None
        self._deflated: Deflated | None = None
        self._spool: Sequence[Packed] = ()
        self._contents = [size if size > 0 else 0 for size in self._sizes]
        self._packed = self._contents
        self._crcs = [0 if size < 0 else _UNKNOWN for size in self._sizes]
        try:
            if deflate:
                self._deflate()
            self._lay_out()
            self._check_empty_ones()
            check_sizes(sum(self._contents), self._bytes, limits=limits)
        except FormatError as error:
            self.close()
            raise UsageError(f"{folder}: {error}") from None
        except BaseException:
            self.close()
            raise

    @property
    def names(self) -> Sequence[bytes]:
        """Of each entry, a folder's with a final '/'."""
        return self._names

    @property
    def sizes(self) -> Sequence[int]:
        """Of what is in each file, in bytes, 0 of a folder."""
        return self._contents

    @property
    def starts(self) -> Sequence[int]:
        """Offset of each entry's header."""
        return self._starts

    @property
    def directory_at(self) -> int:
        """Where the entries end, and the directory starts."""
        return self._directory_at

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill the buffer from that offset and return the bytes read: fewer only at the end.

        Raises SourceChangedError, UsageError at a private key, OSError.
        """
        count = min(len(buffer), self._bytes - offset)
        if count <= 0:
            return 0
        buffer = buffer[:count]
        stop = offset + count
        first = max(0, bisect_right(self._starts, offset) - 1)
        last = bisect_left(self._starts, stop)
        self._table.read_into(first, last, offset, buffer)
        if self._deflated is not None:
            self._put_spooled(first, last, offset, buffer)
        whole = range(first, last)
        if whole and self._starts[first] < offset:
            self._put_part(first, offset, buffer)
            whole = whole[1:]
        if whole and self._data_at[whole[-1]] + self._packed[whole[-1]] > stop:
            self._put_part(last - 1, offset, buffer)
            whole = whole[:-1]
        self._put_whole(whole, offset, buffer)
        if stop > self._directory_at:
            _put(buffer, offset, self._directory_at, memoryview(self._whole_directory()))
        return count

    def peek(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from that offset: fewer only at the end. Raises as read_into()."""
        data = bytearray(max(0, min(size, self._bytes - offset)))
        self.read_into(offset, memoryview(data))
        return bytes(data)

    def open_files(self) -> "OpenFiles":
        """Return what reads its stored files in part, a few of which stay open. By one thread at a time."""
        return OpenFiles(self._table, self._data_at, self._packed)

    def rebase(self, offset: int) -> None:
        """A zip starts at its first byte. Raises UsageError for any other."""
        if offset:
            raise UsageError(f"{self.name}: starts at byte 0, not {offset}")

    def check_unchanged(self) -> None:
        """Each file is compared with the listing whenever it is read."""

    def close(self) -> None:
        """Forget what was deflated; calling it again does nothing."""
        if self._deflated is not None:
            self._deflated.close()
            self._deflated = None

    def _lay_out(self) -> None:
        names, packed, sizes = self._names, self._packed, self._sizes
        heads = local_header_bytes(names, packed, sizes)
        ends = list(accumulate([head + size for head, size in zip(heads, packed, strict=True)]))
        self._directory_at = ends[-1] if ends else 0
        self._starts = [0, *ends[:-1]] if ends else []
        self._data_at = [start + head for start, head in zip(self._starts, heads, strict=True)]
        size = directory_bytes(names, packed, sizes, self._starts, self._directory_at)
        check_directory_bytes(size)
        self._bytes = self._directory_at + size + end_bytes(len(names), size, self._directory_at)
        self.size: int | None = self._bytes  # what a source may not know
        self._methods = [STORED] * len(names)
        in_files = sizes
        if self._deflated is not None:
            self._methods = [STORED if packed.at is None else DEFLATED for packed in self._spool]
            in_files = [size if method == STORED else -1 for size, method in zip(sizes, self._methods, strict=True)]
        self._table = FileTable(self._folder, names, in_files, self._changed_ns, self._data_at)
        self._headers = Headers(names, self._methods, packed, self._contents, self._starts, self._directory_at)

    def _check_empty_ones(self) -> None:
        """Raise UsageError at a file that has content though its size is 0, as those of /proc have."""
        for number, size in enumerate(self._sizes):
            if size == 0:
                fd = self._table.open(number)
                try:
                    if os.read(fd, 1):
                        path = os.path.join(self._folder, self._names[number].decode())
                        raise UsageError(f"{path}: has content, though its size is 0 bytes; seal a copy of the folder")
                finally:
                    os.close(fd)

    def _deflate(self) -> None:
        from ._deflating import Deflated  # here, since few folders are

        self._deflated = Deflated()
        self._table = FileTable(self._folder, self._names, self._sizes, self._changed_ns, [0] * len(self._names))
        self._spool = self._deflated.pack(self._sizes, self._chunks, jobs=processors())
        self._packed = [packed.size for packed in self._spool]
        self._crcs = [packed.crc for packed in self._spool]

    def _put_spooled(self, first: int, last: int, offset: int, buffer: memoryview) -> None:
        for number in range(first, last):
            data = self._data_at[number]
            start, stop = max(data, offset), min(data + self._packed[number], offset + len(buffer))
            if self._methods[number] == DEFLATED and start < stop:
                if self._deflated is None:
                    raise UsageError(f"{self.name}: closed")
                piece = self._deflated.read(self._spool[number], start - data, stop - start)
                _put(buffer, offset, start, memoryview(piece))

    def _put_whole(self, numbers: range, offset: int, buffer: memoryview) -> None:
        """Write the headers of entries that lie in the buffer from start to end, as does what is in their files."""
        if not numbers:
            return
        crcs, data_at, packed = self._crcs, self._data_at, self._packed
        unknown = [number for number in numbers if crcs[number] == _UNKNOWN]
        if unknown and hints_at_private_key(buffer):
            for number in unknown:
                at = data_at[number] - offset
                self._refuse_private_key(number, KeySearch(), bytes(buffer[at : at + packed[number]]))
        for number in unknown:
            at = data_at[number] - offset
            crcs[number] = crc32(buffer[at : at + packed[number]])
        self._headers.put_local(numbers.start, crcs[numbers.start : numbers.stop], offset, buffer)

    def _put_part(self, number: int, offset: int, buffer: memoryview) -> None:
        """Write what the buffer has of the header of an entry that begins before it or ends behind it."""
        start, size = self._starts[number], self._data_at[number] - self._starts[number]
        if start + size <= offset:
            return  # its header is somebody else's
        if self._crcs[number] == _UNKNOWN:
            self._crcs[number] = self._crc_of(number)
        header = memoryview(bytearray(size))
        self._headers.put_local(number, self._crcs[number : number + 1], start, header)
        _put(buffer, offset, start, header)

    def _whole_directory(self) -> bytes:
        with self._lock:
            if self._directory is None:
                # Another thread may still be at work on one; to wait for it would take longer.
                self._crcs = [self._crc_of(number) if crc == _UNKNOWN else crc for number, crc in enumerate(self._crcs)]
                self._directory = self._headers.directory(self._crcs)
            return self._directory

    def _crc_of(self, number: int) -> int:
        crc = 0
        for chunk in self._chunks(number):
            crc = crc32(chunk, crc)
        return crc

    def _chunks(self, number: int) -> Iterator[bytes]:
        fd = self._table.open(number)
        try:
            chunk = os.read(fd, _CHUNK_BYTES)
            search = KeySearch()
            while chunk:
                self._refuse_private_key(number, search, chunk)
                yield chunk
                chunk = os.read(fd, _CHUNK_BYTES)
            self._table.check_unchanged(number, fd)
        finally:
            os.close(fd)

    def _refuse_private_key(self, number: int, search: KeySearch, piece: bytes) -> None:
        if search.feed(piece):
            raise private_key_found(os.path.join(self._folder, self._names[number].decode()))


def _put(buffer: memoryview, offset: int, at: int, piece: memoryview) -> None:
    """Write what a piece, which belongs at an offset of the whole, has in common with a buffer that starts at one."""
    start, stop = max(at, offset), min(at + len(piece), offset + len(buffer))
    if start < stop:
        buffer[start - offset : stop - offset] = piece[start - at : stop - at]
