"""The collector of what nobody needs: orphans, what was withdrawn, and uploads that went stale."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from logging import Logger

from ...errors import RejectedError
from ...format.statement import Statement
from ...http.shapes import AppChannel
from .._kept import Kept
from .._limits import ServerLimits
from .._several import batched
from ..storage import layout
from ..storage.objects import Storage
from ..storage.records import ReleaseRecord
from ._channels import Channels
from ._condemned import MAX_NAMES, Condemned, CondemnedList
from ._lease import CollectorLease, LeaseLostError
from ._seals import SealReader
from ._uploads import OpenUpload, Uploads

_DELETED_BETWEEN_LOOKS = 256
_RECORDS_BETWEEN_LOOKS = 256
_KEPT_UPLOADS = 1024


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did, in objects. releases: are published; damaged: records that cannot be read."""

    condemned: int
    deleted: int
    swept: int
    releases: int
    damaged: int


@dataclass(slots=True)
class _Listed:
    """What was there before any record was looked at. old: names that were put before the grace period."""

    old: list[str] = field(default_factory=list)
    last_put: dict[str, datetime] = field(default_factory=dict)


class Collector:
    """Deletes what no release and no upload points to: one server at a time, each of them now and then."""

    def __init__(
        self,
        storage: Storage,
        channels: Channels,
        uploads: Uploads,
        seals: SealReader,
        condemned: Condemned,
        *,
        limits: ServerLimits,
        clock: Callable[[], float],
        log: Logger,
    ) -> None:
        self._storage = storage
        self._channels = channels
        self._uploads = uploads
        self._seals = seals
        self._condemned = condemned
        self._limits = limits
        self._log = log
        self._lease = CollectorLease(storage, lease_s=limits.lease_s, clock=clock)
        self._statements: Kept[str, Statement] = Kept(_KEPT_UPLOADS)

    async def collect(self, *, grace_s: float) -> Collected | None:
        """Collect once, or return None where another server is at it. Raises TransferError.

        grace_s: so old is what is condemned, and so long before was it condemned what is deleted.
        """
        if not await self._lease.take():
            return None
        try:
            return await self._collect(grace_s)
        except LeaseLostError:
            self._log.warning("collection ended: it took longer than its lease")
            return None
        finally:
            await self._lease.give_back()

    async def _collect(self, grace_s: float) -> Collected:
        now = self._lease.now
        if now is None:
            raise LeaseLostError
        before = now - timedelta(seconds=grace_s)
        # A folder of parts ages as one: they belong together, and a job that puts them may take days.
        parts_before = min(before, now - timedelta(seconds=self._limits.upload_age_s))
        swept = await self._storage.sweep(before=before)
        # The order is what makes it safe: what there is, then who needs it, then who is about to.
        listed = await self._listed(before, parts_before)
        lists = await self._condemned.lists()
        needed, damaged, releases = await self._needed()
        open_digests = await self._close_stale(listed, now)
        if damaged:
            # What a damaged record points to looks like an orphan, and may be all that is left of a release.
            self._log.error("no orphans collected", extra={"members": {"damaged_records": damaged}})
            return Collected(0, 0, swept, releases, damaged)
        deleted = 0
        for one in lists:
            if one.modified <= before:
                deleted += await self._delete(await self._given_up(one, needed, parts_before))
                await self._delete([one.path])
        known = frozenset[str]().union(*(one.names for one in lists))
        unneeded = await asyncio.to_thread(_unneeded, listed.old, needed | known, open_digests)
        if unneeded:
            await self._lease.keep()
            await self._condemned.add(self._lease.number, unneeded[:MAX_NAMES])
        return Collected(len(unneeded[:MAX_NAMES]), deleted, swept, releases, damaged)

    async def _listed(self, before: datetime, parts_before: datetime) -> _Listed:
        listed = _Listed()
        async for one in self._storage.list(layout.PAYLOADS):
            named = layout.parse_payload_object(one.path)
            if named is not None:
                listed.last_put[named[0]] = max(listed.last_put.get(named[0], one.modified), one.modified)
            if one.modified <= before:
                listed.old.append(one.path)
        parts: dict[str, list[str]] = {}
        async for one in self._storage.list(layout.PARTS):
            named = layout.parse_parts_object(one.path)
            if named is not None:
                listed.last_put[named[0]] = max(listed.last_put.get(named[0], one.modified), one.modified)
                parts.setdefault(named[0], []).append(one.path)
        for folder, paths in parts.items():
            if listed.last_put[folder] <= parts_before:
                listed.old += paths
        async for one in self._storage.list(layout.RELEASES):
            if one.modified <= before:
                listed.old.append(one.path)
        async for one in self._storage.list(layout.UPLOADS):
            if layout.parse_upload_seal(one.path) is None and one.modified <= before:
                await self._storage.delete([one.path])  # who has not asked by now will not ask
        return listed

    async def _needed(self) -> tuple[set[str], int, int]:
        """Return the names that releases need, how many records are damaged, and how many releases there are."""
        needed: set[str] = set()
        damaged = releases = 0
        for of in await self._channels.named(fresh=True):
            pointer = await self._channels.pointer(of, fresh=True)
            for entries in batched(pointer.entries.values(), _RECORDS_BETWEEN_LOOKS):
                await self._lease.keep()
                records = await self._channels.records(of, entries)
                damaged += records.count(None)
                found = [record for record in records if record is not None]
                releases += sum(record.release.withdrawn is None for record in found)
                needed |= await asyncio.to_thread(_names_in, found)
        return needed, damaged, releases

    async def _close_stale(self, listed: _Listed, now: datetime) -> set[str]:
        """Close the uploads that received nothing for long; return the digests that the others need."""
        before = now - timedelta(seconds=self._limits.upload_age_s)
        needed: set[str] = set()
        for upload in await self._uploads.listed():
            await self._lease.keep()
            digests = await self._digests_of(upload)
            last = max((upload.modified, *(listed.last_put.get(one, upload.modified) for one in digests)))
            if not digests or last < before:
                self._log.info("stale upload given up", extra={"members": {"upload": upload.id}})
                await self._storage.delete([upload.path])
            else:
                needed |= digests
        return needed

    async def _digests_of(self, upload: OpenUpload) -> frozenset[str]:
        """Return what names the folders of an upload's payloads, its digests and the commitment of its parts.

        Nothing where its seal is none, or its release is published.
        """
        statement = self._statements.get(upload.id)
        if statement is None:
            try:
                verified, _ = await self._seals.uploaded(upload.path, listed_bytes=upload.size)
                statement = verified.statement
            except (RejectedError, FileNotFoundError):
                return frozenset()
            self._statements.put(upload.id, statement)
        of = AppChannel(statement.app, statement.channel)
        if (await self._channels.pointer(of)).with_seal(upload.id) is not None:
            return frozenset()  # published just before a server was killed
        payloads = (statement.payload, *(one.payload for one in statement.companions))
        return frozenset((statement.encryption.commitment.hex(), *(one.digest.hex() for one in payloads)))

    async def _given_up(self, one: CondemnedList, needed: set[str], parts_before: datetime) -> list[str]:
        """Return the names of a list that are to be deleted, of folders of parts once that was said for good."""
        names = [name for name in one.names if name not in needed]
        # What is in a published folder beside its parts is of no use to anybody.
        folders = _parts_folders(names) - _parts_folders(needed)
        if not folders:
            return names
        stopped = {folder for folder in folders if not await self._is_growing(folder, parts_before)}
        # What was put to since is condemned no more, and ages anew; unless somebody else has begun to delete it.
        spared = folders - await self._condemned.give_up(one, stopped)
        return [name for name in names if name.rpartition("/")[0] not in spared]

    async def _is_growing(self, folder: str, parts_before: datetime) -> bool:
        """Return whether a job that was resumed has put more to a folder of parts."""
        await self._lease.keep()
        # Anew: since all was listed, what is needed was read, which takes its time.
        modified = [one.modified async for one in self._storage.list(folder)]
        return any(at > parts_before for at in modified)

    async def _delete(self, names: list[str]) -> int:
        for some in batched(names, _DELETED_BETWEEN_LOOKS):
            # A deletion that is late in spite of this hits a name that nobody uses any more.
            await self._lease.keep()
            await self._storage.delete(some)
        return len(names)


def _names_in(records: Iterable[ReleaseRecord]) -> set[str]:
    """Return the names that releases need; of withdrawn ones, the record."""
    names: set[str] = set()
    for record in records:
        names.add(record.path)
        if record.release.withdrawn is None:
            names.add(record.seal_path)
            names.update(record.paths)
    return names


def _parts_folders(names: Iterable[str]) -> set[str]:
    """Return the folders of parts that names are in."""
    return {name.rpartition("/")[0] for name in names if name.startswith(f"{layout.PARTS}/")}


def _unneeded(old: Iterable[str], needed: set[str] | frozenset[str], open_digests: set[str]) -> list[str]:
    unneeded = []
    for name in old:
        payload = layout.parse_payload_object(name) or layout.parse_parts_object(name)
        if name not in needed and not (payload is not None and payload[0] in open_digests):
            unneeded.append(name)
    # In order: of a folder of parts the first one goes first, which a job that is resumed never puts again.
    return sorted(unneeded)
