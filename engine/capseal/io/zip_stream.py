"""A folder as a zip, made while it is read: nothing is held in memory and nothing is written to disk.

Deterministic: sorted names, fixed times and modes, so equal folders give equal bytes. Every entry has
its size and checksum in front of its data, so that any unzip reads it in a stream (Java's
ZipInputStream refuses stored entries that have them behind). That takes two passes over the files, and
makes the size of the whole known before the first byte. Format: PKWARE APPNOTE 6.3.
"""

import os
import stat
import struct
import zlib
from bisect import bisect_right
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from operator import attrgetter

from ..errors import SourceChangedError, UsageError

_CHUNK_BYTES = 1024 * 1024
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")
_MAX16 = 0xFFFF
_MAX32 = 0xFFFFFFFF
_VERSION = 45  # the first with zip64
_MADE_ON_UNIX = 3 << 8 | _VERSION
_UTF8_NAMES = 1 << 11
_STORED = 0
_DEFLATED = 8
_TIME, _DATE = 0, 1 << 5 | 1  # 1980-01-01 00:00, the first moment that a zip can name
_FILE_ATTRIBUTES = (stat.S_IFREG | 0o644) << 16
_FOLDER_ATTRIBUTES = (stat.S_IFDIR | 0o755) << 16 | 0x10


@dataclass(slots=True)
class _Entry:
    """One member of the zip. name: as stored, a folder's ends in '/'; packed: bytes of its data in the zip."""

    name: bytes
    path: str
    size: int
    changed_ns: int
    crc: int = 0
    packed: int = 0
    offset: int = 0
    method: int = _STORED

    @property
    def is_folder(self) -> bool:
        return self.name.endswith(b"/")


