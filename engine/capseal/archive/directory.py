"""The central directory of a zip, read strictly. Format: PKWARE APPNOTE 6.3, sections 4.3.12 to 4.3.16.

Not by zipfile, which takes bytes before and after the archive, sizes that contradict one another and
names that others read differently, and turns an OSError into "not a zip". Here a FormatError is proof
that the bytes are bad, and every other error is "could not read".
"""

import stat
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import FormatError, SourceChangedError
from .names import shown

ReadAt = Callable[[int, int], bytes]
"""Returns that many bytes from that offset, fewer only at the end. Raises what reading raises."""

STORED = 0
DEFLATED = 8
MAX16 = 0xFFFF
MAX32 = 0xFFFFFFFF
UTF8_NAME = 1 << 11
DESCRIPTOR = 1 << 3
UNIX = 3
ZIP64_EXTRA = 1

END = struct.Struct("<4s4H2IH")
END64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR64 = struct.Struct("<4sIQI")
CENTRAL = struct.Struct("<4s6H3I5H2I")
_SHARED = slice(6, 32)  # of a CENTRAL: what a LOCAL has too, from its fifth byte to its end
MAX_DIRECTORY_BYTES = 32 * 1024 * 1024
_END = b"PK\x05\x06"
_END64 = b"PK\x06\x06"
_LOCATOR64 = b"PK\x06\x07"
_FULL = (MAX16, MAX16, MAX16, MAX16, MAX32, MAX32)  # what stands in an end record's fields for "see zip64"
_UNICODE_PATH_EXTRA = 0x7075
_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
_PATCH = 1 << 5
SHAPING_FLAGS = _ENCRYPTED | _PATCH | DESCRIPTOR
"""What both headers of an entry must say alike."""
_NEWEST_VERSION = 46  # of Info-ZIP's unzip; what is allowed here needs 45, for zip64
_METHODS = {
    1: "shrunk", 6: "imploded", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstandard", 95: "xz", 99: "encrypted"
}  # fmt: skip
_MAX_FOLDER_BYTES = 2  # what deflate makes of nothing: some tools deflate folders


class Entry(NamedTuple):
    """One member as the directory describes it: a tuple, of which ten thousand are made in half the time.

    path: without a leading './' and a folder's final '/'; empty for the root itself. raw_name: as stored;
    mode: Unix permissions and kind, 0 where they are not given; size, packed: bytes of the content and of
    its data in the zip; offset: of its local header; shared: the fields as stored that its local header has
    too, in the same order, from the version to the length of the extra block.
    """

    path: str
    raw_name: bytes
    is_folder: bool
    flags: int
    method: int
    mode: int
    crc: int
    size: int
    packed: int
    offset: int
    shared: bytes


@dataclass(frozen=True, slots=True)
class End:
    """Where the directory lies. size: its bytes, before the end records."""

    count: int
    size: int
    start: int


def exactly(read_at: ReadAt, offset: int, size: int) -> bytes:
    """Read bytes that were there when the size was taken. Raises SourceChangedError, what reading raises."""
    data = read_at(offset, size)
    if len(data) != size:
        raise SourceChangedError(f"archive at byte {offset}: {len(data)} bytes could be read, {size} were there before")
    return data


def read_end(read_at: ReadAt, archive_bytes: int) -> End:
    """Find the directory, which must lie directly before the end records, which end the archive.

    Raises FormatError, SourceChangedError, and what reading raises.
    """
    if archive_bytes == 0:
        raise FormatError("archive: an empty file is no zip; build it again")
    start = max(0, archive_bytes - END.size - MAX16)
    tail = exactly(read_at, start, archive_bytes - start)
    at = _find_end(tail)
    if at is None:
        raise FormatError(f"archive: {_no_zip(exactly(read_at, 0, min(archive_bytes, 16)))}")
    _, *short, _ = END.unpack_from(tail, at)
    disk, first_disk, here, count, size, offset = short
    end = start + at
    locator = end - LOCATOR64.size
    if at >= LOCATOR64.size and tail.startswith(_LOCATOR64, at - LOCATOR64.size):
        # The end of a directory may look like a locator: it is one where the end record is not whole
        # without it, or where it leads to what some tools write although nothing needs it.
        whole = offset + size == end and not any(map(int.__eq__, short, _FULL))
        if not whole or _leads_to_end64(read_at, locator):
            disk, first_disk, here, count, size, offset, end = _read_end64(read_at, locator, short)
    if disk or first_disk or here != count:
        raise FormatError(f"archive: disk {disk} of several; zip it into one file")
    check_directory_bytes(size)
    if offset + size != end:
        raise FormatError(
            f"archive: directory of {size} bytes at byte {offset} ends at {offset + size}, the end record is at {end}; "
            "there are bytes in front or between, or two zips in a row; zip it again"
        )
    return End(count, size, offset)


