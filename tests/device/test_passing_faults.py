"""What passes, a full disk, a lack of memory or threads, condemns no bundle; what is proven is not tried again."""

import io
import json
import os
import subprocess
import sys
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from errno import EIO, EMFILE, ENOSPC
from pathlib import Path
from typing import Any

import pytest

import capseal
from capseal import FormatError, RejectedError, UsageError
from capseal.archive.check import ArchiveLimits
from capseal.device import DeviceStore
from capseal.native import filehints
from support.device_world import MANY, World, check_clean, sequence_of, state_of, update

CALLS = (
    *("open", "preadv", "pread", "write", "close", "fsync", "rename", "mkdir", "unlink", "listdir", "lseek"),
    *("stat", "lstat", "fstat", "fstatvfs", "fchmod"),
)
PASSING: dict[str, Callable[[], BaseException]] = {
    "EIO": lambda: OSError(EIO, "Input/output error"),
    "ENOSPC": lambda: OSError(ENOSPC, "No space left on device"),
    "EMFILE": lambda: OSError(EMFILE, "Too many open files"),
    "no memory": MemoryError,
    "no thread": lambda: RuntimeError("can't start new thread"),
}


class Faults:
    """Counts the calls of everything by which an install touches the system; the one of that number fails."""

    def __init__(self, fault: Callable[[], BaseException], at: int) -> None:
        self._fault = fault
        self._at = at
        self._lock = threading.Lock()
        self.calls = 0

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in CALLS:
            monkeypatch.setattr(os, name, self._failing(getattr(os, name), closes=name == "close"))
        for function in ("can_sync_file_system", "sync_file_system"):
            monkeypatch.setattr(filehints, function, self._failing(getattr(filehints, function)))
        monkeypatch.setattr("builtins.open", self._failing(open))
        monkeypatch.setattr("mmap.mmap", self._failing(__import__("mmap").mmap))
        monkeypatch.setattr("zlib.decompressobj", self._failing(zlib.decompressobj))
        monkeypatch.setattr(threading.Thread, "start", self._failing(threading.Thread.start))

    def _failing(self, function: Callable[..., Any], *, closes: bool = False) -> Callable[..., Any]:
        def call(*args: Any, **keywords: Any) -> Any:
            with self._lock:
                self.calls += 1
                fails = self.calls == self._at
            if fails and not closes:
                raise self._fault()
            result = function(*args, **keywords)
            if fails:
                raise self._fault()  # closed all the same (close(2))
            return result

        return call


def _install(world: World, root: Path, source: object, faults: Faults) -> None:
    with pytest.MonkeyPatch.context() as patched:
        store = world.store(root)
        faults.patch(patched)
        with suppress(OSError, MemoryError, RuntimeError):
            store.install(source)


