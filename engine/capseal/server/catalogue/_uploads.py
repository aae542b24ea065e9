"""Uploads under way, as the store has them; what this server looked at last is kept for a while."""

import asyncio
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from logging import Logger

from ...bundle.reading_order import Verified
from ...errors import FormatError, RejectedError, TransferError
from ...format import strictjson
from ...format.strictjson import Members, check_name
from ...http.problems import NO_UPLOAD
from ...http.shapes import AppChannel
from ...trust.store import TrustStore
from .._kept import Kept
from .._limits import ServerLimits
from .._problems import Problem, busy
from ..storage import layout
from ..storage.objects import Storage
from ..storage.stored import StoredObject
from ..storage.stored_runs import Parts, StoredRun
from ._condemned import Condemned
from ._seals import SealReader
from ._trusted import Trusted
from .arriving import ArrivingPayload, Upload

_KEPT_BYTES = 64 * 1024**2
_BYTES_BESIDE_INDEXES = 16 * 1024
"""What uploads weigh in memory."""
_FRESH_S = 2.0
"""So long an upload is taken to be open without a look into the store."""

_ID = re.compile(r"[0-9a-f]{64}")
_MAX_PUBLISHED_BYTES = 4096


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """An upload as a listing shows it.

    statement: SHA-256 of what its seal signs, in hex; size: of the seal, in bytes; modified: when it began.
    """

    id: str
    statement: str
    size: int
    modified: datetime

    @property
    def path(self) -> str:
        """Where its seal is."""
        return layout.upload_seal(self.id, self.statement)


@dataclass(frozen=True, slots=True)
class _Known:
    """An upload that this server looked at. trust: by which its seal was accepted; at: when, in seconds."""

    upload: Upload
    trust: TrustStore
    at: float