def check_directory_bytes(size: int) -> None:
    """Check how large a directory is, in bytes, without the end records. Raises FormatError."""
    if size > MAX_DIRECTORY_BYTES:
        raise FormatError(
            f"archive: directory of {size} bytes, at most {MAX_DIRECTORY_BYTES} are allowed; "
            "ship fewer files, or shorter names"
        )


def _find_end(tail: bytes) -> int | None:
    """Return where the end record is in an archive's last bytes; None where there is none, whole.

    Its signature may be among its own fields too. Raises FormatError where no comment's length fits, and
    where a comment holds the signature, which other readers take for the end.
    """
    last = at = tail.rfind(_END, 0, max(0, len(tail) - END.size + len(_END)))
    while at >= 0 and _comment_bytes(tail, at) != len(tail) - at - END.size:
        at = tail.rfind(_END, 0, at + len(_END) - 1)
    if at >= 0:
        if tail.find(_END, at + END.size - len(_END) + 1) >= 0:
            raise FormatError("archive: its comment holds an end record; zip it again, without a comment")
        return at
    if last < 0:
        return None
    after = len(tail) - last - END.size - _comment_bytes(tail, last)
    what = f"{after} bytes follow" if after > 0 else f"{-after} bytes are missing at"
    raise FormatError(f"archive: {what} its end; zip it again, or copy it completely")


def _comment_bytes(tail: bytes, at: int) -> int:
    return int.from_bytes(tail[at + END.size - 2 : at + END.size], "little")


def _leads_to_end64(read_at: ReadAt, locator: int) -> bool:
    _, disk, at, disks = LOCATOR64.unpack(exactly(read_at, locator, LOCATOR64.size))
    if disk or disks > 1 or at + END64.size != locator:
        return False
    return exactly(read_at, at, len(_END64)) == _END64


def _read_end64(read_at: ReadAt, locator: int, short: Sequence[int]) -> tuple[int, ...]:
    """Return what the zip64 end record says, and its offset; what the short one says must agree."""
    _, disk, at, disks = LOCATOR64.unpack(exactly(read_at, locator, LOCATOR64.size))
    if disk or disks > 1 or at + END64.size != locator:
        raise FormatError(f"archive: zip64 end record at byte {at} does not end where its locator is, at {locator}")
    signature, size, _, _, *values = END64.unpack(exactly(read_at, at, END64.size))
    if signature != _END64 or size != END64.size - 12:
        raise FormatError(f"archive: no zip64 end record of {END64.size} bytes at byte {at}")
    for value, said, most in zip(values, short, _FULL, strict=True):
        if said not in (value, most):
            raise FormatError(f"archive: end record says {said}, zip64 end record says {value}; zip it again")
    return (*values, at)


def _no_zip(head: bytes) -> str:
    text = head.lstrip()
    if text.startswith(b"<"):
        return f"no zip: begins with {head!r}, as a web page does; was the download answered by an error page?"
    if head.startswith(b"PK\x03\x04"):
        return "a zip that is cut short: it has no end record; copy or build it again"
    return f"no zip: begins with {head!r} and has no end record"


def read_entries(directory: bytes, end: End) -> list[Entry]:
    """Parse a directory of exactly end.count entries. Raises FormatError."""
    entries = []
    at = 0
    for _ in range(end.count):
        entry, at = _read_entry(directory, at)
        entries.append(entry)
    if at != len(directory):
        raise FormatError(f"archive: directory of {end.count} entries ends at byte {at}, {len(directory)} are declared")
    return entries


