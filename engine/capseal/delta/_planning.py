"""From matches to blocks: what is copied, what goes into which frame, and what of the base each frame refers to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..native.matching import Bytes, Rows, find_matches
from ._recipe import (
    LEAST_RANGE_BYTES,
    MAX_REFERENCE_BYTES,
    NOTHING,
    WORK_FACTOR,
    Instructions,
    Operation,
    Range,
)

LEAST_MATCH_BYTES = 32
_MAX_SHORT_MATCHES = 8 * 1024 * 1024
_MAX_OPERATIONS = 16 * 1024  # of a block, so that its instructions stay far below 1 MiB
_MAX_RANGES = 16 * 1024
_REFERENCE_SHARE = 1.0  # of the new content: so much of the base all references have, besides the first 32 MiB
_GAP_BYTES = 4096  # of the base between two ranges, that cost a device no more than a range of their own
_DENSE_BYTES = 16 * 1024  # of the base, that are referred to as a whole or not at all where not all finds room
_NEAR_BYTES = 256 * 1024  # how far a frame's neighbours in the base are looked at
# What a device is promised (docs/delta.md, What it costs), and what it takes of that: fitted to what was measured.
_PROMISED_S, _PROMISED_BYTES_PER_S = 0.3, 500e6
_START_S = 0.09
_NEW_S_PER_BYTE = 1.0e-9  # to copy and hash
_FRAME_S_PER_BYTE = 1.5e-9  # to unpack
_REFERENCE_S_PER_BYTE = 0.8e-9  # to read, and to hand over
_RANGE_S, _OPERATION_S = 3e-6, 5e-6  # for each: a copy is often from another file than the one before
_WIDEST_FIRST = (1 << 20, 1 << 18, 1 << 16, 1 << 14, 1 << 12, 1 << 10, 256, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How blocks are cut, at most.

    history_bytes: of earlier frames; margin_bytes: of the base around each match, where the reference has room for it.
    """

    frame_bytes: int
    reference_bytes: int
    history_bytes: int
    margin_bytes: int


@dataclass(frozen=True, slots=True)
class Planned:
    """A block in the making. pieces: stretches of the new content that its frame holds, in order."""

    pieces: list[Range]
    instructions: Instructions

    def frame(self, fresh: Bytes) -> memoryview | bytes:
        """Return what the frame holds."""
        if len(self.pieces) == 1:
            return fresh[self.pieces[0].at : self.pieces[0].at + self.pieces[0].size].data
        return b"".join(fresh[piece.at : piece.at + piece.size].data for piece in self.pieces)


class Matches:
    """All matches of two plaintexts, found once for all plans. fresh: without a directory of its own."""

    def __init__(self, base: Bytes, fresh: Bytes, *, copy_bytes: Sequence[int], header_bytes: int = 0) -> None:
        """copy_bytes: what plans may copy from; header_bytes: so much in front is not copied, whatever matches.

        Raises UsageError without the compiled module.
        """
        self.base, self.fresh_bytes, self.header_bytes = base, len(fresh), header_bytes
        least = min(copy_bytes)
        found, short = [np.empty((0, 3), np.int64)], 0
        if len(base):
            for matches in find_matches(base, fresh, least_bytes=LEAST_MATCH_BYTES):
                rows = matches if not header_bytes else _behind(matches, header_bytes)
                if short >= _MAX_SHORT_MATCHES:  # more would not find room in any reference
                    rows = rows[rows[:, 2] >= least]
                short += int((rows[:, 2] < least).sum())
                found.append(rows)
        self.rows: Rows = np.concatenate(found)


