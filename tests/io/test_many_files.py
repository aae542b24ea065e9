"""Files that are made durable together: all of them, or an error."""

import os
import threading
from errno import EIO
from pathlib import Path

import pytest

from capseal.io import many_files
from capseal.io.durable import FOLDER
from capseal.io.many_files import SyncedTogether
from capseal.native import filehints

FILES = 300


def _write_all(root: Path) -> None:
    """Make many files in one folder, synced together."""
    folder = os.open(root, FOLDER)
    try:
        with SyncedTogether(folder) as synced:
            for number in range(FILES):
                synced.add_file(os.open(str(number), os.O_WRONLY | os.O_CREAT, dir_fd=folder))
            synced.add_folder(folder)
    finally:
        os.close(folder)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was synced, by name; a sync of the file system by that of its folder, with a '/' behind."""
    names: list[str] = []

    def name_of(fd: int) -> str:
        return os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))

    monkeypatch.setattr(os, "fsync", lambda fd: names.append(name_of(fd)))
    monkeypatch.setattr(filehints, "sync_file_system", lambda fd: names.append(name_of(fd) + "/"))
    return names


@pytest.fixture(autouse=True)
def no_descriptor_stays_open():
    before = os.listdir("/proc/self/fd")
    yield
    assert os.listdir("/proc/self/fd") == before


def _each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filehints, "can_sync_file_system", lambda _: False)


def test_where_it_is_sure_the_file_system_is_synced_once(tmp_path, synced, monkeypatch):
    monkeypatch.setattr(filehints, "can_sync_file_system", lambda _: True)
    _write_all(tmp_path)
    assert synced == [f"{tmp_path.name}/"]


@pytest.mark.parametrize("threads", [32, 1, 0])
def test_elsewhere_each_file_and_folder_is_synced_before_the_end(tmp_path, synced, monkeypatch, threads):
    _each(monkeypatch)
    monkeypatch.setattr(many_files, "_SYNC_THREADS", threads)
    _write_all(tmp_path)
    assert sorted(synced) == sorted([*map(str, range(FILES)), tmp_path.name])


def test_where_no_thread_can_be_started_each_is_synced_all_the_same(tmp_path, synced, monkeypatch):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    _each(monkeypatch)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    _write_all(tmp_path)
    assert len(synced) == FILES + 1


@pytest.mark.parametrize("number", [0, 150, FILES - 1])
def test_what_could_not_be_synced_is_told(tmp_path, monkeypatch, number):
    def fail(fd: int) -> None:
        if os.readlink(f"/proc/self/fd/{fd}").endswith(f"/{number}"):
            raise OSError(EIO, os.strerror(EIO))

    _each(monkeypatch)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        _write_all(tmp_path)


def test_a_file_system_that_could_not_be_synced_is_told(tmp_path, monkeypatch):
    def fail(fd: int) -> None:
        raise OSError(EIO, os.strerror(EIO))

    monkeypatch.setattr(filehints, "can_sync_file_system", lambda _: True)
    monkeypatch.setattr(filehints, "sync_file_system", fail)
    with pytest.raises(OSError, match="Input/output error"):
        _write_all(tmp_path)


def test_an_error_in_between_is_the_one_that_is_raised(tmp_path, synced, monkeypatch):
    _each(monkeypatch)
    folder = os.open(tmp_path, FOLDER)
    try:
        with pytest.raises(KeyError), SyncedTogether(folder) as together:
            together.add_file(os.open("a", os.O_WRONLY | os.O_CREAT, dir_fd=folder))
            raise KeyError
    finally:
        os.close(folder)


def test_a_file_system_that_answers_for_others_is_not_asked(tmp_path):
    """proc stands for FUSE and its like: nobody promises that what is there is on a disk."""
    folder = os.open("/proc", FOLDER)
    try:
        assert not filehints.can_sync_file_system(folder)
        if filehints._lib is not None:
            with pytest.raises(OSError, match="not supported"):
                filehints.sync_file_system(folder)
    finally:
        os.close(folder)
