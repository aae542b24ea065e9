"""Which segments go to which task, which parts those are stored in, and the index that comes of it. No I/O."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from ..constants import DIGEST_BYTES, SEGMENT_BYTES
from ..errors import TamperedError, UsageError

PART_SEGMENTS: Final = 16
"""Segments in a part unless told otherwise: 8 MiB."""

MAX_PART_SEGMENTS: Final = 128
"""64 MiB: what a worker's buffers hold for each of its threads."""

TASK_SEGMENTS: Final = 512
"""Segments in a task unless told otherwise: 256 MiB, a second's work."""

MAX_TASK_SEGMENTS: Final = 2**16
"""32 GiB."""

_PART = re.compile(r"([0-9]{10})-([0-9]{2,3})")


class Span(NamedTuple):
    """Consecutive segments. first: number of the first; segments: how many."""

    first: int
    segments: int

    @property
    def stop(self) -> int:
        """One past the last segment."""
        return self.first + self.segments

    @property
    def part_name(self) -> str:
        """The name of the part that holds them; names sort in the order of the payload."""
        return f"{self.first:010d}-{self.segments:02d}"

    @classmethod
    def of_part(cls, name: str) -> "Span | None":
        """Return the segments that a part's name says, or None where it is no part's name."""
        match = _PART.fullmatch(name)
        span = cls(int(match[1]), int(match[2])) if match else None
        return span if span is not None and span.part_name == name else None


def segments_of(size: int, *, least: int, most: int, what: str) -> int:
    """Return how many segments a size in bytes is. least, most: segments. Raises UsageError."""
    segments, rest = divmod(size, SEGMENT_BYTES)
    if rest or not least <= segments <= most:
        raise UsageError(
            f"{what} of {size} bytes: not a multiple of {SEGMENT_BYTES} from {least * SEGMENT_BYTES} to "
            f"{most * SEGMENT_BYTES}"
        )
    return segments


def tasks(segments: int, *, task_segments: int, part_segments: int) -> Iterator[Span]:
    """Yield the spans of the tasks, in order; each is whole parts, but the last.

    segments: of the payload. A task is as many parts as fit, and at least one.
    """
    yield from _cut(0, segments, max(1, task_segments // part_segments) * part_segments)


def parts(span: Span, *, part_segments: int) -> Iterator[Span]:
    """Yield the parts of a task's span, which begins with a part."""
    yield from _cut(span.first, span.stop, part_segments)


def _cut(first: int, stop: int, most: int) -> Iterator[Span]:
    for at in range(first, stop, most):
        yield Span(at, min(most, stop - at))


class IndexMerge:
    """The index of a payload, from the entries of its tasks in any order, each as often as it comes."""

    def __init__(self, segments: int) -> None:
        self._entries = bytearray(segments * DIGEST_BYTES)
        self._there = bytearray(segments)

    def put(self, span: Span, entries: bytes) -> None:
        """Take the entries of a span, 32 bytes each. Raises TamperedError where others came for it before."""
        start, stop = span.first * DIGEST_BYTES, span.stop * DIGEST_BYTES
        if len(entries) != stop - start or stop > len(self._entries):
            raise TamperedError(f"segments from {span.first}: {len(entries)} bytes of index, not {stop - start}")
        if any(self._there[span.first : span.stop]) and self._entries[start:stop] != entries:
            raise TamperedError(f"segments from {span.first}: two tasks made different ciphertexts of them")
        self._entries[start:stop] = entries
        self._there[span.first : span.stop] = b"\1" * span.segments

    def has(self, span: Span) -> bool:
        """Say whether all entries of a span are there."""
        return all(self._there[span.first : span.stop])

    def entries(self) -> bytes:
        """Return the whole index. Raises UsageError where some of it is missing."""
        missing = self._there.find(0)
        if missing >= 0:
            raise UsageError(f"segment {missing} was not sealed")
        return bytes(self._entries)
