"""What is published, as records in storage, and the one place that changes it.

Layout (docs/server.md, Storage). A release is published by the appearance of its record and by nothing
else; everything without a record, or an upload, that points to it is an orphan.

    releases/APP/CHANNEL/SEQUENCE/release.json   the record: written last, atomically, never overwritten
    releases/APP/CHANNEL/SEQUENCE/seal           the seal, as it was uploaded
    payloads/DIGEST/FIRST-COUNT                  a part: COUNT verified segments from segment FIRST on
    payloads/DIGEST/index                        the index of a payload that is not in a seal: of a Capgo file
    uploads/ID/seal                              the seal of an upload under way; ID is its SHA-256
"""

import asyncio
import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from logging import Logger
from typing import TypeVar

from ...bundle.opened import accept_detached
from ...bundle.reading_order import Verified
from ...capgo import Attached, attached
from ...constants import DIGEST_BYTES
from ...errors import FormatError, RejectedError, RollbackError, TransferError
from ...format.signed_index import SignedIndex
from ...format.statement import Payload, Statement
from ...format.strictjson import Role
from ...format.tree import segment_count
from ...http.problems import INCOMPLETE, NO_UPLOAD
from ...trust.expect import Expect
from ...trust.store import TrustStore
from ..limits import Limits
from ..problems import Problem, busy, too_large
from ..storage.objects import Storage
from ..storage.records import Place, Release
from ..storage.stored_runs import Part, index_path
from .uploads import ArrivingPayload, Upload

T = TypeVar("T")

_MAX_RECORD_BYTES = 16 * 1024 * 1024
_KEPT_SEALS = 64
_RECORD_PATH = re.compile(r"releases/([^/]+)/([^/]+)/([0-9]{16})/release\.json")
_UPLOAD_PATH = re.compile(r"uploads/([0-9a-f]{64})/seal")
_PAYLOAD_PATH = re.compile(r"payloads/([0-9a-f]{64})/[^/]+")
_RELEASE_FOLDER = re.compile(r"(releases/[^/]+/[^/]+/[0-9]{16})/[^/]+")


