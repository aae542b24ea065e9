"""How a payload is stored: as runs of segments, each in one object. No I/O."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, NamedTuple, overload

from ...constants import SEGMENT_BYTES
from ...format.tree import segment_count
from ...http.limits import RUN_SEGMENTS
from . import layout

MAX_PART_SEGMENTS: Final = 128
"""64 MiB."""


class StoredRun(NamedTuple):
    """Consecutive segments in one object. first: number of the first; segments: how many.

    mark: of the object or, where that is a part, the commitment that names its folder.
    """

    first: int
    segments: int
    mark: str

    @property
    def stop(self) -> int:
        """One past its last segment."""
        return self.first + self.segments

    def path(self, digest: str) -> str:
        """Return the object's name."""
        if layout.is_commitment(self.mark):
            return layout.part_object(self.mark, self.first, self.segments)
        return layout.run_object(digest, *self)

    def bytes_of(self, payload_bytes: int) -> int:
        """Return how many bytes of a payload of that size it holds."""
        return min(self.stop * SEGMENT_BYTES, payload_bytes) - self.first * SEGMENT_BYTES

    @classmethod
    def parse(cls, path: str, stored_bytes: int, payload_bytes: int) -> "StoredRun | None":
        """Return the run that an object is, or None where name and size do not fit the payload."""
        named = layout.parse_payload_object(path)
        numbers = layout.parse_run(named[1]) if named else None
        if numbers is None:
            return None
        run = cls(*numbers)
        fits = 1 <= run.segments <= RUN_SEGMENTS and run.stop <= segment_count(payload_bytes)
        return run if fits and stored_bytes == run.bytes_of(payload_bytes) else None


@dataclass(frozen=True, slots=True)
class Parts(Sequence[StoredRun]):
    """The runs of a payload that was sealed into the store: parts of one size, made as they are asked for.

    folder: named by that commitment; segments: of the payload; part_segments: of each part, but the last.
    """

    folder: str
    segments: int
    part_segments: int

    def __len__(self) -> int:
        return -(-self.segments // self.part_segments)

    @overload
    def __getitem__(self, at: int) -> StoredRun: ...
    @overload
    def __getitem__(self, at: slice) -> list[StoredRun]: ...
    def __getitem__(self, at: int | slice) -> StoredRun | list[StoredRun]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        first = range(0, self.segments, self.part_segments)[at]
        return StoredRun(first, min(self.part_segments, self.segments - first), self.folder)

    @classmethod
    def of_listed(cls, commitment: str, sizes: Mapping[str, int], payload_bytes: int) -> "Parts | None":
        """Return the parts of a payload, or None unless every one is there, of the size that it must have.

        sizes: of what a listing of the folder shows, by path, in bytes. What the parts hold is not said by that.
        """
        segments = segment_count(payload_bytes)
        for path in sizes:
            named = layout.parse_parts_object(path)
            numbers = layout.parse_part(named[1]) if named else None
            if numbers is None or numbers[0] != 0 or not 1 <= numbers[1] <= min(segments, MAX_PART_SEGMENTS):
                continue
            parts = cls(commitment, segments, numbers[1])
            if all(sizes.get(part.path("")) == part.bytes_of(payload_bytes) for part in parts):
                return parts
        return None


@dataclass(frozen=True, slots=True)
class StoredPayload:
    """A payload that is there. digest: fs-verity, in hex; size: bytes; runs: hold every segment, in order."""

    digest: str
    size: int
    runs: Sequence[StoredRun]

    @property
    def is_in_parts(self) -> bool:
        """Whether it was sealed into the store, so that no server has seen its bytes."""
        return isinstance(self.runs, Parts)

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
