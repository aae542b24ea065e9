"""Time and peak memory against the bundle's size, and against the number of threads."""

import os
import shutil
import sys
from tempfile import TemporaryDirectory
from typing import Any

from .contestants import SCRIPTS, Site, capseal_argv
from .machine import GIB, MIB, available_bytes
from .measure import Command, Step, interleave, ratios
from .plan import Plan, shown

SPARE_BYTES = 3 * GIB
"""What must stay free: running out of memory would measure something else."""


def run(plan: Plan, tmpfs: str, disk: str) -> dict[str, Any]:
    """Return records of groups `seal`, `verify`, `unseal` per size, all against a bare interpreter's memory.

    What is sealed is one hole, so only the bundle takes room, and what is unsealed goes to /dev/null: in
    RAM if it fits, else on disk. Sizes that fit nowhere are skipped with a message.
    """
    commands: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    size_bytes = min(64 * MIB, plan.max_bytes)
    while size_bytes <= plan.max_bytes:
        place = _place(size_bytes, tmpfs, disk)
        if place is None:
            reason = f"a bundle of {shown(size_bytes)} fits neither in RAM nor on disk"
            skipped.append({"group": "scaling", "name": shown(size_bytes), "reason": reason})
            plan.say(f"  skipped: {reason}")
        else:
            found, failed = _one_size(plan, size_bytes, place, tmpfs if place == "tmpfs" else disk)
            commands += found
            skipped += failed
        size_bytes *= 4
    return {"commands": commands, "skipped": skipped}


def run_threads(plan: Plan, where: str) -> dict[str, Any]:
    """Return records of groups `seal`, `verify`, `unseal` with 1..N threads, and their ratios to one thread."""
    with TemporaryDirectory(prefix="capseal-bench-", dir=where) as folder:
        site = _sparse_site(folder, plan.keys, plan.size_bytes)
        commands = []
        for jobs in range(1, len(os.sched_getaffinity(0)) + 1):
            commands += _verbs(site, jobs=jobs)
        series, failed = interleave(
            commands,
            rounds=plan.rounds,
            full=plan.full,
            place="tmpfs",
            folder=plan.keys,
            size_bytes=plan.size_bytes,
            say=plan.say,
        )
    return {"commands": [one.summary() for one in series], "ratios": ratios(series), "skipped": failed}


def run_baseline(plan: Plan) -> dict[str, Any]:
    """Return the record of an interpreter that imports numpy and cryptography and does nothing."""
    argv = (sys.executable, os.path.join(SCRIPTS, "baseline.py"))
    command = Command(name="import numpy, cryptography", group="baseline", steps=[Step(argv)], role="ceiling")
    series, _ = interleave(
        [command], rounds=plan.rounds, full=True, place="tmpfs", folder=plan.keys, size_bytes=0, say=plan.say
    )
    return series[0].summary()


def _one_size(plan: Plan, size_bytes: int, place: str, where: str) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    with TemporaryDirectory(prefix="capseal-bench-", dir=where) as folder:
        site = _sparse_site(folder, plan.keys, size_bytes)
        series, failed = interleave(
            _verbs(site),
            rounds=plan.rounds,
            full=True,
            place=place,
            folder=plan.keys,
            size_bytes=size_bytes,
            say=plan.say,
        )
    return [one.summary() for one in series], failed


def _verbs(site: Site, *, jobs: int = 0) -> list[Command]:
    sealed = site.at(f"capseal-{jobs}.sealed")
    name = f"capseal -j {jobs}" if jobs else "capseal"

    def command(group: str, source: str, sink: str, **more: Any) -> Command:
        steps = [Step(capseal_argv(site, group, source, sink, jobs=jobs))]
        # Only one thread is `capseal` here, so that ratios() compares the others with it.
        role = "capseal" if jobs <= 1 else "threads"
        return Command(name=name, group=group, steps=steps, role=role, cwd=site.folder, **more)

    return [
        command("seal", site.plain, sealed, outputs=[sealed]),
        command("verify", sealed, ""),
        command("unseal", sealed, "/dev/null", leftovers=[sealed]),
    ]


def _sparse_site(folder: str, keys: str, size_bytes: int) -> Site:
    site = Site(folder, keys, os.path.join(folder, "bundle.bin"))
    with open(site.plain, "wb") as file:
        file.truncate(size_bytes)
    return site


def _place(size_bytes: int, tmpfs: str, disk: str) -> str | None:
    free = min(shutil.disk_usage(tmpfs).free, available_bytes())
    if free >= size_bytes + SPARE_BYTES:
        return "tmpfs"
    return "disk" if shutil.disk_usage(disk).free >= size_bytes + SPARE_BYTES else None
