"""Local headers and the data behind them: what a reader in order would see, and that it is what the directory says."""

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from zlib_ng.zlib_ng import crc32

from ..errors import FormatError
from .directory import (
    DEFLATED,
    DESCRIPTOR,
    MAX32,
    SHAPING_FLAGS,
    UTF8_NAME,
    ZIP64_EXTRA,
    Entry,
    ReadAt,
    check_unicode_path,
    check_version,
    exactly,
    read_extra,
    read_zip64,
)
from .names import shown

LOCAL = struct.Struct("<4s5H3I2H")
CHUNK_BYTES = 1024 * 1024
_Z_MEM_ERROR = -4  # zlib.h
_EXTRA_GUESS_BYTES = 64  # what most tools write; longer ones take a second read
_LOCAL_SIGNATURE = b"PK\x03\x04"
_NO_EXTRA = bytes(2)
_HEADERS = re.compile(rb"PK(?:\x01\x02|\x03\x04|\x07\x08)")
_NEXT_HEADERS = re.compile(rb"PK(?:\x01\x02|\x03\x04)")
_HEADER_BYTES = 4
_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_HELD_BYTES = 24 + _HEADER_BYTES - 1  # the longest descriptor, and a signature behind it that has come in part


class Member(NamedTuple):
    """An entry whose local header says the same. data: offset of its data; has_zip64: whether it has that block."""

    entry: Entry
    data: int
    has_zip64: bool


def check_places(read_at: ReadAt, entries: Sequence[Entry], directory: int) -> list[Member]:
    """Check that the entries fill the archive from byte 0 to its directory, each with the header that it should have.

    Returns them in the order in which they lie there. Raises FormatError, and what reading raises.
    """
    members = []
    ordered = sorted(entries, key=attrgetter("offset"))
    stops = [*(entry.offset for entry in ordered[1:]), directory]
    at = 0
    for entry, stop in zip(ordered, stops, strict=False):
        if entry.offset != at:
            what = "starts in the one before" if entry.offset < at else "has bytes in front that belong to no entry"
            raise FormatError(f"entry {shown(entry.path)}: {what}: at byte {entry.offset}, not {at}; zip it again")
        data, has_zip64 = _behind_plain_header(read_at, entry, stop), False
        if not data:
            data, has_zip64 = _check_header(read_at, entry, stop)
        at = data + entry.packed
        if entry.flags & DESCRIPTOR:
            at += _check_descriptor(read_at, entry, at, stop - at, has_zip64=has_zip64)
        members.append(Member(entry, data, has_zip64))
    if at != directory:
        raise FormatError(f"archive: entries end at byte {at}, its directory starts at {directory}; zip it again")
    return members


def _behind_plain_header(read_at: ReadAt, entry: Entry, stop: int) -> int:
    """Return the offset behind a local header that is what nearly all are, 0 where it needs a closer look.

    That is the very bytes that the directory has, without extra blocks in either: there is nothing to be
    checked in them that was not checked there.
    """
    if not entry.shared.endswith(_NO_EXTRA):
        return 0
    expected = _LOCAL_SIGNATURE + entry.shared + entry.raw_name
    data = entry.offset + len(expected)
    if data + entry.packed > stop or exactly(read_at, entry.offset, len(expected)) != expected:
        return 0
    return data


