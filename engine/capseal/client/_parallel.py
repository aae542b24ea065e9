"""Several transfers at once."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from ..bundle.pipeline import Progress
from ..errors import RejectedError


def run_all(
    work: Callable[..., None],
    arguments: Iterable[tuple[object, ...]],
    *,
    jobs: int,
    stopped: threading.Event | None = None,
) -> None:
    """Call work(*one) for each, on so many threads; the first error stops what has not begun.

    stopped: set as soon as there is an error, for calls that look at it. Where several fail, a
    rejection goes before all else: the other errors may be only what it entailed.
    """
    with ThreadPoolExecutor(jobs, thread_name_prefix="capseal-transfer") as pool:
        futures = [pool.submit(work, *one) for one in arguments]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            if stopped is not None and not all(future.done() for future in futures):
                stopped.set()
            pool.shutdown(cancel_futures=True)
    errors = [error for future in futures if not future.cancelled() and (error := future.exception()) is not None]
    for error in errors:
        if isinstance(error, RejectedError):
            raise error
    for error in errors:
        raise error


def serialised(progress: Progress | None) -> Progress:
    """Return a progress callback that threads may call at the same time."""
    lock = threading.Lock()

    def report(size: int) -> None:
        if progress is not None:
            with lock:
                progress(size)

    return report
