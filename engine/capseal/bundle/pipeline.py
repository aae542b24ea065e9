"""The one worker loop: source -> work on a run of segments -> sink, on 1..N threads, in constant memory.

A worker owns a run of segments from read to write. There is no queue between stages: each worker has
one input and one output buffer, made once. Positional sources and sinks are used by all workers at
once; ordered ones are entered one run after the other. The first error stops everyone; where two
workers fail, the error of the earlier run is raised, whoever came first.
"""

import mmap
import threading
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from ..constants import BLOCK_BYTES, SEGMENT_BYTES
from ..errors import UsageError
from ..native import processors

if TYPE_CHECKING:
    from ..io.sink import Sink
    from ..io.source import Source

RUN_SEGMENTS = 4
"""Segments in a run: 2 MiB, long enough to hide a call's cost, short enough to stay in cache."""

IN_PLACE_RUN_SEGMENTS = 32
"""Segments in a run that is worked on in place: 16 MiB, since to map a run costs more than a call."""

_INTERRUPTED_JOIN_S = 2.0


class Run(NamedTuple):
    """Consecutive segments. first: number of the first; data: their bytes; last: they end the input."""

    first: int
    data: memoryview
    last: bool


Work = Callable[[Run, memoryview], memoryview]
"""Turns a run into the bytes to write: a part of the given output buffer, or the run's own data."""

InPlace = Callable[[int, int, int], bool]
"""Does the work on segments where they lie in the source, without reading them, and says whether that could be done.

Is given the number of the first one, the offset where it starts and the size of all, in bytes.
"""

Lend = Callable[[int, int], memoryview | None]

Layout = Callable[[int], int]
"""Gives the byte offset at which a segment starts."""

Progress = Callable[[int], None]
"""Called with the number of input bytes just finished, from any worker thread, one at a time."""


def payload_layout(segment: int) -> int:
    """Return a segment's offset in the payload."""
    return segment * SEGMENT_BYTES


