"""The headers of the zips that are made here: fixed times and modes, sizes in front, names in UTF-8."""

import stat
import struct
from collections.abc import Iterable, Iterator, Sequence

from ..native.zipheaders import ZipEntries, is_there, put_directory_of
from .directory import CENTRAL, END, END64, LOCATOR64, MAX16, MAX32, UNIX, UTF8_NAME, ZIP64_EXTRA
from .local_headers import LOCAL

_VERSION = 45  # the first with zip64
_MADE_ON_UNIX = UNIX << 8 | _VERSION
_TIME, _DATE = 0, 1 << 5 | 1  # 1980-01-01 00:00, the first moment that a zip can name
_FILE_ATTRIBUTES = (stat.S_IFREG | 0o644) << 16
_FOLDER_ATTRIBUTES = (stat.S_IFDIR | 0o755) << 16 | 0x10
_MAX_SHORT_COUNT = MAX16
MOST_ENTRY_BYTES = CENTRAL.size + MAX16 + 28
"""Of what the directory says of one entry, with all of zip64's fields."""
_SLASH = ord("/")
_LOCAL_SIGNATURE = b"PK\x03\x04"
_LONG_SIZES = struct.Struct("<2H2Q")  # zip64 in a local header: both sizes, whichever did not fit

_FIXED_LOCAL = LOCAL.pack(_LOCAL_SIGNATURE, _VERSION, UTF8_NAME, 0, _TIME, _DATE, 0, 0, 0, 0, 0)
_FIXED_FILE, _FIXED_FOLDER = (
    CENTRAL.pack(b"PK\x01\x02", _MADE_ON_UNIX, _VERSION, UTF8_NAME, 0, _TIME, _DATE, *[0] * 8, attributes, 0)
    for attributes in (_FILE_ATTRIBUTES, _FOLDER_ATTRIBUTES)
)
"""Headers in which is open what differs between entries."""

Row = tuple[bytes, int, int, int, int, int]
"""Of one entry: name, a folder's with a final '/'; method; CRC-32; packed size; size; offset of its header."""


class Headers:
    """All headers of a zip, of which everything but the CRC-32s is known.

    names: a folder's with a final '/'; packed, sizes: bytes; starts: offset of each local header; directory: its own.
    """

    def __init__(
        self,
        names: Sequence[bytes],
        methods: Sequence[int],
        packed: Sequence[int],
        sizes: Sequence[int],
        starts: Sequence[int],
        directory: int,
    ) -> None:
        self._columns = (names, methods, packed, sizes, starts)
        self._directory_at = directory
        self._entries: ZipEntries | None = None
        if is_there() and directory < MAX32 and _are_short(packed, sizes):
            self._entries = ZipEntries(*self._columns)

    def put_local(self, first: int, crcs: Sequence[int], start: int, buffer: memoryview) -> None:
        """Write those in front of the data of entries from the first on into a buffer at that offset of the zip."""
        if self._entries is not None:
            self._entries.put_local_headers(first, first + len(crcs), crcs, _FIXED_LOCAL, start, buffer)
        else:
            put_local_headers(buffer, start, self._rows(first, crcs))

    def directory(self, crcs: Sequence[int]) -> bytes:
        """Return the central directory and the end records."""
        if self._entries is None:
            return directory(self._rows(0, crcs), self._directory_at)
        names, _, packed, sizes, starts = self._columns
        entries = bytearray(directory_bytes(names, packed, sizes, starts, self._directory_at))
        self._entries.put_directory(crcs, _FIXED_FILE, _FIXED_FOLDER, entries)
        return bytes(entries) + end_records(len(names), len(entries), self._directory_at)

    def _rows(self, first: int, crcs: Sequence[int]) -> Iterator[Row]:
        names, methods, packed, sizes, starts = (column[first : first + len(crcs)] for column in self._columns)
        return zip(names, methods, crcs, packed, sizes, starts, strict=True)


