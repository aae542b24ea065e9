"""What tasks write to: folders of parts that are only ever created, and files that have no name yet.

All of them are values that go to workers by pickle.
"""

import os
import threading
from dataclasses import dataclass
from typing import Protocol

from ..native import filehints
from . import _places as places
from ._plan import Span

_WRITING = threading.Lock()


class Output(Protocol):
    """What tasks write to."""

    @property
    def part_segments(self) -> int:
        """How many segments are written, and claimed, at once."""

    def put(self, span: Span, data: memoryview, start: int) -> bytes | None:
        """Write a span's bytes; return None, or what was there already. start: their offset in all.

        Raises TransferError, OSError.
        """

    def size_of(self, span: Span) -> int | None:
        """Return how many bytes are there of what put() would create, or None. Raises TransferError."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A folder of parts, each created once and never replaced. folder: a path or URL."""

    folder: str
    part_segments: int

    def put(self, span: Span, data: memoryview, start: int) -> bytes | None:
        return places.put_new(self.folder, span.part_name, data)

    def size_of(self, span: Span) -> int | None:
        return places.size_of(self.folder, span.part_name)


@dataclass(frozen=True, slots=True)
class FileUnderWay:
    """A file that has no name yet, at the same path for every worker. path: as it is called until then.

    start: where in it the payload, or what else is written, begins.
    """

    path: str
    start: int
    part_segments: int

    def put(self, span: Span, data: memoryview, start: int) -> bytes | None:
        fd = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            offset = at = self.start + start
            # The kernel lets one thread at a time write to a file, and others spin: here they sleep.
            with _WRITING:
                while data:
                    count = os.pwrite(fd, data, at)
                    data, at = data[count:], at + count
            filehints.start_writeback(fd, offset, at - offset)
        finally:
            os.close(fd)
        return None

    def size_of(self, span: Span) -> int | None:
        return None  # it has no name by which a later job would find it