class ZipStream:
    """A readable stream of the zip of a folder. name: the folder's, with .zip; size: its bytes.

    Links and special files are refused, not followed: raises UsageError. Raises OSError.
    """

    def __init__(self, folder: str, *, deflate: bool = False) -> None:
        self.name = f"{os.path.basename(os.path.abspath(folder))}.zip"
        self._entries = sorted(_scan(folder, ""), key=lambda entry: entry.name)
        offset = 0
        for entry in self._entries:
            if not entry.is_folder:
                entry.method = _DEFLATED if deflate else _STORED
                for chunk in _chunks(entry):
                    entry.crc = zlib.crc32(chunk, entry.crc)
                entry.packed = sum(map(len, _data(entry))) if deflate else entry.size
            entry.offset = offset
            offset += len(_local_header(entry)) + entry.packed
        self._directory = self._central_directory(offset)
        self.size = offset + len(self._directory)
        self._pieces = self._generate()
        self._piece = memoryview(b"")

    def readinto(self, buffer: memoryview) -> int:
        """Fill some of the buffer; 0 means the end. Raises SourceChangedError, OSError."""
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._piece = memoryview(piece)
        count = min(len(buffer), len(self._piece))
        buffer[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count

    def read_at(self, offset: int, size: int) -> bytes:
        """Return bytes of the zip from that offset: fewer only at the end. Leaves the stream where it is.

        Only where nothing is deflated. Raises SourceChangedError, OSError.
        """
        if any(entry.method != _STORED for entry in self._entries):
            raise UsageError("a deflated zip can only be read in order")
        stop = min(offset + size, self.size)
        read = bytearray()
        at = max(0, bisect_right(self._entries, offset, key=attrgetter("offset")) - 1)
        for entry in self._entries[at:]:
            if entry.offset >= stop:
                break
            head = _local_header(entry)
            read += _cut(head, entry.offset, offset, stop)
            data = entry.offset + len(head)
            start, end = max(offset, data), min(stop, data + entry.packed)
            if start < end:
                read += _read_file(entry, start - data, end - start)
        return bytes(read + _cut(self._directory, self.size - len(self._directory), offset, stop))

    def close(self) -> None:
        """Close the file that is being read, if any."""
        self._pieces.close()

    def _generate(self) -> Generator[bytes, None, None]:
        for entry in self._entries:
            yield _local_header(entry)
            if not entry.is_folder:
                yield from _data(entry)
        yield self._directory

    def _central_directory(self, start: int) -> bytes:
        directory = bytearray()
        for entry in self._entries:
            large = [value for value in (entry.size, entry.packed, entry.offset) if value >= _MAX32]
            extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
            attributes = _FOLDER_ATTRIBUTES if entry.is_folder else _FILE_ATTRIBUTES
            directory += _CENTRAL.pack(
                b"PK\x01\x02", _MADE_ON_UNIX, _VERSION, _UTF8_NAMES, entry.method, _TIME, _DATE,
                entry.crc, min(entry.packed, _MAX32), min(entry.size, _MAX32), len(entry.name), len(extra),
                0, 0, 0, attributes, min(entry.offset, _MAX32),
            )  # fmt: skip
            directory += entry.name + extra
        count, size = len(self._entries), len(directory)
        end = b""
        if count >= _MAX16 or start >= _MAX32 or size >= _MAX32:
            end = _END64.pack(b"PK\x06\x06", _END64.size - 12, _MADE_ON_UNIX, _VERSION, 0, 0, count, count, size, start)
            end += _LOCATOR64.pack(b"PK\x06\x07", 0, start + size, 1)
        short = min(count, _MAX16)
        end += _END.pack(b"PK\x05\x06", 0, 0, short, short, min(size, _MAX32), min(start, _MAX32), 0)
        return bytes(directory) + end


def _scan(folder: str, prefix: str) -> Iterator[_Entry]:
    with os.scandir(folder) as children:
        for child in children:
            status = child.stat(follow_symlinks=False)
            try:
                name = (prefix + child.name).encode()
            except UnicodeEncodeError:
                raise UsageError(f"{child.path!r}: the name is not UTF-8") from None
            if stat.S_ISDIR(status.st_mode):
                yield _Entry(name + b"/", child.path, 0, 0)
                yield from _scan(child.path, f"{prefix}{child.name}/")
            elif stat.S_ISREG(status.st_mode):
                yield _Entry(name, child.path, status.st_size, status.st_mtime_ns)
            else:
                raise UsageError(f"{child.path}: neither a file nor a folder; links are not followed")


def _chunks(entry: _Entry) -> Iterator[bytes]:
    with open(entry.path, "rb", buffering=0) as file:
        size = 0
        while chunk := file.read(_CHUNK_BYTES):
            size += len(chunk)
            yield chunk
        if size != entry.size or os.fstat(file.fileno()).st_mtime_ns != entry.changed_ns:
            raise SourceChangedError(f"{entry.path}: changed while it was being read ({entry.size} bytes before)")


def _read_file(entry: _Entry, offset: int, size: int) -> bytes:
    with open(entry.path, "rb", buffering=0) as file:
        data = bytearray()
        while len(data) < size and (piece := os.pread(file.fileno(), size - len(data), offset + len(data))):
            data += piece
        status = os.fstat(file.fileno())
        if len(data) != size or (status.st_size, status.st_mtime_ns) != (entry.size, entry.changed_ns):
            raise SourceChangedError(f"{entry.path}: changed since it was read first ({entry.size} bytes then)")
    return bytes(data)


def _cut(piece: bytes, begins: int, start: int, stop: int) -> bytes:
    """Return the part of a piece, which begins at an offset of the zip, that is in [start, stop)."""
    return piece[max(0, start - begins) : max(0, stop - begins)]


def _data(entry: _Entry) -> Iterator[bytes]:
    if entry.method == _STORED:
        yield from _chunks(entry)
        return
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    for chunk in _chunks(entry):
        yield packer.compress(chunk)
    yield packer.flush()


def _local_header(entry: _Entry) -> bytes:
    size, packed, extra = entry.size, entry.packed, b""
    if max(size, packed) >= _MAX32:
        extra = struct.pack("<2H2Q", 1, 16, size, packed)
        size = packed = _MAX32
    return b"%b%b%b" % (
        _LOCAL.pack(
            b"PK\x03\x04", _VERSION, _UTF8_NAMES, entry.method, _TIME, _DATE,
            entry.crc, packed, size, len(entry.name), len(extra),
        ),
        entry.name,
        extra,
    )  # fmt: skip
