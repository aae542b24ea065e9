"""Many files are made in one call as one by one: new, whole, in that folder, or an error that names the file."""

import os
import resource
import signal
import stat

import pytest

from capseal.native import filewriter
from capseal.native.filewriter import NewFiles, write_files

FILES = {"a": b"", "b.js": b"x" * 70_000, "\N{GRINNING FACE}": b"y", "last": bytes(range(256))}


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def form(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(filewriter, "_lib", None)
    elif filewriter._lib is None:
        pytest.skip("built without a C compiler")


@pytest.fixture
def folder(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    before = os.listdir("/proc/self/fd")
    yield fd
    assert os.listdir("/proc/self/fd") == before
    os.close(fd)


def new_files(files, mode=0o644) -> NewFiles:
    names, data_at, sizes, data = [], [], [], b"gap"
    for name, content in files.items():
        names.append(name.encode())
        data_at.append(len(data))
        sizes.append(len(content))
        data += content + b"gap"
    return NewFiles(names, [mode] * len(names), data_at, sizes, data)


@pytest.mark.parametrize(("mode", "umask", "seen"), [(0o644, 0o022, 0o644), (0o755, 0o027, 0o750), (0o600, 0, 0o600)])
def test_every_file_has_its_content_and_its_mode_less_the_umask(tmp_path, folder, mode, umask, seen):
    before = os.umask(umask)
    try:
        write_files(folder, new_files(FILES, mode))
    finally:
        os.umask(before)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == FILES
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {seen}


@pytest.mark.parametrize("planted", ["file", "link", "folder"])
def test_what_has_the_name_is_neither_replaced_nor_followed_and_is_named(tmp_path, folder, planted):
    victim = tmp_path / "victim"
    place = tmp_path / "last"
    if planted == "file":
        place.write_bytes(b"mine")
    elif planted == "link":
        place.symlink_to(victim)
    else:
        place.mkdir()
    with pytest.raises(FileExistsError, match="last"):
        write_files(folder, new_files(FILES))
    assert not victim.exists()
    assert planted != "file" or place.read_bytes() == b"mine"
    assert (tmp_path / "b.js").read_bytes() == FILES["b.js"]  # what came before is there


def test_a_name_that_is_too_long_is_told(folder):
    with pytest.raises(OSError, match="too long"):
        write_files(folder, new_files({"x" * 256: b""}))


def test_a_file_beyond_the_limit_of_the_process_is_told(tmp_path, folder):
    """RLIMIT_FSIZE stands for a disk that fills up in the middle of a file."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(OSError, match=r"File too large.*b\.js"):
            write_files(folder, new_files(FILES))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert sorted(os.listdir(tmp_path)) == ["a", "b.js"]
