"""Archives that a device must not unpack, though trusted keys signed them: nothing of them is left anywhere."""

import errno
import io
import os
import stat
import struct
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from capseal import FormatError, RejectedError
from capseal.device import DeviceStore, Limits
from capseal.device._unpack import unpack
from capseal.io.source import FileSource
from support.device_world import World, read_tree, state_of, update
from support.zips import zip_of

LIMITS = Limits(content_bytes=2_000_000, entries=50, ratio=100)


def with_mode(mode: int, name: str = "evil", data: bytes = b"/etc/passwd") -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.create_system = 3
        info.external_attr = mode << 16
        archive.writestr(info, data)
    return output.getvalue()


def patched(archive: bytes, old: bytes, new: bytes) -> bytes:
    """Return an archive with some bytes replaced everywhere."""
    assert old in archive
    return archive.replace(old, new)


def overlapping() -> bytes:
    """Return a zip whose two entries share their data."""
    archive = bytearray(zip_of(("a", b"x" * 5000), ("b", b"x" * 5000)))
    second = archive.rfind(b"PK\x01\x02")
    first = archive.find(b"PK\x01\x02")
    archive[second + 42 : second + 46] = archive[first + 42 : first + 46]
    return bytes(archive)


def declaring(size: int) -> bytes:
    """Return a zip whose one deflated entry unpacks to more than it declares."""
    archive = bytearray(zip_of(("a", b"x" * 5000), method=zipfile.ZIP_DEFLATED))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = archive.find(signature) + offset
        archive[at : at + 4] = struct.pack("<I", size)
    return bytes(archive)


def damaged() -> bytes:
    """Return a zip whose deflated data cannot be inflated."""
    archive = bytearray(zip_of(("a", b"x" * 5000), method=zipfile.ZIP_DEFLATED))
    archive[31:36] = b"\xff" * 5  # behind the header and the name
    return bytes(archive)


def huge_directory() -> bytes:
    """Return a zip whose directory is declared to be larger than memory should be."""
    archive = bytearray(zip_of(("a", b"x")))
    end = archive.rfind(b"PK\x05\x06")
    size = 40 * 1024 * 1024
    archive[end:end] = bytes(size)
    end += size
    archive[end + 12 : end + 16] = struct.pack("<I", size)
    return bytes(archive)


CORPUS: dict[str, Callable[[], bytes]] = {
    "not a zip": lambda: b"this is no archive",
    "empty": lambda: b"",
    "cut off": lambda: zip_of(("a", b"x" * 100))[:-30],
    "slip by dots": lambda: zip_of(("../evil", b"x")),
    "slip by dots below": lambda: zip_of(("a/../../evil", b"x")),
    "dots that stay inside": lambda: zip_of(("a/../b", b"x")),
    "a dot inside": lambda: zip_of(("a/./b", b"x")),
    "absolute": lambda: zip_of(("/tmp/evil", b"x")),
    "absolute with a drive": lambda: zip_of(("C:/evil", b"x")),
    "backslash": lambda: zip_of(("a\\..\\evil", b"x")),
    "nul": lambda: patched(zip_of(("a_b", b"x")), b"a_b", b"a\0b"),
    "newline": lambda: zip_of(("a\nb", b"x")),
    "right-to-left override": lambda: zip_of(("a\u202egpj.js", b"x")),
    "no name": lambda: zip_of(("/", b"")),
    "empty part": lambda: zip_of(("a//b", b"x")),
    "long name": lambda: zip_of(("a" * 256, b"x")),
    "long path": lambda: zip_of(("/".join(["a" * 100] * 11), b"x")),
    "deep path": lambda: zip_of(("/".join("a" * 65), b"x")),
    "unmarked encoding": lambda: patched(zip_of(("a_b", b"x")), b"a_b", b"a\x84b"),
    "name that is no UTF-8": lambda: patched(zip_of(("ä", b"x")), "ä".encode(), b"\xff\xff"),
    "duplicate": lambda: zip_of(("a", b"1"), ("b", b"2"), ("a", b"3")),
    "duplicate folder": lambda: zip_of(("a/", b""), ("a/", b"")),
    "case collision": lambda: zip_of(("Index.html", b"1"), ("index.html", b"2")),
    "case collision of folders": lambda: zip_of(("JS/a", b"1"), ("js/b", b"2")),
    "unicode collision": lambda: zip_of(("\u00e9", b"1"), ("e\u0301", b"2")),
    "collision by folding": lambda: zip_of(("stra\u00dfe", b"1"), ("STRASSE", b"2")),
    "file as a folder": lambda: zip_of(("a", b"1"), ("a/b", b"2")),
    "folder as a file": lambda: zip_of(("a/b", b"1"), ("a", b"2")),
    "folder and file": lambda: zip_of(("a/", b""), ("A", b"2")),
    "symbolic link": lambda: with_mode(stat.S_IFLNK | 0o777),
    "named pipe": lambda: with_mode(stat.S_IFIFO | 0o644),
    "device": lambda: with_mode(stat.S_IFCHR | 0o644),
    "socket": lambda: with_mode(stat.S_IFSOCK | 0o644),
    "folder that is named as a file": lambda: with_mode(stat.S_IFDIR | 0o755, data=b""),
    "file that is named as a folder": lambda: with_mode(stat.S_IFREG | 0o644, name="a/", data=b""),
    "folder with data": lambda: with_mode(stat.S_IFDIR | 0o755, name="a/", data=b"x"),
    "encrypted": lambda: patched(zip_of(("a", b"x")), b"\x14\x00\x00\x00\x00\x00", b"\x14\x00\x01\x00\x00\x00"),
    "bzip2": lambda: zip_of(("a", b"x" * 100), method=zipfile.ZIP_BZIP2),
    "lzma": lambda: zip_of(("a", b"x" * 100), method=zipfile.ZIP_LZMA),
    "too many entries": lambda: zip_of(*((f"{i}", b"") for i in range(51))),
    "too many bytes": lambda: zip_of(("a", os.urandom(1_500_000)), ("b", os.urandom(500_001))),
    "bomb": lambda: zip_of(("a", bytes(1_000_000)), method=zipfile.ZIP_DEFLATED),
    "overlap": overlapping,
    "more than declared": lambda: declaring(4000),
    "less than declared": lambda: declaring(6000),
    "wrong checksum": lambda: patched(zip_of(("a", b"x" * 100)), b"x" * 100, b"y" * 100),
    "damaged data": damaged,
    "another name in front": lambda: zip_of(("a_b", b"x")).replace(b"a_b", b"a_c", 1),
    "huge directory": huge_directory,
}


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", CORPUS)
def test_a_malicious_archive_is_refused_and_leaves_nothing(world: World, tmp_path: Path, name: str) -> None:
    root = tmp_path / "device" / "store"
    store = world.store(root, limits=LIMITS)
    update(store, world, [1])
    before, status = everything(tmp_path), store.status()
    bundle = world.seal(2, source=io.BytesIO(CORPUS[name]()), name="dist.zip")
    with pytest.raises(FormatError):
        store.install(io.BytesIO(bundle))
    assert everything(tmp_path) == before
    assert store.boot(verify=True).bundle == status.current
    assert [failure.sequence for failure in store.status().failed] == [2]
    assert not Path("/tmp/evil").exists()


