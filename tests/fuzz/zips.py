"""Archives on a device: whatever is unpacked, other unzips read in the same way."""

import contextlib
import io
import os
import shutil
import struct
import subprocess
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from capseal.archive import check as archives
from capseal.archive.check import ArchiveLimits
from capseal.device import _unpack
from support.zips import unicode_path

from .bundles import modules
from .mutating import NUMBERS, mutate_bytes, often
from .places import scratch
from .running import Disagreement, Target

LIMITS = ArchiveLimits(content_bytes=300_000, entries=20, ratio=100)
_TOOLS_SHARE = 64  # of so many accepted ones, one is unpacked by other tools, too
_NAMES = (
    "a", "b", "a/b", "a/c", "a/", "c/", "./", "./a", "index.html", "A", "a.", "a ", "CON", "con.txt", "a:b", "a\\b",
    "../a", "/a", "a//b", "a/./b", "é", "e\u0301", "ß", "ss", "\u212a", "k", "\u200d", "x" * 255, "x" * 256,
    "/".join("d" * 65), "a\0b", "a\nb", "日本", "\U0001f600", "a/b/c/d", "\u202e", "nul.tar.gz", " a", "", "-rf", "~",
)  # fmt: skip
_DATA = (b"", b"x", b"hello" * 50, bytes(5000), bytes(range(256)) * 8)


@dataclass(frozen=True)
class Entry:
    """An entry as both of its headers say it; each of which may then say something else."""

    name: bytes
    data: bytes
    method: int = 0
    flags: int = 0
    made_by: int = 3 << 8 | 20
    mode: int = 0o100644
    local_extra: bytes = b""
    extra: bytes = b""
    zip64: bool = False
    gap: bytes = b""
    local_lies: tuple[tuple[int, int], ...] = ()
    lies: tuple[tuple[int, int], ...] = ()


_LOCAL, _CENTRAL = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I")


def _draw_entry(r: Random, name: str) -> Entry:
    encoded = name.encode("utf-8", "surrogatepass")
    entry = Entry(
        encoded,
        r.choice(_DATA),
        method=r.choice((0, 8)),
        flags=0x800 if not encoded.isascii() or often(r, 0.1) else 0,
        mode=0o040755 if name.endswith("/") else r.choice((0o100644, 0o100755, 0o100000, 0)),
        zip64=often(r, 0.08),
    )
    if name.endswith("/"):
        entry = replace(entry, data=b"", method=0)
    if often(r, 0.1):
        entry = replace(entry, flags=entry.flags | 8)
    return entry


def _draw_lies(r: Random, entry: Entry) -> Entry:
    """Let one header say something that is not so."""
    lie = (r.randrange(1, 11), r.choice(NUMBERS))
    match r.randrange(10):
        case 0 | 1:
            return replace(entry, local_lies=(lie,))
        case 2 | 3:
            return replace(entry, lies=((r.randrange(1, 17), r.choice(NUMBERS)),))
        case 4:
            return replace(entry, local_lies=(lie,), lies=((lie[0] + (lie[0] > 0), lie[1]),))
        case 5:
            return replace(entry, extra=_draw_extra(r, entry), local_extra=_draw_extra(r, entry))
        case 6:
            return replace(entry, mode=r.choice((0o120777, 0o060644, 0o104755, 0o040755, 0o100644)))
        case 7:
            return replace(entry, flags=entry.flags ^ r.choice((1, 2, 8, 0x20, 0x40, 0x800, 0x2000)))
        case 8:
            return replace(entry, made_by=r.choice((0, 20, 10 << 8, 19 << 8, 3 << 8)), gap=r.choice((b"", b"", b"PK")))
    return replace(entry, method=r.choice((0, 1, 8, 9, 12, 93, 99)))


def _draw_extra(r: Random, entry: Entry) -> bytes:
    return r.choice(
        (
            b"",
            unicode_path(entry.name, entry.name),
            unicode_path(entry.name, b"other"),
            unicode_path(b"wrong", entry.name),
            struct.pack("<2HQ", 1, 8, len(entry.data)),
            struct.pack("<2HQQ", 1, 16, len(entry.data), len(entry.data)),
            struct.pack("<2H", 1, 0),
            struct.pack("<2H", 0x5455, 200),
            b"\x55\x54\x05\0\x01" + bytes(4),
            r.randbytes(7),
        )
    )


