"""Work that makes many objects for a moment, while the interpreter collects no garbage."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Pause:
    """Keeps the interpreter from collecting while somebody asks for that; whether it did so before is kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking = 0
        self._was_enabled = False

    def begin(self) -> None:
        with self._lock:
            if self._asking == 0:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._asking += 1

    def end(self) -> None:
        with self._lock:
            self._asking -= 1
            if self._asking == 0 and self._was_enabled:
                gc.enable()


_PAUSE = _Pause()


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect no garbage in the block.

    A collection stops all threads and looks at whatever was made since the last one: at a pointer of ten thousand
    releases that is just being parsed for ten milliseconds and more, to find that it is in use.
    """
    _PAUSE.begin()
    try:
        yield
    finally:
        _PAUSE.end()
