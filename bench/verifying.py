"""Verify a sealed bundle: capseal against what else hashes a file, in the same rounds."""

import os
import subprocess
import sys
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

from . import pins
from .contestants import SCRIPTS, Site, capseal_argv
from .machine import warm_memory
from .measure import Command, Step, interleave, ratios
from .plan import Plan

READ_BLOCK = "2M"


def run(plan: Plan, place: str, where: str, *, peers: Sequence[str] | None) -> dict[str, Any]:
    """Return the records of group `verify` at one place."""
    with TemporaryDirectory(prefix="capseal-bench-", dir=where) as folder:
        site = Site(folder, plan.keys, os.path.join(folder, "bundle.bin"))
        bundle = seal_sparse(site, plan.verify_bytes)
        found = pins.found()
        commands = []
        skipped = []
        for command, needs in _commands(site, bundle):
            if peers is not None and command.role == "peer" and not command.name.startswith(tuple(peers)):
                continue
            if needs is not None and found[needs] is None:
                skipped.append({"group": "verify", "name": command.name, "reason": f"{needs} is not installed"})
                plan.say(f"  skipped: {command.name}: {needs} is not installed")
                continue
            commands.append(command)
        series, failed = interleave(
            commands,
            rounds=plan.rounds,
            full=plan.full,
            place=place,
            folder=plan.keys,
            size_bytes=0,
            say=plan.say,
        )
        for one in series:
            one.size_bytes = plan.verify_bytes
        return {
            "commands": [one.summary() for one in series],
            "ratios": ratios(series),
            "skipped": skipped + failed,
        }


def seal_sparse(site: Site, size_bytes: int) -> str:
    """Seal a file that is one hole and remove it; return the bundle's path. Its payload is as random as any."""
    with open(site.plain, "wb") as file:
        file.truncate(size_bytes)
    bundle = site.at("capseal.sealed")
    warm_memory(size_bytes)  # so that it lies in memory as it would on any machine
    subprocess.run(capseal_argv(site, "seal", site.plain, bundle), check=True, cwd=site.folder)
    os.unlink(site.plain)
    return bundle


def _commands(site: Site, bundle: str) -> list[tuple[Command, str | None]]:
    blake3 = os.path.join(SCRIPTS, "blake3_file.py")
    signature = site.key("bundle.sig")
    subprocess.run(["openssl", "dgst", "-sha256", "-sign", site.key("key.pem"), "-out", signature, bundle], check=True)
    dgst = ("openssl", "dgst", "-sha256", "-verify", site.key("key.pub"), "-signature", signature, bundle)
    no_signature = "hashes only: no signature"

    def command(name: str, *argv: str, role: str = "peer", note: str = "", every_round: bool = True) -> Command:
        steps = [Step(argv)]
        return Command(
            name=name, group="verify", steps=steps, role=role, note=note, cwd=site.folder, every_round=every_round
        )

    return [
        (command("dd to /dev/null", "dd", f"if={bundle}", "of=/dev/null", f"bs={READ_BLOCK}", role="ceiling"), None),
        (command("capseal", *capseal_argv(site, "verify", bundle), role="capseal"), None),
        (command("blake3, all cores, mmap", sys.executable, blake3, bundle, "auto", note=no_signature), "blake3"),
        (command("openssl dgst -verify", *dgst), "openssl"),
        (command("fsverity digest", "fsverity", "digest", bundle, note=no_signature), "fsverity"),
        (command("blake3, one thread", sys.executable, blake3, bundle, "one", note=no_signature), "blake3"),
        (command("sha256sum", "sha256sum", bundle, note=no_signature, every_round=False), "sha256sum"),
    ]
