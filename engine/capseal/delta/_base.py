"""What a recipe is applied to: the base string of a folder, or of a zip as if it were unpacked (docs/delta.md, Base).

It is defined for everybody who has the files, however they came: all entries by path bytes, each as capseal's own
stored zip of them has it, header and then content. No directory.
"""

import hashlib
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Protocol, Self

from zlib_ng.zlib_ng import crc32

from ..archive.check import Archive, ArchiveLimits, check_archive
from ..archive.directory import DEFLATED, STORED
from ..archive.headers import local_header_bytes, put_local_headers
from ..archive.local_headers import Member, content_of
from ..errors import FormatError, SourceChangedError, UsageError
from ..io.source import Source, open_source
from ._layout import Layout

_LIMITS = ArchiveLimits()
_CHUNK_BYTES = 1024 * 1024


class Base(Protocol):
    """The base string, read at any offset by one thread at a time."""

    layout: Layout
    """Where its entries lie."""
    entries: int
    """How many."""
    digest: bytes
    """What it is known by."""

    def read_into(self, at: int, buffer: memoryview) -> None:
        """Fill a buffer that lies within the string. Raises SourceChangedError, OSError."""

    def close(self) -> None:
        """Release what it holds."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def listing_digest(entries: Iterable[tuple[bytes, int]]) -> bytes:
    """Return what a base of plain files is known by: SHA-256 of each name, a zero, and the size (uint64).

    entries: in order, name and size in bytes, 0 of a folder. It tells one base from another without reading the
    files; what they hold is proven by what is rebuilt from them.
    """
    rows = [name + b"\0" + size.to_bytes(8, "big") for name, size in entries]
    return hashlib.sha256(b"".join(rows)).digest()


def open_base(base: "str | os.PathLike[str] | Base") -> "Base":
    """Open a folder or a zip; what is a base already is returned as it is.

    Raises UsageError where it is neither, or what devices refuse; OSError.
    """
    if not isinstance(base, str | os.PathLike):
        return base
    if os.path.isdir(base):
        return FolderBase(os.fspath(base))
    source = open_source(base)
    try:
        return ZipBase(source)
    except FormatError as error:
        source.close()
        raise UsageError(f"{os.fspath(base)}: a base is a folder or a zip: {error}") from None
    except BaseException:
        source.close()
        raise


class _Closed:
    def close(self) -> None:
        """Release what it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class FolderBase(_Closed):
    """A folder: the front of its own stored zip."""

    def __init__(self, folder: str) -> None:
        from ..archive.folder_zip import FolderZip  # here, since a zip needs none

        self._zip = FolderZip(folder)
        self._files = self._zip.open_files()
        self.layout = Layout(self._zip.starts, self._zip.directory_at)
        self.entries = len(self._zip.names)
        self.digest = listing_digest(zip(self._zip.names, self._zip.sizes, strict=True))

    def read_into(self, at: int, buffer: memoryview) -> None:
        # Most of what recipes copy lies in few large files, which stay open.
        if not self._files.read_into(at, buffer):
            self._zip.read_into(at, buffer)

    def close(self) -> None:
        self._files.close()
        self._zip.close()


