"""Steps on threads of their own: each does its part of a chunk and hands it on, in order. Memory is constant.

CBC and SHA-256 are both serial, so a file has two long chains of work, and each gets a core of its own.
"""

import mmap
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

CHUNK_BYTES = 1024 * 1024
_CHUNKS_UNDER_WAY = 4
_SPARE_BYTES = 32  # for a block of padding, and what update_into demands beyond its input
_INTERRUPTED_JOIN_S = 2.0


@dataclass(frozen=True, slots=True)
class ChunkBuffers:
    """The buffers of one chunk: a step reads from one and writes to the other."""

    source: memoryview
    result: memoryview


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of the input. data: what has become of it; taken: its bytes; last: it ends the input."""

    data: memoryview
    taken: int
    last: bool


ChunkStep = Callable[[ChunkBuffers, Chunk], Chunk]
"""Does its part of a chunk, in its buffers; the first step is given an empty one."""


def chunk_buffer() -> memoryview:
    """Return a page-aligned buffer for one chunk and its padding."""
    return memoryview(mmap.mmap(-1, CHUNK_BYTES + _SPARE_BYTES))


def run_steps(*steps: ChunkStep) -> None:
    """Pass chunks through all steps until the last one; the last step works on the caller's thread.

    The first error of any step stops all of them and is raised here.
    """
    queues: list[SimpleQueue[tuple[ChunkBuffers, Chunk] | BaseException]] = [SimpleQueue() for _ in steps]
    stopped = threading.Event()
    for _ in range(_CHUNKS_UNDER_WAY):
        queues[0].put(_empty())

    def work(number: int) -> None:
        inbox, outbox = queues[number], queues[(number + 1) % len(queues)]
        last = False
        while not last:
            item = inbox.get()
            if isinstance(item, BaseException):
                raise item
            if stopped.is_set():
                return
            buffers, chunk = item
            chunk = steps[number](buffers, chunk)
            last = chunk.last
            outbox.put((buffers, chunk))

    def work_for_caller(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            queues[-1].put(error)

    # Daemons: one that is stuck in a read must not keep an interrupted process alive.
    threads = [
        threading.Thread(target=work_for_caller, args=(number,), name=f"capseal-capgo-{number}", daemon=True)
        for number in range(len(steps) - 1)
    ]
    try:
        for thread in threads:
            thread.start()
        work(len(steps) - 1)
    except BaseException:
        stopped.set()
        for queue in queues:
            queue.put(_empty())  # wakes who waits there
        for thread in threads:
            if thread.ident is not None:
                thread.join(_INTERRUPTED_JOIN_S)
        raise
    for thread in threads:
        thread.join()


def _empty() -> tuple[ChunkBuffers, Chunk]:
    return ChunkBuffers(chunk_buffer(), chunk_buffer()), Chunk(memoryview(b""), 0, False)
