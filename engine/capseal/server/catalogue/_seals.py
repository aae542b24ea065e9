"""Seals as they arrive; and seals and indexes out of storage, verified again: it may have lost or altered them."""

import asyncio
import hashlib
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from ...bundle.opened import accept_detached
from ...bundle.reading_order import Reload, Steps, Verified, accept_seal, parse_unverified, seal_ended, seal_goes_on
from ...constants import DIGEST_BYTES, SEAL_HEADER_BYTES
from ...embedding import Chunk
from ...errors import RejectedError, TransferError
from ...format.signed_index import WHOLE_INDEX_BYTES, SignedIndex
from ...format.statement import Payload, Statement
from ...format.strictjson import Role
from ...format.tree import segment_count
from ...http.shapes import ReleaseDescription
from ...trust.expect import Expect
from ...trust.store import TrustStore
from .._problems import too_large
from ..storage.objects import Storage
from ..storage.records import ReleaseRecord
from ._trusted import Trusted

T = TypeVar("T")

_KEPT = 64


@dataclass(frozen=True, slots=True)
class _Verdict:
    """A verdict, and the trust store that it is by: it counts as long as that is in force."""

    verified: Verified
    trust: TrustStore


class SealReader:
    """What the seals in a storage vouch for; the verdicts used last are kept.

    trusted, role: whose seals count; most_bytes: of a seal; index_bytes: of a larger index, which has more than one
    entry, the level above it is held.
    """

    def __init__(
        self,
        storage: Storage,
        trusted: Trusted,
        *,
        role: Role,
        most_bytes: int,
        index_bytes: int = WHOLE_INDEX_BYTES,
    ) -> None:
        self._storage = storage
        self._trusted = trusted
        self._role = role
        self._most_bytes = most_bytes
        self._index_bytes = max(index_bytes, DIGEST_BYTES)  # above one entry there is no level
        self._verdicts: dict[str, _Verdict] = {}
        self._indexes: dict[str, SignedIndex] = {}

    async def arriving(self, chunks: AsyncIterable[Chunk], hold: Callable[[int], None]) -> Verified:
        """Return the verdict on a seal that arrives, read in the order in which it can be believed.

        So one that nobody vouches for never takes more memory than its envelope. hold: is told how many bytes
        came, before they are kept, and may refuse them. Raises RejectedError, Problem 413, and what `hold` raises.
        """
        claim = _Claim()
        trust: TrustStore | None = None
        steps: Steps[Verified] | None = None
        wanted: int | Verified = claim.wanted
        pending = bytearray()
        done = 0
        async for chunk in chunks:
            hold(len(chunk))
            pending += chunk
            while not isinstance(wanted, Verified) and len(pending) >= wanted:
                piece = bytes(pending[:wanted])
                del pending[:wanted]
                done += wanted
                if steps is not None:
                    wanted = await asyncio.to_thread(_advance, steps, piece)
                elif await asyncio.to_thread(claim.take, piece):
                    trust = await self._trusted.follow(claim.app)
                    steps = accept_seal(trust, Expect(role=self._role))
                    wanted = await asyncio.to_thread(_advanced, steps, claim.pieces)
                else:
                    wanted = claim.wanted
                if not isinstance(wanted, Verified) and done + wanted > self._most_bytes:
                    raise too_large("seal", done + wanted, self._most_bytes)
            if isinstance(wanted, Verified) and pending:
                raise seal_goes_on(done)
        if not isinstance(wanted, Verified):
            raise seal_ended(done + len(pending), done + wanted)
        # It may have taken its time: whom it was checked against may be trusted no more.
        if trust is self._trusted.of(wanted.statement.app):
            return wanted
        return (await self.accept(wanted.seal.encode()))[0]

    async def uploaded(self, path: str, *, listed_bytes: int = 0) -> tuple[Verified, TrustStore]:
        """Do what accept() does, with the seal of an upload. Raises RejectedError, FileNotFoundError, TransferError.

        listed_bytes: of the seal, where another server may have taken a larger one than this one would.
        """
        seal = await self._storage.get(path, most=max(self._most_bytes, listed_bytes))
        verified, trust = await self.accept(seal)
        return self.lightened(verified, path), trust

    def lightened(self, verified: Verified, path: str) -> Verified:
        """Return a verdict without its index, where that is large, which is loaded from its stored seal by then."""
        if len(verified.seal.index) <= self._index_bytes:
            return verified
        start = SEAL_HEADER_BYTES + len(verified.seal.envelope.encode())
        stored = _StoredSeal(self._storage, path)
        return verified.without_index(lambda offset, size: stored.read(start + offset, size))

    async def accept(self, seal: bytes) -> tuple[Verified, TrustStore]:
        """Return the verdict on a whole seal, and the trust store that it is by, which is in force.

        Raises RejectedError, TransferError.
        """
        app = await asyncio.to_thread(_claimed_app, seal)
        judge = partial(accept_detached, seal, expect=Expect(role=self._role))
        return await self._judged(judge, lambda: self._trusted.follow(app), app)

    async def _judged(
        self, judge: Callable[..., Verified], trusted: Callable[[], Awaitable[TrustStore]], app: str | None
    ) -> tuple[Verified, TrustStore]:
        """Return the verdict of judge(trust=...), in a thread. Raises RejectedError, TransferError."""
        while True:
            trust = await trusted()
            try:
                verdict = await asyncio.to_thread(judge, trust=trust)
            except RejectedError:
                if trust is self._trusted.of(app):
                    raise
            else:
                if trust is self._trusted.of(app):
                    return verdict, trust

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
        app = release.app
        trust = await self._trusted.recent(app)
        kept = self._verdicts.pop(release.seal_digest, None)
        if kept is None or kept.trust is not trust:
            expect = Expect(app=app, channel=release.channel, role=self._role)
            if DIGEST_BYTES * segment_count(release.payload.size) > self._index_bytes:
                stored = _StoredSeal(self._storage, record.seal_path)
                judge = partial(stored.accept, release.seal_digest, expect=expect, index_bytes=self._index_bytes)
            else:
                judge = partial(accept_detached, await self.read(record), expect=expect)
            try:
                kept = _Verdict(*await self._judged(judge, lambda: self._trusted.recent(app), app))
            except RejectedError as error:
                raise TransferError(f"storage: {record.seal_path} does not verify: {error}") from error
            if kept.verified.statement.sequence != release.sequence:
                raise TransferError(f"storage: {record.seal_path} has sequence {kept.verified.statement.sequence}")
        _keep(self._verdicts, release.seal_digest, kept)
        return kept.verified

    def forget(self, release: ReleaseDescription) -> None:
        """Keep no verdict on a release that is no more."""
        self._verdicts.pop(release.seal_digest, None)

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


