"""Seals as they arrive; and seals and indexes out of storage, verified again: it may have lost or altered them."""

import asyncio
import hashlib
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ...bundle.opened import accept_detached
from ...bundle.reading_order import Steps, Verified, accept_seal, seal_ended, seal_goes_on
from ...constants import DIGEST_BYTES
from ...embedding import Chunk
from ...errors import RejectedError, TransferError
from ...format.signed_index import SignedIndex
from ...format.statement import Payload, Statement
from ...format.strictjson import Role
from ...format.tree import segment_count
from ...http.shapes import ReleaseDescription
from ...trust.expect import Expect
from ...trust.store import TrustStore
from .._problems import too_large
from ..storage.objects import Storage
from ..storage.records import ReleaseRecord

T = TypeVar("T")

_KEPT = 64


@dataclass(frozen=True, slots=True)
class _Judging:
    """A trust store, and the verdicts by it that were used last: replaced together, so that none outlives it."""

    trust: TrustStore
    verdicts: dict[str, Verified] = field(default_factory=dict)


class SealReader:
    """What the seals in a storage vouch for; the verdicts used last are kept.

    trust, role: whose seals count; most_bytes: of a seal.
    """

    def __init__(self, storage: Storage, trust: TrustStore, *, role: Role, most_bytes: int) -> None:
        self._storage = storage
        self._judging = _Judging(trust)
        self._role = role
        self._most_bytes = most_bytes
        self._indexes: dict[str, SignedIndex] = {}

    @property
    def trust(self) -> TrustStore:
        """Whose seals count now."""
        return self._judging.trust

    def replace_trust(self, trust: TrustStore) -> None:
        """Go by another trust store from now on, from any thread; what the one before said is forgotten."""
        self._judging = _Judging(trust)

    async def arriving(self, chunks: AsyncIterable[Chunk], hold: Callable[[int], None]) -> Verified:
        """Return the verdict on a seal that arrives, read in the order in which it can be believed.

        So one that nobody vouches for never takes more memory than its envelope. hold: is told how many bytes
        came, before they are kept, and may refuse them. Raises RejectedError, Problem 413, and what `hold` raises.
        """
        judging = self._judging
        steps = accept_seal(judging.trust, Expect(role=self._role))
        wanted: int | Verified = next(steps)
        pending = bytearray()
        done = 0
        async for chunk in chunks:
            hold(len(chunk))
            pending += chunk
            while not isinstance(wanted, Verified) and len(pending) >= wanted:
                piece = bytes(pending[:wanted])
                del pending[:wanted]
                done += wanted
                wanted = await asyncio.to_thread(_advance, steps, piece)
                if not isinstance(wanted, Verified) and done + wanted > self._most_bytes:
                    raise too_large("seal", done + wanted, self._most_bytes)
            if isinstance(wanted, Verified) and pending:
                raise seal_goes_on(done)
        if not isinstance(wanted, Verified):
            raise seal_ended(done + len(pending), done + wanted)
        # It may have taken its time: whom it was checked against may be trusted no more.
        return wanted if judging is self._judging else await self.accept(wanted.seal.encode())

    async def uploaded(self, path: str) -> Verified:
        """Return the verdict on the seal of an upload. Raises RejectedError, FileNotFoundError, TransferError."""
        seal = await self._storage.get(path, most=self._most_bytes)
        return await self.accept(seal)

    async def accept(self, seal: bytes) -> Verified:
        """Return the verdict on a whole seal by the trust in force when it is returned. Raises RejectedError."""
        return (await self._judged(seal, Expect(role=self._role)))[0]

    async def _judged(self, seal: bytes, expect: Expect) -> tuple[Verified, _Judging]:
        """Return the verdict on a seal, and what it was judged by, which is in force. Raises RejectedError."""
        while True:
            judging = self._judging
            try:
                verdict = await asyncio.to_thread(accept_detached, seal, judging.trust, expect)
            except RejectedError:
                if judging is self._judging:
                    raise
            else:
                if judging is self._judging:
                    return verdict, judging

    async def read(self, record: ReleaseRecord) -> bytes:
        """Return a release's seal. Raises TransferError where storage lost or altered it."""
        try:
            data = await self._storage.get(record.seal_path, most=self._most_bytes)
        except FileNotFoundError as error:
            raise TransferError(f"storage: {record.seal_path} is gone") from error
        found = (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()
        if found != record.release.seal_digest:
            raise TransferError(
                f"storage: {record.seal_path} has digest {found[:16]}, "
                f"its record says {record.release.seal_digest[:16]}"
            )
        return data

    async def verdict(self, record: ReleaseRecord) -> Verified:
        """Return the verdict on a release's seal. Raises TransferError where storage lost or altered it."""
        release = record.release
        judging = self._judging
        kept = judging.verdicts.pop(release.seal_digest, None)
        if kept is None:
            data = await self.read(record)
            expect = Expect(app=release.app, channel=release.channel, role=self._role)
            try:
                kept, judging = await self._judged(data, expect)
            except RejectedError as error:
                raise TransferError(f"storage: {record.seal_path} does not verify: {error}") from error
            if kept.statement.sequence != release.sequence:
                raise TransferError(f"storage: {record.seal_path} has sequence {kept.statement.sequence}")
        _keep(judging.verdicts, release.seal_digest, kept)
        return kept

    def forget(self, release: ReleaseDescription) -> None:
        """Keep no verdict on a release that is no more."""
        self._judging.verdicts.pop(release.seal_digest, None)

    async def index(self, record: ReleaseRecord, companion: str | None) -> SignedIndex:
        """Return what the segments of a release's payload, or of that companion, must be.

        Raises TransferError where storage lost or altered it.
        """
        verdict = await self.verdict(record)
        if companion is None:
            return verdict.index
        signed = self.check_companion(record, verdict.statement, companion)
        digest = signed.digest.hex()
        path = record.index_path(companion)
        kept = self._indexes.pop(digest, None) or await self.stored_index(path, signed)
        if kept is None:
            raise TransferError(f"storage: {path} is gone")
        _keep(self._indexes, digest, kept)
        return kept

    def check_companion(self, record: ReleaseRecord, statement: Statement, name: str) -> Payload:
        """Return what a companion must be by the seal. Raises TransferError where the record says another thing."""
        signed = next((one.payload for one in statement.companions if one.name == name), None)
        named = record.release.attachments.get(name)
        if signed is None or named is None or (signed.digest.hex(), signed.size) != (named.digest, named.size):
            raise TransferError(f"storage: {record.path} names an attachment {name[:64]!r} that its seal does not")
        return signed

    async def stored_index(self, path: str, payload: Payload) -> SignedIndex | None:
        """Return the index of a payload that an object is, or None where there is none.

        Raises TransferError where it is not the signed one.
        """
        try:
            entries = await self._storage.get(path, most=DIGEST_BYTES * segment_count(payload.size))
            return await asyncio.to_thread(SignedIndex.checked, payload, entries)
        except FileNotFoundError:
            return None
        except RejectedError as error:
            raise TransferError(f"storage: {path}: {error}") from error


def _advance(steps: Steps[Verified], piece: bytes) -> int | Verified:
    """Return how many bytes are wanted next, or the verdict."""
    try:
        return steps.send(piece)
    except StopIteration as stop:
        verdict: Verified = stop.value
        return verdict


def _keep(cache: dict[str, T], key: str, value: T) -> None:
    """Remember what was used last, and forget what was not for the longest time."""
    cache[key] = value
    while len(cache) > _KEPT:
        del cache[next(iter(cache))]