def _check_header(read_at: ReadAt, entry: Entry, stop: int) -> tuple[int, bool]:
    """Compare a local header with the directory; return the offset behind it, and whether it has a zip64 block."""
    where = f"entry {shown(entry.path)}"
    room = stop - entry.offset - entry.packed
    if room < LOCAL.size + len(entry.raw_name):
        raise FormatError(f"{where}: header and data of {entry.packed} bytes overlap what follows at byte {stop}")
    head = exactly(read_at, entry.offset, min(room, LOCAL.size + len(entry.raw_name) + _EXTRA_GUESS_BYTES))
    signature, version, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes = LOCAL.unpack_from(head)
    if signature != _LOCAL_SIGNATURE:
        raise FormatError(f"{where}: no header at byte {entry.offset}")
    check_version(version, entry.path)
    whole: int = LOCAL.size + name_bytes + extra_bytes
    if whole > room:
        raise FormatError(f"{where}: header of {whole} bytes and data of {entry.packed} overlap what follows at {stop}")
    if whole > len(head):
        head = exactly(read_at, entry.offset, whole)
    name = head[LOCAL.size : LOCAL.size + name_bytes]
    fields = {ZIP64_EXTRA: b""}
    if extra_bytes:
        fields |= read_extra(head[LOCAL.size + name_bytes : whole], where)
        check_unicode_path(fields, name, entry.raw_name.decode())
    if fields[ZIP64_EXTRA] and MAX32 in (size, packed):
        # Both sizes are there, whichever did not fit (section 4.5.3); the other one must agree.
        long_size, long_packed = read_zip64(fields[ZIP64_EXTRA], (MAX32, MAX32), where)
        for short, long in ((size, long_size), (packed, long_packed)):
            if short not in (long, MAX32):
                raise FormatError(f"{where}: header says {short} and, as zip64, {long}; zip it again")
        size, packed = long_size, long_packed
    meaning = SHAPING_FLAGS | (0 if name.isascii() else UTF8_NAME)
    if (name, method, flags & meaning) != (entry.raw_name, entry.method, entry.flags & meaning):
        raise FormatError(
            f"{where}: header at byte {entry.offset} has name {name[:64]!a}, method {method}, flags {flags:#x}, the "
            f"directory {entry.raw_name[:64]!a}, {entry.method}, {entry.flags:#x}; zip it again"
        )
    values, expected = (crc, size, packed), (entry.crc, entry.size, entry.packed)
    later = bool(flags & DESCRIPTOR)  # then they may be 0 here and stand behind the data
    if any(value != right and not (later and value == 0) for value, right in zip(values, expected, strict=True)):
        raise FormatError(
            f"{where}: header at byte {entry.offset} has CRC, size and packed size {values}, the directory {expected}; "
            "zip it again"
        )
    return entry.offset + whole, bool(fields[ZIP64_EXTRA])


def _check_descriptor(read_at: ReadAt, entry: Entry, at: int, room: int, *, has_zip64: bool) -> int:
    """Compare what stands behind the data, in one of its four forms, with the directory; return its bytes.

    has_zip64: whether the header has a block of zip64. Then sizes have 8 bytes, however small (section 4.3.9.2): with
    shorter ones a reader in order takes the next header's first bytes, too, and never sees that entry.
    """
    found = exactly(read_at, at, min(room, 24))
    for sizes in ("<3I", "<IQQ"):
        if sizes == "<3I" and (has_zip64 or max(entry.packed, entry.size) > MAX32):
            continue
        plain = struct.pack(sizes, entry.crc, entry.packed, entry.size)
        forms = [_DESCRIPTOR_SIGNATURE + plain]
        if not _ends_at_descriptor(entry):
            forms.append(plain)
        if any(len(form) == room and found == form for form in forms):
            before = min(entry.packed, _HELD_BYTES)
            window = exactly(read_at, at - before, before) + found + _LOCAL_SIGNATURE
            if _end_in_order(window, entry.packed - before, has_zip64=has_zip64) != entry.packed:
                raise _ends_early(entry)
            return room
    raise FormatError(
        f"entry {shown(entry.path)}: {room} bytes behind its data at byte {at} are not its CRC and sizes; zip it again"
    )


def _end_in_order(window: bytes, before: int, *, has_zip64: bool) -> int | None:
    """Return where a reader in order takes data to end, in bytes from its start; None where that is not in here.

    window: bytes that came, behind so many others. Data ends at a descriptor whose packed size is that of all that came
    and behind which there is a header: web/src/zipdescriptor.js says the same.
    """
    for header in _NEXT_HEADERS.finditer(window):
        at = header.start()
        for size_bytes in (8,) if has_zip64 else (8, 4):  # the longer ones are found by chance less often
            packed = window[max(0, at - 2 * size_bytes) : max(0, at - size_bytes)]
            for signature in (_DESCRIPTOR_SIGNATURE, b""):
                start = at - len(signature) - 4 - 2 * size_bytes
                if start < 0 or int.from_bytes(packed, "little") != before + start:
                    continue
                if window.startswith(signature, start):
                    return before + start
    return None


