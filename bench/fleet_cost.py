"""What a fleet costs in CPU time against plain sealing: `python -m bench.fleet_cost --mib 4096`.

One file is sealed by `capseal.seal()`, by a fleet of threads and by a Dask cluster of processes of its own (a scheduler
and two workers, or as many as are asked for), in turns. CPU seconds are those of all processes: `job` from when
everybody has started, and is connected, to when the bundle has its name; `whole` with the driver's interpreter,
imports and connection, too, which cost the same for every size. Workers and scheduler run before, as in a deployment.
Each round is compared with itself, since a busy machine changes within seconds: the ratios are medians of those of the
rounds. Then a thousand tasks of nothing tell what scheduler and driver spend on one. One JSON line each.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 1 << 20

SETTINGS = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
"""As docs/fleet.md has them: a profiler that looks at each worker 100 times a second costs more than the scheduler."""

DRIVER = """
import json, sys, time
from datetime import UTC, datetime
import capseal
from capseal import fleet
from capseal.bundle.plan import OPEN_ENCRYPTION, OPEN_PAYLOAD
from capseal.crypto.keys import load_private_key
from capseal.format.statement import Content, Statement
from capseal.format.strictjson import Role

how, source, target, task, address, key = sys.argv[1:]
key = load_private_key(key)
named = {"app": "com.example.game", "version": "1", "sequence": 1}
common = {"recipients": [key.public_key], "overwrite": True, "unpackable": False}
tasks = 0
if how == "plain":
    began = time.process_time()
    capseal.seal(source, target, signer=key, **named, **common)
else:
    content = Content("content", "application/octet-stream", 0)
    statement = Statement(
        **named, channel="production", role=Role.PRODUCTION, created=datetime(2026, 1, 1, tzinfo=UTC),
        content=content, payload=OPEN_PAYLOAD, encryption=OPEN_ENCRYPTION,
    )
    with fleet.threads() if how == "threads" else fleet.dask(address) as engine:
        began = time.process_time()
        done = fleet.seal(
            source, target, statement=statement, signers=[key], engine=engine, task_bytes=int(task), **common
        )
        tasks, ended = done.report.tasks, time.process_time()
if how == "plain":
    ended = time.process_time()
print(json.dumps([tasks, ended - began]))
"""

NOTHING = """
import json, sys, time
from capseal import fleet
from capseal.fleet import Watch
from capseal.fleet._jobs import Task, results

with fleet.dask(sys.argv[1]) as engine:
    work = bytes(600)
    for _ in results(engine, len, (Task(n, (work,), 0) for n in range(50)), watch=Watch()):
        pass
    began = time.process_time()
    for _ in results(engine, len, (Task(n, (work,), 0) for n in range(int(sys.argv[2]))), watch=Watch()):
        pass
    print(time.process_time() - began)
"""
NOTHINGS = 1000


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


@contextmanager
def _cluster(folder: Path, count: int) -> Iterator[tuple[str, int, list[int]]]:
    """Yield a scheduler's address and process, and its workers'."""
    made: list[subprocess.Popen[bytes]] = []
    found = folder / "scheduler.json"
    common = ["--scheduler-file", str(found)]
    env = os.environ | SETTINGS
    dask = [sys.executable, "-m", "dask"]
    try:
        scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", *common]
        made.append(subprocess.Popen(scheduler, stderr=subprocess.DEVNULL, env=env))
        worker = [*dask, "worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", *common]
        while not found.exists():
            time.sleep(0.05)
        made += [
            subprocess.Popen([*worker, "--local-directory", str(folder)], stderr=subprocess.DEVNULL, env=env)
            for _ in range(count)
        ]
        address = json.loads(found.read_text())["address"]
        from distributed import Client

        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(count)
        yield address, made[0].pid, [one.pid for one in made[1:]]
    finally:
        for one in reversed(made):
            one.terminate()
            one.wait()


def _driven(*arguments: str) -> tuple[float, float, int]:
    """Run a driver; return its CPU seconds, those of the job alone, and how many tasks there were."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run([sys.executable, "-c", DRIVER, *arguments], check=True, stdout=subprocess.PIPE).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    tasks, job = json.loads(out)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, job, tasks


def _nothing(address: str, scheduler: int) -> dict[str, float]:
    """Return what the scheduler and the driver spend on one task, in ms of CPU, but for what time alone takes."""
    idle = _cpu_s(scheduler)
    time.sleep(5)
    idle = (_cpu_s(scheduler) - idle) / 5
    began, before = time.monotonic(), _cpu_s(scheduler)
    words = [sys.executable, "-c", NOTHING, address, str(NOTHINGS)]
    driver = float(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    spent = _cpu_s(scheduler) - before - idle * (time.monotonic() - began)
    return {
        "scheduler_ms_per_task": round(1000 * spent / NOTHINGS, 2),
        "driver_ms_per_task": round(1000 * driver / NOTHINGS, 2),
        "scheduler_idle_cpu_s_per_s": round(idle, 4),
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--task-mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    from capseal.crypto.keys import PrivateKey

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key = folder / "key.pem"
        PrivateKey.generate(3072).save(key)
        with (folder / "content").open("wb") as file:
            for _ in range(asked.mib):
                file.write(os.urandom(MIB))
        settings = str(folder / "content"), str(folder / "sealed"), str(asked.task_mib * MIB)
        with _cluster(folder, asked.workers) as (address, scheduler, workers):
            _driven("dask", *settings, address, str(key))  # so that workers have imported everything
            rounds = [
                {
                    how: _measured(how, settings, address, key, scheduler, workers)
                    for how in ("plain", "threads", "dask")
                }
                for _ in range(asked.rounds)
            ]
            nothing = _nothing(address, scheduler)
        of_plain = {
            what: {
                how: round(statistics.median(one[how][what] / one["plain"][what] for one in rounds), 3)
                for how in ("threads", "dask")
            }
            for what in ("job", "whole")
        }
        print(json.dumps({"mib": asked.mib, "task_mib": asked.task_mib, "of_plain": of_plain, **nothing}))


def _measured(
    how: str, settings: tuple[str, str, str], address: str, key: Path, scheduler: int, workers: list[int]
) -> dict[str, float]:
    """Seal once; print and return CPU seconds of all processes, of the job and of the whole."""
    processes = (scheduler, *workers)
    before, began = [_cpu_s(pid) for pid in processes], time.monotonic()
    whole, job, tasks = _driven(how, *settings, address, str(key))
    took = time.monotonic() - began
    there = [_cpu_s(pid) - was for pid, was in zip(processes, before, strict=True)]
    elsewhere = sum(there) if how == "dask" else 0
    told: dict[str, float] = {"job": job + elsewhere, "whole": whole + elsewhere}
    more: dict[str, object] = {"seconds": round(took, 2)}
    if how == "dask":
        more |= {"driver": round(job, 2), "scheduler": round(there[0], 2), "workers": round(sum(there[1:]), 2)}
        more |= {"tasks": tasks, "worker_peak_mib": round(max(map(_peak_mib, workers)))}
    print(json.dumps({"how": how, **{name: round(value, 2) for name, value in told.items()}, **more}), flush=True)
    return told


if __name__ == "__main__":
    main()
