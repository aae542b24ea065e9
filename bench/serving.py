"""Processor seconds per GB that a server sends: capseal beside nginx and StaticFiles, in the same rounds.

And beside what can be asked of one that hashes all that it sends: nginx, and the hash kernel on top of it. Then how
soon a server of many releases listens (starts.py), and the load of server_load.py, every callback of the loop timed.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

from . import pins, starts
from .contestants import APP, SCRIPTS, Site
from .machine import MIB
from .measure import CommandError
from .plan import Plan
from .running import cpu_s, nginx_argv, running, serve_argv, static_files_argv
from .verifying import seal_sparse

CLIENTS = 8
_MOST_BYTES = 192 * MIB
"""Of the resource: what --verify-reads keeps in memory by default holds all of it."""
_PASSES = 16
_NGINX_READS = "nginx, sendfile off"
_HASHED_BYTES = 256 * MIB
_LOAD = ("--stalls", "--seconds", "60", "--releases", "10000", "--apps", "500")


@dataclass(slots=True)
class Contestant:
    """A server. argv: with {port} in it; path: of the resource; runs: processor seconds per GB and GB per second."""

    name: str
    role: str
    argv: Sequence[str]
    path: str
    note: str = ""
    needs: str | None = None
    runs: list[tuple[float, float]] = field(default_factory=list)

    def record(self, size_bytes: int) -> dict[str, Any]:
        """The JSON record of all its runs."""
        cpu = [run[0] for run in self.runs]
        return {
            "group": "serve",
            "name": self.name,
            "role": self.role,
            "place": "tmpfs",
            "size_bytes": size_bytes,
            "cpu_s_per_gb_min": min(cpu),
            "cpu_s_per_gb_median": statistics.median(cpu),
            "cpu_s_per_gb_max": max(cpu),
            "gb_per_s_median": statistics.median(run[1] for run in self.runs),
            "note": self.note,
        }


def run(plan: Plan, where: str) -> dict[str, Any]:
    """Return the record of each server, and the ratios of capseal's to the others' within a round."""
    with TemporaryDirectory(prefix="capseal-bench-", dir=where) as folder:
        os.chmod(folder, 0o755)  # nginx's worker is another user
        site = Site(folder, plan.keys, os.path.join(folder, "bundle.bin"))
        bundle = seal_sparse(site, min(_MOST_BYTES, plan.size_bytes))
        path, size = _published(site, bundle)
        shutil.copyfile(bundle, site.at("static.bin"))
        found = pins.found()
        everyone = _contestants(site, path)
        skipped = [
            {"group": "serve", "name": one.name, "reason": f"{one.needs} is not installed"}
            for one in everyone
            if one.needs is not None and found[one.needs] is None
        ]
        everyone = [one for one in everyone if one.name not in {this["name"] for this in skipped}]
        hashing = Contestant("SHA-256 tree, in memory", "floor", (), "", "one thread, one segment in its cache")
        for round_ in range(plan.rounds):
            hashing.runs.append(_hash_alone())
            for one in everyone:
                one.runs.append(_measure(one, site, size))
                cpu, rate = one.runs[-1]
                plan.say(f"  serve round {round_ + 1}: {cpu:6.3f} s cpu per GB {rate:6.2f} GB/s  {one.name}")
    reading = next((one for one in everyone if one.name == _NGINX_READS), None)
    floor = [] if reading is None else [_sum_of(reading, hashing)]
    return {
        "commands": [one.record(size) for one in [*everyone, hashing, *floor]],
        "cpu_ratios": list(_ratios([*everyone, *floor], size)),
        "skipped": skipped,
        **({} if plan.size_bytes < _MOST_BYTES else starts.run(plan, where)),
        "load": _load(plan, where),
    }


def _hash_alone() -> tuple[float, float]:
    """Return processor seconds per GB and GB per second of the kernel that verifies."""
    from capseal.constants import SEGMENT_BYTES
    from capseal.native.hashing import segment_digests

    segment = memoryview(bytearray(os.urandom(SEGMENT_BYTES)))
    before_cpu, before = time.process_time(), time.perf_counter()
    for _ in range(_HASHED_BYTES // SEGMENT_BYTES):
        segment_digests(segment)
    gb = _HASHED_BYTES / 1e9
    return (time.process_time() - before_cpu) / gb, gb / (time.perf_counter() - before)


def _sum_of(reading: Contestant, hashing: Contestant) -> Contestant:
    """Return what a server takes that does what both do: the least that reading, hashing and writing can take."""
    both = Contestant(f"{reading.name}, and hashing", "floor", (), "", "a sum: no server that was measured")
    both.runs += [(a[0] + b[0], a[1]) for a, b in zip(reading.runs, hashing.runs, strict=True)]
    return both


def _load(plan: Plan, where: str) -> dict[str, Any] | None:
    """Return what server_load.py found, or None where so little is measured that it would be nearly all of it."""
    if plan.size_bytes < _MOST_BYTES:
        return None
    script = os.path.join(os.path.dirname(__file__), "server_load.py")
    done = subprocess.run(
        [sys.executable, script, *_LOAD, "--folder", where], capture_output=True, text=True, check=False
    )
    if not done.stdout:
        raise CommandError(f"server_load.py: {done.stderr.strip()[-400:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    plan.say(f"  serve load: {json.dumps({**result, 'longest_stall': _shown(result['longest_stall'])})}")
    return result


def _shown(stalls: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stalls.items() if name != "longest"}


def _contestants(site: Site, path: str) -> list[Contestant]:
    serve = serve_argv(site.at("store"), site)
    return [
        Contestant(_NGINX_READS, "peer", nginx_argv(site, "off"), "/static.bin", needs="nginx"),
        Contestant("nginx, sendfile on", "peer", nginx_argv(site, "on"), "/static.bin", needs="nginx"),
        Contestant("capseal serve", "capseal", serve, path),
        Contestant("capseal serve --verify-reads", "capseal", [*serve, "--verify-reads"], path, "all of it in memory"),
        Contestant(
            "capseal serve --verify-reads, none kept",
            "capseal",
            [*serve, "--verify-reads", "--verified-bytes", "0"],
            path,
            "read and hashed each time: whoever asks for more than --verified-bytes gets this",
        ),
        Contestant(
            "read, hash and write alone",
            "floor",
            [sys.executable, os.path.join(SCRIPTS, "checked.py"), "{port}", site.at("static.bin")],
            "/",
            "checked.py: the same call, a thread for each connection, no server around it",
        ),
        Contestant(
            "Starlette StaticFiles",
            "peer",
            static_files_argv(site),
            "/static.bin",
            "on uvicorn",
        ),
    ]


def _published(site: Site, bundle: str) -> tuple[str, int]:
    """Publish a bundle into the store; return the path of its payload and the payload's bytes."""
    from capseal.client import Connection, publish

    with (
        running(serve_argv(site.at("store"), site), site) as (_, port),
        Connection(f"http://127.0.0.1:{port}") as server,
    ):
        release = publish(bundle, server)
    channel = f"/v1/apps/{APP}/channels/{release['channel']}"
    return f"{channel}/releases/{release['sequence']}/payload", int(release["payload"]["size"])


