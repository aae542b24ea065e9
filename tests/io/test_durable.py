"""Names are given to whole files only, by all of io/durable and io/drafts; nothing foreign is followed or replaced."""

import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import capseal
from capseal import PrivateKey, TrustStore, UsageError
from capseal.io import drafts, durable
from capseal.io.sink import FileSink


@pytest.fixture(autouse=True)
def umask():
    old = os.umask(0o027)
    yield
    os.umask(old)


def _names(folder: Path) -> list[str]:
    return sorted(child.name for child in folder.iterdir())


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _part(folder: Path) -> Path:
    (part,) = folder.glob(".*.part")
    return part


@pytest.mark.parametrize(
    "refusal",
    [errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL],
    ids=errno.errorcode.get,
)
def test_where_there_are_no_links_a_new_file_is_named_all_the_same_and_replaces_nothing(tmp_path, monkeypatch, refusal):
    def refuse(*_: object) -> None:
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(os, "link", refuse)
    drafts.write_new(tmp_path / "new", b"x", mode=0o644)
    assert (tmp_path / "new").read_bytes() == b"x"
    with drafts.Draft(tmp_path / "late") as draft:
        (tmp_path / "late").write_bytes(b"theirs")
        with pytest.raises(FileExistsError):
            drafts.commit_all([draft])
    assert (tmp_path / "late").read_bytes() == b"theirs"
    with drafts.Draft(tmp_path / "new", overwrite=True) as one, drafts.Draft(tmp_path / "other") as two:
        drafts.commit_all([one, two])
    assert _names(tmp_path) == ["late", "new", "other"]


def test_another_refusal_to_link_is_told_with_the_name_that_the_user_knows(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="broken") as caught:
        drafts.write_new(tmp_path / "new", b"x", mode=0o644)
    assert (caught.value.filename, _names(tmp_path)) == (str(tmp_path / "new"), [])


def test_a_file_under_way_is_its_owners_only_until_it_has_its_name(tmp_path, monkeypatch):
    at_naming: list[int] = []
    link = os.link
    monkeypatch.setattr(os, "link", lambda old, new: at_naming.append(_mode(Path(old))) or link(old, new))
    with FileSink(tmp_path / "out") as sink:
        sink.write_at(0, b"secret")
        assert _mode(_part(tmp_path)) == 0o600
        sink.commit()
    assert (at_naming, _mode(tmp_path / "out")) == ([0o600], 0o640)
    with FileSink(tmp_path / "out", overwrite=True) as sink:
        assert _mode(_part(tmp_path)) == 0o600
        sink.commit()
    assert _mode(tmp_path / "out") == 0o640