@pytest.fixture(scope="module")
def deflated(world: World) -> bytes:
    """A bundle of several segments, so that threads read ahead, with a deflated file and a stored one."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("index.html", b"x" * 5000, zipfile.ZIP_DEFLATED)
        archive.writestr("big/a.bin", os.urandom(4 << 20))
    return world.seal(2, source=io.BytesIO(data.getvalue()), name="dist.zip", jobs=2)


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("what", ["small", "many", "deflated"])
def test_no_passing_fault_condemns_a_bundle(
    world: World, quick: Path, deflated: bytes, capsys: pytest.CaptureFixture[str], fault: str, what: str
) -> None:
    if what == "deflated":
        path = quick / "bundle"
        path.write_bytes(deflated)
    else:
        path = world.sealed(2 if what == "small" else MANY)
    counted = Faults(PASSING[fault], 0)
    _install(world, quick / "counted", path, counted)
    step = 1 if what == "small" else max(1, counted.calls // 25)
    for at in range(1, counted.calls + 1, step):
        root = quick / f"store{at}"
        _install(world, root, path, Faults(PASSING[fault], at))
        store = world.store(root)
        assert store.status().failed == (), at
        store.install(path)
        store.activate()
        running = store.boot(verify=True)
        assert running.bundle is not None
        assert running.problem is None
        store.prune()
        check_clean(root)
    with capsys.disabled():
        print(f"\n{counted.calls} calls, one in {step} failed with {fault}: no bundle was condemned")


def test_a_lack_of_memory_for_inflating_is_not_a_damaged_archive(
    world: World, quick: Path, deflated: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Poor:
        eof = False

        def decompress(self, data: bytes, most: int) -> bytes:
            raise zlib.error("Error -4 while decompressing data: insufficient memory")

    store = world.store(quick / "store")
    with monkeypatch.context() as patched:
        patched.setattr(zlib, "decompressobj", lambda *_: Poor())
        with pytest.raises(MemoryError):
            store.install(io.BytesIO(deflated))
    assert store.status().failed == ()
    store.install(io.BytesIO(deflated))


def test_without_threads_everything_is_done_in_one(
    world: World, quick: Path, deflated: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    path = quick / "bundle"
    path.write_bytes(deflated)
    monkeypatch.setattr("capseal.native.filehints.can_sync_file_system", lambda _: False)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    for number, source in enumerate((path, world.sealed(MANY))):
        store = world.store(quick / f"store{number}")
        store.install(source)
        store.activate()
        assert store.boot(verify=True).problem is None


ENDING = """
import sys, threading
from support.device_world import load_world
from pathlib import Path
world = load_world(Path(sys.argv[1]))
store = world.store(Path(sys.argv[2]))

def work():
    threading.main_thread().join()
    store.install(sys.argv[3])

