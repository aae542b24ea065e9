"""Seal and install a folder of many small files: capseal against what else packs and unpacks a folder."""

import os
import random
import shutil
import statistics
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from tempfile import TemporaryDirectory
from typing import Any

from . import pins
from .contestants import APP, Site, capseal_argv
from .machine import MIB
from .measure import Command, CommandError, Series, Step, interleave, ratios
from .plan import Plan

FILES, FOLDER_BYTES = 10_169, 75 * MIB
"""As many and as large as in babylon-core, a library of the web as it is shipped."""
DEFLATED_FILES, DEFLATED_BYTES = 1_918, 100 * MIB
"""As monaco-editor."""
_SHORT_SHARE = 20
"""The tiny runs of the tests take so much less."""
_FOLDERS = 190


def run(plan: Plan, place: str, where: str, *, peers: Sequence[str] | None) -> dict[str, Any]:
    """Return the records of groups `store`, `install` and `deflate` at one place."""
    share = 1 if plan.size_bytes >= 64 * MIB else _SHORT_SHARE
    with TemporaryDirectory(prefix="capseal-bench-", dir=where) as folder:
        site = Site(folder, plan.keys, os.path.join(folder, "dist"))
        series: list[Series] = []
        skipped: list[dict[str, str]] = []
        for group, files, size_bytes in (
            ("store", FILES, FOLDER_BYTES),
            ("install", FILES, FOLDER_BYTES),
            ("deflate", DEFLATED_FILES, DEFLATED_BYTES),
        ):
            write_folder(site.plain, files // share, size_bytes // share)
            commands = []
            offered = _installs(site) if group == "install" else _commands(site, group, sync=place == "disk")
            for command, program in offered:
                if peers is not None and command.role == "peer" and not command.name.startswith(tuple(peers)):
                    continue
                if program is not None and pins.found()[program] is None:
                    skipped.append({"group": group, "name": command.name, "reason": f"{program} is not installed"})
                    plan.say(f"  skipped: {command.name}: {program} is not installed")
                    continue
                commands.append(command)
            ran, failed = interleave(
                commands,
                rounds=plan.rounds,
                full=plan.full,
                place=place,
                folder=plan.keys,
                size_bytes=size_bytes // share,
                say=plan.say,
            )
            series += ran
            skipped += failed
            shutil.rmtree(site.plain)
        return {
            "commands": [one.summary() for one in series],
            "ratios": ratios(series),
            "cpu_ratios": _cpu_ratios(series),
            "packed_bytes": {
                one.command.name: _PACKED[one.command.name] for one in series if one.command.name in _PACKED
            },
            "skipped": skipped,
        }


def write_folder(folder: str, files: int, size_bytes: int) -> None:
    """Write a folder of source text, the same one every time on one Python: sizes lognormal, names as packages have."""
    chance = random.Random(1)
    text = b"".join(_sources())
    weights = [chance.lognormvariate(0, 1.2) for _ in range(files)]
    scale = size_bytes / sum(weights)
    for number, weight in enumerate(weights):
        path = os.path.join(
            folder, f"package{number % _FOLDERS // 8}", f"part{number % _FOLDERS}", f"module.{number}.js"
        )
        os.makedirs(os.path.dirname(path), exist_ok=True)
        size = min(int(weight * scale), len(text))
        start = chance.randrange(len(text) - size + 1)
        with open(path, "wb") as file:
            file.write(text[start : start + size])


def _sources() -> Iterator[bytes]:
    root = sysconfig.get_path("stdlib")
    for name in sorted(os.listdir(root)):
        if name.endswith(".py"):
            with open(os.path.join(root, name), "rb") as file:
                yield file.read()


_PACKED: dict[str, int] = {}
"""Name of a deflating command -> bytes of what it wrote in the first round."""


def _commands(site: Site, group: str, *, sync: bool) -> Iterator[tuple[Command, str | None]]:
    """Yield commands, each with the program that it needs."""
    seal = capseal_argv(site, "seal", site.plain, site.at("capseal.sealed"))
    level, deep = "-0" if group == "store" else "-9", "-mx0"
    compression = "store" if group == "store" else "deflate"
    for name, program, argv, output in (
        ("capseal", None, seal + (() if group == "store" else ("--deflate",)), "capseal.sealed"),
        ("7z", "7z", ("7z", "a", "-bso0", "-tzip", deep, site.at("7z.zip"), "./dist"), "7z.zip"),
        ("zip", "zip", ("zip", "-q", "-r", level, site.at("zip.zip"), "dist"), "zip.zip"),
        (
            "bsdtar",
            "bsdtar",
            ("bsdtar", "--format=zip", "--options", f"zip:compression={compression}", "-cf", site.at("b.zip"), "dist"),
            "b.zip",
        ),
    ):
        ours = name == "capseal"
        called = name if ours else f"{name} {deep if name == '7z' else level if name == 'zip' else compression}"
        if group == "deflate" and name == "7z":
            continue  # it looks for the smallest archive, which takes a minute
        # capseal syncs its output before it appears; whoever does not, must not gain by it.
        synced = sync and not ours
        yield (
            Command(
                name=called + " + sync" if synced else called,
                group=group,
                role="capseal" if ours else "peer",
                steps=[Step(argv), *([Step(("sync", site.at(output)))] if synced else [])],
                outputs=[site.at(output)],
                note="" if ours else "neither encrypts nor signs",
                cwd=site.folder,
                check=_remembering(called, site.at(output)) if group == "deflate" else None,
            ),
            program,
        )


def _installs(site: Site) -> Iterator[tuple[Command, str | None]]:
    """Yield what makes files of an archive and has them on the disk, each with the program that it needs."""
    bundle, archive = site.at("install.sealed"), site.at("install.zip")
    for argv in (
        capseal_argv(site, "seal", site.plain, bundle),
        capseal_argv(site, "unseal", bundle, archive),
    ):
        subprocess.run(argv, check=True, capture_output=True, cwd=site.folder)
    root, plain = site.at("root"), site.at("unpacked")
    yield (
        Command(
            name="capseal",
            group="install",
            role="capseal",
            steps=[
                Step(
                    (
                        *(sys.executable, os.path.join(os.path.dirname(sys.executable), "capseal"), "device"),
                        *("--root", root, "--builtin", site.folder),
                        *("--app", APP, "--trust", site.key("key.pub"), "install", bundle, "-i", site.key("key.pem")),
                    )
                )
            ],
            outputs=[root],
            cwd=site.folder,
            check=_counting(root, site.plain),
        ),
        None,
    )
    yield (
        Command(
            name="bsdtar -x + syncfs",
            group="install",
            role="peer",
            steps=[
                Step(("mkdir", plain)),
                Step(("bsdtar", "-xf", archive, "-C", plain)),
                Step(("sync", "-f", plain)),
            ],
            outputs=[plain],
            note="neither verifies nor decrypts",
            cwd=site.folder,
        ),
        "bsdtar",
    )


def _counting(root: str, plain: str) -> Callable[[], None]:
    def check() -> None:
        expected = sum(len(names) for _, _, names in os.walk(plain))
        found = sum(len(names) for _, _, names in os.walk(os.path.join(root, "bundles")))
        if found != expected + 2:  # manifest and seal
            raise CommandError(f"capseal: {found} files installed, {expected} and 2 more are expected")

    return check


def _remembering(name: str, output: str) -> Callable[[], None]:
    def check() -> None:
        _PACKED[name] = os.path.getsize(output)
        if name != "capseal" and subprocess.run(["unzip", "-tq", output], capture_output=True, check=False).returncode:
            raise CommandError(f"{name}: unzip finds a fault in what it wrote")

    return check


def _cpu_ratios(series: Sequence[Series]) -> list[dict[str, Any]]:
    """Return capseal's processor time over each other's, pair by pair within a round."""
    result = []
    for ours in (one for one in series if one.command.role == "capseal"):
        for other in series:
            if other is ours or other.command.group != ours.command.group:
                continue
            theirs = {run.round: run.cpu_s for run in other.runs}
            values = [run.cpu_s / theirs[run.round] for run in ours.runs if run.round in theirs]
            if values:
                result.append(
                    {
                        "group": ours.command.group,
                        "versus": other.command.name,
                        "min": min(values),
                        "median": statistics.median(values),
                        "max": max(values),
                    }
                )
    return result