def _measure(one: Contestant, site: Site, size: int) -> tuple[float, float]:
    """Return processor seconds per GB and GB per second of one fresh server."""
    total = _PASSES * size
    with running(one.argv, site) as (pid, port):
        _read(port, one.path, size, 2 * size)  # once over, untimed: everything is loaded, and kept where it is kept
        before_cpu, before = cpu_s(pid), time.perf_counter()
        _read(port, one.path, size, total)
        return (cpu_s(pid) - before_cpu) / (total / 1e9), total / 1e9 / (time.perf_counter() - before)


def _read(port: int, path: str, size: int, total: int) -> None:
    script = os.path.join(SCRIPTS, "ranges.py")
    argv = [sys.executable, "-I", script, str(port), path, str(size), str(total), str(CLIENTS)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandError(f"clients: {done.stderr.strip()[-400:]}")


def _ratios(everyone: Sequence[Contestant], size: int) -> Iterator[dict[str, Any]]:
    for ours in (one for one in everyone if one.role != "peer" and one.argv):
        for other in (one for one in everyone if one.role != "capseal" and one is not ours):
            values = [a[0] / b[0] for a, b in zip(ours.runs, other.runs, strict=True) if b[0]]
            if values:
                yield {
                    "group": "serve",
                    "size_bytes": size,
                    "name": ours.name,
                    "versus": other.name,
                    "min": min(values),
                    "median": statistics.median(values),
                    "max": max(values),
                    "pairs": len(values),
                }