def _ends_early(entry: Entry) -> FormatError:
    return FormatError(
        f"entry {shown(entry.path)}: its size stands behind its data, in which something else looks like that; zip it "
        "again, not as a stream"
    )


def content_of(read_at: ReadAt, member: Member) -> Iterator[bytes]:
    """Unpack one file, in chunks; its last chunk is given before size and CRC-32 are compared.

    Raises FormatError, SourceChangedError, and what reading raises.
    """
    entry = member.entry
    crc = size = 0
    packed = _stored(read_at, member)
    if entry.flags & DESCRIPTOR and entry.method == DEFLATED:
        packed = _ending_behind(packed, member)
    data = _inflated(packed, entry) if entry.method == DEFLATED else packed
    for chunk in _without_headers(data, entry) if _ends_at_descriptor(entry) else data:
        size += len(chunk)
        if size > entry.size:
            raise FormatError(f"entry {shown(entry.path)}: unpacks to more than the {entry.size} bytes declared")
        crc = crc32(chunk, crc)
        yield chunk
    check_content(entry, size, crc)


def check_content(entry: Entry, size: int, crc: int) -> None:
    """Compare a file's size in bytes and CRC-32 with what is declared. Raises FormatError."""
    if size != entry.size or crc != entry.crc:
        raise FormatError(
            f"entry {shown(entry.path)}: {size} bytes with CRC-32 {crc:08x}, "
            f"{entry.size} with {entry.crc:08x} are declared; the archive is damaged"
        )


def _ends_at_descriptor(entry: Entry) -> bool:
    """Say whether a reader in order knows where the data ends by what stands behind it only."""
    return bool(entry.flags & DESCRIPTOR and entry.method != DEFLATED and entry.size)


def _without_headers(chunks: Iterator[bytes], entry: Entry) -> Iterator[bytes]:
    """Give chunks as they are. Raises FormatError where they hold what a reader in order would take for their end.

    libarchive looks for the descriptor in stored data, Commons Compress for the next headers, too.
    """
    end = b""
    for chunk in chunks:
        if found := _HEADERS.search(end + chunk):
            raise FormatError(
                f"entry {shown(entry.path)}: stored without its size in front, with {found[0]!r} in its data, where "
                "some readers take it to end; zip it again with the method deflate, or not as a stream"
            )
        end = chunk[-_HEADER_BYTES + 1 :]
        yield chunk


def _ending_behind(chunks: Iterator[bytes], member: Member) -> Iterator[bytes]:
    """Give chunks of packed data as they are. Raises FormatError where a reader in order takes it to end in them."""
    held, before = b"", 0
    for chunk in chunks:
        window = held + chunk
        if _end_in_order(window, before, has_zip64=member.has_zip64) is not None:
            raise _ends_early(member.entry)
        held = window[-_HELD_BYTES:]
        before += len(window) - len(held)
        yield chunk


def _stored(read_at: ReadAt, member: Member) -> Iterator[bytes]:
    end = member.data + member.entry.packed
    for at in range(member.data, end, CHUNK_BYTES):
        yield exactly(read_at, at, min(CHUNK_BYTES, end - at))


def _inflated(chunks: Iterator[bytes], entry: Entry) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    where = f"entry {shown(entry.path)}"
    try:
        for packed in chunks:
            while packed:
                if unpacker.eof:
                    raise FormatError(f"{where}: bytes behind the end of its deflated data; zip it again")
                if chunk := unpacker.decompress(packed, CHUNK_BYTES):
                    yield chunk
                packed = unpacker.unconsumed_tail or unpacker.unused_data
        while not unpacker.eof:
            chunk = unpacker.decompress(unpacker.unconsumed_tail, CHUNK_BYTES)
            if not chunk and not unpacker.eof:
                raise FormatError(f"{where}: its deflated data ends early; the archive is damaged")
            yield chunk
    except zlib.error as error:
        if str(error).startswith(f"Error {_Z_MEM_ERROR} "):
            raise MemoryError(f"{where}: cannot be inflated: {error}") from error  # says nothing of the data
        raise FormatError(f"{where}: cannot be inflated: {error}; the archive is damaged") from error
