"""How long every callback of an event loop took, and how much of that was the machine's doing.

wall: from its begin to its end. cpu: of that, processor time of its thread. held: what it answers for besides, such as
waiting for the interpreter's lock: wall without the time that its thread was ready to run and did not, since others had
the processors (the run delay of /proc/thread-self/schedstat), and no more than the processor time of all threads of
the process meanwhile, since whoever had the lock may have been kept from running as well.
"""

import asyncio
import gc
import os
import time
from typing import Any, NamedTuple

_NAMED_S = 0.001
"""From here on a callback is told by its name."""
_MOST_NAMED = 12


class Call(NamedTuple):
    """A callback, in seconds. gc: of them, for the collection of garbage that it came to do."""

    held: float
    wall: float
    cpu: float
    gc: float
    name: str


class LoopWatch:
    """The callbacks of asyncio's own loop, from begin() on; call it in the loop's thread."""

    def __init__(self) -> None:
        self._held: list[float] = []
        self._wall: list[float] = []
        self._cpu: list[float] = []
        self._long: list[Call] = []
        self._collected_s: list[float] = []
        self._gc_began = 0.0
        self._gc_s = 0.0

    def begin(self) -> None:
        """Watch from now on, and forget what was before."""
        run = asyncio.Handle._run
        schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY)

        def delay_s() -> float:
            return int(os.pread(schedstat, 64, 0).split()[1]) / 1e9

        def timed(handle: asyncio.Handle) -> None:
            delay, of_all, cpu, wall = delay_s(), time.process_time(), time.thread_time(), time.perf_counter()
            self._gc_s = 0.0
            run(handle)
            wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
            of_all = time.process_time() - of_all
            held = max(cpu, min(of_all, wall - (delay_s() - delay)))
            self._held.append(held)
            self._wall.append(wall)
            self._cpu.append(cpu)
            if held >= _NAMED_S:
                self._long.append(Call(held, wall, cpu, min(cpu, self._gc_s), _name(handle)))
                if (
                    len(self._long) > 2 * _MOST_NAMED
                ):  # what is kept here is looked at by the collection of garbage, too
                    self._long = sorted(self._long, reverse=True)[:_MOST_NAMED]

        asyncio.Handle._run = timed  # type: ignore[method-assign]
        gc.callbacks.append(self._on_gc)

    def result(self) -> dict[str, Any]:
        """Return what was seen, in milliseconds."""
        longest = sorted(self._long, reverse=True)[:_MOST_NAMED]
        return {
            "callbacks": len(self._held),
            "held_ms": _summary(self._held),
            "cpu_ms": _summary(self._cpu),
            "wall_ms": _summary(self._wall),
            "gc_ms": _summary(self._collected_s),
            "longest": [
                f"{one.held * 1e3:.1f} ms (cpu {one.cpu * 1e3:.1f}, gc {one.gc * 1e3:.1f}): {one.name}"
                for one in longest
            ],
        }

    def _on_gc(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._gc_began = time.thread_time()
        else:
            took_s = time.thread_time() - self._gc_began
            self._collected_s.append(took_s)
            self._gc_s += took_s


def _summary(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds) or [0.0]
    return {"most": round(ordered[-1] * 1e3, 2), "p9999": round(ordered[int(len(ordered) * 0.9999)] * 1e3, 2)}


def _name(handle: asyncio.Handle) -> str:
    """Return what a callback is; of a task, where it stands after this step of it."""
    callback = handle._callback  # type: ignore[attr-defined]
    owner = getattr(callback, "__self__", None)
    if not isinstance(owner, asyncio.Task):
        return getattr(callback, "__qualname__", repr(callback))[:200]
    names = []
    at: Any = owner.get_coro()
    while at is not None and hasattr(at, "__qualname__"):
        names.append(at.__qualname__.replace("<locals>.", ""))
        at = getattr(at, "cr_await", None) or getattr(at, "ag_await", None)
    return " > ".join(names[-4:])
