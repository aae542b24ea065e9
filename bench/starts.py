"""How soon a server of many releases listens, what memory that takes, and what an answer of `latest` takes.

`latest` is held against a file of the same bytes from nginx and StaticFiles, in the same rounds.
"""

import http.client
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from . import many_releases, pins
from .contestants import SCRIPTS, Site
from .machine import MIB
from .measure import CommandError
from .plan import Plan
from .running import cpu_s, nginx_argv, running, serve_argv, static_files_argv

_RELEASES = 10_000
_APPS = 500
_RELEASES_OF_AN_APP = 20
_CLIENTS = 8
_ANSWERS = 4000
_STORES = {
    "an empty store": (0, 0),
    f"{_RELEASES} releases of one channel": (1, _RELEASES),
    f"{_APPS} apps of {_RELEASES_OF_AN_APP} releases": (_APPS, _RELEASES_OF_AN_APP),
}


def run(plan: Plan, where: str) -> dict[str, Any]:
    """Return the record of each store, and of each server of `latest`, with the seconds and MiB of every round."""
    with TemporaryDirectory(prefix="capseal-bench-", dir=where) as folder:
        os.chmod(folder, 0o755)  # nginx's worker is another user
        site = Site(folder, plan.keys, os.path.join(folder, "bundle.bin"))
        stores = {name: site.at(f"store-{number}") for number, name in enumerate(_STORES)}
        for (name, store), (channels, releases) in zip(stores.items(), _STORES.values(), strict=True):
            if releases:
                many_releases.write(Path(store), channels=channels, releases=releases)
            plan.say(f"  start: {name} is there")
        started: dict[str, list[dict[str, float]]] = {name: [] for name in stores}
        for round_ in range(plan.rounds):
            for name, store in stores.items():
                started[name].append(_start(store, site, answers=name != "an empty store"))
                plan.say(f"  start round {round_ + 1}: {started[name][-1]}  {name}")
        return {
            "starts": [{"group": "start", "name": name, **_summary(runs)} for name, runs in started.items()],
            "latest": list(_latest(plan, site, stores[f"{_RELEASES} releases of one channel"])),
        }


def _start(store: str, site: Site, *, answers: bool) -> dict[str, float]:
    """Start a server, and return when it listened and had answered `latest`, what that took, and its memory then."""
    began = time.perf_counter()
    with running(serve_argv(store, site), site) as (pid, port):
        listens_s, listens_cpu_s = time.perf_counter() - began, cpu_s(pid)
        _asked(port, _latest_path() if answers else "/v1/apps")
        return {
            "listens_s": listens_s,
            "listens_cpu_s": listens_cpu_s,
            "answers_s": time.perf_counter() - began,
            "answers_cpu_s": cpu_s(pid),
            "rss_MiB": _rss_bytes(pid) / MIB,
        }


def _latest_path() -> str:
    return "/v1/apps/com.example.many0/channels/production/latest"


def _asked(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise CommandError(f"{path}: answered {answer.status}")
    return body


def _rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _latest(plan: Plan, site: Site, store: str) -> Iterator[dict[str, Any]]:
    with running(serve_argv(store, site), site) as (_, port):
        Path(site.at("latest.json")).write_bytes(_asked(port, _latest_path()))
    servers: dict[str, tuple[Sequence[str], str]] = {
        "capseal serve": (serve_argv(store, site), _latest_path()),
        "nginx, a file of the same bytes": (nginx_argv(site, "off"), "/latest.json"),
        "Starlette StaticFiles, the same file": (static_files_argv(site), "/latest.json"),
    }
    if shutil.which("nginx") is None or pins.found()["nginx"] is None:
        del servers["nginx, a file of the same bytes"]
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
    for round_ in range(plan.rounds):
        for name, (argv, path) in servers.items():
            taken[name].append(_answers(argv, path, site))
            plan.say(f"  latest round {round_ + 1}: {taken[name][-1]}  {name}")
    for name, runs in taken.items():
        yield {"group": "latest", "name": name, **_summary(runs)}


def _answers(argv: Sequence[str], path: str, site: Site) -> dict[str, float]:
    """Return answers per second, of which the clients have their part, and microseconds of the server for each."""
    with running(argv, site) as (pid, port):
        _ask(port, path, _ANSWERS // 10)  # untimed: everything is loaded
        before_cpu, before = cpu_s(pid), time.perf_counter()
        _ask(port, path, _ANSWERS)
        return {
            "answers_per_s": _ANSWERS / (time.perf_counter() - before),
            "cpu_us_per_answer": (cpu_s(pid) - before_cpu) / _ANSWERS * 1e6,
        }


def _ask(port: int, path: str, count: int) -> None:
    argv = [sys.executable, "-I", os.path.join(SCRIPTS, "answers.py"), str(port), path, str(count), str(_CLIENTS)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandError(f"clients: {done.stderr.strip()[-400:]}")


def _summary(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    found: dict[str, Callable[[list[float]], float]] = {"min": min, "median": statistics.median, "max": max}
    return {
        f"{name}_{how}": round(judge([run[name] for run in runs]), 3)
        for name in runs[0]
        for how, judge in found.items()
    }
