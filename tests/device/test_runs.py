"""Files that are taken out a run at a time are what they are one by one, and what fails is told."""

import io
import os
import random
import threading
import zipfile
from pathlib import Path
from typing import cast

import pytest

from capseal import FormatError
from capseal.archive.check import ArchiveLimits, check_archive
from capseal.device import _runs
from capseal.device._runs import FileMaker, runs
from capseal.device._unpack import unpack
from capseal.io.many_files import SyncedTogether
from capseal.native.filewriter import NewFiles
from support.device_world import read_tree
from support.zips import read_at, streamed, zip_of

LIMITS = ArchiveLimits(ratio=2000)


def _archive() -> bytes:
    """Return a zip of files of all kinds, in an order in which folders come again."""
    choose = random.Random(1)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(120):
            name = f"{choose.choice(('', 'a/', 'a/b/', 'ä/', 'z/y/x/'))}{number}.js"
            info = zipfile.ZipInfo(name)
            info.external_attr = choose.choice((0, 0o100644, 0o100755, 0o104777, 0o100400)) << 16
            content = choose.randbytes(choose.choice((0, 1, 5000, 300_000)))
            archive.writestr(info, content, choose.choice((zipfile.ZIP_STORED,) * 4 + (zipfile.ZIP_DEFLATED,)))
        archive.writestr("large.bin", choose.randbytes(3_000_000))
    return data.getvalue()


ARCHIVE = _archive()


def _unpacked(archive: bytes, root: Path) -> tuple[dict[str, bytes], dict[str, int], bytes]:
    root.mkdir()
    folder = os.open(root, os.O_RDONLY)
    try:
        content = cast(io.RawIOBase, io.BytesIO(archive))
        manifest = unpack(content, "dist.zip", "application/zip", folder, limits=LIMITS)
    finally:
        os.close(folder)
    modes = {str(path.relative_to(root)): path.stat().st_mode for path in root.rglob("*")}
    return read_tree(root), modes, manifest.encode()


@pytest.fixture(autouse=True)
def _in_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take files in runs on every file system, also on one of which a single sync would not be enough."""
    monkeypatch.setattr(SyncedTogether, "takes_closed", True)


def _one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SyncedTogether, "takes_closed", False)


def _without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.parametrize("run_bytes", [1, 6000, 1024 * 1024])
@pytest.mark.parametrize("threads", [True, False])
def test_content_modes_and_manifest_are_the_same_as_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_bytes: int, threads: bool
) -> None:
    with monkeypatch.context() as patched:
        _one_by_one(patched)
        expected = _unpacked(ARCHIVE, tmp_path / "one by one")
    with monkeypatch.context() as patched:
        patched.setattr(_runs, "_RUN_BYTES", run_bytes)
        if not threads:
            _without_threads(patched)
        assert _unpacked(ARCHIVE, tmp_path / "in runs") == expected


def test_a_run_is_of_small_stored_files_of_one_folder_in_the_order_of_their_data() -> None:
    files = check_archive(read_at(ARCHIVE), len(ARCHIVE), limits=LIMITS).files
    divided = list(runs(files))
    assert [member for _, run in divided for member in run] == list(files)
    for folder, run in divided:
        if folder is None:
            assert len(run) == 1
            assert run[0].entry.method or run[0].entry.size > 1024 * 1024
        else:
            assert {member.entry.path.rpartition("/")[0] for member in run} == {folder}
            assert run[-1].data + run[-1].entry.packed - run[0].data <= 1024 * 1024
    assert max(len(run) for _, run in divided) > 1


@pytest.mark.parametrize("number", [0, 10, 19])
def test_a_damaged_file_among_many_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    archive = zip_of(*((f"js/{n}", b"%04d" % n * 100) for n in range(20)))
    bad = archive.replace(b"%04d" % number * 100, b"%04d" % number * 99 + b"evil")
    with pytest.raises(FormatError, match=f"entry 'js/{number}': 400 bytes with CRC-32 .* the archive is damaged"):
        _unpacked(bad, tmp_path / "in runs")
    _one_by_one(monkeypatch)
    with pytest.raises(FormatError, match=f"entry 'js/{number}': 400 bytes with CRC-32 .* the archive is damaged"):
        _unpacked(bad, tmp_path / "one by one")


def test_what_a_reader_in_order_would_end_elsewhere_is_refused_among_many_files_too(tmp_path: Path) -> None:
    hidden = b"<h1>good</h1>" + b"PK\x07\x08" + bytes(12) + zip_of(("evil.js", b"evil"))
    files = [(f"js/{n}", b"%04d" % n) for n in range(20)]
    with pytest.raises(FormatError, match=r"entry 'js/index\.html': stored without its size in front"):
        _unpacked(streamed(*files, ("js/index.html", hidden), method=zipfile.ZIP_STORED), tmp_path / "in runs")


def _files(*names: str) -> NewFiles:
    return NewFiles([name.encode() for name in names], [0o644] * len(names), [0] * len(names), [1] * len(names), b"x")


@pytest.mark.parametrize("threads", [True, False])
def test_what_could_not_be_made_is_raised_and_nothing_is_made_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: bool
) -> None:
    if not threads:
        _without_threads(monkeypatch)
    (tmp_path / "taken").write_bytes(b"mine")
    folder = os.open(tmp_path, os.O_RDONLY)
    before = os.listdir("/proc/self/fd")
    try:
        with pytest.raises(FileExistsError, match="taken"), FileMaker(lambda _: folder) as maker:
            maker.make("", _files("first", "taken"))
            for number in range(20):
                maker.make("", _files(f"later{number}"))
        assert read_tree(tmp_path) == {"first": b"x", "taken": b"mine"}
        assert os.listdir("/proc/self/fd") == before
    finally:
        os.close(folder)


def test_the_last_failure_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"mine")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(FileExistsError, match="taken"), FileMaker(lambda _: folder) as maker:
            maker.make("", _files("taken"))
    finally:
        os.close(folder)


def test_when_reading_fails_nothing_is_made_behind_its_back(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(KeyError), FileMaker(lambda _: folder) as maker:
            maker.make("", _files("a"))
            raise KeyError
        there = os.listdir(tmp_path)
        assert threading.active_count() == 1 or "capseal-files" not in {thread.name for thread in threading.enumerate()}
        assert os.listdir(tmp_path) == there
    finally:
        os.close(folder)