UNSEAL = """
import os, signal, sys, capseal
bundle, out, key, trust = sys.argv[1:]
os.umask(0)
capseal.unseal(bundle, out, identity=capseal.load_private_key(key), trust=capseal.load_trust(trust),
               progress=lambda size: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_an_unseal_that_was_killed_leaves_no_plaintext_that_others_can_read(
    tmp_path: Path, seal_bytes: Callable[..., bytes], recipient: PrivateKey, trust: TrustStore
) -> None:
    (tmp_path / "bundle").write_bytes(seal_bytes(b"secret" * 1_000_000))
    recipient.save(tmp_path / "key.pem")
    trust.save(tmp_path / "trust.json")
    (tmp_path / "folder").mkdir()
    arguments = [str(tmp_path / name) for name in ("bundle", "folder/out", "key.pem", "trust.json")]
    assert subprocess.run([sys.executable, "-c", UNSEAL, *arguments], check=False).returncode == -9
    part = _part(tmp_path / "folder")
    assert b"secret" in part.read_bytes()
    assert (_mode(part), _names(tmp_path / "folder")) == (0o600, [part.name])


def test_the_mode_is_what_was_asked_for_less_the_umask(tmp_path):
    for mode in (0o600, 0o644, 0o666):
        drafts.write_new(tmp_path / f"{mode:o}", b"", mode=mode)
        drafts.replace_file(tmp_path / f"{mode:o} again", b"", mode=mode)
        assert _mode(tmp_path / f"{mode:o}") == _mode(tmp_path / f"{mode:o} again") == mode & ~0o027


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "link").symlink_to("victim")
    drafts.replace_file(tmp_path / "link", b"new", mode=0o644)
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert (tmp_path / "link").read_bytes() == b"new"
    assert not (tmp_path / "link").is_symlink()


def test_new_files_appear_together_with_their_folders_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError), drafts.NewFiles(["keys/a", "b"]) as files:
        files.make_folder("keys", mode=0o700)
        files.write("keys/a", b"a", mode=0o600)
        assert _names(tmp_path / "keys") == [_part(tmp_path / "keys").name]
        raise RuntimeError
    assert _names(tmp_path) == []
    with pytest.raises(FileExistsError), drafts.NewFiles(["keys/a", "b"]) as files:
        files.make_folder("keys", mode=0o700)
        files.write("keys/a", b"a", mode=0o600)
        files.write("b", b"b", mode=0o644)
        (tmp_path / "b").write_bytes(b"theirs")
    assert _names(tmp_path) == ["b"]
    (tmp_path / "b").unlink()
    with drafts.NewFiles(["keys/a", "b"]) as files:
        files.make_folder("keys", mode=0o700)
        files.write("keys/a", b"a", mode=0o600)
        files.write("b", b"b", mode=0o644)
    assert (_names(tmp_path), _names(tmp_path / "keys"), _mode(tmp_path / "keys")) == (["b", "keys"], ["a"], 0o700)
    with pytest.raises(FileExistsError):
        drafts.NewFiles(["b"])


def test_files_that_cannot_all_be_named_keep_their_former_names(tmp_path):
    for name in ("a", "b", "B"):
        (tmp_path / name).write_bytes(name.encode())
    with pytest.raises(FileExistsError):
        durable.name_all([(str(tmp_path / "a"), str(tmp_path / "A")), (str(tmp_path / "b"), str(tmp_path / "B"))])
    assert _names(tmp_path) == ["B", "a", "b"]
    assert (tmp_path / "B").read_bytes() == b"B"
    durable.name_all([(str(tmp_path / "a"), str(tmp_path / "A"))])
    assert _names(tmp_path) == ["A", "B", "b"]


def test_a_new_folder_appears_with_all_that_is_in_it_or_not_at_all(tmp_path):
    with pytest.raises(RuntimeError), durable.new_folder(tmp_path / "new") as part:
        (Path(part) / "file").write_bytes(b"x")
        assert _mode(Path(part)) == 0o700
        raise RuntimeError
    assert _names(tmp_path) == []
    with durable.new_folder(tmp_path / "new") as part:
        (Path(part) / "file").write_bytes(b"x")
        assert not (tmp_path / "new").exists()
    assert (_names(tmp_path), _names(tmp_path / "new"), _mode(tmp_path / "new")) == (["new"], ["file"], 0o750)
    with pytest.raises(FileExistsError), durable.new_folder(tmp_path / "new"):
        pytest.fail("the name is taken")
    with pytest.raises(FileExistsError), durable.new_folder(tmp_path / "late") as part:
        (tmp_path / "late").mkdir()
    assert _names(tmp_path) == ["late", "new"]


def test_replacing_in_a_folder_deletes_what_killed_ones_left_and_nothing_else(tmp_path):
    left = [
        ".state.0123456789abcdef.part",
        ".state.0123456789abcdef.part.old",
        ".state2.0123456789abcdef.part",
        "state",
    ]
    for name in left:
        (tmp_path / name).write_bytes(b"old")
    folder = os.open(tmp_path, durable.FOLDER)
    durable.replace_in(folder, "state", b"new")
    os.close(folder)
    assert _names(tmp_path) == sorted(left[1:])
    assert ((tmp_path / "state").read_bytes(), _mode(tmp_path / "state")) == (b"new", 0o600)


def test_two_who_append_wait_for_each_other(tmp_path):
    program = """if True:
        import sys, time
        from capseal.io.durable import appending
        for _ in range(20):
            with appending(sys.argv[1], mode=0o644) as file:
                number = len(file.readall())
                time.sleep(0.001)
                file.write(bytes([number]))
    """
    both = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "log")]) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    assert (tmp_path / "log").read_bytes() == bytes(range(40))


@pytest.mark.parametrize("before", [None, b"", b"kept"])
def test_of_a_block_that_raised_and_added_nothing_no_file_is_left_that_it_made(tmp_path, before):
    log = tmp_path / "log"
    if before is not None:
        log.write_bytes(before)
    with pytest.raises(UsageError), durable.appending(log, mode=0o644):
        raise UsageError("nothing to add")
    assert (log.read_bytes() if log.exists() else None) == before
    with pytest.raises(UsageError), durable.appending(log, mode=0o644) as file:
        file.write(b"added")
        raise UsageError("too late")
    assert log.read_bytes() == (before or b"") + b"added"


def test_who_waits_for_a_file_that_is_taken_away_adds_to_one_that_has_its_name(tmp_path, monkeypatch):
    log, waits, lock = tmp_path / "log", threading.Event(), durable.fcntl.flock

    def telling(fd: int, how: int) -> None:
        if threading.current_thread() is waiting:
            waits.set()  # it has opened what will be gone
        lock(fd, how)

    def add() -> None:
        with durable.appending(log, mode=0o644) as file:
            file.write(b"added")

    waiting = threading.Thread(target=add)
    monkeypatch.setattr(durable.fcntl, "flock", telling)
    with pytest.raises(UsageError), durable.appending(log, mode=0o644):
        waiting.start()
        waits.wait()
        raise UsageError("nothing to add")
    waiting.join()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("log", b"added")]


def test_a_key_is_saved_for_its_owner_only_from_the_first_moment(tmp_path, recipient: PrivateKey, monkeypatch):
    modes: list[int] = []
    create = durable.create
    monkeypatch.setattr(durable, "create", lambda *a, **k: modes.append(k.get("mode", 0o600)) or create(*a, **k))
    recipient.save(tmp_path / "key.pem")
    assert modes == [0o600]
    assert capseal.load_private_key(tmp_path / "key.pem").public_key == recipient.public_key


def test_a_file_system_without_locks_will_do(tmp_path, monkeypatch):
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(durable.fcntl, "flock", no_locks)
    drafts.write_new(tmp_path / "a", b"x", mode=0o644)
    assert (tmp_path / "a").read_bytes() == b"x"


def _leave(path: Path, *, age_s: float = 3600, make: Callable[[Path], object] = Path.touch) -> Path:
    """Make what a process that was killed has left on its way to a path."""
    left = Path(durable.unforeseeable(str(path)))
    make(left)
    past_s = left.lstat().st_mtime - age_s
    os.utime(left, (past_s, past_s), follow_symlinks=False)
    return left


@pytest.mark.parametrize("name", ["out.sealed", "\n", "n" * 250])
def test_what_a_killed_process_left_is_deleted_by_the_next_and_nothing_else(tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    gone = [_leave(out), _leave(out)]
    kept = [
        _leave(out, age_s=10),  # perhaps not locked yet
        _leave(tmp_path / "other"),
        _leave(tmp_path / name[:-1]),
        _leave(out, make=Path.mkdir),
        _leave(out, make=os.mkfifo),
        _leave(out, make=lambda left: left.symlink_to(tmp_path / "target")),
        Path(f"{_leave(tmp_path / 'replaced')}.old"),
    ]
    kept[-1].touch()
    (tmp_path / "target").touch()
    if os.geteuid() == 0:
        others = _leave(out)
        os.chown(others, 1234, -1)
        kept.append(others)
    drafts.replace_file(out, b"x", mode=0o644)
    assert [left for left in gone if left.exists()] == []
    assert [left for left in kept if not os.path.lexists(left)] == []


def test_what_a_living_process_has_under_way_stays(tmp_path: Path) -> None:
    with drafts.Draft(tmp_path / "out", overwrite=True) as draft:
        (part,) = tmp_path.glob(".*.part")
        os.utime(part, (0, 0))
        drafts.replace_file(tmp_path / "out", b"theirs", mode=0o644)
        assert part.exists()
        drafts.commit_all([draft])


def test_where_a_folder_cannot_be_listed_or_has_no_locks_nothing_left_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    def unlisted(*_: object) -> None:
        raise PermissionError(errno.EACCES, "not yours to list")

    left = _leave(tmp_path / "out")
    with monkeypatch.context() as patched:
        patched.setattr(durable.fcntl, "flock", no_locks)
        drafts.replace_file(tmp_path / "out", b"1", mode=0o644)
    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", unlisted)
        drafts.replace_file(tmp_path / "out", b"2", mode=0o644)
    assert left.exists() and (tmp_path / "out").read_bytes() == b"2"
    drafts.replace_file(tmp_path / "out", b"3", mode=0o644)
    assert not left.exists()
