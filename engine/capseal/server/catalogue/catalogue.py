"""The one place that changes what is published: begins uploads, publishes, withdraws."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from logging import Logger

from ...bundle.reading_order import Verified
from ...errors import FormatError, RejectedError, RollbackError, TransferError
from ...format.signed_index import SignedIndex
from ...format.statement import Payload, Statement
from ...format.strictjson import Role, shown_time
from ...http.problems import INCOMPLETE, NO_UPLOAD
from ...http.shapes import AppChannel, PayloadDescription, ReleaseDescription
from ...trust.store import TrustStore
from .._limits import ServerLimits
from .._problems import Problem, busy, too_large
from ..storage import layout
from ..storage.objects import Storage
from ..storage.payload_reader import PayloadReader
from ..storage.records import ReleaseRecord
from ..storage.stored_runs import StoredRun
from ..storage.verified_cache import VerifiedCache
from ._collector import Collector
from ._releases import Releases
from ._seals import SealReader
from .arriving import ArrivingPayload, Upload

_MAX_RECORD_BYTES = 16 * 1024 * 1024
_RECORDS_AT_ONCE = 16


class Catalogue:
    """The releases and uploads of one storage; one process at a time may write to it.

    records: of what is published; uploads: under way, by id. It is a ReleaseStore, and gives extensions SignedReleases.
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
    ) -> None:
        """verify_reads: check what is read against the signed index."""
        self.storage = storage
        self.records = Releases()
        self.uploads: dict[str, Upload] = {}
        self.seals = SealReader(storage, trust, role=role, most_bytes=limits.seal_bytes)
        self._limits = limits
        self._log = log
        self._verify_reads = verify_reads
        self._verified = VerifiedCache(limits.verified_bytes)
        self._damaged_records = 0
        self._changing = asyncio.Lock()
        self._collector = Collector(storage, self.records, self.uploads, self._changing, log)

    # As a ReleaseStore, and what seals say.

    async def channels(self, *, after: AppChannel | None, most: int) -> list[AppChannel]:
        return [of for of in self.records.channels() if after is None or of > after][:most]

    async def releases(self, of: AppChannel, *, below: int | None, most: int) -> list[ReleaseDescription]:
        every = (record.release for record in self.records.all_of(of))
        return [one for one in every if below is None or one.sequence < below][:most]

    async def release(self, of: AppChannel, sequence: int) -> ReleaseDescription | None:
        record = self.records.get(of, sequence)
        return None if record is None else record.release

    async def latest(self, of: AppChannel) -> ReleaseDescription | None:
        record = self.records.latest(of)
        return None if record is None else record.release

    async def seal(self, release: ReleaseDescription) -> bytes:
        return await self.seals.read(self._record(release))

    async def payload(self, release: ReleaseDescription, attachment: str | None) -> PayloadReader:
        record = self._record(release)
        stored = record.payload if attachment is None else record.companions[attachment]
        index = await self.seals.index(record, attachment) if self._verify_reads else None
        return PayloadReader(self.storage, stored, index, self._verified)

    async def attachment_index(self, release: ReleaseDescription, name: str) -> bytes:
        return (await self.seals.index(self._record(release), name)).entries

    async def latest_signed(self, app: str, channel: str) -> tuple[Statement, Mapping[str, str]] | None:
        record = self.records.latest(AppChannel(app, channel))
        if record is None:
            return None
        statement = (await self.seals.verdict(record)).statement
        release = record.release
        for name in release.attachments:
            self.seals.check_companion(record, statement, name)
        return statement, {name: release.attachment_link(name) for name in release.attachments}

    def _record(self, release: ReleaseDescription) -> ReleaseRecord:
        record = self.records.get(release.app_channel, release.sequence)
        if record is None:
            raise TransferError(f"storage: sequence {release.sequence} of {release.app} is gone")
        return record

    # Changing.

    async def load(self) -> None:
        """Read what storage holds, and collect the orphans. Once, before anything else."""
        swept = await self.storage.sweep()
        if swept:
            self._log.info("swept half-written files", extra={"members": {"files": swept}})
        gate = asyncio.Semaphore(_RECORDS_AT_ONCE)
        paths = [one.path async for one in self.storage.list(layout.RELEASES)]
        try:
            async with asyncio.TaskGroup() as group:
                for path in paths:
                    named = layout.parse_release_object(path)
                    if named and named[2] == layout.RECORD:
                        group.create_task(self._load_record(path, named[0], named[1], gate))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None  # one says what is wrong with the storage
        for path in [one.path async for one in self.storage.list(layout.UPLOADS)]:
            id = layout.parse_upload_seal(path)
            if id:
                await self._load_upload(id, path)
        await self.collect()

    async def _load_record(self, path: str, of: AppChannel, sequence: int, gate: asyncio.Semaphore) -> None:
        async with gate:
            data = await self.storage.get(path, most=_MAX_RECORD_BYTES)
        try:
            record = ReleaseRecord.parse(data)
            if record.path != path:
                raise FormatError(f"record is for {record.path}")
        except FormatError as error:
            self._damaged_records += 1
            self.records.add_damaged(of, sequence)
            self._log.error("record ignored", extra={"members": {"path": path, "error": str(error)}})
            return
        self.records.add(record)

    async def _load_upload(self, id: str, path: str) -> None:
        try:
            upload = Upload.begin(id, await self.seals.uploaded(path))
        except (RejectedError, FileNotFoundError) as error:
            self._log.warning("upload given up", extra={"members": {"upload": id, "error": str(error)}})
            await self.storage.delete([path])
            return
        try:
            self.records.check_statement(upload.verified.statement)
        except RollbackError:  # published, or overtaken, just before the end
            await self.storage.delete([path])
            return
        await self._look_up(upload)
        self.uploads[id] = upload

    async def begin(self, verified: Verified) -> Upload | ReleaseDescription:
        """Begin the upload of a seal that passed, or go on with it; return the release where it is published already.

        Raises RollbackError, Problem.
        """
        seal = verified.seal.encode()
        id = (await asyncio.to_thread(hashlib.sha256, seal)).hexdigest()
        upload = Upload.begin(id, verified)
        if upload.size > self._limits.bundle_bytes:
            raise too_large("payload and attachments", upload.size, self._limits.bundle_bytes)
        async with self._changing:
            published = self.records.with_seal(id)
            if published is not None:
                return published.release
            self.records.check_statement(verified.statement)
            if id not in self.uploads:
                if len(self.uploads) >= self._limits.open_uploads:
                    raise busy(f"{len(self.uploads)} uploads are open, at most {self._limits.open_uploads} are allowed")
                await self.storage.put(layout.upload_seal(id), seal)
                await self._look_up(upload)
                self.uploads[id] = upload
            return self.uploads[id]

    async def put_index(self, upload: Upload, arriving: ArrivingPayload, entries: bytes) -> None:
        """Take the index of a companion, where it gives the signed digest. Raises RejectedError, Problem."""
        index = await asyncio.to_thread(SignedIndex.checked, arriving.signed, entries)
        self._check_is_open(upload)
        await self.storage.put(layout.index_object(arriving.digest), entries)
        arriving.index = index

    async def put_run(self, upload: Upload, arriving: ArrivingPayload, run: StoredRun, data: memoryview) -> None:
        """Store a run of segments that were verified. Raises Problem where the upload was given up meanwhile."""
        self._check_is_open(upload)
        await self.storage.put(run.path(arriving.digest), data)
        arriving.runs.append(run)

    async def publish(self, upload: Upload) -> ReleaseDescription:
        """Make a complete upload a release, at once and for all. Raises RollbackError, Problem, TransferError."""
        async with self._changing:
            published = self.records.with_seal(upload.id)
            if published is not None:
                return published.release
            self._check_is_open(upload)
            self.records.check_statement(upload.verified.statement)
            # What storage lists decides, not what this process remembers.
            await self._look_up(upload)
            if not all(one.is_complete for one in upload.payloads):
                raise Problem(INCOMPLETE, _what_is_missing(upload))
            seal = upload.verified.seal.encode()
            record = _record_of(upload, seal, self.records.next_number(upload.app_channel))
            await self.storage.put(record.seal_path, seal)
            await self.storage.sync([*record.paths, record.seal_path])
            if not await self.storage.put_new(record.path, record.encode()):
                raise TransferError(f"storage: {record.path} was published by another process")
            await self.storage.sync([record.path])
            self.records.add(record)
            del self.uploads[upload.id]
            await self.storage.delete([layout.upload_seal(upload.id)])
        return record.release

    async def give_up(self, upload: Upload) -> None:
        """Forget an upload and delete what it stored."""
        async with self._changing:
            if self.uploads.pop(upload.id, None) is not None:
                await self.storage.delete([layout.upload_seal(upload.id)])
                for digest in upload.digests:
                    await self._collector.delete_unneeded(digest)

    async def withdraw(self, release: ReleaseDescription) -> ReleaseDescription:
        """Take a release back: its record stays, so that its sequence is never used again, its bytes go."""
        async with self._changing:
            record = self._record(release)
            if record.release.withdrawn is not None:
                return record.release
            withdrawn = replace(record, release=replace(record.release, withdrawn=shown_time(datetime.now(UTC))))
            await self.storage.put(record.path, withdrawn.encode())
            await self.storage.sync([record.path])
            self.records.add(withdrawn)
            self.seals.forget(record)
            await self.storage.delete([record.seal_path])
            for digest in record.digests:
                await self._collector.delete_unneeded(digest)
        return withdrawn.release

    async def collect(self) -> None:
        """Give up uploads that went stale, and delete orphans."""
        before = datetime.now(UTC) - timedelta(seconds=self._limits.upload_age_s)
        for upload in await self._collector.stale_uploads(before):
            self._log.info("stale upload given up", extra={"members": {"upload": upload.id}})
            await self.give_up(upload)
        if self._damaged_records:
            # What a damaged record points to looks like an orphan, and may be all that is left of a release.
            members = {"damaged_records": self._damaged_records}
            self._log.error("no orphans collected", extra={"members": members})
            return
        deleted = await self._collector.collect()
        if deleted:
            self._log.info("orphans collected", extra={"members": {"objects": deleted}})

    def _check_is_open(self, upload: Upload) -> None:
        if upload.id not in self.uploads:
            raise Problem(NO_UPLOAD, f"upload {upload.id[:16]} was given up or collected: begin it with its seal")

    async def _look_up(self, upload: Upload) -> None:
        """Let an upload have what storage lists of it."""
        for one in upload.payloads:
            one.runs = await self._stored_runs(one.signed)
        for one in upload.companions.values():
            try:
                one.index = await self.seals.stored_index(one.signed)
            except TransferError as error:  # whoever needs it can send it again
                self._log.error("stored index ignored", extra={"members": {"error": str(error)}})
                one.index = None

    async def _stored_runs(self, payload: Payload) -> list[StoredRun]:
        folder = layout.payload_folder(payload.digest.hex())
        stored = [StoredRun.parse(one.path, one.size, payload.size) async for one in self.storage.list(folder)]
        return [run for run in stored if run is not None]


def _what_is_missing(upload: Upload) -> str:
    missing = sum(stop - first for one in upload.payloads for first, stop in one.missing)
    incomplete = [name for name, one in upload.companions.items() if not one.is_complete]
    return f"{missing} segments are missing" + (f", of attachments {', '.join(incomplete)[:200]}" if incomplete else "")


def _record_of(upload: Upload, seal: bytes, number: int) -> ReleaseRecord:
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
    runs = {name: one.runs for name, one in companions.items()}
    return ReleaseRecord(release, upload.payload.stored().runs, runs, number)