def local_header_bytes(names: Sequence[bytes], packed: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """Return how long each local header is."""
    if _are_short(packed, sizes):
        return [LOCAL.size + len(name) for name in names]
    return [
        LOCAL.size + len(name) + (20 if max(two) >= MAX32 else 0)
        for name, *two in zip(names, packed, sizes, strict=True)
    ]


def _are_short(*columns: Sequence[int]) -> bool:
    """Say whether all numbers fit into a plain zip's fields."""
    return all(max(column, default=0) < MAX32 for column in columns)


def put_local_headers(buffer: memoryview, start: int, rows: Iterable[Row]) -> None:
    """Write the headers in front of entries' data into a buffer that begins at that offset of the zip."""
    pack, fixed_bytes = LOCAL.pack, LOCAL.size
    for name, method, crc, packed, size, offset in rows:
        extra = b""
        if packed >= MAX32 or size >= MAX32:
            extra = _LONG_SIZES.pack(ZIP64_EXTRA, 16, size, packed)
            packed = size = MAX32
        at, name_bytes = offset - start, len(name)
        buffer[at : at + fixed_bytes + name_bytes + len(extra)] = (
            pack(
                _LOCAL_SIGNATURE, _VERSION, UTF8_NAME, method, _TIME, _DATE, crc, packed, size, name_bytes, len(extra)
            )
            + name
            + extra
        )  # fmt: skip


def directory_bytes(
    names: Sequence[bytes], packed: Sequence[int], sizes: Sequence[int], offsets: Sequence[int], start: int
) -> int:
    """Return how long the directory is, which starts at that offset, without the end records."""
    size = CENTRAL.size * len(names) + sum(map(len, names))
    if start >= MAX32 or not _are_short(packed, sizes):
        for values in zip(packed, sizes, offsets, strict=True):
            large = sum(value >= MAX32 for value in values)
            size += 8 * large + 4 if large else 0
    return size


def end_bytes(count: int, size: int, start: int) -> int:
    """Return how long the end records are, behind a directory of that many entries and bytes, at that offset."""
    return len(end_records(count, size, start))


def directory(rows: Iterable[Row], start: int) -> bytes:
    """Return the central directory, which starts at that offset, and the end records."""
    pieces = [directory_entry(row) for row in rows]
    joined = b"".join(pieces)
    return joined + end_records(len(pieces), len(joined), start)


def directory_entry(row: Row) -> bytes:
    """Return what the central directory says of one entry."""
    name, method, crc, packed, size, offset = row
    extra = b""
    if packed >= MAX32 or size >= MAX32 or offset >= MAX32:
        large = [value for value in (size, packed, offset) if value >= MAX32]
        extra = struct.pack(f"<2H{len(large)}Q", ZIP64_EXTRA, 8 * len(large), *large)
        size, packed, offset = min(size, MAX32), min(packed, MAX32), min(offset, MAX32)
    fixed = CENTRAL.pack(
        b"PK\x01\x02", _MADE_ON_UNIX, _VERSION, UTF8_NAME, method, _TIME, _DATE, crc, packed, size, len(name),
        len(extra), 0, 0, 0, _FOLDER_ATTRIBUTES if name[-1] == _SLASH else _FILE_ATTRIBUTES, offset,
    )  # fmt: skip
    return fixed + name + extra


def read_local_header(data: bytes) -> tuple[bytes, int, int, int, int] | None:
    """Return name, method, CRC-32, packed size and size of a header that starts so, where it is one of these.

    data: all of the header, or more. None where it is anybody else's, or not whole.
    """
    if len(data) < LOCAL.size or not data.startswith(_LOCAL_SIGNATURE):
        return None
    _, version, flags, method, time, date, crc, packed, size, name_bytes, extra_bytes = LOCAL.unpack_from(data)
    whole = LOCAL.size + name_bytes + extra_bytes
    if len(data) < whole or not name_bytes or (version, flags, time, date) != (_VERSION, UTF8_NAME, _TIME, _DATE):
        return None
    name = data[LOCAL.size : LOCAL.size + name_bytes]
    if extra_bytes:
        if extra_bytes != _LONG_SIZES.size:
            return None
        number, length, size, packed = _LONG_SIZES.unpack_from(data, LOCAL.size + name_bytes)
        if (number, length) != (ZIP64_EXTRA, 16) or max(size, packed) < MAX32:
            return None
    return name, method, crc, packed, size


def put_directory_entries(piece: memoryview, at: int, offset: int, buffer: bytearray) -> tuple[int, int, int]:
    """Write what the directory says of the entries from `at` on whose plain local headers lie whole in a piece.

    offset: of the piece in the zip; buffer: MOST_ENTRY_BYTES or more. Returns how many there were, how many bytes they
    take in the buffer, and where it ended: in front of a header that is not all there, has sizes of its own, or is
    anybody else's, which read_local_header() tells apart; behind the piece, where an entry goes on there; or where the
    buffer was full. Does nothing where it is built without a C compiler.
    """
    if not is_there():
        return 0, 0, at
    return put_directory_of(piece, at, offset, (_FIXED_LOCAL, _FIXED_FILE, _FIXED_FOLDER), buffer)


def local_header_length(start: bytes) -> int | None:
    """Return how long the header is whose first LOCAL.size bytes these are; None where it is no local header."""
    if not start.startswith(_LOCAL_SIGNATURE):
        return None
    name_bytes, extra_bytes = LOCAL.unpack_from(start)[-2:]
    return LOCAL.size + int(name_bytes) + int(extra_bytes)


def end_records(count: int, size: int, start: int) -> bytes:
    """Return what stands behind a directory of that many entries and bytes, at that offset."""
    end = b""
    if count >= _MAX_SHORT_COUNT or start >= MAX32 or size >= MAX32:
        end = END64.pack(b"PK\x06\x06", END64.size - 12, _MADE_ON_UNIX, _VERSION, 0, 0, count, count, size, start)
        end += LOCATOR64.pack(b"PK\x06\x07", 0, start + size, 1)
    short = min(count, _MAX_SHORT_COUNT)
    return end + END.pack(b"PK\x05\x06", 0, 0, short, short, min(size, MAX32), min(start, MAX32), 0)
