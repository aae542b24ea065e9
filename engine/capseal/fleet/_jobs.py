"""Tasks through an engine: so many at once, again where a worker was lost, until all are done, one fails or is told."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, field, replace
from threading import Event
from time import monotonic
from typing import Any, Generic, TypeVar

from ..errors import TransferError
from ._engines import Engine

T = TypeVar("T")
R = TypeVar("R")

_TRIES = 10
_UNDER_WAY = 2
"""Tasks for each thread: the next one is there when one ends."""
_LOOK_S = 0.25
"""How long a wait is, between looks at whether it was cancelled."""
_PAUSE_S = 0.02
_COUNT_S = 5.0
"""How long the number of workers is believed."""
_PATIENCE_S = 300.0
"""How long a job waits while there is no worker at all."""
_LAST_S = 10.0
"""How long a job that ends early waits for tasks that were begun, where others do them."""


@dataclass(frozen=True, slots=True)
class Task(Generic[T]):
    """One call. what: names it in results; arguments: of the function; size: bytes, for progress."""

    what: T
    arguments: tuple[Any, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is. retried: tasks that were done again; sizes in bytes; bytes None: nobody knows yet."""

    done_tasks: int = 0
    tasks: int | None = None
    done_bytes: int = 0
    bytes: int | None = None
    retried: int = 0
    elapsed_s: float = 0.0

    @property
    def bytes_per_s(self) -> float:
        """Throughput so far."""
        return self.done_bytes / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def left_s(self) -> float | None:
        """How long it will take yet at that throughput, or None."""
        return (self.bytes - self.done_bytes) / self.bytes_per_s if self.bytes and self.done_bytes else None


class JobCancelledError(TransferError):
    """The job was told to stop; the same call may succeed later."""


@dataclass(slots=True)
class Watch:
    """Who looks on. report: is told after each task; cancelled: says whether to stop; clock: in seconds.

    bytes_per_s: no more is begun where more than that was done so far.
    """

    report: Callable[[Progress], None] | None = None
    cancelled: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = monotonic
    bytes_per_s: float | None = None
    progress: Progress = field(default_factory=Progress)


def results(
    engine: Engine,
    function: Callable[..., R],
    tasks: Iterable[Task[T]],
    *,
    watch: Watch,
    give_up: Callable[[], None] | None = None,
) -> Generator[tuple[Task[T], R], None, None]:
    """Yield tasks and what the function returned for them, in the order in which they end.

    The first error stops everything that was not begun, as does who leaves the iteration: close it. In this process
    what was begun has ended then. give_up: tells tasks that were begun to end, which are waited for a while then, too,
    where others do them. Raises what the function does, JobCancelledError, TransferError where a task's workers were
    lost again and again, or none is left.
    """
    began = watch.clock()
    waiting = iter(tasks)
    pending: dict[Future[R], tuple[Task[T], int]] = {}
    begun_bytes = 0
    working, counted, worked = engine.threads(), began, began
    exhausted = False
    pause = Event()
    lost: tuple[type[BaseException], ...] = (*engine.lost, CancelledError)

    def submit(task: Task[T], tries: int) -> None:
        pending[engine.executor.submit(function, *task.arguments)] = (task, tries)

    try:
        while True:
            now = watch.clock()
            if now - counted > _COUNT_S:
                working, counted = engine.threads(), now
                worked = now if working else worked
                if now - worked > _PATIENCE_S:
                    raise TransferError(f"the cluster has had no worker for {now - worked:.0f} s")
            window = max(1, working) * _UNDER_WAY
            while len(pending) < window and not exhausted and not _too_fast(watch, begun_bytes, now - began):
                task = next(waiting, None)
                if task is None:
                    exhausted = True
                    break
                begun_bytes += task.size
                submit(task, 1)
            if exhausted and not pending:
                return
            if watch.cancelled():
                raise JobCancelledError(f"cancelled after {watch.progress.done_tasks} tasks")
            if not pending:
                pause.wait(_PAUSE_S)
                continue
            finished, _ = wait(pending, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
            for future in finished:
                task, tries = pending.pop(future)
                try:
                    result = future.result()
                except lost as error:
                    if tries == _TRIES:
                        raise TransferError(f"{task.what}: its workers were lost {tries} times: {error}") from error
                    watch.progress = replace(watch.progress, retried=watch.progress.retried + 1)
                    submit(task, tries + 1)
                    continue
                before = watch.progress
                watch.progress = replace(
                    before,
                    done_tasks=before.done_tasks + 1,
                    done_bytes=before.done_bytes + task.size,
                    elapsed_s=watch.clock() - began,
                )
                if watch.report is not None:
                    watch.report(watch.progress)
                yield task, result
    finally:
        if pending and give_up is not None:
            give_up()
            wait(pending, timeout=_LAST_S)
        for future in pending:
            future.cancel()
        if not engine.shared:
            wait(pending)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a job did, for people and scripts. Sizes in bytes."""

    job: str
    engine: str
    place: str
    tasks: int
    retried: int
    bytes: int
    seconds: float
    dry_run: bool = False
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, job: str, engine: Engine, watch: Watch, *, place: str, warnings: tuple[str, ...] = ()) -> "Report":
        """Return the report of a job that is done."""
        done = watch.progress
        return cls(
            job=job,
            engine=engine.name,
            place=place,
            tasks=done.done_tasks,
            retried=done.retried,
            bytes=done.done_bytes,
            seconds=round(done.elapsed_s, 3),
            warnings=warnings,
        )

    @classmethod
    def planned(
        cls, job: str, engine: Engine, tasks: Iterable[Task[Any]], *, place: str, warnings: tuple[str, ...] = ()
    ) -> "Report":
        """Return the report of a dry run: what would be done."""
        sizes = [task.size for task in tasks]
        return cls(
            job=job,
            engine=engine.name,
            place=place,
            tasks=len(sizes),
            retried=0,
            bytes=sum(sizes),
            seconds=0.0,
            dry_run=True,
            warnings=warnings,
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__} | {"warnings": list(self.warnings)}


def _too_fast(watch: Watch, begun_bytes: int, elapsed_s: float) -> bool:
    return watch.bytes_per_s is not None and begun_bytes > watch.bytes_per_s * elapsed_s