class EntriesBase(_Closed):
    """Files and folders of which names, sizes and CRC-32 are known: headers are made again, content is asked for."""

    def __init__(self, names: Sequence[bytes], sizes: Sequence[int], crcs: Sequence[int]) -> None:
        """names: in order, a folder's with a final '/'; sizes, crcs: of the content, 0 of a folder."""
        self._names, self._sizes, self._crcs = names, sizes, crcs
        heads = local_header_bytes(names, sizes, sizes)
        ends = list(accumulate(map(int.__add__, heads, sizes)))
        self._starts = [0, *ends[:-1]] if ends else []
        self._data_at = list(map(int.__add__, self._starts, heads))
        self.layout = Layout(self._starts, ends[-1] if ends else 0)
        self.entries = len(names)
        self.digest = listing_digest(zip(names, sizes, strict=True))

    def read_into(self, at: int, buffer: memoryview) -> None:
        stop = at + len(buffer)
        number = bisect_right(self._starts, at) - 1
        done = at
        while done < stop:
            data = self._data_at[number]
            if done < data:
                header = memoryview(bytearray(data - self._starts[number]))
                size = self._sizes[number]
                row = (self._names[number], STORED, self._crcs[number], size, size, self._starts[number])
                put_local_headers(header, self._starts[number], [row])
                piece = header[done - self._starts[number] : stop - self._starts[number]]
                buffer[done - at : done - at + len(piece)] = piece
                done += len(piece)
            end = min(stop, data + self._sizes[number])
            if done < end:
                self._read_data(number, done - data, buffer[done - at : end - at])
                done = end
            number += 1

    def _read_data(self, number: int, offset: int, buffer: memoryview) -> None:
        """Fill a buffer with content of the entry of that number, from an offset in it; a subclass knows how."""
        raise UsageError(f"{self._names[number].decode()}: a base of names and sizes alone has no content to read")


class FileBase(EntriesBase):
    """Content that is no zip: one file. name: what it is called where it is installed."""

    def __init__(self, source: Source, name: str) -> None:
        """Raises UsageError where it cannot be read at any place, OSError."""
        size = _checked_size(source)
        self._source = source
        crc = 0
        for at in range(0, size, _CHUNK_BYTES):
            crc = crc32(source.peek(at, _CHUNK_BYTES), crc)
        super().__init__([name.encode()], [size], [crc])

    def close(self) -> None:
        self._source.close()

    def _read_data(self, number: int, offset: int, buffer: memoryview) -> None:
        _read(self._source, offset, buffer)


class ZipBase(EntriesBase):
    """A zip, read as the files that it unpacks to; what is deflated in it is unpacked to a file without a name."""

    def __init__(self, source: Source) -> None:
        """Raises FormatError, UsageError where it cannot be read at any place, OSError."""
        import tempfile  # here, since a folder needs none, and it loads as much as all of this room

        self._source = source
        archive = check_archive(source.peek, _checked_size(source), limits=_LIMITS)
        members = dict(sorted(_named(archive)))
        self._members = list(members.values())
        sizes = [member.entry.size if member else 0 for member in self._members]
        crcs = [member.entry.crc if member and member.entry.size else 0 for member in self._members]
        super().__init__(list(members), sizes, crcs)
        self._spool = tempfile.TemporaryFile()
        self._spooled = dict(self._inflate())

    def close(self) -> None:
        self._source.close()
        self._spool.close()

    def _read_data(self, number: int, offset: int, buffer: memoryview) -> None:
        member = self._members[number]
        if number in self._spooled:
            count = os.preadv(self._spool.fileno(), [buffer], self._spooled[number] + offset)
            if count != len(buffer):
                raise _changed(self._source, count, len(buffer))
        else:
            _read(self._source, (member.data if member else 0) + offset, buffer)

    def _inflate(self) -> Iterator[tuple[int, int]]:
        for number, member in enumerate(self._members):
            if member is not None and member.entry.method == DEFLATED and member.entry.size:
                yield number, self._spool.tell()
                for chunk in content_of(self._source.peek, member):
                    self._spool.write(chunk)
        self._spool.flush()


def _checked_size(source: Source) -> int:
    if source.size is None or not source.seekable:
        raise UsageError(f"{source.name}: a base is read at any place, and a stream has one; give a file")
    return source.size


def _read(source: Source, offset: int, buffer: memoryview) -> None:
    count = source.read_into(offset, buffer)
    if count != len(buffer):
        raise _changed(source, count, len(buffer))


def _changed(source: Source, found: int, expected: int) -> SourceChangedError:
    return SourceChangedError(f"{source.name}: {found} bytes could be read, {expected} were there before")


def _named(archive: Archive) -> Iterator[tuple[bytes, Member | None]]:
    """Give each file and folder, named or implied, as it is called in capseal's own zips."""
    for folder in archive.folders:
        yield folder.encode() + b"/", None
    for member in archive.files:
        yield member.entry.path.encode(), member