threading.Thread(target=work).start()
"""


def test_an_install_while_the_interpreter_ends_condemns_nothing(
    saved_world: World, quick: Path, deflated: bytes
) -> None:
    world = saved_world
    path = quick / "bundle"
    path.write_bytes(deflated)
    paths = [str(Path(__file__).parent.parent), str(Path(capseal.__file__).parent.parent)]
    done = subprocess.run(
        [sys.executable, "-c", ENDING, world.folder, quick / "store", path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    store = world.store(quick / "store")
    assert store.status().failed == (), done.stderr
    assert store.install(path).sequence == 2


# What is proven, and for how long


@pytest.fixture
def bad(world: World) -> Iterator[bytes]:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("../evil", b"x")
    yield world.seal(2, source=io.BytesIO(data.getvalue()), name="dist.zip")


def _count_unpackings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from capseal.device import _unpack

    begun: list[str] = []
    unpack = _unpack.unpack
    monkeypatch.setattr(_unpack, "unpack", lambda *args, **keywords: (begun.append(""), unpack(*args, **keywords))[1])
    return begun


def test_what_is_proven_bad_is_not_looked_at_again(
    world: World, quick: Path, bad: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = world.store(quick / "store")
    begun = _count_unpackings(monkeypatch)
    for expected in (FormatError, RejectedError, RejectedError):
        with pytest.raises(expected):
            world.store(quick / "store").install(io.BytesIO(bad))
    assert len(begun) == 1
    assert [failure.sequence for failure in store.status().failed] == [2]


def test_what_another_check_refused_is_tried_once_more(
    world: World, quick: Path, bad: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = _count_unpackings(monkeypatch)
    with pytest.raises(FormatError):
        world.store(quick / "store").install(io.BytesIO(bad))
    monkeypatch.setattr("capseal.device._unpack._CHECK", 999)
    for expected in (FormatError, RejectedError):
        with pytest.raises(expected):
            world.store(quick / "store").install(io.BytesIO(bad))
    assert len(begun) == 2
    assert len(state_of(quick / "store")["failed"]) == 1


def test_what_was_too_large_is_installed_once_it_is_allowed(world: World, quick: Path) -> None:
    strict = world.store(quick / "store", limits=ArchiveLimits(content_bytes=100))
    with pytest.raises(FormatError, match="at most 100 are allowed"):
        strict.install(world.sealed(1))
    with pytest.raises(RejectedError, match="failed on this device before"):
        strict.install(world.sealed(1))
    update(world.store(quick / "store"), world, [1])
    assert world.store(quick / "store").status().failed == ()


def _fail_as_before(root: Path, world: World, reason: str) -> None:
    """Write the state that an earlier version left: it does not say what condemned the bundle."""
    state = state_of(root)
    statement = capseal.inspect(world.sealed(2))[1]
    digest = statement.payload.digest.hex()
    state["failed"] = [{"digest": digest, "sequence": 2, "version": "1.2.0", "reason": reason}]
    (root / "state.json").write_text(json.dumps(state, separators=(",", ":")))


@pytest.mark.parametrize("reason", ["archive: File is not a zip file", "archive: can't start new thread"])
def test_what_an_earlier_version_condemned_by_mistake_gets_out(world: World, quick: Path, reason: str) -> None:
    store = world.store(quick / "store")
    update(store, world, [1])
    _fail_as_before(quick / "store", world, reason)
    update(store, world, [2])
    assert store.status().failed == ()


@pytest.mark.parametrize(
    "reason",
    [
        "rolled back",
        "not confirmed in 1 of 1 allowed starts",
        "confirmed 12.0 s after its start, 10 s are allowed",
    ],
)
def test_what_failed_its_trial_with_an_earlier_version_stays_out(world: World, quick: Path, reason: str) -> None:
    store = world.store(quick / "store")
    update(store, world, [1])
    _fail_as_before(quick / "store", world, reason)
    with pytest.raises(RejectedError, match="failed on this device before"):
        store.install(world.sealed(2))
    assert sequence_of(store.boot(verify=True)) == 1


def test_a_damaged_copy_says_nothing_of_the_next_copy(world: World, quick: Path) -> None:
    store = world.store(quick / "store")
    update(store, world, [1])
    store.install(world.sealed(2))
    store.activate()
    (page,) = (quick / "store" / "bundles").glob("2-*/content/index.html")
    page.write_bytes(b"rotten")
    running = store.boot(verify=True)
    assert sequence_of(running) == 1
    assert isinstance(running.problem, RejectedError)
    assert [failure.sequence for failure in store.status().failed] == [2]
    update(store, world, [2])
    assert store.status().failed == ()


# The folder of the store


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777, 0o702])
def test_a_root_that_others_may_write_to_is_taken_from_them(world: World, quick: Path, mode: int) -> None:
    root = quick / "store"
    update(world.store(root), world, [1])
    root.chmod(mode)
    world.store(root).install(world.sealed(2))
    assert root.stat().st_mode & 0o7777 == 0o700


def test_a_shared_folder_with_other_things_is_no_store(world: World, quick: Path) -> None:
    root = quick / "store"
    root.mkdir()
    root.chmod(0o1777)
    (root / "of somebody else").touch()
    with pytest.raises(UsageError, match="mode 1777, so others can replace what runs, and 'of somebody else' in it"):
        world.store(root).install(world.sealed(2))
    assert os.listdir(root) == ["of somebody else"]
    assert root.stat().st_mode & 0o7777 == 0o1777


def _room(**values: int) -> os.statvfs_result:
    names = ("bsize", "frsize", "blocks", "bfree", "bavail", "files", "ffree", "favail", "flag", "namemax")
    usual = dict.fromkeys(names, 10**9) | {"frsize": 4096} | values
    return os.statvfs_result([usual[name] for name in names])


@pytest.mark.parametrize(
    ("room", "message"),
    [
        ({"bavail": 24 + 5}, "content takes 122880 bytes, 118784 are free"),
        ({"favail": 23 + 5}, "content has 29 files and folders, there is room for 28"),
    ],
)
def test_room_is_counted_in_blocks_and_names(
    world: World, quick: Path, monkeypatch: pytest.MonkeyPatch, room: dict[str, int], message: str
) -> None:
    store: DeviceStore = world.store(quick / "store")
    monkeypatch.setattr(os, "fstatvfs", lambda _: _room(**room))
    with pytest.raises(OSError, match=message):
        store.install(world.sealed(MANY))
    monkeypatch.setattr(os, "fstatvfs", lambda _: _room(bavail=1000, files=0, favail=0))
    store.install(world.sealed(MANY))
