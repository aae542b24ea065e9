"""Seal and unseal a file: capseal against `cp` and against the peers, in the same rounds."""

import os
import subprocess
import sys
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

from .contestants import SCRIPTS, Contestant, Site, contestants
from .measure import Command, CommandError, Step, interleave, ratios
from .plan import Plan


def run(plan: Plan, place: str, where: str, *, peers: Sequence[str] | None) -> dict[str, Any]:
    """Return the records of groups `seal` and `unseal` at one place."""
    with TemporaryDirectory(prefix="capseal-bench-", dir=where) as folder:
        site = Site(folder, plan.keys, os.path.join(folder, "bundle.bin"))
        write_random(site.plain, plan.size_bytes)
        commands: list[Command] = []
        skipped = []
        for one in contestants(site, peers):
            if place == "disk" and one.role == "peer" and not (plan.full and one.every_round):
                continue  # the peers that are slow in RAM are no faster on disk
            reason = one.missing()
            if one.full_only and not plan.full:
                reason = "takes too long for the short form"
            if reason is None:
                try:
                    one.prepare()
                except CommandError as error:
                    reason = str(error)
            if reason is not None:
                skipped.append({"group": "seal", "name": one.name, "reason": reason})
                plan.say(f"  skipped: {one.name}: {reason}")
                continue
            commands += _commands(one, site, sync=place == "disk" and one.role != "capseal")
        series, failed = interleave(
            commands,
            rounds=plan.rounds,
            full=plan.full,
            place=place,
            folder=plan.keys,
            size_bytes=plan.size_bytes,
            say=plan.say,
        )
        return {
            "commands": [one.summary() for one in series],
            "ratios": ratios(series),
            "skipped": skipped + failed,
        }


def write_random(path: str, size_bytes: int) -> None:
    """Write a file that does not compress, in a process of its own so that the driver stays small."""
    subprocess.run([sys.executable, os.path.join(SCRIPTS, "random_file.py"), path, str(size_bytes)], check=True)


def _commands(one: Contestant, site: Site, *, sync: bool) -> list[Command]:
    def check() -> None:
        if subprocess.run(["cmp", "-s", site.plain, one.unsealed], check=False).returncode:
            raise CommandError(f"{one.name}: what it unsealed is not what it sealed")

    # capseal syncs its output before it appears; whoever does not, must not gain by it.
    name = one.name + " + sync" if sync else one.name
    synced_seal = [Step(("sync", *one.sealed))] if sync else []
    synced_plain = [Step(("sync", one.unsealed))] if sync else []

    def command(group: str, **more: Any) -> Command:
        return Command(
            group=group,
            name=name,
            role=one.role,
            note=one.note,
            cwd=one.cwd or site.folder,
            env=one.env,
            every_round=one.every_round,
            **more,
        )

    return [
        command(
            "seal",
            steps=[*one.seal, *synced_seal],
            outputs=one.sealed,
            leftovers=one.sealed if one.role == "ceiling" else (),
        ),
        command(
            "unseal",
            steps=one.after_seal or [*one.unseal, *synced_plain],
            outputs=[one.unsealed],
            leftovers=[one.unsealed, *one.sealed],
            check=check,
        ),
    ]
