"""Memory that the demo's files will lie in: touched beforehand, and told where the first touch is what takes long.

A page is handed out when it is first written to. That costs little, except in a virtual machine whose host has taken
free memory back: there writing is up to ten times slower, for every program, until the pages are there.
"""

import os
import tempfile
import time
from dataclasses import dataclass

CHUNK_BYTES = 4 * 1024 * 1024
COLD_RATIO = 4
"""First writes that take so much longer than second ones wait for pages: warm, it is 1.2 to 2."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What touching memory took. size: bytes; first_s, again_s: to write them, and to write them once more."""

    size: int
    first_s: float
    again_s: float

    @property
    def is_cold(self) -> bool:
        """Whether it was the handing out of pages that took the time."""
        return self.size >= CHUNK_BYTES and self.first_s > COLD_RATIO * self.again_s

    def __str__(self) -> str:
        first, again = (f"{self.size / taken_s / 1e6:,.0f} MB/s" for taken_s in (self.first_s, self.again_s))
        return (
            f"cold memory: the first write to {self.size:,} bytes of it went at {first}, the second at {again}, "
            "since this system, or the host of this virtual machine, hands out pages when they are first touched; "
            "`cp` waits for that, too. Done beforehand, and not counted"
        )


def touch(folder: str, size: int, *, within_s: float = float("inf")) -> Touched:
    """Write up to so many bytes to a file without a name, twice, and free them for whoever writes next. Raises OSError.

    within_s: after so long the first writing stops at a whole chunk, of which there is at least one.
    """
    chunk = bytes(CHUNK_BYTES)
    places = range(0, max(size, 1), CHUNK_BYTES)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        start_s = time.perf_counter()
        done = 0
        for place in places:
            done += os.pwrite(file.fileno(), chunk[: size - place], place)
            if time.perf_counter() - start_s >= within_s:
                break
        first_s = time.perf_counter() - start_s
        for place in range(0, done, CHUNK_BYTES):
            os.pwrite(file.fileno(), chunk[: done - place], place)
        return Touched(done, first_s, time.perf_counter() - start_s - first_s)
