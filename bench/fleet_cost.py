"""What a fleet costs in CPU time against plain sealing: `python -m bench.fleet_cost --mib 1024`.

One file is sealed by `capseal.seal()`, by a fleet of threads and by a Dask cluster of processes of its own (a scheduler
and two workers), in turns; CPU seconds are those of all processes, of the driver, too. One JSON line each.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 1 << 20

DRIVER = """
import json, sys
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
    capseal.seal(source, target, signer=key, **named, **common)
else:
    content = Content("content", "application/octet-stream", 0)
    statement = Statement(
        **named, channel="production", role=Role.PRODUCTION, created=datetime(2026, 1, 1, tzinfo=UTC),
        content=content, payload=OPEN_PAYLOAD, encryption=OPEN_ENCRYPTION,
    )
    with fleet.threads() if how == "threads" else fleet.dask(address) as engine:
        done = fleet.seal(
            source, target, statement=statement, signers=[key], engine=engine, task_bytes=int(task), **common
        )
    tasks = done.report.tasks
print(json.dumps(tasks))
"""


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


@contextmanager
def _cluster(folder: Path) -> Iterator[tuple[str, int, list[int]]]:
    """Yield a scheduler's address and process, and its workers'."""
    made: list[subprocess.Popen[bytes]] = []
    found = folder / "scheduler.json"
    common = ["--scheduler-file", str(found)]
    dask = [sys.executable, "-m", "dask"]
    try:
        scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", *common]
        made.append(subprocess.Popen(scheduler, stderr=subprocess.DEVNULL))
        worker = [*dask, "worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", *common]
        while not found.exists():
            made[0].poll()
        made += [
            subprocess.Popen([*worker, "--local-directory", str(folder)], stderr=subprocess.DEVNULL) for _ in range(2)
        ]
        address = json.loads(found.read_text())["address"]
        from distributed import Client

        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2)
        yield address, made[0].pid, [one.pid for one in made[1:]]
    finally:
        for one in reversed(made):
            one.terminate()
            one.wait()


def _driven(*arguments: str) -> tuple[float, int]:
    """Run a driver; return its CPU seconds, and how many tasks there were."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run([sys.executable, "-c", DRIVER, *arguments], check=True, stdout=subprocess.PIPE).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, json.loads(out)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--task-mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
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
        best: dict[str, float] = {}
        with _cluster(folder) as (address, scheduler, workers):
            _driven("dask", *settings, address, str(key))  # so that workers have imported everything
            for _ in range(asked.rounds):
                for how in ("plain", "threads", "dask"):
                    before = [_cpu_s(pid) for pid in (scheduler, *workers)]
                    spent, tasks = _driven(how, *settings, address, str(key))
                    there = [_cpu_s(pid) - was for pid, was in zip((scheduler, *workers), before, strict=True)]
                    total = spent + (sum(there) if how == "dask" else 0)
                    best[how] = min(best.get(how, total), total)
                    told = {"how": how, "cpu_s_per_gib": round(total * 1024 / asked.mib, 3), "driver_cpu_s": spent}
                    if how == "dask":
                        told |= {"scheduler_cpu_s": there[0], "tasks": tasks, "workers_cpu_s": sum(there[1:])}
                        told["worker_peak_mib"] = round(max(map(_peak_mib, workers)))
                    print(json.dumps(told), flush=True)
        ratios = {how: round(value / best["plain"], 3) for how, value in best.items()}
        print(json.dumps({"mib": asked.mib, "task_mib": asked.task_mib, "of_plain": ratios}))


if __name__ == "__main__":
    main()
