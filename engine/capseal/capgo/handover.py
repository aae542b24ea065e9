"""Two stages on two threads: one fills buffers, the other takes them in order. Memory is constant.

CBC and SHA-256 are both serial, so a file has two chains of work, and each gets a core of its own.
"""

import mmap
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

CHUNK_BYTES = 1024 * 1024
_BUFFERS = 4
_SPARE_BYTES = 32  # for a block of padding, and what update_into demands beyond its input
_INTERRUPTED_JOIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of the input. data: what became of it; taken: its bytes; last: it ends the input."""

    data: memoryview
    taken: int
    last: bool


def chunk_buffer() -> memoryview:
    """Return a page-aligned buffer for one chunk and its padding."""
    return memoryview(mmap.mmap(-1, CHUNK_BYTES + _SPARE_BYTES))


def hand_over(first: Callable[[memoryview], Chunk], second: Callable[[Chunk], None]) -> None:
    """Call `first` with a buffer on a thread of its own, and `second` with what it returned on this one.

    Ends after the last chunk. The first error of either stops both and is raised here.
    """
    free: SimpleQueue[memoryview] = SimpleQueue()
    filled: SimpleQueue[tuple[memoryview, Chunk] | BaseException] = SimpleQueue()
    stopped = threading.Event()
    for _ in range(_BUFFERS):
        free.put(chunk_buffer())

    def fill() -> None:
        try:
            last = False
            while not last:
                buffer = free.get()
                if stopped.is_set():
                    return
                chunk = first(buffer)
                last = chunk.last
                filled.put((buffer, chunk))
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            filled.put(error)

    # A daemon: one that is stuck in a read must not keep an interrupted process alive.
    thread = threading.Thread(target=fill, name="capseal-capgo", daemon=True)
    thread.start()
    try:
        last = False
        while not last:
            item = filled.get()
            if isinstance(item, BaseException):
                raise item
            buffer, chunk = item
            second(chunk)
            last = chunk.last
            free.put(buffer)
    except BaseException:
        stopped.set()
        free.put(chunk_buffer())  # wakes a thread that waits for one
        thread.join(_INTERRUPTED_JOIN_S)
        raise
    thread.join()