def _read_entry(directory: bytes, at: int) -> tuple[Entry, int]:
    if len(directory) - at < CENTRAL.size or directory[at : at + 4] != b"PK\x01\x02":
        raise FormatError(f"archive: no entry at byte {at} of its directory of {len(directory)} bytes")
    (_, made_by, version, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes, comment_bytes, disk, _,
     attributes, offset) = CENTRAL.unpack_from(directory, at)  # fmt: skip
    name_at = at + CENTRAL.size
    extra_at = name_at + name_bytes
    end = extra_at + extra_bytes + comment_bytes
    if end > len(directory):
        raise FormatError(f"archive: entry at byte {at} of its directory ends at {end}, that at {len(directory)}")
    raw = directory[name_at:extra_at]
    name = _decode(raw, flags, made_by >> 8)
    if extra_bytes or MAX32 in (size, packed, offset):
        where = f"entry {shown(name)}"
        fields = {ZIP64_EXTRA: b""} | read_extra(directory[extra_at : extra_at + extra_bytes], where)
        check_unicode_path(fields, raw, name)
        size, packed, offset = read_zip64(fields[ZIP64_EXTRA], (size, packed, offset), where)
    if disk:
        raise FormatError(f"entry {shown(name)}: on disk {disk} of several; zip it into one file")
    check_version(version, name)
    if flags & _ENCRYPTED:
        raise FormatError(f"entry {shown(name)}: encrypted; zip it without a password, sealing encrypts it")
    if method not in (STORED, DEFLATED) or flags & _PATCH:
        called = _METHODS.get(method, f"packed by method {method}")
        raise FormatError(f"entry {shown(name)}: {called}; zip it again with the methods store or deflate")
    is_folder = name.endswith("/")
    mode = attributes >> 16
    kind = stat.S_IFMT(mode)
    if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):
        raise FormatError(
            f"entry {shown(name)}: mode {mode:o} is neither a regular file's nor a folder's; replace links by what "
            "they lead to"
        )
    if method == STORED and packed != size:
        raise FormatError(f"entry {shown(name)}: stored with {packed} bytes but unpacks to {size}")
    if is_folder and (size or crc or packed > _MAX_FOLDER_BYTES):
        raise FormatError(f"entry {shown(name)}: a folder with {max(size, packed)} bytes and the CRC-32 {crc:08x}")
    path = name.removeprefix("./").removesuffix("/")  # bsdtar writes names as find does
    if not path and name != "./":
        raise FormatError(f"entry {shown(name)}: no name; zip it again")
    shared = directory[at + _SHARED.start : at + _SHARED.stop]
    return Entry(path, raw, is_folder, flags, method, mode if kind else 0, crc, size, packed, offset, shared), end


def check_version(version: int, name: str) -> None:
    """Check the version that an entry says is needed to extract it (section 4.4.3). Raises FormatError."""
    if version & 0xFF > _NEWEST_VERSION:
        raise FormatError(
            f"entry {shown(name)}: needs version {version & 0xFF} to be extracted, readers know up to "
            f"{_NEWEST_VERSION}; zip it again"
        )


def _decode(raw: bytes, flags: int, system: int) -> str:
    if raw.isascii():
        return raw.decode("ascii")
    if not flags & UTF8_NAME and system != UNIX:
        raise FormatError(f"entry {raw[:64]!a}: the name is neither ASCII nor marked as UTF-8; zip it again so")
    try:
        return raw.decode()  # Info-ZIP and macOS write UTF-8 on Unix and do not mark it
    except UnicodeDecodeError:
        raise FormatError(f"entry {raw[:64]!a}: the name is not UTF-8; rename it") from None


def read_extra(extra: bytes, where: str) -> dict[int, bytes]:
    """Return the fields of an extra block, of which no two have one number. Raises FormatError."""
    fields: dict[int, bytes] = {}
    at = 0
    while len(extra) - at >= 4:
        number, size = struct.unpack_from("<2H", extra, at)
        at += 4
        if at + size > len(extra) or (number in fields and size):
            raise FormatError(f"{where}: extra field {number:#06x} of {size} bytes is cut short or there twice")
        fields[number] = extra[at : at + size]
        at += size
    if any(extra[at:]):  # zeros align what follows
        raise FormatError(f"{where}: extra fields of {len(extra)} bytes end at {at}")
    return fields


def check_unicode_path(fields: dict[int, bytes], raw: bytes, name: str) -> None:
    """Refuse a second name that some unzips take (Info-ZIP's field 0x7075) and that is another one."""
    field = fields.get(_UNICODE_PATH_EXTRA)
    if not field or len(field) < 5 or int.from_bytes(field[1:5], "little") != zlib.crc32(raw):
        return  # nobody takes it: it is of another name
    if field[5:] != name.encode():
        raise FormatError(f"entry {shown(name)}: has another name besides, {field[5:69]!a}; zip it again")


def read_zip64(field: bytes, short: tuple[int, ...], where: str) -> list[int]:
    """Return the values, those that did not fit from the zip64 field, which holds them and nothing else."""
    needed = short.count(MAX32)
    if len(field) != 8 * needed:
        raise FormatError(f"{where}: zip64 field of {len(field)} bytes, {needed} values of 8 are expected")
    values = iter(struct.unpack(f"<{needed}Q", field))
    return [next(values) if value == MAX32 else value for value in short]