class _StoredSeal:
    """A seal in storage that is too large to be held, read in the calling thread."""

    def __init__(self, storage: Storage, path: str) -> None:
        self._storage = storage
        self._path = path
        self._bytes = 0

    def read(self, offset: int, size: int) -> memoryview:
        """Return bytes of it. Raises TransferError."""
        try:
            return self._storage.read_again(self._path, offset, size)
        except FileNotFoundError as error:
            raise TransferError(f"storage: {self._path} is gone") from error

    def accept(self, digest: str, *, trust: TrustStore, expect: Expect, index_bytes: int) -> Verified:
        """Return the verdict on it, piece by piece; its index is loaded from here again. digest: SHA-256, in hex.

        Raises RejectedError, TransferError where it is another one.
        """
        reload = Reload(index_bytes, lambda from_end, size: self.read(self._bytes + from_end, size))
        steps = accept_seal(trust, expect, reload=reload)
        found = hashlib.sha256()
        done, wanted = 0, next(steps)
        while True:
            piece = bytes(self.read(done, wanted)) if wanted else b""
            if len(piece) < wanted:
                raise seal_ended(done + len(piece), done + wanted)
            found.update(piece)
            done += wanted
            advanced = _advance(steps, piece)
            if isinstance(advanced, Verified):
                break
            wanted = advanced
        if found.hexdigest() != digest:
            raise TransferError(
                f"storage: {self._path} has digest {found.hexdigest()[:16]}, its record says {digest[:16]}"
            )
        self._bytes = done
        return advanced


class _Claim:
    """What a seal claims to be for, as it arrives: it says which trust store it has to pass, and nothing more.

    app: None where that cannot be read. pieces: what was taken, for who authenticates it.
    """

    def __init__(self) -> None:
        self._steps = parse_unverified()
        self.wanted = next(self._steps)
        self.pieces: list[bytes] = []
        self.app: str | None = None

    def take(self, piece: bytes) -> bool:
        """Take what was wanted; return whether that was all."""
        self.pieces.append(piece)
        try:
            self.wanted = self._steps.send(piece)
        except StopIteration as stop:
            self.app = stop.value[1].app
        except RejectedError:
            pass  # who authenticates it says what is wrong
        else:
            return False
        return True


def _claimed_app(seal: bytes) -> str | None:
    claim, done = _Claim(), 0
    while done + claim.wanted <= len(seal):
        piece = seal[done : done + claim.wanted]
        done += claim.wanted
        if claim.take(piece):
            return claim.app
    return None


def _advanced(steps: Steps[Verified], pieces: Sequence[bytes]) -> int | Verified:
    """Begin steps, and do what _advance() does with each piece."""
    wanted: int | Verified = next(steps)
    for piece in pieces:
        wanted = _advance(steps, piece)
    return wanted


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