def draw(r: Random) -> bytes:
    """Draw an archive with, mostly, one or two odd things about it."""
    names = r.sample(_NAMES[:5], r.randrange(1, 4)) if often(r, 0.7) else r.sample(_NAMES, r.randrange(1, 5))
    if often(r, 0.05):
        names += names[:1]
    entries = [_draw_entry(r, name) for name in names]
    if often(r, 0.6):
        at = r.randrange(len(entries))
        entries[at] = _draw_lies(r, entries[at])
    data = _packed(r, entries)
    if often(r, 0.15):
        data = mutate_bytes(r, data)
    if often(r, 0.03):
        data = r.choice((data + data, b"#!/bin/sh\n" + data, data + b"x", data[: len(data) // 2], b""))
    return data


def _packed(r: Random, entries: list[Entry]) -> bytes:
    body, directory = bytearray(), bytearray()
    for entry in entries:
        packed = entry.data
        if entry.method == 8:
            compressor = zlib.compressobj(r.choice((0, 1, 9)), zlib.DEFLATED, -15)
            packed = compressor.compress(entry.data) + compressor.flush()
            if often(r, 0.04):
                packed = mutate_bytes(r, packed, 1)
        crc, size, offset = zlib.crc32(entry.data), len(entry.data), len(body)
        late = bool(entry.flags & 8)
        local: list[int] = [20, entry.flags, entry.method, 0, 33, *((0, 0, 0) if late else (crc, len(packed), size))]
        central = [entry.made_by, 20, entry.flags, entry.method, 0, 33, crc, len(packed), size]
        local_extra, extra = entry.local_extra, entry.extra
        if entry.zip64:
            local[6:] = [0xFFFFFFFF, 0xFFFFFFFF]
            central[7:] = [0xFFFFFFFF, 0xFFFFFFFF]
            long = struct.pack("<2HQQ", 1, 16, size, len(packed))
            local_extra, extra = long + local_extra, long + extra
        local += [len(entry.name), len(local_extra)]
        central += [len(entry.name), len(extra), 0, 0, 0, entry.mode << 16, offset]
        body += _lying(_LOCAL, b"PK\x03\x04", local, entry.local_lies) + entry.name + local_extra + packed + entry.gap
        directory += _lying(_CENTRAL, b"PK\x01\x02", central, entry.lies) + entry.name + extra
        if late:
            form = r.choice(("<4s3I", "<4s3I", "<3I", "<4sIQQ"))
            values = (crc, len(packed), size)
            body += struct.pack(form, *((b"PK\x07\x08", *values) if "4s" in form else values))
    return bytes(body + directory) + _end(r, len(entries), len(directory), len(body))


def _lying(form: struct.Struct, signature: bytes, values: list[int], lies: tuple[tuple[int, int], ...]) -> bytes:
    for at, value in lies:
        values[(at - 1) % len(values)] = value
    sizes = [{"H": 0xFFFF, "I": 0xFFFFFFFF}[kind] for kind in _kinds(form)]
    return form.pack(signature, *(value & most for value, most in zip(values, sizes, strict=True)))


def _kinds(form: struct.Struct) -> str:
    return "HHHHHIIIHH" if form is _LOCAL else "HHHHHHIIIHHHHHII"


def _end(r: Random, count: int, size: int, start: int) -> bytes:
    comment = r.choice((b"", b"", b"", b"hello", b"PK\x05\x06" + bytes(18)))
    values = [0, 0, count, count, size, start, len(comment)]
    record = b""
    if often(r, 0.06):
        long = [0, 0, count, count, size, start]
        if often(r, 0.4):
            long[r.randrange(6)] = r.choice(NUMBERS) % (1 << 32)
        record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, *long)
        record += struct.pack("<4sIQI", b"PK\x06\x07", 0, start + size, 1)
        if often(r, 0.5):
            values[2:6] = [0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF]
    if often(r, 0.05):
        at = r.randrange(7)
        values[at] = r.choice(NUMBERS) % (1 << (32 if at in (4, 5) else 16))
    return record + struct.pack("<4s4H2IH", b"PK\x05\x06", *values) + comment


def check_zip(data: bytes) -> None:
    """Unpack as a device does; other unzips must find the same names and contents."""
    root = scratch() / "unpacked"
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(root)
    root.mkdir()
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        manifest = _unpack.unpack(io.BytesIO(data), "dist.zip", "application/zip", folder, limits=LIMITS)  # type: ignore[arg-type]
    finally:
        os.close(folder)
    found = _tree(root)
    if {name for name, content in found.items() if content is None} != manifest.folders:
        raise Disagreement("folders are not those of the manifest")
    theirs = _read_by_zipfile(data)
    ours = {name: content for name, content in found.items() if content is not None}
    if theirs != ours:
        raise Disagreement(f"zipfile reads otherwise: {sorted(theirs)} {sorted(ours)}")
    if zlib.crc32(data) % _TOOLS_SHARE == 0:
        _compare_with_tools(data, ours)


def _tree(root: Path) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise Disagreement(f"neither a file nor a folder: {name!r}")
        if path.is_file() and path.stat().st_mode & 0o7022:
            raise Disagreement(f"a file that others may write or that runs as its owner: {name!r}")
        found[name] = None if path.is_dir() else path.read_bytes()
    return found


def _read_by_zipfile(data: bytes) -> dict[str, bytes]:
    found = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                # Names that are not marked as UTF-8 are what their bytes say; zipfile takes them for a DOS code page.
                name = info.orig_filename
                name = name if info.flag_bits & 0x800 else name.encode("cp437").decode()
                if not name.endswith("/"):
                    found[name.removeprefix("./")] = archive.read(info)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, zlib.error, EOFError) as error:
        raise Disagreement(f"zipfile refuses: {error!r}") from error
    return found


def _compare_with_tools(data: bytes, ours: dict[str, bytes]) -> None:
    archive, other = scratch() / "other.zip", scratch() / "other"
    composed = {unicodedata.normalize("NFC", name): content for name, content in ours.items()}  # as bsdtar writes names
    archive.write_bytes(data)
    for tool, command in (
        ("unzip", ("unzip", "-q", "-o", str(archive), "-d")),
        ("bsdtar", ("bsdtar", "-xf", str(archive), "-C")),
    ):
        if shutil.which(tool) is None or (tool == "unzip" and (_unzip_misreads(data) or _unzip_miscounts(data))):
            continue
        shutil.rmtree(other, ignore_errors=True)
        other.mkdir()
        done = subprocess.run([*command, str(other)], capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
        theirs = {unicodedata.normalize("NFC", name): content for name, content in _tree_of(other).items()}
        if done.returncode > 1 or theirs != composed:
            raise Disagreement(f"{tool} reads otherwise: {done.returncode} {done.stderr[:200]!r} {sorted(theirs)}")


def _unzip_misreads(data: bytes) -> bool:
    """Info-ZIP takes names from DOS and Windows for a code page of theirs, even those that are marked as UTF-8."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return any(info.create_system == 0 and not info.orig_filename.isascii() for info in archive.infolist())


def _unzip_miscounts(data: bytes) -> bool:
    """Info-ZIP as Debian has it expects sizes of 8 bytes behind data wherever another name, UTF-8, is in front of it.

    It unpacks that entry, and stops: entries overlap, it says. Java's archivers write such names.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            name_bytes, extra_bytes = struct.unpack_from("<2H", data, info.header_offset + 26)
            start = info.header_offset + _LOCAL.size + name_bytes
            if info.flag_bits & 8 and b"up" in data[start : start + extra_bytes]:
                return True
    return False


def _tree_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def zip_target() -> Target:
    """Archives, from their bytes to files in a folder."""
    return Target(
        name="zip",
        oracle=f"zipfile reads the same names and contents; so do unzip and bsdtar, of one in {_TOOLS_SHARE}",
        modules=modules(
            "archive.check", "archive.directory", "archive.local_headers", "archive.names", "device._unpack"
        ),
        make=draw,
        run=check_zip,
        gates={
            "end": (archives, "read_end"),
            "directory": (archives, "read_entries"),
            "names": (archives, "_check_names"),
            "places": (archives, "check_places"),
        },
    )
