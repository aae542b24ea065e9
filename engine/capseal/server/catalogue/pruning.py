"""Takes releases that are kept no more out of their pointers; what they alone needed is the collector's then."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from logging import Logger

from ...errors import TransferError
from ...http.shapes import AppChannel, ReleaseDescription
from .._problems import Problem
from ..storage.objects import Storage
from ..storage.pointers import ChannelPointer
from ._channels import Channels
from ._founding import check_layout
from .retention import Retention

_ATTEMPTS = 20


class _PublishedMeanwhileError(Exception):
    """A pointer has a release whose record was not looked at."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went, or would go; by app, channel and descending sequence.

    damaged: apps and channels of which nothing goes, since a record cannot be read: what its release was is not known.
    """

    releases: tuple[ReleaseDescription, ...]
    damaged: tuple[AppChannel, ...]


class Pruner:
    """Prunes the pointers of a storage, beside whatever other servers do: each is changed by compare and swap."""

    def __init__(self, channels: Channels, *, log: Logger) -> None:
        self._channels = channels
        self._log = log

    async def prune(
        self,
        retention: Retention,
        *,
        now: datetime,
        dry_run: bool = False,
        progress: Callable[[int], None] | None = None,
        expecting: Callable[[int], None] | None = None,
    ) -> Pruned:
        """Take out what a retention keeps no more; with dry_run, only find it. Raises TransferError."""
        gone: list[ReleaseDescription] = []
        damaged: list[AppChannel] = []
        named = [] if retention.keeps_all else await self._channels.named(fresh=True)
        if expecting is not None:
            expecting(len(named))
        for of in named:
            if progress is not None:
                progress(1)
            some = await self._prune(of, retention, now, dry_run)
            if some is None:
                damaged.append(of)
                members = {"app": of.app, "channel": of.channel}
                self._log.error("not pruned: a record is damaged", extra={"members": members})
            else:
                gone += some
        return Pruned(tuple(gone), tuple(damaged))

    async def _prune(
        self, of: AppChannel, retention: Retention, now: datetime, dry_run: bool
    ) -> list[ReleaseDescription] | None:
        """Return what went of an app and channel, or None where a record of it is damaged."""
        for _ in range(_ATTEMPTS):
            pointer = await self._channels.pointer(of, fresh=True)
            if not retention.outlived(pointer, now=now):
                return []
            releases = await self._releases(pointer)
            if releases is None:
                return None
            if dry_run:
                return [releases[sequence] for sequence in retention.going(pointer, releases, now=now)]
            try:
                sequences = await self._take_out(of, retention, releases, now)
            except _PublishedMeanwhileError:
                continue
            return [releases[sequence] for sequence in sequences]
        raise TransferError(f"storage: {of.app} on {of.channel} is published to all the time")

    async def _take_out(
        self, of: AppChannel, retention: Retention, releases: dict[int, ReleaseDescription], now: datetime
    ) -> list[int]:
        """Take out what goes as the pointer is now. Raises _PublishedMeanwhileError."""
        tried: set[int] = set()

        def without_old(pointer: ChannelPointer) -> ChannelPointer | None:
            if not releases.keys() >= pointer.entries.keys():
                raise _PublishedMeanwhileError  # it may name one of those that were to go
            going = retention.going(pointer, releases, now=now)
            tried.update(going)
            return pointer.without(going) if going else None

        try:
            pointer = await self._channels.change(of, without_old)
        except Problem as error:
            raise TransferError(f"storage: {error}") from error
        return sorted(tried & pointer.removed, reverse=True)

    async def _releases(self, pointer: ChannelPointer) -> dict[int, ReleaseDescription] | None:
        """Return the releases of a pointer by their sequences, or None where the record of one is damaged."""
        entries = list(pointer.entries.values())
        records = await self._channels.records(pointer.of, entries)
        found = [record.release for record in records if record is not None]
        return {one.sequence: one for one in found} if len(found) == len(entries) else None


async def prune_store(
    storage: Storage,
    retention: Retention,
    *,
    now: datetime,
    log: Logger,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
    expecting: Callable[[int], None] | None = None,
) -> Pruned:
    """Take releases that are kept no more out of a store; with dry_run, only find them.

    expecting is told how many apps and channels there are, progress of each that is looked at.

    Servers may use the store meanwhile. A sequence that went is never used again. The bytes go with the collections
    of a server. Raises UsageError where there is no store, TransferError.
    """
    await check_layout(storage)
    pruner = Pruner(Channels(storage, age_s=0, log=log), log=log)
    return await pruner.prune(retention, now=now, dry_run=dry_run, progress=progress, expecting=expecting)