class Plan:
    """What is copied of the matches, and the blocks that follow for a shape."""

    def __init__(self, matches: Matches, *, copy_bytes: int) -> None:
        """copy_bytes: matches at least that long are copied."""
        self.base, self.copy_bytes = matches.base, copy_bytes
        self._base_bytes, self._fresh_bytes = len(matches.base), matches.fresh_bytes
        header_bytes = matches.header_bytes
        is_long = matches.rows[:, 2] >= copy_bytes
        self._copies: Rows = matches.rows[is_long]
        self._short: Rows = matches.rows[~is_long]
        ends = self._copies[:, 0] + self._copies[:, 2]
        self._header_bytes = header_bytes
        self._starts = np.concatenate(([header_bytes], ends))  # of what lies in front of each copy, and behind the last
        self._stops = np.concatenate((self._copies[:, 0], [self._fresh_bytes]))
        self.residual_bytes = int((self._stops - self._starts).sum())

    def blocks(self, shape: Shape) -> Iterator[Planned]:
        """Cut blocks of that shape, all of about the same size."""
        count = max(1, -(-self.residual_bytes // shape.frame_bytes))
        room = -(-self.residual_bytes // count)
        history = at = self._header_bytes
        referred, left = 0, self._referable_bytes()
        if at:
            # By itself and without a reference: whatever the base is like, it comes out, and what follows can be told.
            yield Planned([Range(0, at)], Instructions([], 0, [Operation(at, NOTHING)]))
        for pieces, gaps, operations in self._cut(room):
            size = sum(piece.size for piece in pieces)
            at += size + sum(operation.copy.size for operation in operations)
            most = min(shape.reference_bytes, MAX_REFERENCE_BYTES + WORK_FACTOR * at - referred) if size else 0
            tail = min(history, shape.history_bytes, most)
            ranges = self._refer(pieces, gaps, shape, min(most - tail, left // max(1, count)))
            instructions = Instructions(ranges, tail, operations)
            yield Planned(pieces, instructions)
            history += size
            referred += instructions.reference_bytes
            left -= instructions.reference_bytes - tail
            count -= bool(size)

    def cost_bytes(self, shape: Shape, of_reference: float) -> float:
        """Return what it takes to compress all frames of that shape, at most, each byte of a reference weighted so."""
        count = max(1, -(-self.residual_bytes // shape.frame_bytes))
        referred = count * min(shape.reference_bytes, self._base_bytes + shape.history_bytes)
        return self.residual_bytes + of_reference * referred

    def fits_devices(self, shape: Shape) -> bool:
        """Say whether to apply blocks of that shape takes a device of 2020 no longer than docs/delta.md promises."""
        ranges = referred = operations = 0
        for planned in self.blocks(shape):
            ranges += len(planned.instructions.ranges)
            referred += planned.instructions.reference_bytes
            operations += len(planned.instructions.operations)
        device_s = (
            _START_S
            + self._fresh_bytes * _NEW_S_PER_BYTE
            + self.residual_bytes * _FRAME_S_PER_BYTE
            + referred * _REFERENCE_S_PER_BYTE
            + ranges * _RANGE_S
            + operations * _OPERATION_S
        )
        return device_s <= _PROMISED_S + self._fresh_bytes / _PROMISED_BYTES_PER_S

    def _referable_bytes(self) -> int:
        """Return how much of the base all references may have together: a device reads each byte of it."""
        return MAX_REFERENCE_BYTES + int(self._fresh_bytes * _REFERENCE_SHARE)

    def _cut(self, room: int) -> Iterator[tuple[list[Range], list[int], list[Operation]]]:
        """Give what each block takes from its frame, the number of the gap that each piece lies in, and operations."""
        pieces: list[Range] = []
        gaps: list[int] = []
        operations: list[Operation] = []
        free = room
        copies = self._copies.tolist()
        for gap, (start, stop) in enumerate(zip(self._starts.tolist(), self._stops.tolist(), strict=True)):
            at = start
            while stop - at > free:
                if free:
                    pieces.append(Range(at, free))
                    gaps.append(gap)
                    operations.append(Operation(free, NOTHING))
                    at += free
                yield pieces, gaps, operations
                pieces, gaps, operations, free = [], [], [], room
            copy = Range(copies[gap][1], copies[gap][2]) if gap < len(copies) else NOTHING
            if stop > at:
                pieces.append(Range(at, stop - at))
                gaps.append(gap)
                free -= stop - at
            if stop > at or copy.size:
                operations.append(Operation(stop - at, copy))
            if len(operations) >= _MAX_OPERATIONS:
                yield pieces, gaps, operations
                pieces, gaps, operations, free = [], [], [], room
        if operations:
            yield pieces, gaps, operations

    def _refer(self, pieces: list[Range], gaps: list[int], shape: Shape, room: int) -> list[Range]:
        """Return the stretches of the base that these pieces may be like, at most `room` bytes."""
        if room < LEAST_RANGE_BYTES or self._base_bytes < LEAST_RANGE_BYTES:
            return []
        if self._base_bytes <= min(room, shape.margin_bytes * 64):
            return [Range(0, self._base_bytes)]
        start = np.array([piece.at for piece in pieces])
        size = np.array([piece.size for piece in pieces])
        gap = np.array(gaps)
        near = np.minimum(size, _NEAR_BYTES)
        edges = np.concatenate(([[0, 0, 0]], self._copies, [[self._fresh_bytes, self._base_bytes, 0]]))
        before = edges[gap, 1] + edges[gap, 2] + np.minimum(start - self._starts[gap], _NEAR_BYTES)
        after = edges[gap + 1, 1] - np.minimum(self._stops[gap] - start - size, _NEAR_BYTES)
        first = np.searchsorted(self._short[:, 0], start)
        last = np.searchsorted(self._short[:, 0], start + size)
        like = self._short[_joined(first, last)]
        low = np.concatenate((like[:, 1], before, after - near))
        high = np.concatenate((like[:, 1] + like[:, 2], before + near, after))
        for margin in (*(width for width in _WIDEST_FIRST if width <= shape.margin_bytes), 0):
            stretches = self._merged(low - margin, high + margin, gap=max(margin, _GAP_BYTES))
            if int((stretches[:, 1] - stretches[:, 0]).sum()) <= room and len(stretches) <= _MAX_RANGES:
                break
        else:
            # Where most of it was found; all of it does not fit.
            found = np.bincount(like[:, 1] // _DENSE_BYTES, weights=like[:, 2])
            densest = np.argsort(-found, kind="stable")[: min(room // _DENSE_BYTES, np.count_nonzero(found))]
            stretches = self._merged(densest * _DENSE_BYTES, (densest + 1) * _DENSE_BYTES, gap=0)
        return [Range(low, high - low) for low, high in stretches.tolist()]

    def _merged(self, low: Rows, high: Rows, *, gap: int) -> Rows:
        """Join stretches that overlap or nearly do; give those of the base, in order, none too short."""
        low, high = np.clip(low, 0, self._base_bytes), np.clip(high, 0, self._base_bytes)
        keep = high - low >= LEAST_RANGE_BYTES
        order = np.argsort(low[keep], kind="stable")
        low, high = low[keep][order], np.maximum.accumulate(high[keep][order]) if keep.any() else high[keep]
        if not len(low):
            return np.empty((0, 2), np.int64)
        new = np.concatenate(([True], low[1:] > high[:-1] + gap))
        last = np.concatenate((np.flatnonzero(new)[1:] - 1, [len(low) - 1]))
        return np.column_stack((low[new], high[last]))


def _behind(rows: Rows, start: int) -> Rows:
    """Return matches cut to what of them lies at or behind that offset of the new content."""
    cut = np.clip(start - rows[:, 0], 0, rows[:, 2])
    rows = rows + np.column_stack((cut, cut, -cut))
    return rows[rows[:, 2] >= LEAST_MATCH_BYTES]


def _joined(first: Rows, last: Rows) -> Rows:
    """Return the numbers from each first to its last, that excepted, one after the other."""
    counts = last - first
    if not counts.sum():
        return np.empty(0, np.int64)
    return np.repeat(first - np.concatenate(([0], np.cumsum(counts)[:-1])), counts) + np.arange(counts.sum())
