"""Zips for tests, plain ones and odd ones."""

import io
import stat
import struct
import warnings
import zipfile
import zlib

from capseal.archive.check import Archive, ArchiveLimits, check_archive, check_data
from capseal.archive.local_headers import content_of

LIMITS = ArchiveLimits(content_bytes=2_000_000, entries=50, ratio=100)


def zip_of(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip with those names and data, in that order."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", method) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.filename = name  # as it is, whatever ZipInfo thinks of it
            info.compress_type = method
            info.external_attr = (stat.S_IFREG | 0o644) << 16 if not name.endswith("/") else 0
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zipfile warns of what it writes all the same
                archive.writestr(info, data)
    return output.getvalue()


def patch(archive: bytes, *, local: tuple[int, bytes] | None = None, central: tuple[int, bytes] | None = None) -> bytes:
    """Return an archive with bytes at an offset of its first local or central header replaced."""
    data = bytearray(archive)
    for change, signature in ((local, b"PK\x03\x04"), (central, b"PK\x01\x02")):
        if change is not None:
            at = data.find(signature) + change[0]
            data[at : at + len(change[1])] = change[1]
    return bytes(data)


def in_front(archive: bytes, data: bytes, *, moved: bool) -> bytes:
    """Return an archive with bytes in front; moved: its offsets are made to fit."""
    result = bytearray(archive)
    if moved:
        at = result.find(b"PK\x01\x02")
        while at >= 0:
            struct.pack_into("<I", result, at + 42, struct.unpack_from("<I", result, at + 42)[0] + len(data))
            at = result.find(b"PK\x01\x02", at + 4)
        end = result.rfind(b"PK\x05\x06")
        struct.pack_into("<I", result, end + 16, struct.unpack_from("<I", result, end + 16)[0] + len(data))
    return data + bytes(result)


class Pipe(io.RawIOBase):
    """What is written to and cannot be sought in."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.data += data
        return len(data)


def streamed(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip as it is written into a pipe: sizes and checksums behind the data."""
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return bytes(pipe.data)


def streamed_as(
    *members: tuple[str, bytes],
    sizes: str = "<3I",
    signature: bytes = b"PK\x07\x08",
    zip64: bool = False,
    level: int | None = 9,
) -> bytes:
    """Return a zip with sizes behind the data, in any of the forms that these can have.

    sizes: the form of CRC and sizes there, packed first; signature: what stands in front of them; zip64: whether local
    headers have that block, as where the size is not known yet; level: of deflate, 0 for one block, None to store.
    """
    body, directory = b"", b""
    for name, data in members:
        packed = data if level is None else _deflated(data, level)
        values = (zlib.crc32(data), len(packed), len(data))
        fixed = (45, 1 << 3, zipfile.ZIP_STORED if level is None else zipfile.ZIP_DEFLATED, 0, 33)
        directory += struct.pack(
            "<4s6H3I5H2I", b"PK\x01\x02", 3 << 8 | 45, *fixed, *values, len(name), *[0] * 4, 0o100644 << 16, len(body)
        )
        directory += name.encode()
        unknown = (0xFFFFFFFF, 0xFFFFFFFF, len(name), 20) if zip64 else (0, 0, len(name), 0)
        body += struct.pack("<4s5H3I2H", b"PK\x03\x04", *fixed, 0, *unknown) + name.encode()
        body += struct.pack("<2H2Q", 1, 16, 0, 0) * zip64 + packed + signature + struct.pack(sizes, *values)
    count, start = len(members), len(body)
    return body + directory + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(directory), start, 0)


def _deflated(data: bytes, level: int) -> bytes:
    if level == 0:  # zlib would choose the blocks
        return struct.pack("<B2H", 1, len(data), len(data) ^ 0xFFFF) + data
    deflating = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflating.compress(data) + deflating.flush()


def like_an_end(before: bytes, *, sizes: str = "<3I", signature: bytes = b"PK\x07\x08", in_front: int = 5) -> bytes:
    """Return data that, deflated at level 0, a reader in order takes to end behind its first bytes.

    in_front: bytes that are written in front of it.
    """
    descriptor = struct.pack(sizes, zlib.crc32(before), in_front + len(before), len(before))
    return before + signature + descriptor + b"PK\x03\x04"


def with_zip64_end(archive: bytes, **lies: int) -> bytes:
    """Return an archive with a zip64 end record; lies: its fields that are not as they should be."""
    end = archive.rfind(b"PK\x05\x06")
    _, _, _, _, count, size, start, _ = struct.unpack("<4s4H2IH", archive[end:])
    fields = {"disk": 0, "first": 0, "here": count, "count": count, "size": size, "start": start, "at": end} | lies
    record = struct.pack(
        "<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45,
        *(fields[name] for name in ("disk", "first", "here", "count", "size", "start")),
    )  # fmt: skip
    return archive[:end] + record + struct.pack("<4sIQI", b"PK\x06\x07", 0, fields["at"], 1) + archive[end:]


def unicode_path(name: bytes, other: bytes) -> bytes:
    """Return Info-ZIP's extra field of another name for that one."""
    body = b"\x01" + struct.pack("<I", zlib.crc32(name)) + other
    return struct.pack("<2H", 0x7075, len(body)) + body


def with_extra(extra: bytes, *, in_header: bool = False) -> bytes:
    """Return a zip of one entry, `a`, with that extra block in its directory, and in its header too if asked."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        info = zipfile.ZipInfo("a")
        info.extra = extra if in_header else b""
        archive.writestr(info, b"x")
        info.extra = extra
    return output.getvalue()


def check(data: bytes, limits: ArchiveLimits = LIMITS) -> Archive:
    """Check an archive as a device does, and that its data unpacks."""
    archive = check_archive(read_at(data), len(data), limits=limits)
    check_data(read_at(data), archive)
    return archive


def read_at(data: bytes):
    """Return what reads those bytes at an offset."""
    return lambda offset, size: data[offset : offset + size]


def contents(data: bytes, limits: ArchiveLimits = LIMITS) -> dict[str, bytes]:
    """Return what a device would unpack."""
    return {member.entry.path: b"".join(content_of(read_at(data), member)) for member in check(data, limits).files}
