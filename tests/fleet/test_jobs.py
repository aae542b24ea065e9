"""Tasks are done again where workers are lost, and stop at the first error or when they are told."""

import itertools
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from typing import Any

import distributed
import pytest
from distributed import Client
from distributed.client import FutureCancelledError

import capseal
from capseal import fleet
from capseal.errors import (
    CapsealError,
    FormatError,
    KeyFileError,
    RollbackError,
    TamperedError,
    TransferError,
    TruncatedError,
    UsageError,
)
from capseal.fleet import Engine, TlsFiles
from capseal.fleet import _engines as engines
from capseal.fleet import _jobs as jobs
from capseal.fleet._engines import ClusterExecutor
from capseal.fleet._jobs import JobCancelledError, Task, Watch


class Idle(Executor):
    """Nobody does anything."""

    def submit(self, fn: object, /, *_: object, **__: object) -> Future[Any]:
        return Future()


class LostError(Exception):
    """In place of a task's own error."""


@pytest.fixture
def engine() -> Iterator[Engine]:
    with ThreadPoolExecutor(2) as executor:
        yield Engine("threads", executor, False, lambda: 2, (LostError,))


def numbered(count: int) -> list[Task[int]]:
    return [Task(number, (number,), 10) for number in range(count)]


def test_results_come_with_their_tasks_and_progress_counts(engine: Engine) -> None:
    seen: list[fleet.Progress] = []
    watch = Watch(report=seen.append, progress=fleet.Progress(bytes=200, tasks=20))
    found = {task.what: result for task, result in jobs.results(engine, lambda n: n * n, numbered(20), watch=watch)}
    assert found == {n: n * n for n in range(20)}
    assert [one.done_tasks for one in seen] == list(range(1, 21))
    assert (seen[-1].done_bytes, seen[-1].retried) == (200, 0)
    assert seen[-1].left_s == 0 and seen[0].bytes_per_s > 0


def test_a_task_that_was_lost_with_its_worker_is_done_again(engine: Engine) -> None:
    lost = set(range(10))

    def fragile(number: int) -> int:
        if number in lost:
            lost.discard(number)
            raise LostError
        return number

    watch = Watch()
    assert sorted(result for _, result in jobs.results(engine, fragile, numbered(20), watch=watch)) == list(range(20))
    assert watch.progress.retried == 10


def test_a_task_that_is_lost_again_and_again_ends_the_job(engine: Engine) -> None:
    def lost(number: int) -> int:
        raise LostError("worker died")

    with pytest.raises(TransferError, match="lost 10 times: worker died"):
        list(jobs.results(engine, lost, numbered(1), watch=Watch()))


def test_a_cluster_that_has_lost_all_its_workers_ends_the_job() -> None:
    ticks = itertools.count(0, 100)
    nobody = Engine("dask", Idle(), True, lambda: 0)
    with pytest.raises(TransferError, match="has had no worker for"):
        list(jobs.results(nobody, lambda n: n, numbered(3), watch=Watch(clock=lambda: next(ticks))))


def test_who_waits_for_a_scheduler_that_has_forgotten_a_task_is_told(cluster: Client) -> None:
    gate = distributed.Event("never", client=cluster)
    executor = ClusterExecutor(cluster)
    future = executor.submit(gate.wait)
    engine = Engine("dask", executor, True, lambda: 2)
    (key,) = cluster.futures
    cluster.cancel(distributed.Future(key, client=cluster), force=True)
    with pytest.raises(CancelledError):
        future.result(timeout=60)
    # As any task that was lost, it is done again.
    assert [result for _, result in jobs.results(engine, len, [Task("it", ("abc",), 1)], watch=Watch())] == [3]


def test_a_future_ends_where_a_result_was_lost_before_it_was_fetched(
    cluster: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object, **__: object) -> None:
        raise FutureCancelledError("key", "its worker died")

    monkeypatch.setattr(cluster, "_gather", lost)
    with pytest.raises(CancelledError):
        ClusterExecutor(cluster).submit(len, "abc").result(timeout=60)


def test_what_runs_of_a_job_that_ends_early_is_told_and_waited_for() -> None:
    told = threading.Event()
    ended: list[int] = []

    def work(number: int) -> int:
        if number == 0:
            raise TamperedError("segment 0")
        assert told.wait(60)
        ended.append(number)
        return number

    with ThreadPoolExecutor(2) as executor:
        engine = Engine("elsewhere", executor, True, lambda: 2)
        with pytest.raises(TamperedError):
            list(jobs.results(engine, work, numbered(4), watch=Watch(), give_up=told.set))
        assert len(ended) >= 2


def test_the_first_error_stops_what_was_not_begun_and_waits_for_what_was(engine: Engine) -> None:
    begun, ended = [], []
    gate = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number == 0:
            raise TamperedError("segment 0")
        gate.wait(0.2)
        ended.append(number)
        return number

    with pytest.raises(TamperedError):
        list(jobs.results(engine, work, numbered(50), watch=Watch()))
    assert len(begun) < 8
    assert set(begun) == {0, *ended}


def test_a_job_that_is_cancelled_stops(engine: Engine) -> None:
    watch = Watch()
    watch.cancelled = lambda: watch.progress.done_tasks >= 3
    with pytest.raises(JobCancelledError, match="cancelled after"):
        list(jobs.results(engine, lambda n: n, numbered(1000), watch=watch))
    assert watch.progress.done_tasks < 20


def test_a_rate_is_kept(engine: Engine) -> None:
    watch = Watch(bytes_per_s=1000)
    list(jobs.results(engine, lambda n: n, numbered(40), watch=watch))
    assert watch.progress.elapsed_s > 0.3


@pytest.mark.parametrize(
    "error",
    [
        TruncatedError("ends", expected=5, actual=4),
        RollbackError("old", floor=5, sequence=4),
        TamperedError("differs", segment=3, offset=5),
        FormatError("parses not", offset=7),
        JobCancelledError("told"),
        *(kind("text") for kind in vars(capseal.errors).values() if kind in (UsageError, KeyFileError, TransferError)),
    ],
)
def test_what_a_worker_raises_arrives_as_it_was(error: CapsealError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


TLS = TlsFiles("ca", "certificate", "key")


@pytest.mark.parametrize(
    ("address", "tls"),
    [
        ("tcp://10.0.0.1:8786", None),
        ("tcp://example.com:8786", None),
        ("tcp://localhost.example.com:8786", None),
        ("tcp://[2001:db8::1]:8786", None),
        ("tcp://0.0.0.0:8786", None),
        ("tls://10.0.0.1:8786", None),
        ("tcp://127.0.0.1:8786", TLS),
        ("tls://10.0.0.1", TLS),
        ("tls://10.0.0.1:x", TLS),
        ("ws://127.0.0.1:8786", None),
        ("127.0.0.1:8786", None),
        ("inproc://127.0.0.1:1", None),
        ("", None),
    ],
)
def test_an_address_that_would_show_keys_is_refused(address: str, tls: TlsFiles | None) -> None:
    with pytest.raises(UsageError):
        engines.check_address(address, tls)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:8786"])
def test_this_machine_itself_needs_no_certificates(address: str) -> None:
    engines.check_address(address, None)
    engines.check_address("tls://10.0.0.1:8786", TLS)


def test_a_certificate_that_is_not_there_is_told(tmp_path) -> None:
    with pytest.raises(KeyFileError, match="no such file"), engines.dask("tls://10.0.0.1:8786", tls=TLS):
        pass
