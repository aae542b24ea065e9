"""How a fleet would do on 10 to 1,000 workers, and who is the bottleneck: `python -m bench.fleet_model`.

A simulation with costs as arguments, by default those that were measured (docs/fleet.md, Sizing): each worker takes
the next task as soon as the scheduler has handed it out; the scheduler and the driver do one thing at a time; a task
reads and writes its bytes through its worker's network card while it computes, and all of them share the store.
"""

import argparse
import heapq
from dataclasses import dataclass

GIB = 1 << 30
TIB = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Seconds, and bytes. thread_s: CPU of a worker for a GiB; start_s: of a task, claims and requests; scheduler_s:
    for a task; driver_s: for a task, its index entries included; nic, store: bytes per second, each way."""

    thread_s: float = 4.2
    threads: int = 4
    start_s: float = 0.05
    scheduler_s: float = 0.001
    driver_s: float = 0.001
    nic: float = 1.25e9
    store: float = 100e9


@dataclass(frozen=True, slots=True)
class Outcome:
    """How long it takes, and how much of that each was busy, from 0 to 1."""

    seconds: float
    busy: dict[str, float]

    @property
    def bottleneck(self) -> str:
        """Who was busy most."""
        return max(self.busy, key=lambda name: self.busy[name])


def simulate(size: int, *, workers: int, task_bytes: int, costs: Costs) -> Outcome:
    """Return what sealing so many bytes takes."""
    tasks = -(-size // task_bytes)
    share = min(costs.nic, costs.store / workers) / costs.threads
    compute = task_bytes / GIB * costs.thread_s
    moving = task_bytes / share
    task_s = costs.start_s + max(compute, moving)
    free = [0.0] * (workers * costs.threads)
    handed = merged = 0.0
    for _ in range(tasks):
        ready = heapq.heappop(free)
        handed = max(ready, handed) + costs.scheduler_s
        done = handed + task_s
        heapq.heappush(free, done)
        merged = max(merged, done) + costs.driver_s if done > merged else merged + costs.driver_s
    seconds = max(merged, max(free))
    slots = workers * costs.threads
    on_store = share * costs.threads * workers >= costs.store * 0.999
    busy = {
        "scheduler": tasks * costs.scheduler_s / seconds,
        "driver": tasks * costs.driver_s / seconds,
        "processors": tasks * compute / slots / seconds,
        "the store" if on_store else "network cards": tasks * moving / slots / seconds,
    }
    return Outcome(seconds, busy)


def _shown(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def main() -> None:
    """Print a table for docs/fleet.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in Costs.__slots__:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=Costs.__dataclass_fields__[name].default)
    parser.add_argument("--task-mib", type=int, default=256)
    asked = vars(parser.parse_args())
    task_bytes = asked.pop("task_mib") << 20
    costs = Costs(**asked | {"threads": int(asked["threads"])})
    print("| size | workers | time | GB/s | busiest | busy |")
    print("|---|---|---|---|---|---|")
    for size in (TIB, 100 * TIB):
        for workers in (10, 30, 100, 300, 1000):
            found = simulate(size, workers=workers, task_bytes=task_bytes, costs=costs)
            busy = found.busy[found.bottleneck]
            speed = size / found.seconds / 1e9
            print(
                f"| {size // TIB} TiB | {workers} | {_shown(found.seconds)} | {speed:.1f} | {found.bottleneck} "
                f"| {busy:.0%} |"
            )


if __name__ == "__main__":
    main()
