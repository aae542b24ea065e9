"""Several transfers at once."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from ..bundle.pipeline import Progress
from ..errors import RejectedError, TransferError
from ._connection import Connection, TooSlowError

END_S = 2.0
"""How long transfers that were broken off are waited for: one may be asking a name server, which nothing ends."""

_DROP_AGAIN_S = 0.1


class Lanes:
    """So many transfers at once on one connection, fewer where the line proves too slow for that.

    stopped: set as soon as one has failed, or the thread that waits for all was interrupted.
    """

    def __init__(self, connection: Connection, jobs: int) -> None:
        self.stopped = threading.Event()
        self._connection = connection
        self._jobs = jobs
        self._open = jobs
        self._busy = 0
        self._freed = threading.Condition()
        self._cause: BaseException | None = None

    def run(self, work: Callable[..., None], arguments: Iterable[tuple[object, ...]]) -> None:
        """Call work(*one) for each. The first error ends all, at once; so does what interrupts this thread.

        Where several fail, a rejection goes before all else: the other errors may be only what it entailed.
        """
        pool = ThreadPoolExecutor(self._jobs, thread_name_prefix="capseal-transfer")
        futures: list[Future[None]] = []
        try:
            futures.extend(pool.submit(self._do, work, *one) for one in arguments)
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            self._end(futures)
            pool.shutdown(wait=False, cancel_futures=True)
        for error in [*_rejections(futures), *filter(None, [self._cause])]:
            raise error

    @contextmanager
    def lane(self) -> Iterator[None]:
        """Wait until there is room for one attempt more. Raises TransferError where all was stopped."""
        with self._freed:
            self._freed.wait_for(lambda: self._busy < self._open or self.stopped.is_set())
            if self.stopped.is_set():
                raise TransferError("stopped, since another transfer failed")
            self._busy += 1
        try:
            yield
        except TooSlowError:
            with self._freed:
                self._open = max(1, self._open // 2)
            raise
        finally:
            with self._freed:
                self._busy -= 1
                self._freed.notify()

    def _do(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except BaseException as error:
            if not self.stopped.is_set():
                self._cause = error
            self._stop()
            raise

    def _stop(self) -> None:
        self.stopped.set()
        with self._freed:
            self._freed.notify_all()

    def _end(self, futures: list[Future[None]]) -> None:
        """End what has not: its sockets are shut as often as new ones appear."""
        for future in futures:
            future.cancel()
        for _ in range(round(END_S / _DROP_AGAIN_S)):
            if all(future.done() for future in futures):
                return
            self._stop()
            self._connection.drop()
            wait(futures, timeout=_DROP_AGAIN_S)


def _rejections(futures: list[Future[None]]) -> list[RejectedError]:
    done = [future for future in futures if future.done() and not future.cancelled()]
    return [error for future in done if isinstance(error := future.exception(), RejectedError)]


def serialised(progress: Progress | None) -> Progress:
    """Return a progress callback that threads may call at the same time."""
    lock = threading.Lock()

    def report(size: int) -> None:
        if progress is not None:
            with lock:
                progress(size)

    return report
