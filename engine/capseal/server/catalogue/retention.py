"""What is kept of an app and channel, and what goes: a rule of the operator's, and what stands above it. No I/O."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...errors import UsageError
from ...format.strictjson import shown_time
from ...http.shapes import ReleaseDescription
from ...trust.heads import read_head
from ..storage.pointers import ChannelPointer

MAX_DAYS = 36_500

Releases = Mapping[int, ReleaseDescription]

Keeper = Callable[[ChannelPointer, Releases], Iterable[int]]
"""Names sequences of an app and channel that stay, given its pointer and all its releases by their sequences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Which releases stay of each app and channel; where both numbers are given, what either of them keeps.

    keep: how many of the highest sequences that were not withdrawn, at least 1; keep_days: those that were published
    within so many days. With neither, all stay. A withdrawn release goes as one that was not would in its place.
    Raises UsageError for a number that is none.
    """

    keep: int | None = None
    keep_days: int | None = None

    def __post_init__(self) -> None:
        if self.keep is not None and self.keep < 1:
            raise UsageError(f"keep is {self.keep}, at least 1 release has to stay")
        if self.keep_days is not None and not 1 <= self.keep_days <= MAX_DAYS:
            raise UsageError(f"keep_days is {self.keep_days}, which is not from 1 to {MAX_DAYS}")

    @property
    def keeps_all(self) -> bool:
        """Whether nothing ever goes."""
        return self.keep is None and self.keep_days is None

    def outlived(self, pointer: ChannelPointer, *, now: datetime) -> list[int]:
        """Return the sequences that the two numbers keep no more, descending; what else keeps them is not asked."""
        if self.keeps_all:
            return []
        before = None if self.keep_days is None else shown_time(now - timedelta(days=self.keep_days))
        found = []
        above = 0
        for entry in pointer.entries.newest_first():
            # Times of one spelling, which sort as texts.
            if above >= (self.keep or 1) and (before is None or entry.published < before):
                found.append(entry.sequence)
            above += entry.withdrawn is None
        return found

    def going(self, pointer: ChannelPointer, releases: Releases, *, now: datetime) -> list[int]:
        """Return the sequences that go, descending: what is outlived, and named by no keeper."""
        outlived = self.outlived(pointer, now=now)
        kept = must_keep(pointer, releases) if outlived else frozenset()
        return [sequence for sequence in outlived if sequence not in kept]


KEEP_ALL = Retention()


def _latest(pointer: ChannelPointer, releases: Releases) -> Iterable[int]:
    """Keep what devices are offered."""
    latest = pointer.latest()
    return [] if latest is None else [latest.sequence]


def _named_by_head(pointer: ChannelPointer, releases: Releases) -> Iterable[int]:
    """Keep what the channel's head says is current, or is a candidate."""
    return [] if pointer.head is None else [release.sequence for release in read_head(pointer.head).head.releases]


KEEPERS: tuple[Keeper, ...] = (_latest, _named_by_head)
"""What a release's retention must keep: whatever comes to name a release by its sequence adds its function here."""


def must_keep(pointer: ChannelPointer, releases: Releases) -> frozenset[int]:
    """Return the sequences that stay, whatever the operator's numbers say."""
    return frozenset(sequence for keeper in KEEPERS for sequence in keeper(pointer, releases))
