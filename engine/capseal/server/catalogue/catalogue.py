"""The one place that changes what is published: begins uploads, publishes, withdraws, lets go of what is old.

It keeps nothing that decides: that is all in the store, and changed there under a condition, so that any number of
servers may use one (docs/server.md, Many servers).
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from logging import Logger
from time import monotonic

from ...bundle.reading_order import Verified
from ...constants import SEGMENT_BYTES
from ...errors import FormatError, RejectedError, TransferError
from ...format.signed_index import SignedIndex
from ...format.statement import Statement
from ...format.strictjson import Role, check_name, shown_time
from ...http.problems import INCOMPLETE
from ...http.shapes import AppChannel, PayloadDescription, ReleaseDescription
from ...trust.store import TrustStore
from .._limits import ServerLimits
from .._problems import Problem, busy, too_large
from ..storage import layout
from ..storage.buffers import Buffers
from ..storage.objects import Storage
from ..storage.payload_reader import PayloadReader
from ..storage.pointers import ChannelPointer, Entry
from ..storage.records import ReleaseRecord, StoredCompanion
from ..storage.stored_runs import StoredRun
from ..storage.verified_cache import VerifiedCache
from ._channels import Channels
from ._collector import Collected, Collector
from ._condemned import Condemned
from ._founding import check_layout
from ._heads import Heads
from ._latest import Latest
from ._seals import SealReader
from ._trusted import Trusted
from ._uploads import Uploads, no_upload
from ._wholeness import Wholeness
from .arriving import ArrivingPayload, Upload, what_is_missing
from .pruning import Pruned, Pruner
from .retention import KEEP_ALL, Retention

_SPARE_SEGMENTS = 64
"""Buffers that stay for who reads next."""


class Catalogue:
    """The releases and uploads of one storage, which other servers use, too.

    uploads: under way; receiving: requests that send payload to this server just now. It is a ReleaseStore, and gives
    extensions SignedReleases.
    """

    def __init__(
        self,
        storage: Storage,
        trust: TrustStore,
        *,
        role: Role,
        limits: ServerLimits,
        log: Logger,
        verify_reads: bool,
        retention: Retention = KEEP_ALL,
    ) -> None:
        """verify_reads: check what is read against the signed index; retention: what stays when it is collected."""
        self.storage = storage
        self.trusted = Trusted(storage, trust, age_s=limits.pointer_age_s, clock=monotonic, log=log)
        self.seals = SealReader(
            storage, self.trusted, role=role, most_bytes=limits.seal_bytes, index_bytes=limits.index_bytes
        )
        self.channels_read = Channels(storage, age_s=limits.pointer_age_s, log=log)
        self._condemned = Condemned(storage)
        self._wholeness = Wholeness(storage, self.channels_read, self._condemned, clock=monotonic)
        self.heads = Heads(self.channels_read, self.trusted, role=role)
        self._latest = Latest(self.channels_read, self.heads)
        self.uploads = Uploads(
            storage, self.seals, self.trusted, self._condemned, limits=limits, clock=monotonic, log=log
        )
        self.receiving = 0
        self._limits = limits
        self._log = log
        self._verify_reads = verify_reads
        self._verified = VerifiedCache(limits.verified_bytes)
        self._segments = Buffers(SEGMENT_BYTES, most=_SPARE_SEGMENTS)
        self._retention = retention
        self._pruner = Pruner(self.channels_read, log=log)
        self._collector = Collector(
            storage,
            self.channels_read,
            self.uploads,
            self.seals,
            self._condemned,
            limits=limits,
            clock=monotonic,
            log=log,
        )

    async def check_layout(self) -> bool:
        """Make an empty place a store of this layout, and say whether it was one already.

        Raises UsageError where it has anything else or is of another layout, TransferError.
        """
        return await check_layout(self.storage)

    # As a ReleaseStore, and what seals say.

    async def channels(self, *, after: AppChannel | None, most: int) -> list[AppChannel]:
        named = [of for of in await self.channels_read.named() if after is None or of > after]
        found: list[AppChannel] = []
        while named and len(found) < most:
            some, named = named[:most], named[most:]
            pointers = await self.channels_read.pointers(some)
            found += [one.of for one in pointers if one.latest() is not None]
        return found[:most]

    async def releases(self, of: AppChannel, *, below: int | None, most: int) -> list[ReleaseDescription]:
        pointer = await self.channels_read.pointer(of)
        if not pointer.entries:
            pointer = await self.channels_read.pointer(of, fresh=True)
        entries = list(islice(pointer.entries.newest_first(below=below), most))
        records = await self.channels_read.records(of, entries)
        return [record.release for record in records if record is not None]

    async def release(self, of: AppChannel, sequence: int) -> ReleaseDescription | None:
        entry = await self.channels_read.entry(of, sequence)
        record = entry and await self.channels_read.readable_record(of, entry)
        return record.release if record else None

    async def latest(self, of: AppChannel) -> ReleaseDescription | None:
        return await self.latest_fitting(of, native=None, platform=None)

    async def latest_fitting(
        self, of: AppChannel, *, native: str | None, platform: str | None
    ) -> ReleaseDescription | None:
        record = await self._latest.record(of, native=native, platform=platform)
        return None if record is None else record.release

    async def seal(self, release: ReleaseDescription) -> bytes:
        return await self.seals.read(await self._record(release))

    async def payload(self, release: ReleaseDescription, attachment: str | None) -> PayloadReader:
        record = await self._record(release)
        stored = record.payload if attachment is None else record.companions[attachment]
        # Parts that were sealed into the store have passed no server yet.
        checked = self._verify_reads or stored.is_in_parts
        index = await self.seals.index(record, attachment) if checked else None
        return PayloadReader(self.storage, stored, index, self._verified, self._segments)

    async def attachment_index(self, release: ReleaseDescription, name: str) -> bytes:
        return (await self.seals.index(await self._record(release), name)).whole()

    async def head(self, of: AppChannel) -> bytes | None:
        return (await self.channels_read.pointer(of)).head

    async def recall(self, of: AppChannel, digest: str) -> bytes | None:
        pointer = await self.channels_read.pointer(of)
        if digest not in pointer.recalls:
            pointer = await self.channels_read.pointer(of, fresh=True)
        return pointer.recalls.get(digest)

    async def trust_update(self, app: str, version: int) -> bytes | None:
        return await self.trusted.update(app, version)

    async def latest_signed(
        self, app: str, channel: str, *, below: int | None = None
    ) -> tuple[Statement, Mapping[str, str]] | None:
        of = _named(app, channel)
        if of is None:
            return None
        record = await (self._latest.record(of) if below is None else self._latest.superseded(of, below))
        if record is None:
            return None
        statement = (await self.seals.verdict(record)).statement
        release = record.release
        for name in release.attachments:
            self.seals.check_companion(record, statement, name)
        return statement, {name: release.attachment_link(name) for name in release.attachments}

    async def attachment(self, app: str, channel: str, sequence: int, name: str) -> bytes:
        release = await self.release(AppChannel(app, channel), sequence)
        if release is None or name not in release.attachments:
            raise TransferError(f"storage: attachment {name} of sequence {sequence} of {app} is gone")
        record = await self._record(release)
        index = await self.seals.index(record, name)
        reader = PayloadReader(self.storage, record.companions[name], index, self._verified, self._segments)
        data = bytearray()
        try:
            async for chunk in reader.chunks(0, release.attachments[name].size):
                data += chunk
        except RejectedError as error:
            raise TransferError(f"storage: attachment {name} of sequence {sequence} of {app}: {error}") from error
        return bytes(data)

    async def all_withdrawn(self, app: str, channel: str) -> bool:
        of = _named(app, channel)
        if of is None:
            return False
        pointer = await self.channels_read.pointer(of)
        return bool(pointer.entries or pointer.removed) and pointer.latest() is None

    async def count(self) -> int:
        """Return how many releases are published and not withdrawn."""
        pointers = await self.channels_read.pointers(await self.channels_read.named())
        return await asyncio.to_thread(lambda: sum(one.entries.count_listed() for one in pointers))

    async def _record(self, release: ReleaseDescription) -> ReleaseRecord:
        entry = await self.channels_read.entry(release.app_channel, release.sequence)
        record = entry and await self.channels_read.readable_record(release.app_channel, entry)
        if not record:
            raise TransferError(f"storage: sequence {release.sequence} of {release.app} is gone")
        return record

    # Changing.

    async def begin(self, verified: Verified, *, client: str) -> Upload | ReleaseDescription:
        """Begin the upload of a seal that passed, or go on with it; return the release where it is published already.

        client: who sends it. Raises RollbackError, Problem, TransferError.
        """
        trust = self.trusted.of(verified.statement.app)
        seal = verified.seal.encode()
        id = (await asyncio.to_thread(hashlib.sha256, seal)).hexdigest()
        upload = Upload.begin(id, verified)
        if upload.size > self._limits.bundle_bytes:
            raise too_large("payload and attachments", upload.size, self._limits.bundle_bytes)
        of = upload.app_channel
        pointer = await self.channels_read.pointer(of, fresh=True)
        entry = pointer.with_seal(id)
        if entry is not None and await self._wholeness.of(of, entry):
            return (await self.channels_read.record(of, entry)).release
        pointer.under(trust).check_or_has(verified.statement, id)
        return await self.uploads.begin(verified, id, seal, trust=trust, client=client)

    async def put_index(self, upload: Upload, arriving: ArrivingPayload, entries: bytes) -> None:
        """Take the index of a companion, where it gives the signed digest. Raises RejectedError, Problem."""
        index = await asyncio.to_thread(SignedIndex.checked, arriving.signed, entries)
        if arriving.index is None:
            mark = layout.new_mark()
            await self.storage.put(layout.index_object(arriving.digest, mark), entries)
            arriving.index, arriving.index_mark = index, mark

    async def put_run(self, upload: Upload, arriving: ArrivingPayload, run: StoredRun, data: memoryview) -> None:
        """Store a run of segments that were verified. Raises Problem where the upload was closed meanwhile."""
        await self.uploads.find(upload.id)
        if arriving.has(run.first, run.stop):
            return  # as often as it is sent, it is stored once
        run = run._replace(mark=layout.new_mark())
        await self.storage.put(run.path(arriving.digest), data)
        arriving.runs.append(run)

    async def app_of_upload(self, id: str) -> str:
        """Return the app of an upload, published or open. Raises Problem 404, TransferError."""
        became = await self.uploads.became(id)
        return (await self.uploads.find(id)).app_channel.app if became is None else became[0].app

    async def publish(self, id: str) -> tuple[ReleaseDescription, bool]:
        """Make a complete upload a release, at once and for all; return it, and whether it was none before.

        Raises RejectedError where its seal is not accepted by the trust in force, or any more, Problem, TransferError.
        """
        became = await self.uploads.became(id)
        if became is not None:
            entry = (await self.channels_read.pointer(became[0], fresh=True)).with_seal(id)
            if entry is None:
                raise no_upload(id)
            if await self._wholeness.of(became[0], entry):
                return (await self.channels_read.record(became[0], entry)).release, False
        upload = await self.uploads.find(id)
        try:
            release, is_new = await self._publish(upload)
        except RejectedError:
            await self.uploads.close(upload)
            raise
        try:
            await self.uploads.finish(upload)
        except TransferError as error:  # it is published, and the collector will find out, too
            self._log.error("upload not closed", extra={"members": {"upload": id, "error": str(error)}})
        return release, is_new

    async def _publish(self, upload: Upload) -> tuple[ReleaseDescription, bool]:
        of, statement = upload.app_channel, upload.verified.statement
        # What is listed from here on may be condemned from here on, and is deleted a grace period later.
        deadline = monotonic() + self._limits.collect_grace_s / 2
        now = await self.channels_read.pointer(of, fresh=True)
        now.under(await self.trusted.follow(of.app)).check_or_has(statement, upload.id)
        # What storage lists decides, not what this process remembers.
        await self.uploads.look_up(upload)
        if not all(one.is_complete for one in upload.payloads):
            raise Problem(INCOMPLETE, what_is_missing(upload))
        seal = await self.uploads.seal_of(upload)
        upload.verified, trust = await self.seals.accept(seal)
        record = await asyncio.to_thread(_record_of, upload, seal)
        await self.storage.put(record.seal_path, seal)
        await self.storage.put(record.path, await asyncio.to_thread(record.encode))
        await self.storage.sync([*await asyncio.to_thread(lambda: record.paths), record.seal_path, record.path])
        entry = Entry(statement.sequence, upload.id, record.mark, record.release.published, None)
        before = ChannelPointer(of)
        lost: Entry | None = None  # what a server published too late, and was killed

        def published(pointer: ChannelPointer) -> ChannelPointer | None:
            nonlocal before
            here = pointer.with_seal(upload.id)
            if here is not None and here != lost:
                return None  # by another server, or by this one, whose answer was lost
            if monotonic() > deadline:
                raise _too_slow()
            if self.trusted.of(of.app) is not trust:
                raise busy("whom the server trusts changed meanwhile: try again")
            if pointer.is_past(trust, known=now.trust_version):
                raise busy("another server follows a later version of the trust store: try again")
            before = pointer.under(trust).taken_by(trust)
            return before.published(statement, entry) if here is None else before.resealed({here: entry})

        def taken_back(pointer: ChannelPointer) -> ChannelPointer | None:
            return pointer.unpublished(entry, before=before) if lost is None else pointer.resealed({entry: lost})

        written = (await self.channels_read.change(of, published)).entries[statement.sequence]
        if written.mark != record.mark and not await self._wholeness.of(of, written):
            lost = written
            written = (await self.channels_read.change(of, published)).entries[statement.sequence]
        if written.mark == record.mark and monotonic() > deadline:
            # It may name what is being deleted. Nobody was told of it.
            await self.channels_read.change(of, taken_back)
            raise _too_slow()
        if written.mark == record.mark and await self.trusted.follow(of.app) is not trust:
            try:
                await self.seals.accept(seal)
            except RejectedError:
                await self.channels_read.change(of, taken_back)
                raise
        return (await self.channels_read.record(of, written)).release, written.mark == record.mark

    async def give_up(self, upload: Upload) -> None:
        """Forget an upload; what it stored and nobody else needs is collected."""
        await self.uploads.close(upload)

    async def withdraw(self, release: ReleaseDescription) -> tuple[ReleaseDescription, bool]:
        """Take a release back: its record stays, so that its sequence is never used again, its bytes go.

        Return it, and whether it was not withdrawn before.
        """
        of, sequence = release.app_channel, release.sequence
        when = shown_time(datetime.now(UTC))
        is_new = False

        def withdrawn(pointer: ChannelPointer) -> ChannelPointer | None:
            nonlocal is_new
            entry = pointer.entries.get(sequence)
            if entry is None or entry.withdrawn is not None:
                return None
            is_new = True
            return pointer.withdrawn(sequence, when)

        pointer = await self.channels_read.change(of, withdrawn)
        self.seals.forget(release)
        entry = pointer.entries.get(sequence)
        return replace(release, withdrawn=entry.withdrawn if entry else when), is_new

    async def prune(self) -> Pruned:
        """Take out of the pointers what the retention keeps no more. Raises TransferError."""
        pruned = await self._pruner.prune(self._retention, now=datetime.now(UTC))
        for release in pruned.releases:
            self.seals.forget(release)
            members = {"app": release.app, "channel": release.channel, "sequence": release.sequence}
            self._log.info("pruned", extra={"members": members})
        return pruned

    async def collect(self, *, grace_s: float | None = None) -> Collected | None:
        """Prune what is kept no more, and collect what nobody needs. Raises TransferError.

        Return None where another server collects. grace_s: in place of the limit `collect_grace_s`, for a store that
        nobody else uses.
        """
        await self.prune()
        collected = await self._collector.collect(grace_s=self._limits.collect_grace_s if grace_s is None else grace_s)
        if collected is not None and (collected.condemned or collected.deleted or collected.swept):
            counts = {"condemned": collected.condemned, "deleted": collected.deleted, "swept": collected.swept}
            self._log.info("collected", extra={"members": counts})
        return collected


def _named(app: str, channel: str) -> AppChannel | None:
    """Return what a client wrote as app and channel, None where it can be neither: it would become an object's name."""
    try:
        return AppChannel(check_name(app, "app"), check_name(channel, "channel"))
    except FormatError:
        return None


def _too_slow() -> Problem:
    return busy("publishing took so long that what is stored may have been collected: try again")


def _record_of(upload: Upload, seal: bytes) -> ReleaseRecord:
    """Return the record of a complete upload, published now."""
    companions = {name: one.stored() for name, one in upload.companions.items()}
    release = ReleaseDescription.of(
        upload.verified.statement,
        {name: PayloadDescription(one.size, one.digest) for name, one in companions.items()},
        published=datetime.now(UTC),
        seal_bytes=len(seal),
        seal_digest=upload.id,
        signers=tuple(signer.key.fingerprint for signer in upload.verified.signers),
    )
    stored = {name: StoredCompanion(one.runs, upload.companions[name].index_mark) for name, one in companions.items()}
    return ReleaseRecord(release, layout.new_mark(), upload.payload.stored().runs, stored)
