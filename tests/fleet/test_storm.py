"""Workers are killed all the time, and no byte changes; a store has never seen two ciphertexts of a segment."""

import hashlib
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from distributed import Client, LocalCluster

from capseal import fleet
from capseal.constants import SEGMENT_BYTES
from capseal.errors import SourceChangedError
from capseal.fleet import Engine
from capseal.fleet._engines import ClusterExecutor
from capseal.fleet._plan import Span
from fleet.conftest import Keys
from support.fleet_workers import workers
from support.recording_s3 import Recorder, recording_s3
from support.s3 import point_at

PART = 4
SIZES = {"part_bytes": PART * SEGMENT_BYTES, "task_bytes": 4 * PART * SEGMENT_BYTES}


class Repeating(Executor):
    """An executor that does the first task four times at once; `again` does it once more. first: its outcomes."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.first: list[Future[Any]] = []
        self.again: Callable[[], Future[Any]]

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if not self.first:
            self.again = lambda: self._executor.submit(fn, *args, **kwargs)
            self.first = [self.again() for _ in range(4)]
            return self.first[0]
        return self._executor.submit(fn, *args, **kwargs)


@dataclass
class Storm:
    """Who works while it blows. freezes: one of them does.

    killed: so many were; frozen: who stands still; woken: once it was thought dead.
    """

    engine: Engine
    executor: Repeating
    cluster: LocalCluster
    parent: psutil.Process
    freezes: bool
    killed: int = 0
    frozen: psutil.Process | None = None
    woken: bool = False

    def blow(self, over: threading.Event, recorder: Recorder, every_s: float, every: int) -> None:
        """Kill a worker ever so often; the first that is hit freezes, and wakes when its work is others'.

        every: parts that are sent meanwhile, at least, so that it blows as hard wherever the work is slow.
        """
        rng = random.Random(1)
        sent = 0
        while not over.wait(every_s):
            if len(recorder.sent) < sent + every and (self.frozen is not None or not self.freezes):
                continue
            sent = len(recorder.sent)
            known = {one.name for one in list(self.cluster.scheduler.workers.values())}
            with suppress(psutil.NoSuchProcess):
                running = [one for one in self.parent.children() if one != self.frozen and one.pid in known]
                if self.frozen is not None and not self.woken and self.frozen.pid not in known:
                    self.frozen.resume()
                    self.woken = True
                if running and self.frozen is None and self.freezes:
                    self.frozen = running[0]
                    self.frozen.suspend()
                elif running:
                    rng.choice(running).kill()
                    self.killed += 1


@contextmanager
def storm(
    folder: Path, recorder: Recorder, *, freezes: bool = True, every_s: float = 0.01, every: int = 6
) -> Iterator[Storm]:
    """Keep three workers while a storm blows."""
    folder.mkdir()
    settings = {"distributed.scheduler.allowed-failures": 100, "distributed.scheduler.worker-ttl": "1s"}
    with (
        dask.config.set(settings),
        LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", host="127.0.0.1") as cluster,
        Client(cluster, set_as_default=False) as client,
        workers(cluster.scheduler_address, 3, folder) as parent,
    ):
        client.wait_for_workers(3)
        executor = Repeating(ClusterExecutor(client))
        blowing = Storm(Engine("dask", executor, True, lambda: 3), executor, cluster, parent, freezes)
        over = threading.Event()
        thread = threading.Thread(target=blowing.blow, args=(over, recorder, every_s, every))
        thread.start()
        try:
            yield blowing
        finally:
            over.set()
            thread.join()


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    (tmp_path / "store").mkdir()
    with recording_s3(tmp_path / "store") as recorder, pytest.MonkeyPatch.context() as patch:
        point_at(recorder.url, patch)
        yield recorder


def made_of(recorder: Recorder, payloads: Sequence[bytes | memoryview]) -> dict[Span, frozenset[int]]:
    """Return of which payloads all bytes are that were ever sent of each part; requests may have been cut short."""
    found: dict[Span, frozenset[int]] = {}
    for sent in recorder.sent:
        span = Span.of_part(Path(sent.key).name)
        if span is not None:
            start = span.first * SEGMENT_BYTES
            fit = frozenset(
                number
                for number, payload in enumerate(payloads)
                if hashlib.sha256(payload[start : start + sent.size]).digest() == sent.digest
            )
            found[span] = found.get(span, fit) & fit
    return found


@pytest.mark.parametrize(
    ("segments", "every_s", "every"),
    [(128, 0.01, 6), pytest.param(8192, 1.0, 0, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
)
def test_in_a_storm_the_payload_is_the_same_and_a_store_sees_one_ciphertext(
    tmp_path: Path, keys: Keys, recorder: Recorder, segments: int, every_s: float, every: int
) -> None:
    with (tmp_path / "content").open("wb") as file:
        for number in range(0, segments, 64):
            file.write(random.Random(number).randbytes(64 * SEGMENT_BYTES))
    plain = keys.plain(tmp_path / "content")
    with storm(tmp_path / "work", recorder, every_s=every_s, every=every) as blowing:
        sealed = keys.seal(tmp_path / "content", recorder.bucket, blowing.engine, **SIZES)
        assert len({future.result() for future in blowing.executor.first}) == 1
    assert sealed.seal is not None and sealed.seal.index == plain.seal.index
    payload = memoryview(plain.payload)
    assert set(made_of(recorder, [payload]).values()) == {frozenset({0})}
    done = 0
    for key, path in sorted(recorder.objects().items()):
        if not key.endswith("/seal"):
            part = path.read_bytes()
            assert part == payload[done : done + len(part)]
            done += len(part)
    assert done == len(payload)
    with fleet.threads(2) as threads:
        assert fleet.verify(sealed.report.place, trust=keys.trust, engine=threads).verified.seal == sealed.seal
    assert blowing.killed and blowing.frozen
    print(f"\n{blowing.killed} killed, 1 frozen{' and woken' * blowing.woken}, {sealed.report.seconds} s")


@pytest.mark.parametrize("pinned", [True, False])
def test_in_a_storm_a_source_that_changes_is_refused_and_a_store_sees_no_second_ciphertext(
    tmp_path: Path, keys: Keys, recorder: Recorder, pinned: bool
) -> None:
    source = tmp_path / "content"
    content = [random.Random(number).randbytes(64 * SEGMENT_BYTES) for number in range(2)]
    payloads = []
    for one in reversed(content):
        source.write_bytes(one)
        payloads.insert(0, keys.plain(source).payload)
    found = os.stat(source)

    def change(progress: fleet.Progress) -> None:
        if progress.done_tasks == 1:
            with source.open("r+b") as file:
                file.write(content[1])
            if not pinned:  # what tells it from the other is put back
                os.utime(source, ns=(found.st_atime_ns, found.st_mtime_ns))
            # It was done before of what the source was then.
            again.append(blowing.executor.again())

    again: list[Future[Any]] = []
    with storm(tmp_path / "work", recorder, freezes=False) as blowing:
        with suppress(SourceChangedError):
            sealed = keys.seal(source, recorder.bucket, blowing.engine, watch=fleet.Watch(report=change), **SIZES)
            # Nothing was read twice but that one task.
            assert not pinned and sealed.seal is not None
        with pytest.raises(SourceChangedError):
            again[0].result(timeout=60)
    seen = made_of(recorder, payloads)
    assert seen and all(seen.values())
    if pinned:  # All that was there when it was swept; what was on its way then, from workers that died, came later.
        assert recorder.objects().keys() <= set(recorder.stored[recorder.listed :])
