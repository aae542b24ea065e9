"""Whole commands, each in a fresh process, in interleaved rounds: A B C, A B C, …

Ratios are taken between runs of the same round and only then summarised, so that a machine that gets
slower over time slows both sides of a ratio.
"""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .machine import MIB, warm_memory

LAUNCH = os.path.join(os.path.dirname(__file__), "launch.py")
OURS = "capseal"
_PROCESS_BYTES = 256 * MIB
"""Memory that a command needs besides its output; a few need more."""


class CommandError(Exception):
    """A measured command failed, or did not do what it should; the message holds the end of its output."""


@dataclass(frozen=True, slots=True)
class Step:
    """One program of a command. stdout: a file for its output."""

    argv: tuple[str, ...]
    stdout: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What is timed: all steps, one after the other, process starts included.

    steps: may be a function where they depend on what an earlier command said. outputs: removed before
    each run. leftovers: removed after it. role: capseal, peer or ceiling. note: what is not alike.
    check: called after the first run, untimed; raises CommandError. every_round: False for slow ones,
    which the short form runs in its first round only.
    """

    name: str
    group: str
    steps: Sequence[Step] | Callable[[], Sequence[Step]]
    role: str
    outputs: Sequence[str] = ()
    leftovers: Sequence[str] = ()
    note: str = ""
    cwd: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    check: Callable[[], None] | None = None
    every_round: bool = True

    def all_steps(self) -> Sequence[Step]:
        """Return the steps of the next run."""
        return self.steps() if callable(self.steps) else self.steps


@dataclass(frozen=True, slots=True)
class Run:
    """One run. others_cpu_s: CPU seconds that the rest of the machine used, or the host took, meanwhile."""

    round: int
    wall_s: float
    cpu_s: float
    peak_rss_bytes: int
    others_cpu_s: float
    disturbed: bool


@dataclass(slots=True)
class Series:
    """All runs of one command on inputs of one size at one place."""

    command: Command
    place: str
    size_bytes: int
    runs: list[Run] = field(default_factory=list)

    def counted(self) -> list[Run]:
        """The undisturbed runs; all of them where fewer than half were undisturbed."""
        clean = [run for run in self.runs if not run.disturbed]
        return clean if 2 * len(clean) >= len(self.runs) else self.runs

    def summary(self) -> dict[str, Any]:
        """The JSON record of this series (bench/README.md, Results)."""
        counted = self.counted()
        walls = [run.wall_s for run in counted]
        return {
            "group": self.command.group,
            "name": self.command.name,
            "role": self.command.role,
            "place": self.place,
            "size_bytes": self.size_bytes,
            "wall_min_s": min(walls),
            "wall_median_s": statistics.median(walls),
            "cpu_min_s": min(run.cpu_s for run in counted),
            "peak_rss_bytes": max(run.peak_rss_bytes for run in self.runs),
            "runs_counted": len(counted),
            "note": self.command.note,
            "runs": [asdict(run) for run in self.runs],
        }


def run_once(command: Command, *, round_: int, place: str, folder: str, warm_bytes: int) -> Run:
    """Run a command in a fresh process. Raises CommandError."""
    _remove(command.outputs)
    if place == "disk":
        os.sync()  # what earlier runs left to be written must not count against this one
    if command.outputs:
        warm_memory(2 * warm_bytes + _PROCESS_BYTES)
    log = os.path.join(folder, "output.log")
    order = {
        "steps": [asdict(step) for step in command.all_steps()],
        "cwd": command.cwd,
        "env": command.env,
        "log": log,
    }
    done = subprocess.run(
        [sys.executable, "-I", "-S", LAUNCH], input=json.dumps(order), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CommandError(f"{command.name}: {done.stderr.strip()[-400:]}")
    result = json.loads(done.stdout)
    if result.pop("status"):
        with open(log, errors="replace") as file:
            raise CommandError(f"{command.name}: failed: {file.read().strip()[-400:]}")
    # On disk the kernel's own writing is work of others too, so only tmpfs runs can be judged.
    disturbed = place == "tmpfs" and result["others_cpu_s"] > 0.05 + 0.1 * result["wall_s"]
    return Run(round_, disturbed=disturbed, **result)


def interleave(
    commands: Sequence[Command],
    *,
    rounds: int,
    full: bool,
    place: str,
    folder: str,
    size_bytes: int,
    say: Callable[[str], None],
) -> tuple[list[Series], list[dict[str, str]]]:
    """Run every command once per round; return the series and what failed.

    A command that fails is left out from then on: one broken peer must not spoil the rest.
    """
    series = [Series(command, place, size_bytes) for command in commands]
    failed: list[dict[str, str]] = []
    for round_ in range(rounds):
        for one in series:
            command = one.command
            if any(f["name"] == command.name and f["group"] == command.group for f in failed):
                continue
            if round_ and not (full or command.every_round):
                continue
            try:
                run = run_once(command, round_=round_, place=place, folder=folder, warm_bytes=size_bytes)
                if round_ == 0 and command.check is not None:
                    command.check()
            except CommandError as error:
                failed.append({"name": command.name, "group": command.group, "reason": str(error)})
                say(f"  FAILED {error}")
                continue
            finally:
                _remove(command.leftovers)
            one.runs.append(run)
            mark = "  (disturbed)" if run.disturbed else ""
            say(
                f"  {place} {command.group} round {round_ + 1}: {run.wall_s:8.3f} s wall {run.cpu_s:8.3f} s cpu "
                f"{run.peak_rss_bytes / 2**20:7.0f} MiB  {command.name}{mark}"
            )
    return [one for one in series if one.runs], failed


def ratios(series: Iterable[Series]) -> list[dict[str, Any]]:
    """Return capseal's wall time over each other's, pair by pair within a round."""
    series = list(series)
    result = []
    for ours in (one for one in series if one.command.role == OURS):
        for other in series:
            alike = (other.command.group, other.place, other.size_bytes) == (
                ours.command.group,
                ours.place,
                ours.size_bytes,
            )
            if other is ours or not alike:
                continue
            theirs = {run.round: run for run in other.runs}
            pairs = [(run, theirs[run.round]) for run in ours.runs if run.round in theirs]
            clean = [pair for pair in pairs if not (pair[0].disturbed or pair[1].disturbed)]
            counted = clean if 2 * len(clean) >= len(pairs) else pairs
            if not counted:
                continue
            values = [a.wall_s / b.wall_s for a, b in counted]
            result.append(
                {
                    "group": ours.command.group,
                    "place": ours.place,
                    "size_bytes": ours.size_bytes,
                    "name": ours.command.name,
                    "versus": other.command.name,
                    "min": min(values),
                    "median": statistics.median(values),
                    "max": max(values),
                    "pairs": len(values),
                    "disturbed_pairs": sum(a.disturbed or b.disturbed for a, b in counted),
                    "left_out_pairs": len(pairs) - len(counted),
                }
            )
    return result


def _remove(paths: Iterable[str]) -> None:
    for path in paths:
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
