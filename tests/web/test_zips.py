"""Zips as people have them: what is sealed is read alike on a device, from its end, and in a web view, as it comes."""

import io
import struct
import unicodedata
import zipfile
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from capseal.archive.check import ArchiveLimits, check_archive, check_data
from capseal.errors import FormatError
from fuzz import zips
from support.web_reader import web_reader

DRAWN = 2500
BEHIND = "sizes behind the data"
"""What a reader in order says of a data descriptor: all that it refuses and devices do not (docs/web.md)."""

TREES = {
    "spaces": {"my page.html": b"a", "with space/x y.txt": b"q"},
    "composed": {"\u00fcberblick.html": b"u" * 300, "Gr\u00f6\u00dfe/": None, "Gr\u00f6\u00dfe/\u00e4.txt": b"1"},
    "decomposed": {unicodedata.normalize("NFD", "\u00fcberblick/\u00e4.txt"): b"u" * 300},
    "emoji": {"\U0001f3ae/\u65e5\u672c.js": b"x" * 99},
    "Turkish": {"k\u0131sa.png": b"1", "kisa.png": b"2"},
    "empty": {"e/": None, "f/g/": None, "index.html": b""},
    "long": {"x" * 255: b"1", "/".join(["d" * 60] * 10) + "/f": b"2"},
    "a zip": {"inner.zip": b"PK\x03\x04" + bytes(26) + b"PK\x05\x06" + bytes(18)},
}


def _zip(tree: dict[str, bytes | None], *, method: int, system: int, zip64: bool, prefix: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as packed:
        if prefix:
            packed.writestr(zipfile.ZipInfo(prefix), b"")
        for name, content in tree.items():
            info = zipfile.ZipInfo(prefix + name)
            info.create_system = system
            info.compress_type = method
            info.external_attr = (0o40755 if content is None else 0o100644) << 16 if system == 3 else 0x10
            if content is None:
                packed.writestr(info, b"")
            else:
                with packed.open(info, "w", force_zip64=zip64) as entry:
                    entry.write(content)
    return file.getvalue()


def _unmarked(data: bytes) -> bytes:
    """Return a zip as Info-ZIP and macOS write it: names are UTF-8, and do not say so."""
    changed = bytearray(data)
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        found = changed.find(signature)
        while found >= 0:
            flags = struct.unpack_from("<H", changed, found + at)[0]
            struct.pack_into("<H", changed, found + at, flags & ~0x800)
            found = changed.find(signature, found + 1)
    return bytes(changed)


def _on_a_device(data: bytes) -> list[list[Any]]:
    """Return the entries that a device finds. Raises FormatError."""

    def read_at(offset: int, size: int) -> bytes:
        return data[offset : offset + size]

    archive = check_archive(read_at, len(data), limits=ArchiveLimits())
    check_data(read_at, archive)
    entries = (member.entry for member in archive.members if member.entry.path)
    return [[entry.path + "/" * entry.is_folder, entry.size, entry.crc] for entry in entries]


def _everyday(tree: dict[str, bytes | None]) -> Iterator[tuple[str, bytes]]:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        for system in (0, 3):
            for zip64 in (False, True):
                for prefix in ("", "./"):
                    made = _zip(tree, method=method, system=system, zip64=zip64, prefix=prefix)
                    yield f"method {method}, system {system}, zip64 {zip64}, prefix {prefix!r}", made
    if "a zip" not in tree:
        yield "unmarked", _unmarked(_zip(tree, method=zipfile.ZIP_DEFLATED, system=3, zip64=False, prefix=""))


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_everyday_zips_are_read_alike_on_a_device_and_in_a_web_view(tree: dict[str, bytes | None]) -> None:
    for how, data in _everyday(tree):
        assert web_reader().ask("zip", zip=data) == {"ok": _on_a_device(data)}, how


def test_of_what_devices_take_a_web_view_refuses_sizes_behind_the_data_alone() -> None:
    taken = refused = 0
    for number in range(DRAWN):
        data = zips.draw(Random(f"zips in a web view {number}"))
        try:
            found = _on_a_device(data)
        except FormatError:
            continue
        answer = web_reader().ask("zip", zip=data)
        if "error" in answer:
            assert BEHIND in answer["error"]["message"], (number, answer)
            refused += 1
        else:
            assert answer["ok"] == found, number
            taken += 1
    assert taken > 4 * refused > 0
