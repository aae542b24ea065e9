"""Killed at any moment, a device runs the old bundle or the new one, whole, and its floor stays."""

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from capseal import PrivateKey
from support.device_course import CASES, Course, Point, survives
from support.device_tracing import Injector, Worker
from support.device_worker import DONE, OS_ERROR, REJECTED
from support.device_world import World, make_world, sequence_of
from support.local_release import seal_with_recipes


def test_killed_at_every_change_of_the_disk_the_old_or_the_new_bundle_runs(
    saved_world: World, course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    kills: Counter[str] = Counter()
    with Injector(saved_world.folder, "signal=KILL") as injector:
        for point in course.points:
            case, root = CASES[point.name], course.copy(point.name)
            code = injector.do_with_fault(point.call, point.number, root, *case.steps)
            assert code == -signal.SIGKILL, point
            survives(saved_world, root, case.runs, course.floors[point.name])
            kills[point.name] += 1
    with capsys.disabled():
        print(f"\n{kills.total()} kills at system calls, all survived: {dict(kills)}")
    assert kills.keys() == CASES.keys()


def _survive_errors(world: World, course: Course, error: str, points: Sequence[Point]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    with Injector(world.folder, f"error={error}") as injector:
        for point in points:
            case, root = CASES[point.name], course.copy(point.name)
            code = injector.do_with_fault(point.call, point.number, root, *case.steps)
            # A failed boot runs something all the same; what cannot be tidied up now is tidied up later.
            assert code in (DONE, OS_ERROR), point
            survives(world, root, case.runs, course.floors[point.name])
            outcomes["told" if code == OS_ERROR else "overcome"] += 1
    return outcomes


SHORT = (("EIO", 0), ("ENOSPC", 2))
"""Errors, and of four points in a row the one at which the short run brings each about."""


@pytest.mark.parametrize(
    ("error", "of_four"),
    [
        pytest.param(error, of_four, marks=() if (error, of_four) in SHORT else pytest.mark.soak)
        for error in ("EIO", "ENOSPC")
        for of_four in range(4)
    ],
)
def test_an_error_at_any_change_of_the_disk_is_told_and_a_bundle_still_runs(
    saved_world: World, course: Course, capsys: pytest.CaptureFixture[str], error: str, of_four: int
) -> None:
    outcomes = _survive_errors(saved_world, course, error, course.points[of_four::4])
    with capsys.disabled():
        print(f"\n{outcomes.total()} times {error}, a bundle ran after each: {dict(outcomes)}")
    assert outcomes["told"] > outcomes["overcome"]


def _steps(install: str, sequence: int) -> tuple[str, ...]:
    return (f"{install} {sequence}", "activate", "boot", "confirm", "prune 1")


def _kill_at_random_times(world: World, folder: Path, kills: int, seed: int) -> tuple[int, int]:
    """Kill a device again and again while it takes updates; return the kills and the updates confirmed."""
    choose = random.Random(seed)
    store = world.store(folder)
    world.sealed(1)
    with Worker(world.folder) as worker:
        assert worker.do(folder, "boot") == 0  # the worker has started
        start_s = time.perf_counter()
        assert worker.do(folder, *_steps("install", 1)) == 0
        duration_us = int((time.perf_counter() - start_s) * 1e6)
        floor, sequence = 1, 2
        killed = confirmed = 0
        world.sealed(sequence)
        while killed < kills:
            seal_with_recipes(world, sequence, base=floor)
            steps = _steps(choose.choice(("install", "stream", "recipe")), sequence)
            code = worker.do(folder, *steps, kill_after_us=choose.randrange(1, duration_us))
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
                for path in world.folder.glob(f"{sequence - 1}.*"):
                    path.unlink()  # what the next one is no update of
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