class Pump:
    """Passes all of a source through `work` into a sink, once: Pump(...).run().

    in_place: what to try before, where there is no sink; work then only gets what could not be done in place.
    total: input bytes, None where only the end of the source will tell. ended_early: makes the error for a source
    that has only so many bytes. jobs: threads, None for one per core.
    """

    def __init__(
        self,
        *,
        source: "Source",
        sink: "Sink | None",
        work: Work,
        in_place: InPlace | None = None,
        read_layout: Layout,
        write_layout: Layout = payload_layout,
        total: int | None,
        ended_early: Callable[[int], Exception],
        jobs: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.source = source
        self.sink = sink
        self.work = work
        self.in_place = in_place
        self.read_layout = read_layout
        self.write_layout = write_layout
        self.total = total
        self.ended_early = ended_early
        self.jobs = jobs
        self.progress = progress
        self._run_segments = RUN_SEGMENTS
        self._intake = threading.Lock()
        self._turn = threading.Condition()
        self._report = threading.Lock()
        self._next_read = 0
        self._next_write = 0
        self._exhausted = False
        self._stopped = False
        self._errors: list[tuple[int, BaseException]] = []

    def run(self) -> None:
        """Do it. Raises what work, source or sink raise; the sink is left uncommitted then."""
        jobs = processors() if self.jobs is None else self.jobs
        if jobs < 1:
            raise UsageError(f"{jobs} jobs asked for, at least 1 is needed")
        if self.in_place is not None:
            self._run_segments = IN_PLACE_RUN_SEGMENTS
        buffer_bytes = self._run_segments * SEGMENT_BYTES
        if self.total is not None:
            jobs = max(1, min(jobs, -(-self.total // buffer_bytes)))
            buffer_bytes = min(buffer_bytes, self.total + BLOCK_BYTES)  # room for header and tags
        if jobs == 1:
            self._worker(buffer_bytes)
        else:
            self._run_threads(jobs, buffer_bytes)
        if self._errors:
            raise min(self._errors, key=itemgetter(0))[1]

    def _run_threads(self, jobs: int, buffer_bytes: int) -> None:
        # Daemons: one that is stuck in a read must not keep an interrupted process alive.
        threads = [
            threading.Thread(target=self._worker, args=(buffer_bytes,), name=f"capseal-{i}", daemon=True)
            for i in range(jobs)
        ]
        try:
            started = self._start(threads)
            if not started:
                self._worker(buffer_bytes)
            for thread in started:
                thread.join()
        except BaseException:
            self._stop()
            # Only a stream can keep a worker waiting for ever; any other is waited for to its end.
            patience_s = _INTERRUPTED_JOIN_S if self.source.ordered else None
            for thread in threads:
                if thread.ident is not None:
                    thread.join(patience_s)
            raise

    def _start(self, threads: Sequence[threading.Thread]) -> list[threading.Thread]:
        """Start the threads, or as many as the system allows, and return those: fewer do the same."""
        started = []
        for thread in threads:
            try:
                thread.start()
            except RuntimeError:  # "can't start new thread"
                break
            started.append(thread)
        return started

    def _worker(self, buffer_bytes: int) -> None:
        first = 0
        try:
            # Within: where there is no memory, nothing was checked, and that must be told.
            data = memoryview(mmap.mmap(-1, buffer_bytes))  # page-aligned
            out = memoryview(mmap.mmap(-1, buffer_bytes))  # costs nothing until something is written to it
            while True:
                with self._intake:
                    if self._exhausted or self._stopped:
                        return
                    first = self._next_read
                    run = self._take(first, data)
                if not self._done_in_place(run):
                    if not self.source.ordered:
                        self._fill(run)
                    self._work(run, out)
                if self.progress is not None:
                    with self._report:
                        self.progress(len(run.data))
        except BaseException as error:  # noqa: BLE001 - run() raises it in the caller's thread
            self._errors.append((first, error))
            self._stop()

    def _take(self, first: int, data: memoryview) -> Run:
        """Claim the next run, and read it too where reads must come in order."""
        start = self.read_layout(first)
        want = self.read_layout(first + self._run_segments) - start
        if self.total is None:
            count = self.source.read_into(start, data[:want])
            run = Run(first, data[:count], count < want or not self.source.peek(start + want, 1))
        else:
            want = min(want, self.total - start)
            run = Run(first, data[:want], start + want == self.total)
            if self.source.ordered:
                self._fill(run)
        self._exhausted = run.last
        self._next_read = first + self._run_segments
        return run

    def _fill(self, run: Run) -> None:
        start = self.read_layout(run.first)
        count = self.source.read_into(start, run.data)
        if count < len(run.data):
            raise self.ended_early(start + count)

    def _done_in_place(self, run: Run) -> bool:
        return self.in_place is not None and self.in_place(run.first, self.read_layout(run.first), len(run.data))

    def _work(self, run: Run, out: memoryview) -> None:
        if self.sink is None:
            self.work(run, out)
            return
        start = self.write_layout(run.first)
        # A run comes out no larger than its place in the layout, and the last one hardly larger than it went in.
        size = min(self.write_layout(run.first + self._run_segments) - start, len(run.data) + BLOCK_BYTES)
        lend: Lend | None = getattr(self.sink, "lend", None)  # sinks may be Lenders
        lent = lend(start, size) if lend is not None else None
        self._write(self.sink, run.first, self.work(run, out if lent is None else lent))

    def _write(self, sink: "Sink", first: int, result: memoryview) -> None:
        if not sink.ordered:
            if not self._stopped:
                sink.write_at(self.write_layout(first), result)
            return
        with self._turn:
            while self._next_write != first and not self._stopped:
                self._turn.wait()
            if self._stopped:
                return
        sink.write_at(self.write_layout(first), result)
        with self._turn:
            self._next_write = first + self._run_segments
            self._turn.notify_all()

    def _stop(self) -> None:
        with self._turn:
            self._stopped = True
            self._turn.notify_all()