class Uploads:
    """The uploads of one storage. clock: seconds."""

    def __init__(
        self,
        storage: Storage,
        seals: SealReader,
        trusted: Trusted,
        condemned: Condemned,
        *,
        limits: ServerLimits,
        clock: Callable[[], float],
        log: Logger,
    ) -> None:
        self._storage = storage
        self._seals = seals
        self._trusted = trusted
        self._condemned = condemned
        self._limits = limits
        self._clock = clock
        self._log = log
        self._kept: Kept[str, _Known] = Kept(_KEPT_BYTES)
        self._began_by: Kept[str, str] = Kept(limits.open_uploads)
        self._beginning = asyncio.Lock()

    async def listed(self) -> list[OpenUpload]:
        """Return those that are open. Raises TransferError."""
        found = []
        async for one in self._storage.list(layout.UPLOADS):
            named = layout.parse_upload_seal(one.path)
            if named is not None:
                found.append(OpenUpload(*named, one.size, one.modified))
        return found

    def known(self) -> list[Upload]:
        """Return those that this server looked at last."""
        return [known.upload for known in self._kept.values()]

    async def find(self, id: str) -> Upload:
        """Return an upload whose seal is accepted by the trust in force. Raises Problem 404, TransferError."""
        kept = self._kept.get(id)
        accepted = kept is not None and kept.trust is self._trusted.of(kept.upload.app_channel.app)
        if kept is not None and accepted and self._clock() - kept.at < _FRESH_S:
            return kept.upload
        found = await self._listed_one(id)
        if found is None:
            self._kept.drop(id)
            raise no_upload(id)
        if kept is not None and accepted:
            return self._keep(kept.upload, kept.trust)
        try:
            verified, trust = await self._seals.uploaded(found.path)
        except FileNotFoundError:
            raise no_upload(id) from None
        except RejectedError as error:  # trust has changed, or the store altered it
            self._log.warning("upload given up", extra={"members": {"upload": id, "error": str(error)}})
            self._kept.drop(id)
            await self._storage.delete([found.path])
            raise no_upload(id) from error
        if kept is not None:  # requests that are under way know this one
            kept.upload.verified = verified
            return self._keep(kept.upload, trust)
        upload = Upload.begin(id, verified)
        await self.look_up(upload)
        return self._keep(upload, trust)

    async def begin(self, verified: Verified, id: str, seal: bytes, *, trust: TrustStore, client: str) -> Upload:
        """Begin an upload, or go on with it. trust: accepted its seal. Raises Problem 503, TransferError."""
        statement = hashlib.sha256(verified.statement.encode()).hexdigest()
        async with self._beginning:
            listed = await self.listed()
            if not any(one.id == id for one in listed):
                await self._make_room([one for one in listed if one.statement == statement])
                self._check_room(listed, client)
                await self._storage.put(layout.upload_seal(id, statement), seal)
                self._began_by.put(id, client)
        upload = Upload.begin(id, self._seals.lightened(verified, layout.upload_seal(id, statement)))
        await self.look_up(upload)
        return self._keep(upload, trust)

    async def seal_of(self, upload: Upload) -> bytes:
        """Return an upload's seal. Raises TransferError where storage altered or lost it."""
        if upload.verified.held is None:
            return upload.verified.seal.encode()
        path = layout.upload_seal(upload.id, hashlib.sha256(upload.verified.statement.encode()).hexdigest())
        try:
            seal = await self._storage.get(path, most=self._limits.seal_bytes)
        except FileNotFoundError:
            raise no_upload(upload.id) from None
        if (await asyncio.to_thread(hashlib.sha256, seal)).hexdigest() != upload.id:
            raise TransferError(f"storage: {path} is not the seal of that upload any more")
        return seal

    async def look_up(self, upload: Upload) -> None:
        """Let an upload have what storage lists of it and nobody condemned. Raises TransferError."""
        listed = {
            one.digest: await self._storage.listed_files(layout.payload_folder(one.digest)) for one in upload.payloads
        }
        commitment = upload.verified.statement.encryption.commitment.hex()
        folder = await self._storage.listed_files(layout.parts_folder(commitment))
        # Only now: whoever condemned one of these before they were listed has told so by now.
        condemned = await self._condemned.names()
        for one in upload.payloads:
            usable = [found for found in listed[one.digest] if found.path not in condemned]
            one.runs = await asyncio.to_thread(_runs_in, usable, one.signed.size)
        upload.payload.parts = None
        # What came through a server was checked on its way in, and comes first.
        in_use = condemned.isdisjoint((layout.parts_folder(commitment), *(found.path for found in folder)))
        if upload.payload.missing and in_use:
            sizes = {found.path: found.size for found in folder}
            upload.payload.parts = await asyncio.to_thread(
                Parts.of_listed, commitment, sizes, upload.payload.signed.size
            )
        for one in upload.companions.values():
            await self._look_up_index(one, [found.path for found in listed[one.digest] if found.path not in condemned])

    async def became(self, id: str) -> tuple[AppChannel, int] | None:
        """Return the app and channel and the sequence of the release that an upload became. Raises TransferError."""
        if not _ID.fullmatch(id):
            return None
        path = layout.upload_published(id)
        try:
            data = await self._storage.get(path, most=_MAX_PUBLISHED_BYTES)
            members = Members(strictjson.parse(data, path), path, required=("app", "channel", "sequence"))
            of = AppChannel(members.text("app", check_name), members.text("channel", check_name))
            return of, members.integer("sequence", least=1)
        except FileNotFoundError:
            return None
        except FormatError as error:
            raise TransferError(f"storage: {error}") from error

    async def finish(self, upload: Upload) -> None:
        """Say which release an upload became, for who asks again, and close it. Raises TransferError."""
        of, sequence = upload.app_channel, upload.verified.statement.sequence
        said = strictjson.encode({"app": of.app, "channel": of.channel, "sequence": sequence})
        path = layout.upload_published(upload.id)
        await self._storage.put(path, said)
        await self._storage.sync([path])
        await self.close(upload)

    async def close(self, upload: Upload) -> None:
        """Forget an upload; what was stored of its payloads may be another's, too, and stays. Raises TransferError."""
        self._kept.drop(upload.id)
        statement = hashlib.sha256(upload.verified.statement.encode()).hexdigest()
        await self._storage.delete([layout.upload_seal(upload.id, statement)])

    async def _make_room(self, same: list[OpenUpload]) -> None:
        """Close the oldest uploads of one statement, so that there is room for one more.

        What makes two seals of a statement differ is not signed: anybody can have as many of them as he likes. None
        is refused, or the first to come could keep the publisher's own out; and what they sent is common to all.
        """
        same.sort(key=lambda one: one.modified)
        for one in same[: max(0, len(same) + 1 - self._limits.open_uploads_per_bundle)]:
            self._kept.drop(one.id)
            await self._storage.delete([one.path])

    def _check_room(self, listed: list[OpenUpload], client: str) -> None:
        if len(listed) >= self._limits.open_uploads:
            raise busy(f"{len(listed)} uploads are open, at most {self._limits.open_uploads} are allowed")
        here = sum(self._began_by.get(one.id) == client for one in listed)
        if here >= self._limits.open_uploads_per_client:
            raise busy(f"{here} uploads of this client are open, at most {self._limits.open_uploads_per_client} may be")

    async def _look_up_index(self, arriving: ArrivingPayload, paths: list[str]) -> None:
        for path in paths:
            named = layout.parse_payload_object(path)
            mark = layout.parse_index(named[1]) if named else None
            if mark is None:
                continue
            try:
                index = await self._seals.stored_index(path, arriving.signed)
            except TransferError as error:  # whoever needs it can send it again
                self._log.error("stored index ignored", extra={"members": {"error": str(error)}})
                continue
            if index is not None:
                arriving.index, arriving.index_mark = index, mark
                return
        arriving.index, arriving.index_mark = None, ""

    async def _listed_one(self, id: str) -> OpenUpload | None:
        if not _ID.fullmatch(id):
            return None
        async for one in self._storage.list(layout.upload_folder(id)):
            named = layout.parse_upload_seal(one.path)
            if named is not None:
                return OpenUpload(*named, one.size, one.modified)
        return None

    def _keep(self, upload: Upload, trust: TrustStore) -> Upload:
        weight = upload.index_bytes + _BYTES_BESIDE_INDEXES
        self._kept.put(upload.id, _Known(upload, trust, self._clock()), weight=weight)
        return upload


def _runs_in(found: list[StoredObject], payload_bytes: int) -> list[StoredRun]:
    runs = [StoredRun.parse(one.path, one.size, payload_bytes) for one in found]
    return [run for run in runs if run is not None]


def no_upload(id: str) -> Problem:
    """Return the problem for an upload that is not open."""
    return Problem(NO_UPLOAD, f"upload {id[:16]!r} is not open: begin it with its seal")
