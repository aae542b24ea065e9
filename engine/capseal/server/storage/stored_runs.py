"""How a payload is stored: as runs of verified segments, each in one object. No I/O."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from ...constants import SEGMENT_BYTES
from ...format.tree import segment_count
from ...http.limits import RUN_SEGMENTS
from .layout import parse_payload_object, parse_run, run_object


class StoredRun(NamedTuple):
    """Consecutive segments in one object. first: number of the first; segments: how many; mark: of the object."""

    first: int
    segments: int
    mark: str

    @property
    def stop(self) -> int:
        """One past its last segment."""
        return self.first + self.segments

    def path(self, digest: str) -> str:
        """Return the object's name."""
        return run_object(digest, *self)

    def bytes_of(self, payload_bytes: int) -> int:
        """Return how many bytes of a payload of that size it holds."""
        return min(self.stop * SEGMENT_BYTES, payload_bytes) - self.first * SEGMENT_BYTES

    @classmethod
    def parse(cls, path: str, stored_bytes: int, payload_bytes: int) -> "StoredRun | None":
        """Return the run that an object is, or None where name and size do not fit the payload."""
        named = parse_payload_object(path)
        numbers = parse_run(named[1]) if named else None
        if numbers is None:
            return None
        run = cls(*numbers)
        fits = 1 <= run.segments <= RUN_SEGMENTS and run.stop <= segment_count(payload_bytes)
        return run if fits and stored_bytes == run.bytes_of(payload_bytes) else None


@dataclass(frozen=True, slots=True)
class StoredPayload:
    """A payload that is there. digest: fs-verity, in hex; size: bytes; runs: hold every segment, in order."""

    digest: str
    size: int
    runs: tuple[StoredRun, ...]

    @property
    def paths(self) -> list[str]:
        """The names of its runs."""
        return [run.path(self.digest) for run in self.runs]


def missing_segments(runs: Iterable[StoredRun], segments: int) -> list[tuple[int, int]]:
    """Return the segments that are in no run, as pairs: first, and one past the last."""
    missing = []
    reached = 0
    for run in sorted(runs):
        if run.first > reached:
            missing.append((reached, run.first))
        reached = max(reached, run.stop)
    if reached < segments:
        missing.append((reached, segments))
    return missing


def cover(runs: Iterable[StoredRun], segments: int) -> tuple[StoredRun, ...]:
    """Return the fewest runs that hold every segment, in order; runs may overlap."""
    chosen: list[StoredRun] = []
    reached = 0
    best: StoredRun | None = None
    for run in sorted(runs):
        if run.first > reached and best is not None:
            chosen.append(best)
            reached, best = best.stop, None
        if run.stop > reached and (best is None or run.stop > best.stop):
            best = run
    if best is not None:
        chosen.append(best)
    return tuple(chosen)


def pieces(runs: Sequence[StoredRun], start: int, stop: int) -> Iterator[tuple[StoredRun, int, int]]:
    """Yield run, offset in it and size of the pieces that make bytes [start, stop) of the payload."""
    at = bisect_right(runs, start // SEGMENT_BYTES, key=attrgetter("first")) - 1
    while start < stop:
        run = runs[at]
        end = min(stop, run.stop * SEGMENT_BYTES)
        yield run, start - run.first * SEGMENT_BYTES, end - start
        start = end
        at += 1