def test_a_refused_archive_is_not_even_read_again(world: World, tmp_path: Path) -> None:
    store = world.store(tmp_path / "store", limits=LIMITS)
    bundle = world.seal(2, source=io.BytesIO(CORPUS["slip by dots"]()), name="dist.zip")
    with pytest.raises(FormatError):
        store.install(io.BytesIO(bundle))
    with pytest.raises(RejectedError, match="failed on this device before"):
        store.install(io.BytesIO(bundle[:-1]))


def test_a_refused_archive_was_not_begun(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capseal.device._unpack._make_folder", lambda *_: pytest.fail("began to unpack"))
    monkeypatch.setattr("capseal.device._unpack._write", lambda *_: pytest.fail("began to unpack"))
    store = world.store(tmp_path / "store", limits=LIMITS)
    for name in ("slip by dots", "symbolic link", "bomb", "too many bytes", "duplicate", "overlap"):
        with pytest.raises(FormatError):
            store.install(io.BytesIO(world.seal(2, source=io.BytesIO(CORPUS[name]()), name="dist.zip")))


def test_an_archive_that_cannot_be_read_is_not_remembered_as_bad(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = world.store(tmp_path / "store", limits=LIMITS)
    read_into = FileSource.read_into
    for error in (OSError(errno.EIO, "Input/output error"), MemoryError(), RuntimeError("no new thread")):

        def flaky(self: FileSource, offset: int, buffer: memoryview, error: BaseException = error) -> int:
            if any(frame.name == "read_end" for frame in traceback.extract_stack()):
                raise error
            return read_into(self, offset, buffer)

        monkeypatch.setattr(FileSource, "read_into", flaky)
        with pytest.raises(type(error)):
            store.install(world.sealed(2))
        monkeypatch.undo()
        assert store.status().failed == ()
    update(store, world, [2])


def _installed(world: World, root: Path, content: bytes, name: str, **keywords: object) -> Path:
    store = world.store(root, **keywords)
    store.install(io.BytesIO(world.seal(2, source=io.BytesIO(content), name=name)))
    store.activate()
    return Path(store.boot(verify=True).path)


def test_good_archives_are_unpacked_as_they_are(world: World, tmp_path: Path) -> None:
    files = {"index.html": b"<p>", "ä/ß.js": b"", "a b/c": os.urandom(3_000_000), "a b/d/e": b"e" * 1000}
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        archive = zip_of(*files.items(), ("empty/", b""), method=method)
        folder = _installed(world, tmp_path / str(method), archive, "dist.zip")
        assert read_tree(folder) == files
        assert (folder / "empty").is_dir()


def test_a_single_file_is_unpacked_under_its_name(world: World, tmp_path: Path) -> None:
    data = os.urandom(1_200_000)
    assert read_tree(_installed(world, tmp_path / "store", data, "model.bin")) == {"model.bin": data}
    assert read_tree(_installed(world, tmp_path / "empty", b"", "empty.bin")) == {"empty.bin": b""}


def test_a_single_file_has_a_name_that_every_platform_can_store(world: World, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="device on Windows"):
        _installed(world, tmp_path / "store", b"x", "aux.js")


def test_an_empty_archive_is_a_bundle(world: World, tmp_path: Path) -> None:
    assert read_tree(_installed(world, tmp_path / "store", zip_of(), "dist.zip")) == {}


@pytest.mark.parametrize(("packed", "unpacked"), [(0o4755, 0o755), (0o2666, 0o644), (0o777, 0o755), (0, 0o644)])
def test_modes_are_masked(world: World, tmp_path: Path, packed: int, unpacked: int) -> None:
    archive = with_mode(stat.S_IFREG | packed if packed else 0, name="tool")
    folder = _installed(world, tmp_path / "store", archive, "dist.zip")
    assert stat.S_IMODE((folder / "tool").stat().st_mode) == unpacked


def test_nobody_else_can_write_to_what_is_unpacked_whatever_the_umask(world: World, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = _installed(world, tmp_path / "store", with_mode(stat.S_IFREG | 0o777, name="bin/tool"), "dist.zip")
    finally:
        os.umask(before)
    assert [stat.S_IMODE((folder / name).stat().st_mode) for name in ("bin", "bin/tool")] == [0o755, 0o755]


def test_only_the_owner_can_look_into_the_store(world: World, tmp_path: Path) -> None:
    root = tmp_path / "store"
    (root / "staging").mkdir(parents=True, mode=0o755)
    update(world.store(root), world, [1])
    assert [stat.S_IMODE((root / name).stat().st_mode) for name in ("staging", "bundles")] == [0o700, 0o700]


def test_a_link_in_place_of_the_staging_folder_is_refused(world: World, tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / "staging").symlink_to(elsewhere)
    with pytest.raises(OSError, match="staging"):
        world.store(root).install(world.sealed(1))
    assert not everything(elsewhere)


@pytest.mark.parametrize("planted", ["file", "link", "folder link"])
def test_unpacking_replaces_nothing_and_follows_no_link(tmp_path: Path, planted: str) -> None:
    content, victim = tmp_path / "content", tmp_path / "victim"
    content.mkdir()
    victim.mkdir()
    (victim / "a").write_bytes(b"mine")
    if planted == "folder link":
        (content / "js").symlink_to(victim)
    elif planted == "link":
        (content / "b").symlink_to(victim / "b")
    else:
        (content / "b").write_bytes(b"mine")
    folder = os.open(content, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match=r"File exists|symbolic link|symbolic links"):
            unpack(
                io.BytesIO(zip_of(("b", b"evil"), ("js/a", b"evil"))),  # type: ignore[arg-type]
                "dist.zip",
                "application/zip",
                folder,
                limits=LIMITS,
            )
    finally:
        os.close(folder)
    assert read_tree(victim) == {"a": b"mine"}
    assert planted != "file" or (content / "b").read_bytes() == b"mine"


def test_a_link_that_appears_while_unpacking_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, victim = tmp_path / "content", tmp_path / "victim"
    content.mkdir()
    victim.mkdir()
    monkeypatch.setattr("capseal.device._unpack._make_folder", lambda *_: (content / "js").symlink_to(victim))
    folder = os.open(content, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match=r"Not a directory|symbolic link"):
            unpack(
                io.BytesIO(zip_of(("js/a", b"evil"))),  # type: ignore[arg-type]
                "dist.zip",
                "application/zip",
                folder,
                limits=LIMITS,
            )
    finally:
        os.close(folder)
    assert not everything(victim)


def test_content_that_does_not_fit_the_disk_is_not_begun(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: DeviceStore = world.store(tmp_path / "store")
    update(store, world, [1])
    room = os.statvfs(tmp_path)
    full = os.statvfs_result((*tuple(room)[:3], 0, 0, *tuple(room)[5:]))
    monkeypatch.setattr(os, "fstatvfs", lambda _: full)
    with pytest.raises(OSError, match=r"content takes [0-9]+ bytes, 0 are free"):
        store.install(world.sealed(2))
    assert state_of(tmp_path / "store")["failed"] == []
    monkeypatch.undo()
    update(store, world, [2])
