"""Zips as people have them: what is sealed is read alike on a device, from its end, and in a web view, as it comes."""

import io
import shutil
import struct
import subprocess
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from capseal.archive.check import ArchiveLimits, check_archive, check_data
from capseal.errors import FormatError
from fuzz import zips
from support.web_reader import web_reader
from support.zips import Pipe, like_an_end, streamed_as, zip_of

DRAWN = 2500
PIECE_BYTES = (1, 7, 24, 27, 28, 29, 1000, 5000)
"""In which a web view gets an archive: what stands behind data comes in two of them, in every way."""

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


def _zip(tree: dict[str, bytes | None], *, method: int, system: int, zip64: bool, prefix: str, piped: bool) -> bytes:
    file = Pipe() if piped else io.BytesIO()
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
    return bytes(file.data) if isinstance(file, Pipe) else file.getvalue()


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
                    for piped in (False, True):
                        form = {"method": method, "system": system, "zip64": zip64, "prefix": prefix, "piped": piped}
                        yield str(form), _zip(tree, **form)
    yield "unmarked", _unmarked(_zip(tree, method=8, system=3, zip64=False, prefix="", piped=False))


def _agreed(data: bytes, what: object, *, piece_bytes: int = 5000) -> bool:
    """Check that a device and a web view read the same, or refuse it both; return whether they read it."""
    answer = web_reader().ask("zip", zip=data, pieceBytes=piece_bytes)
    try:
        expected = {"ok": _on_a_device(data)}
    except FormatError as error:
        assert answer.get("error", {}).get("name") == "FormatError", (what, answer, str(error))
        return False
    assert answer == expected, what
    return True


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_everyday_zips_are_read_alike_on_a_device_and_in_a_web_view(tree: dict[str, bytes | None]) -> None:
    refused = [how for how, data in _everyday(tree) if not _agreed(data, how)]
    # Stored data does not end by itself: no zip may be in it where its size does not stand in front.
    assert all("'method': 0" in how and "'piped': True" in how for how in refused)
    assert bool(refused) == (tree is TREES["a zip"])


TOOLS = {
    "zip -": "zip -qr - . | cat",
    "zip -0 -fd": "zip -q0rfd ../made.zip . && cat ../made.zip",
    "zip -fz": "zip -qrfz ../made.zip . && cat ../made.zip",
    "bsdtar": "bsdtar -acf ../made.zip . && cat ../made.zip",
    "bsdtar store": "bsdtar --options zip:compression=store -acf ../made.zip . && cat ../made.zip",
    "jar": "jar cfM ../made.zip . && cat ../made.zip",
    "jar --no-compress": "jar cfM0 ../made.zip . && cat ../made.zip",
}


@pytest.mark.parametrize("line", TOOLS.values(), ids=TOOLS)
def test_what_a_tool_writes_as_a_stream_is_read_alike_on_a_device_and_in_a_web_view(line: str, tmp_path: Path) -> None:
    if shutil.which(line.split()[0]) is None:
        pytest.skip(f"{line.split()[0]} is not installed")
    root = tmp_path / "tree"
    contents = {"index.html": b"<html>" * 5000, "a/data.bin": Random(1).randbytes(20_000), "a/empty": b""}
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    data = subprocess.run(["sh", "-c", line], cwd=root, check=True, stdout=subprocess.PIPE).stdout
    for piece_bytes in PIECE_BYTES[1:]:
        _agreed(data, piece_bytes, piece_bytes=piece_bytes)


def test_drawn_zips_that_devices_take_are_read_in_a_web_view() -> None:
    taken = 0
    for number in range(DRAWN):
        data = zips.draw(Random(f"zips in a web view {number}"))
        try:
            found = _on_a_device(data)
        except FormatError:
            continue
        assert web_reader().ask("zip", zip=data) == {"ok": found}, number
        taken += 1
    assert taken > DRAWN // 10


def _drawn_content(random: Random, form: dict[str, Any]) -> bytes:
    """Return data in which headers and descriptors are, or what looks like its own end."""
    filled = random.randbytes(random.randrange(60)) + b"text" * random.randrange(40)
    signs = b"".join(random.choices((b"PK\x01\x02", b"PK\x03\x04", b"PK\x07\x08", b"PK", b"P", b"K\x07"), k=2))
    sizes, signature = random.choice(("<3I", "<IQQ")), random.choice((b"", b"PK\x07\x08"))
    in_front = random.choice((0, 5, 5, 6) if form["level"] == 0 else (0, 1))
    return random.choice(
        (
            b"",
            filled,
            filled,
            filled + signs + filled,
            zip_of(("inner", filled)),
            streamed_as(("inner", filled)) + filled,
            like_an_end(filled, sizes=sizes, signature=signature, in_front=in_front) + filled,
        )
    )


def test_sizes_behind_the_data_are_read_alike_in_any_form() -> None:
    """With and without a signature, of 4 and 8 bytes, with headers in the data, with lies, in any pieces."""
    taken = 0
    for number in range(DRAWN):
        random = Random(f"sizes behind the data {number}")
        form = {
            "sizes": random.choice(("<3I", "<3I", "<IQQ")),
            "signature": random.choice((b"", b"PK\x07\x08", b"PK\x07\x08")),
            "zip64": random.random() < 0.3,
            "level": random.choice((None, 0, 1, 9)),
        }
        members = [(name, _drawn_content(random, form)) for name in ("a", "b/c", "d")[: random.randrange(1, 4)]]
        data = bytearray(streamed_as(*members, **form))
        if random.random() < 0.1:
            data[random.randrange(len(data))] = random.choice((0, 1, 4, 8, 0x4B, 0x50, 255))
        taken += _agreed(bytes(data), (number, form), piece_bytes=random.choice(PIECE_BYTES))
    assert DRAWN // 5 < taken < DRAWN - DRAWN // 5
