"""Killed at any moment, a device runs the old bundle or the new one, whole, and its floor stays."""

import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from device_tracing import CHANGES, READS, Injector, Tracer, Worker, require_strace
from device_worker import DONE, OS_ERROR, REJECTED
from device_world import World, check_clean, make_world, quick_folder, sequence_of, update

from capseal import PrivateKey
from capseal.device import DeviceStore

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
    "install over a staged one": Case(_staged, ("install 3",), (1,)),
    "activate": Case(_staged, ("activate",), (1, 2)),
    "boot of a pending one": Case(_pending, ("boot",), (1, 2)),
    "boot that fails one": Case(_started, ("boot",), (1,)),
    "confirm": Case(_started, ("confirm",), (1, 2)),
    "rollback of a pending one": Case(_started, ("rollback",), (1,)),
    "rollback of a confirmed one": Case(_many, ("rollback",), (2, 3)),
    "prune": Case(_many, ("prune 0",), (3,)),
}


@pytest.fixture(scope="session")
def saved_world(world: World) -> World:
    for sequence in (1, 2, 3, 4):
        world.sealed(sequence)
    world.save()
    return world


def survives(world: World, root: Path, runs: tuple[int, ...], floor: int) -> None:
    """What must hold after a crash: the right bundle, the floor, and a device that still takes updates."""
    store = world.store(root)
    assert sequence_of(store.boot(verify=True)) in runs
    assert store.status().floor >= floor
    assert not [checked for checked in store.verify() if checked.problem is not None]
    store.confirm()
    update(store, world, [4])
    store.prune(keep=0)
    check_clean(root)


def _templates(world: World, folder: Path) -> dict[str, int]:
    floors = {}
    for name, case in CASES.items():
        store = world.store(folder / name)
        case.prepare(store, world)
        floors[name] = store.status().floor
    return floors


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


@pytest.fixture(scope="module")
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


def test_killed_at_every_change_of_the_disk_the_old_or_the_new_bundle_runs(
    saved_world: World, course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    kills: Counter[str] = Counter()
    for call in sorted({point.call for point in course.points}):
        with Injector(saved_world.folder, call, "signal=KILL") as injector:
            for point in course.points:
                if point.call == call:
                    case, root = CASES[point.name], course.copy(point.name)
                    assert injector.do_with_fault(point.number, root, *case.steps) == -signal.SIGKILL, point
                    survives(saved_world, root, case.runs, course.floors[point.name])
                    kills[point.name] += 1
    with capsys.disabled():
        print(f"\n{kills.total()} kills at system calls, all survived: {dict(kills)}")
    assert kills.keys() == CASES.keys()


def _survive_errors(world: World, course: Course, error: str, points: Sequence[Point]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for call in sorted({point.call for point in points}):
        with Injector(world.folder, call, f"error={error}") as injector:
            for point in points:
                if point.call == call:
                    case, root = CASES[point.name], course.copy(point.name)
                    code = injector.do_with_fault(point.number, root, *case.steps)
                    # A failed boot runs something all the same; what cannot be tidied up now is tidied up later.
                    assert code in (DONE, OS_ERROR), point
                    survives(world, root, case.runs, course.floors[point.name])
                    outcomes["told" if code == OS_ERROR else "overcome"] += 1
    return outcomes


@pytest.mark.parametrize(
    ("error", "of_two"),
    [
        ("EIO", 0),
        ("ENOSPC", 1),
        pytest.param("EIO", 1, marks=pytest.mark.soak),
        pytest.param("ENOSPC", 0, marks=pytest.mark.soak),
    ],
)
def test_an_error_at_any_change_of_the_disk_is_told_and_a_bundle_still_runs(
    saved_world: World, course: Course, capsys: pytest.CaptureFixture[str], error: str, of_two: int
) -> None:
    outcomes = _survive_errors(saved_world, course, error, course.points[of_two::2])
    with capsys.disabled():
        print(f"\n{outcomes.total()} times {error}, a bundle ran after each: {dict(outcomes)}")
    assert outcomes["told"] > outcomes["overcome"]


def _kill_at_random_times(world: World, folder: Path, kills: int, seed: int) -> tuple[int, int]:
    """Kill a device again and again while it takes updates; return the kills and the updates confirmed."""
    choose = random.Random(seed)
    store = world.store(folder)
    floor = killed = confirmed = 0
    with Worker(world.folder) as worker:
        sequence = 1
        world.sealed(sequence)
        while killed < kills:
            steps = [f"{choose.choice(('install', 'stream'))} {sequence}", "activate", "boot", "confirm", "prune 1"]
            code = worker.do(folder, *steps, kill_after_us=choose.randrange(1, 60_000))
            assert code in (0, -signal.SIGKILL, REJECTED), code
            killed += code == -signal.SIGKILL
            runs = sequence_of(store.boot(verify=True))
            assert floor <= store.status().floor <= sequence
            assert runs in (store.status().floor, sequence)
            floor = store.status().floor
            # What was started and not confirmed has failed, or fails at the next boot.
            if floor == sequence or runs == sequence or code == REJECTED:
                store.confirm()
                floor = store.status().floor
                confirmed += floor == sequence
                (world.folder / f"{sequence}.sealed").unlink()
                shutil.rmtree(world.folder / "sources" / str(sequence))
                sequence += 1
                world.sealed(sequence)
    return killed, confirmed


@pytest.mark.parametrize("kills", [40, pytest.param(500, marks=pytest.mark.soak)])
def test_killed_at_random_times_the_old_or_the_new_bundle_runs(
    tmp_path: Path,
    quick: Path,
    signer: PrivateKey,
    recipient: PrivateKey,
    capsys: pytest.CaptureFixture[str],
    kills: int,
) -> None:
    world = make_world(tmp_path, signer, recipient)
    world.save()
    killed, confirmed = _kill_at_random_times(world, quick / "store", kills, seed=kills)
    with capsys.disabled():
        print(f"\n{killed} kills at random times, all survived; {confirmed} updates were confirmed meanwhile")