class Catalogue:
    """The releases and uploads of one storage; one process at a time may write to it."""

    def __init__(
        self, storage: Storage, trust: TrustStore, *, role: Role, limits: Limits, log: Logger, capgo: bool = False
    ) -> None:
        """capgo: demand, with a bundle, the Capgo file that its seal vouches for."""
        self.storage = storage
        self.limits = limits
        self.log = log
        self.uploads: dict[str, Upload] = {}
        self._trust = trust
        self._role = role
        self._capgo = capgo
        self._releases: dict[Place, dict[int, Release]] = {}
        self._by_upload: dict[str, Release] = {}
        self._floors: dict[Place, int] = {}
        self._seals: dict[str, Verified] = {}
        self._capgo_indexes: dict[str, SignedIndex] = {}
        self._damaged = 0
        self._changing = asyncio.Lock()

    # Reading.

    def places(self) -> list[Place]:
        """Return every app and channel with a release that was not withdrawn, sorted."""
        return sorted(place for place in self._releases if self.latest(place) is not None)

    def count(self) -> int:
        """Return how many releases are published and not withdrawn."""
        return sum(one.withdrawn is None for releases in self._releases.values() for one in releases.values())

    def releases(self, place: Place) -> list[Release]:
        """Return the releases of an app and channel, newest first, withdrawn ones too."""
        return sorted(self._releases.get(place, {}).values(), key=lambda one: one.sequence, reverse=True)

    def release(self, place: Place, sequence: int) -> Release | None:
        """Return a release, withdrawn or not."""
        return self._releases.get(place, {}).get(sequence)

    def release_of(self, upload_id: str) -> Release | None:
        """Return the release that an upload became, unless it was withdrawn."""
        release = self._by_upload.get(upload_id)
        return release if release is not None and release.withdrawn is None else None

    def latest(self, place: Place) -> Release | None:
        """Return the release with the highest sequence that was not withdrawn."""
        listed = (one for one in self._releases.get(place, {}).values() if one.withdrawn is None)
        return max(listed, key=lambda one: one.sequence, default=None)

    async def seal(self, release: Release) -> bytes:
        """Return a release's seal. Raises TransferError where storage lost or altered it."""
        try:
            data = await self.storage.get(f"{release.folder}/seal", most=self.limits.seal_bytes)
        except FileNotFoundError as error:
            raise TransferError(f"storage: the seal of {release.folder} is gone") from error
        found = (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()
        if found != release.seal_digest:
            raise TransferError(
                f"storage: seal of {release.folder} has digest {found[:16]}, its record says {release.seal_digest[:16]}"
            )
        return data

    async def verified(self, release: Release) -> Verified:
        """Return the verdict on a release's stored seal. Raises TransferError where storage lost or altered it."""
        kept = self._seals.pop(release.seal_digest, None)
        if kept is None:
            data = await self.seal(release)
            expect = Expect(app=release.app, channel=release.channel, role=self._role)
            try:
                kept = await asyncio.to_thread(accept_detached, data, self._trust, expect)
            except RejectedError as error:
                raise TransferError(f"storage: the seal of {release.folder} does not verify: {error}") from error
            if kept.statement.sequence != release.sequence:
                raise TransferError(f"storage: the seal of {release.folder} has sequence {kept.statement.sequence}")
        _keep(self._seals, release.seal_digest, kept)
        return kept

    async def capgo_of(self, release: Release) -> Attached | None:
        """Return what a release's seal says of its Capgo file, or None where that was not published with it.

        Raises TransferError where storage altered it.
        """
        if release.capgo is None:
            return None
        try:
            found = attached((await self.verified(release)).statement)
        except FormatError as error:
            raise TransferError(f"storage: the seal of {release.folder} cannot be read: {error}") from error
        if found is None or found.digest.hex() != release.capgo.digest or found.payload.size != release.capgo.size:
            raise TransferError(f"storage: the record of {release.folder} names a Capgo file that its seal does not")
        return found

    async def capgo_index(self, release: Release) -> SignedIndex:
        """Return what the segments of a release's Capgo file must be.

        Raises TransferError where it has none, or storage lost or altered it.
        """
        found = await self.capgo_of(release)
        if found is None:
            raise TransferError(f"storage: {release.folder} has no Capgo file")
        digest = found.digest.hex()
        kept = self._capgo_indexes.pop(digest, None) or await self._stored_index(found.payload)
        if kept is None:
            raise TransferError(f"storage: {index_path(digest)} is gone, or altered")
        _keep(self._capgo_indexes, digest, kept)
        return kept

    # Changing.

    async def load(self) -> None:
        """Read what storage holds, and collect the orphans. Once, before anything else."""
        swept = await self.storage.sweep()
        if swept:
            self.log.info("swept half-written files", extra={"members": {"files": swept}})
        paths = [one.path async for one in self.storage.list("releases")]
        records = [match for match in map(_RECORD_PATH.fullmatch, paths) if match]
        gate = asyncio.Semaphore(16)
        async with asyncio.TaskGroup() as group:
            for match in records:
                group.create_task(self._load_record(match, gate))
        for path in [one.path async for one in self.storage.list("uploads")]:
            upload = _UPLOAD_PATH.fullmatch(path)
            if upload:
                await self._load_upload(upload[1])
        await self.collect()

    async def _load_record(self, match: re.Match[str], gate: asyncio.Semaphore) -> None:
        place, sequence = (match[1], match[2]), int(match[3])
        async with gate:
            data = await self.storage.get(match[0], most=_MAX_RECORD_BYTES)
        # The name alone raises the floor: a damaged record must not let an old sequence in again.
        self._floors[place] = max(self._floors.get(place, 0), sequence)
        try:
            release = Release.parse(data)
            if (release.app, release.channel, release.sequence) != (*place, sequence):
                raise FormatError(f"record is for {release.folder}")
        except FormatError as error:
            self._damaged += 1
            self.log.error("record ignored", extra={"members": {"path": match[0], "error": str(error)}})
            return
        self._add(release)

    async def _load_upload(self, id: str) -> None:
        try:
            data = await self.storage.get(f"uploads/{id}/seal", most=self.limits.seal_bytes)
            verified = await asyncio.to_thread(accept_detached, data, self._trust, Expect(role=self._role))
            upload = Upload.begin(id, verified, capgo=self._capgo)
        except (RejectedError, FileNotFoundError) as error:
            self.log.warning("upload given up", extra={"members": {"upload": id, "error": str(error)}})
            await self.storage.delete([f"uploads/{id}/seal"])
            return
        statement = verified.statement
        if statement.sequence <= self._floors.get((statement.app, statement.channel), 0):
            await self.storage.delete([f"uploads/{id}/seal"])  # published, or overtaken, just before the end
            return
        await self._look_up(upload)
        self.uploads[id] = upload

    def _add(self, release: Release) -> None:
        place = (release.app, release.channel)
        self._releases.setdefault(place, {})[release.sequence] = release
        self._by_upload[release.seal_digest] = release
        self._floors[place] = max(self._floors.get(place, 0), release.sequence)

    async def begin(self, seal: bytes) -> Upload | Release:
        """Accept a seal and begin its upload, or go on with it; return the release where it is published already.

        Raises RejectedError, Problem.
        """
        verified = await asyncio.to_thread(accept_detached, seal, self._trust, Expect(role=self._role))
        id = (await asyncio.to_thread(hashlib.sha256, seal)).hexdigest()
        upload = Upload.begin(id, verified, capgo=self._capgo)
        for one in upload.payloads:
            if one.signed.size > self.limits.bundle_bytes:
                raise too_large("payload", one.signed.size, self.limits.bundle_bytes)
        async with self._changing:
            published = self.release_of(id)
            if published is not None:
                return published
            self._check_sequence(verified.statement)
            if id not in self.uploads:
                if len(self.uploads) >= self.limits.open_uploads:
                    raise busy(f"{len(self.uploads)} uploads are open, at most {self.limits.open_uploads} are allowed")
                await self.storage.put(f"uploads/{id}/seal", seal)
                await self._look_up(upload)
                self.uploads[id] = upload
            return self.uploads[id]

    async def put_index(self, arriving: ArrivingPayload, entries: bytes) -> None:
        """Take the index of a payload, and keep it where it gives the signed digest. Raises RejectedError."""
        index = await asyncio.to_thread(SignedIndex.checked, arriving.signed, entries)
        await self.storage.put(index_path(arriving.digest), entries)
        arriving.index = index

    async def publish(self, upload: Upload) -> Release:
        """Make a complete upload a release, at once and for all. Raises RollbackError, Problem, TransferError."""
        statement = upload.verified.statement
        async with self._changing:
            published = self.release_of(upload.id)
            if published is not None:
                return published
            if upload.id not in self.uploads:
                raise Problem(NO_UPLOAD, f"upload {upload.id[:16]} was given up or collected")
            self._check_sequence(statement)
            # What storage lists decides, not what this process remembers.
            await self._look_up(upload)
            missing = sum(stop - first for one in upload.payloads for first, stop in one.missing)
            if missing:
                raise Problem(INCOMPLETE, f"{missing} segments are missing")
            seal = upload.verified.seal.encode()
            payload = upload.payload.stored()
            release = Release(
                app=statement.app,
                channel=statement.channel,
                sequence=statement.sequence,
                version=statement.version,
                created=statement.to_json()["created"],
                published=_now(),
                content_name=statement.content.name,
                content_bytes=statement.content.size,
                payload_digest=payload.digest,
                payload_bytes=payload.size,
                seal_digest=upload.id,
                seal_bytes=len(seal),
                signers=tuple(signer.key.fingerprint for signer in upload.verified.signers),
                parts=payload.parts,
                capgo=None if upload.capgo is None else upload.capgo.stored(),
            )
            await self.storage.put(f"{release.folder}/seal", seal)
            await self.storage.sync([*release.paths, f"{release.folder}/seal"])
            if not await self.storage.put_new(f"{release.folder}/release.json", release.encode()):
                raise TransferError(f"storage: {release.folder} was published by another process")
            await self.storage.sync([f"{release.folder}/release.json"])
            self._add(release)
            del self.uploads[upload.id]
            await self.storage.delete([f"uploads/{upload.id}/seal"])
        return release

    async def give_up(self, upload: Upload) -> None:
        """Forget an upload and delete what it stored."""
        async with self._changing:
            if self.uploads.pop(upload.id, None) is not None:
                await self.storage.delete([f"uploads/{upload.id}/seal"])
                for digest in upload.digests:
                    await self._delete_unreferenced(digest)

    async def withdraw(self, release: Release) -> Release:
        """Take a release back: its record stays, so that its sequence is never used again, its bytes go."""
        async with self._changing:
            current = self._releases[(release.app, release.channel)][release.sequence]
            if current.withdrawn is not None:
                return current
            withdrawn = replace(current, withdrawn=_now())
            path = f"{release.folder}/release.json"
            await self.storage.put(path, withdrawn.encode())
            await self.storage.sync([path])
            self._add(withdrawn)
            self._seals.pop(release.seal_digest, None)
            await self.storage.delete([f"{release.folder}/seal"])
            for digest in release.digests:
                await self._delete_unreferenced(digest)
        return withdrawn

    async def collect(self) -> int:
        """Delete orphans and uploads that went stale; return how many objects."""
        before = datetime.now(UTC) - timedelta(seconds=self.limits.upload_age_s)
        last_put: dict[str, datetime] = {}
        payloads = [one async for one in self.storage.list("payloads")]
        for one in payloads:
            match = _PAYLOAD_PATH.fullmatch(one.path)
            if match:
                last_put[match[1]] = max(last_put.get(match[1], one.modified), one.modified)
        async for one in self.storage.list("uploads"):
            match = _UPLOAD_PATH.fullmatch(one.path)
            upload = self.uploads.get(match[1]) if match else None
            if upload is None or upload.receivers:
                continue
            if max(one.modified, *(last_put.get(digest, before) for digest in upload.digests)) < before:
                self.log.info("stale upload given up", extra={"members": {"upload": upload.id}})
                await self.give_up(upload)
        if self._damaged:
            # What a damaged record points to looks like an orphan, and may be all that is left of a release.
            self.log.error("no orphans collected", extra={"members": {"damaged_records": self._damaged}})
            return 0
        deleted = 0
        for digest in last_put:
            async with self._changing:
                deleted += await self._delete_unreferenced(digest)
        folders: dict[str, list[str]] = {}
        async for one in self.storage.list("releases"):
            match = _RELEASE_FOLDER.fullmatch(one.path)
            if match:
                folders.setdefault(match[1], []).append(one.path)
        for folder, paths in folders.items():
            async with self._changing:
                # Under the lock: a folder without a record now is not one that is just being published.
                _, app, channel, sequence = folder.split("/")
                release = self.release((app, channel), int(sequence))
                if release is None or release.withdrawn is not None:
                    orphans = [path for path in paths if path != f"{folder}/release.json"]
                    await self.storage.delete(orphans)
                    deleted += len(orphans)
        if deleted:
            self.log.info("orphans collected", extra={"members": {"objects": deleted}})
        return deleted

    async def _delete_unreferenced(self, digest: str) -> int:
        """Delete what is stored of a payload, but what a release or an upload needs. Only under the lock."""
        if any(digest in upload.digests for upload in self.uploads.values()):
            return 0
        needed = {
            path
            for releases in self._releases.values()
            for release in releases.values()
            if digest in release.digests and release.withdrawn is None
            for path in release.paths
        }
        orphans = [one.path async for one in self.storage.list(f"payloads/{digest}") if one.path not in needed]
        await self.storage.delete(orphans)
        return len(orphans)

    def _check_sequence(self, statement: Statement) -> None:
        floor = self._floors.get((statement.app, statement.channel), 0)
        if statement.sequence <= floor:
            raise RollbackError(
                f"sequence {statement.sequence} of {statement.app} on {statement.channel} is not above {floor}, "
                "the highest that was published",
                floor=floor,
                sequence=statement.sequence,
            )

    async def _look_up(self, upload: Upload) -> None:
        """Let an upload have what storage lists of it."""
        for one in upload.payloads:
            one.parts = await self._stored_parts(one.signed)
        if upload.capgo is not None:
            upload.capgo.index = await self._stored_index(upload.capgo.signed)

    async def _stored_parts(self, payload: Payload) -> list[Part]:
        folder = f"payloads/{payload.digest.hex()}"
        stored = [Part.parse(one.path, one.size, payload.size) async for one in self.storage.list(folder)]
        return [part for part in stored if part is not None]

    async def _stored_index(self, payload: Payload) -> SignedIndex | None:
        """Return the index that is stored for a payload, or None where it is not the signed one."""
        path = index_path(payload.digest.hex())
        try:
            entries = await self.storage.get(path, most=DIGEST_BYTES * segment_count(payload.size))
            return await asyncio.to_thread(SignedIndex.checked, payload, entries)
        except FileNotFoundError:
            return None
        except (RejectedError, TransferError) as error:  # whoever needs it can send it again
            self.log.error("stored index ignored", extra={"members": {"path": path, "error": str(error)}})
            return None


def _keep(cache: dict[str, T], key: str, value: T) -> None:
    """Remember what was used last, and forget what was not for the longest time."""
    cache[key] = value
    while len(cache) > _KEPT_SEALS:
        del cache[next(iter(cache))]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
