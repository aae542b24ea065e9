"""A file that is filled in several attempts goes on from what is ours alone, and from nothing else."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from capseal import UsageError
from capseal.io.durable import unforeseeable
from capseal.io.resumable import ResumableFile, forget

_SOMEBODY = 54321


def _begun(path: Path, data: bytes) -> Path:
    """Leave what an attempt that was killed leaves."""
    with ResumableFile(str(path)) as file:
        os.pwrite(file.fd, data, 0)
    (part,) = path.parent.glob(f".{path.name}.*.part")
    return part


def _content(file: ResumableFile) -> bytes:
    return os.pread(file.fd, 100, 0)


def test_an_attempt_goes_on_from_the_one_before(tmp_path):
    path = tmp_path / "out"
    part = _begun(path, b"half")
    assert stat.S_IMODE(part.stat().st_mode) == 0o600
    with ResumableFile(str(path)) as file:
        assert _content(file) == b"half"
        os.pwrite(file.fd, b" whole", 4)
        file.commit()
    assert path.read_bytes() == b"half whole"
    assert [child.name for child in tmp_path.iterdir()] == ["out"]


def test_two_attempts_have_names_that_nobody_can_foresee(tmp_path):
    assert len({_begun(tmp_path / "a", b"").name.removeprefix(".a."), _begun(tmp_path / "b", b"").name[3:]}) == 2


def test_what_has_the_name_already_keeps_it_and_can_be_read(tmp_path):
    path = tmp_path / "out"
    path.write_bytes(b"before")
    path.chmod(0o644)
    with ResumableFile(str(path)) as file:
        assert (_content(file), path.read_bytes()) == (b"", b"before")
        assert os.pread(file.named, 100, 0) == b"before"
        os.pwrite(file.fd, b"after", 0)
        assert path.read_bytes() == b"before"
        file.commit()
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"after", 0o644)


def test_what_is_kept_is_left_as_it_is_and_nothing_beside_it(tmp_path):
    path = tmp_path / "out"
    path.write_bytes(b"before")
    path.chmod(0o600)  # as one has it that was killed before it gave the mode
    before = path.stat()
    with ResumableFile(str(path)) as file:
        file.keep()
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns, stat.S_IMODE(after.st_mode)) == (before.st_ino, before.st_mtime_ns, 0o644)
    assert [child.name for child in tmp_path.iterdir()] == ["out"]


def test_long_names_that_begin_alike_are_not_taken_for_each_other(tmp_path):
    first, second = (tmp_path / (230 * "x" + end) for end in "ab")
    with ResumableFile(str(first)) as one:
        os.pwrite(one.fd, b"a", 0)
    with ResumableFile(str(second)) as other:
        assert _content(other) == b""
        os.pwrite(other.fd, b"b", 0)
    with ResumableFile(str(second)) as again:
        assert _content(again) == b"b"


def _owned_by_somebody(path: Path) -> None:
    if os.geteuid():
        pytest.skip("to give a file away needs root")
    os.chown(path, _SOMEBODY, _SOMEBODY)


def _linked(path: Path) -> None:
    os.link(path, path.with_name("second link"))


def _symbolic(path: Path) -> None:
    path.rename(path.with_name("victim"))
    path.symlink_to("victim")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


PLANTED: dict[str, Callable[[Path], object]] = {
    "somebody else's": _owned_by_somebody,
    "readable by others": lambda path: path.chmod(0o640),
    "a second link": _linked,
    "a symbolic link": _symbolic,
    "a pipe": _pipe,
    "a folder": _folder,
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_a_part_that_is_not_ours_alone_is_neither_used_nor_touched(plant, tmp_path):
    part = Path(unforeseeable(str(tmp_path / "out")))
    part.touch(0o600)
    part.write_bytes(b"planted")
    plant(part)
    before = {path.name: os.lstat(path) for path in tmp_path.iterdir()}
    with ResumableFile(str(tmp_path / "out")) as file:
        assert _content(file) == b""
        os.pwrite(file.fd, b"ours", 0)
        file.commit()
    assert (tmp_path / "out").read_bytes() == b"ours"
    after = {path.name: os.lstat(path) for path in tmp_path.iterdir() if path.name != "out"}
    assert [(s.st_ino, s.st_mtime_ns, s.st_mode) for s in after.values()] == [
        (s.st_ino, s.st_mtime_ns, s.st_mode) for s in before.values()
    ]


@pytest.mark.parametrize(
    "plant",
    [_owned_by_somebody, _linked, _symbolic, lambda path: path.chmod(0o666)],
    ids=["somebody else's", "a second link", "a symbolic link", "writable by others"],
)
def test_a_file_that_others_can_write_to_is_replaced_and_not_gone_on_with(plant, tmp_path):
    path = tmp_path / "out"
    path.write_bytes(b"planted")
    path.chmod(0o644)
    plant(path)
    held = os.open(path, os.O_RDWR)
    with ResumableFile(str(path)) as file:
        assert (_content(file), file.named) == (b"", None)
        os.pwrite(file.fd, b"ours", 0)
        file.commit()
    os.pwrite(held, b"EVIL", 0)
    os.close(held)
    assert (path.read_bytes(), path.is_symlink()) == (b"ours", False)


def test_only_one_at_a_time_fills_a_file(tmp_path):
    path = tmp_path / "out"
    _begun(path, b"")
    program = """if True:
        import sys
        from capseal.io.resumable import ResumableFile
        with ResumableFile(sys.argv[1]):
            print("ready", flush=True)
            sys.stdin.read()
    """
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(UsageError, match="another process is writing this file"), ResumableFile(str(path)):
            pytest.fail("there were two")
        forget(str(tmp_path), lambda name: True)
        assert len(list(tmp_path.iterdir())) == 1  # what somebody is at stays
        other.communicate()
    forget(str(tmp_path), lambda name: name == "out")
    assert len(list(tmp_path.iterdir())) == 1
    forget(str(tmp_path), lambda name: True)
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_got_its_name_meanwhile_is_not_taken_for_one_under_way(tmp_path, monkeypatch):
    path = tmp_path / "out"
    part = _begun(path, b"whole")
    opened = os.open

    def overtaken(name: object, *rest: int, **keywords: int) -> int:
        fd = opened(name, *rest, **keywords)
        if name == str(part):
            part.rename(path)
        return fd

    monkeypatch.setattr(os, "open", overtaken)
    with ResumableFile(str(path)) as file:
        assert (_content(file), path.read_bytes()) == (b"", b"whole")
        file.keep()
    assert [child.name for child in tmp_path.iterdir()] == ["out"]
