"""Parts: the pieces that a payload is stored in. A part is a run of verified segments. No I/O."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from ...constants import SEGMENT_BYTES
from ...format.tree import segment_count
from ...http.limits import RUN_SEGMENTS

_PATH = re.compile(r"payloads/[0-9a-f]{64}/([0-9]{10})-([0-9]{2})")


class Part(NamedTuple):
    """Consecutive segments in one object. first: number of the first; segments: how many."""

    first: int
    segments: int

    @property
    def stop(self) -> int:
        """One past its last segment."""
        return self.first + self.segments

    def path(self, digest: str) -> str:
        """Return the object's name; names sort in the order of the payload."""
        return f"payloads/{digest}/{self.first:010d}-{self.segments:02d}"

    @classmethod
    def parse(cls, path: str, stored_bytes: int, payload_bytes: int) -> "Part | None":
        """Return the part that an object is, or None where name and size do not fit the payload."""
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        part = cls(int(match[1]), int(match[2]))
        expected = min(part.stop * SEGMENT_BYTES, payload_bytes) - part.first * SEGMENT_BYTES
        fits = 1 <= part.segments <= RUN_SEGMENTS and part.stop <= segment_count(payload_bytes)
        return part if fits and stored_bytes == expected else None


def index_path(digest: str) -> str:
    """Return the name of the object that holds a payload's index, where no seal does."""
    return f"payloads/{digest}/index"


def missing_segments(parts: Iterable[Part], segments: int) -> list[tuple[int, int]]:
    """Return the runs of segments that no part holds: first, and one past the last."""
    missing = []
    reached = 0
    for part in sorted(parts):
        if part.first > reached:
            missing.append((reached, part.first))
        reached = max(reached, part.stop)
    if reached < segments:
        missing.append((reached, segments))
    return missing


def cover(parts: Iterable[Part], segments: int) -> tuple[Part, ...]:
    """Return the fewest parts that hold every segment, in order; parts may overlap."""
    chosen: list[Part] = []
    reached = 0
    best: Part | None = None
    for part in sorted(parts):
        if part.first > reached and best is not None:
            chosen.append(best)
            reached, best = best.stop, None
        if part.stop > reached and (best is None or part.stop > best.stop):
            best = part
    if best is not None:
        chosen.append(best)
    return tuple(chosen)


def pieces(parts: Sequence[Part], start: int, stop: int) -> Iterator[tuple[Part, int, int]]:
    """Yield part, offset in it and size of the pieces that make bytes [start, stop) of the payload."""
    at = bisect_right(parts, start // SEGMENT_BYTES, key=attrgetter("first")) - 1
    while start < stop:
        part = parts[at]
        end = min(stop, part.stop * SEGMENT_BYTES)
        yield part, start - part.first * SEGMENT_BYTES, end - start
        start = end
        at += 1
