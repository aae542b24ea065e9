"""An end for what must not take long: a server that sends a byte now and then never lets a time-out of reads pass."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import TransferError

_AGAIN_S = 0.5
"""How soon transfers are ended once more: one that was just beginning had no socket to be shut yet."""


@contextmanager
def within(most_s: float, end: Callable[[], None]) -> Iterator[threading.Event]:
    """Give what is set once the block has taken so many seconds; from then on `end` is called until it is left.

    end: ends every transfer under way, from another thread. Raises TransferError where there is no thread to be had.
    """
    late, left = threading.Event(), threading.Event()

    def watch() -> None:
        wait_s = most_s
        while not left.wait(wait_s):
            late.set()
            end()
            wait_s = _AGAIN_S

    thread = threading.Thread(target=watch, name="capseal-deadline", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:  # "can't start new thread"
        raise TransferError(f"nothing is asked for without a look at the time: {error}") from error
    try:
        yield late
    finally:
        left.set()
        thread.join()  # so that nothing that comes afterwards is ended
