"""Dask workers that are started again whenever they die, as by an init system: `python -m support.fleet_workers`.

They are forks of a process that has loaded everything, so that a new one is there within a tenth of a second. Whoever
started this one ends it, and them, by closing its standard input.
"""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

TESTS = Path(__file__).parents[1]


@contextlib.contextmanager
def workers(scheduler: str, count: int, folder: Path) -> Iterator[psutil.Process]:
    """Keep so many workers of one thread; yield the process whose children they are."""
    command = [sys.executable, "-m", "support.fleet_workers", scheduler, str(count), str(folder)]
    with (folder / "log").open("wb") as log:
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": path, "DASK_DISTRIBUTED__ADMIN__TICK__LIMIT": "1h"}
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, stdout=log, env=environment)
        try:
            yield psutil.Process(process.pid)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def _keep(scheduler: str, count: int, folder: str) -> None:
    import distributed

    import capseal.fleet._work

    assert distributed.Worker and capseal.fleet._work.seal_span
    running: set[int] = set()
    try:
        while not select.select([sys.stdin], [], [], 0.02)[0]:
            running = {pid for pid in running if os.waitpid(pid, os.WNOHANG) == (0, 0)}
            for _ in range(count - len(running)):
                pid = os.fork()
                if pid == 0:
                    asyncio.run(_work(scheduler, folder))
                    os._exit(0)
                running.add(pid)
    finally:
        for pid in running:
            os.kill(pid, signal.SIGKILL)


async def _work(scheduler: str, folder: str) -> None:
    from distributed import Worker

    async with Worker(
        scheduler, name=os.getpid(), nthreads=1, local_directory=folder, dashboard_address=None
    ) as worker:
        await worker.finished()


if __name__ == "__main__":
    _keep(sys.argv[1], int(sys.argv[2]), sys.argv[3])
