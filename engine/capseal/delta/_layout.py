"""Where the entries of a base lie in its string, and how a place in it is told: by entry, and offset in that."""

from bisect import bisect_right
from collections.abc import Sequence

from ..errors import FormatError


class Layout:
    """starts: offset of each entry in the base string, rising from 0; size: bytes of the whole string."""

    __slots__ = ("_starts", "size")

    def __init__(self, starts: Sequence[int], size: int) -> None:
        self._starts = starts
        self.size = size

    def step(self, end: int, at: int) -> tuple[int, int]:
        """Return how to go from the end of one stretch to the start of the next, as go() takes it."""
        here, place = self._find(end), self._find(at)
        entries = place[0] - here[0]
        return entries, place[1] - here[1] if entries == 0 else place[1]

    def go(self, end: int, entries: int, offset: int, size: int, where: str) -> int:
        """Return where a stretch of that size starts that is so many entries behind the end of the one before.

        offset: in that entry, or, where it is the same entry, from that end on. Raises FormatError where it does not
        lie in the base.
        """
        number, from_start = self._find(end)
        number += entries
        if not 0 <= number < len(self._starts):
            raise FormatError(f"{where}: entry {number} of a base of {len(self._starts)}")
        start = self._starts[number]
        stop = self._starts[number + 1] if number + 1 < len(self._starts) else self.size
        at = start + offset + (from_start if entries == 0 else 0)
        if not start <= at < stop or at + size > self.size:
            raise FormatError(
                f"{where}: {size} bytes at byte {at - start} of entry {number}, which has {stop - start}; the base "
                f"ends {self.size - start} bytes from there"
            )
        return at

    def follow(self, steps: Sequence[tuple[int, int]], sizes: Sequence[int], where: str) -> list[int]:
        """Return where stretches of those sizes start, each by a step from the end of the one before, as go() takes it.

        Raises FormatError.
        """
        found = []
        end = low = high = 0  # of the entry that the stretch before ends in, where that is known
        for (entries, offset), size in zip(steps, sizes, strict=True):
            at = end + offset
            if entries or not low <= end < high or not low <= at < high or at + size > self.size:
                at = self.go(end, entries, offset, size, where)
                low, high = self._around(at)
            found.append(at)
            end = at + size
        return found

    def _around(self, at: int) -> tuple[int, int]:
        """Return where the entry that an offset lies in starts and ends."""
        number = bisect_right(self._starts, at)
        return self._starts[number - 1], self._starts[number] if number < len(self._starts) else self.size

    def _find(self, at: int) -> tuple[int, int]:
        """Return the entry that an offset lies in, and the offset in it; the end lies in the last one, at its end."""
        number = max(0, bisect_right(self._starts, at) - 1)
        return number, at - (self._starts[number] if self._starts else 0)
