"""The store's operations, each from its own state, and every point at which they change the disk."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from capseal import PrivateKey, TrustStore
from capseal.device import DeviceStore
from capseal.trust import head_chain as chain
from support.device_tracing import CHANGES, READS, Tracer, require_strace
from support.device_world import HEADS_TRUST, MANY, OTHER_TRUST, World, check_clean, quick_folder, sequence_of, update
from support.head_world import Publisher
from support.local_release import seal_with_recipes

_NEXT = 6
"""The update that a device must take afterwards."""

Prepare = Callable[[DeviceStore, World], object]


@dataclass(frozen=True)
class Case:
    """An operation and the state before it. runs: what may run afterwards."""

    prepare: Prepare
    steps: tuple[str, ...]
    runs: tuple[int, ...]


def _staged(store: DeviceStore, world: World) -> None:
    update(store, world, [1])
    store.install(world.sealed(2))


def _pending(store: DeviceStore, world: World) -> None:
    _staged(store, world)
    store.activate()


def _started(store: DeviceStore, world: World) -> None:
    _pending(store, world)
    store.boot()


def _many(store: DeviceStore, world: World) -> None:
    update(store, world, [1, 2, 3])


CASES = {
    "first install": Case(lambda store, world: None, ("install 1",), (0,)),
    "install": Case(lambda store, world: update(store, world, [1]), ("install 2",), (1,)),
    "install from a stream": Case(lambda store, world: update(store, world, [1]), ("stream 2",), (1,)),
    "install by a recipe": Case(lambda store, world: update(store, world, [1]), ("recipe 4",), (1,)),
    "update by a recipe": Case(
        lambda store, world: update(store, world, [1]), ("recipe 4", "activate", "boot", "confirm"), (1, 4)
    ),
    "install of many files": Case(lambda store, world: update(store, world, [1]), (f"install {MANY}",), (1,)),
    "update to many files": Case(
        lambda store, world: update(store, world, [1]), (f"install {MANY}", "activate", "boot", "confirm"), (1, MANY)
    ),
    "install over a staged one": Case(_staged, ("install 3",), (1,)),
    "activate": Case(_staged, ("activate",), (1, 2)),
    "boot of a pending one": Case(_pending, ("boot",), (1, 2)),
    "boot that fails one": Case(_started, ("boot",), (1,)),
    "confirm": Case(_started, ("confirm",), (1, 2)),
    "rollback of a pending one": Case(_started, ("rollback",), (1,)),
    "rollback of a confirmed one": Case(_many, ("rollback",), (2, 3)),
    "prune": Case(_many, ("prune 0",), (3,)),
    "boot that trusts none": Case(_many, ("distrust",), (3, 0)),
    "first head": Case(lambda store, world: update(store, world, [1]), ("head first",), (1,)),
    "head that recalls": Case(_many, ("head first", "head recalling"), (3, 2)),
}


@pytest.fixture(scope="session")
def saved_world(world: World, head_signer: PrivateKey) -> World:
    for sequence in (1, 2, 3, MANY, _NEXT):
        world.sealed(sequence)
    seal_with_recipes(world, 4, base=1)
    world.save()
    publisher = Publisher(world, head_signer)
    publisher.trust.save(world.folder / HEADS_TRUST)
    TrustStore.of(head_signer.public_key).save(world.folder / OTHER_TRUST)
    (world.folder / "first.head").write_bytes(publisher.sign(publisher.head(3)))
    digest, recall = publisher.recall(3)
    (world.folder / f"{digest}.recall").write_bytes(recall)
    head = chain.withdrawing(publisher.head(), [3], instead=[publisher.named(2)])
    (world.folder / "recalling.head").write_bytes(publisher.sign(chain.with_recall(head, digest)))
    return world


def _told(root: Path) -> str:
    """Return what is on the disk of a store, for people: every name with size and digest, and the state file."""
    names = []
    for path in sorted(root.rglob("*")):
        data = None if path.is_dir() else path.read_bytes()
        names.append(str(path) if data is None else f"{path} {len(data)} {hashlib.sha256(data).hexdigest()}")
    state = root / "state.json"
    return "\n".join([*names, state.read_text(errors="replace") if state.exists() else "no state file"])


def survives(world: World, root: Path, runs: tuple[int, ...], floor: int) -> None:
    """What must hold after a crash: the right bundle, the floor, and a device that still takes updates."""
    found = _told(root)
    store = world.store(root)
    running = store.boot(verify=True)
    booted = running.bundle.sequence if running.bundle is not None else 0
    assert booted in runs, (
        f"{booted} booted, not one of {runs}, since: {running.problem!r}\n{found}\nand after the boot:\n{_told(root)}"
    )
    sequence_of(running)
    assert store.status().floor >= floor
    assert not [checked for checked in store.verify() if checked.problem is not None]
    store.confirm()
    update(store, world, [_NEXT])
    store.prune(keep=0)
    check_clean(root)


@dataclass(frozen=True)
class Point:
    """A call that changes the disk: the number-th of its kind while a case is performed."""

    name: str
    call: str
    number: int


@dataclass(frozen=True)
class Course:
    """The cases, ready to be performed again and again. floors: before each; points: where the disk changes."""

    folder: Path
    floors: dict[str, int]
    points: tuple[Point, ...]

    def copy(self, name: str) -> Path:
        """Return the folder of a new store in the state before that case."""
        root = self.folder / "store"
        shutil.rmtree(root, ignore_errors=True)
        if (self.folder / name).exists():
            shutil.copytree(self.folder / name, root)
        return root


@pytest.fixture(scope="session")
def course(saved_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    require_strace()
    with quick_folder(tmp_path_factory.mktemp("course")) as folder:
        floors = {}
        for name, case in CASES.items():
            store = saved_world.store(folder / name)
            case.prepare(store, saved_world)
            floors[name] = store.status().floor
        bare = Course(folder, floors, ())
        points: list[Point] = []
        with Tracer(saved_world.folder, folder / "log") as tracer:
            for name, case in CASES.items():
                tracer.record(name, bare.copy(name), *case.steps)
        counts: Counter[tuple[str, str]] = Counter()
        for name, call, arguments in tracer.calls():
            counts[name, call] += 1
            assert call in CHANGES | READS, f"{call}({arguments}"
            if call in CHANGES and (call != "openat" or "O_CREAT" in arguments or "O_TMPFILE" in arguments):
                points.append(Point(name, call, counts[name, call]))
        yield Course(folder, floors, tuple(points))
