"""Heads and recalls of the channels: taken by one rule with devices, and only the very next head of a chain."""

import asyncio
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from functools import lru_cache

from ...errors import NotForUsError, RejectedError
from ...format.head import Head
from ...format.strictjson import Role
from ...http.problems import NOT_NEXT
from ...http.shapes import AppChannel
from ...trust.head_chain import check_successor
from ...trust.heads import (
    Forbidden,
    SignedHead,
    accept_head,
    accept_recall,
    check_follows,
    check_fresh,
    check_issued,
    current_for,
    forbidden_by,
    read_head,
    read_recall,
)
from ...trust.store import TrustStore
from .._problems import Problem, busy
from ..storage.pointers import ChannelPointer, Entry
from ._channels import Channels
from ._trusted import Trusted

MAX_KEPT_RECALLS = 256
"""Of one channel; a head names up to 64 of them."""
_READ_HEADS = 64
"""Channels whose head was parsed before, and has not to be for the next device."""
NOTHING = "none"
"""What stands for the digest of a head where there is none."""


class Heads:
    """The heads of a store's channels. role: DEVELOPMENT takes development heads, too."""

    def __init__(self, channels: Channels, trusted: Trusted, *, role: Role) -> None:
        self._channels = channels
        self._trusted = trusted
        self._role = role
        self._read = lru_cache(_READ_HEADS)(read_head)
        self._read_recall = lru_cache(MAX_KEPT_RECALLS)(read_recall)

    def listed(self, pointer: ChannelPointer, *, native: str | None, platform: str | None) -> Iterator[Entry]:
        """Do what listed_by() does, with the head that the pointer has."""
        head = None if pointer.head is None else self._read(pointer.head).head
        return listed_by(head, pointer, native=native, platform=platform)

    def forbidden(self, pointer: ChannelPointer) -> Forbidden:
        """Return what the head of a pointer takes back; nothing where there is none."""
        if pointer.head is None:
            return Forbidden(0, frozenset(), frozenset())
        head = self._read(pointer.head).head
        recalls = (self._read_recall(pointer.recalls[digest]) for digest in head.recalls if digest in pointer.recalls)
        return forbidden_by(head, recalls)

    async def put_head(
        self, of: AppChannel, data: bytes, *, restored: Collection[int], over: str | None
    ) -> tuple[SignedHead, bool]:
        """Take a head that is the very next one; return it, and whether it was not here before.

        restored: sequences whose withdrawal it may drop. over: digest of the head that is here, or NOTHING, where that
        is known not to be the one before: this store was put back to how it was. Raises RejectedError where it counts
        for nothing here, Problem 409 where it does not follow what is here, TransferError.
        """
        known = (await self._channels.pointer(of)).trust_version
        trust = await self._trusted.follow(of.app)
        signed = await asyncio.to_thread(self._accepted, trust, of, data)
        await self._check_named(of, signed)
        is_new = False

        def taken(pointer: ChannelPointer) -> ChannelPointer | None:
            nonlocal is_new
            self._check_in_force(pointer, trust, known)
            before = None if pointer.head is None else read_head(pointer.head)
            if before is not None and before.digest == signed.digest:
                return None if pointer.head == data else pointer.with_head(data).taken_by(trust)  # more signed
            _check_next(before, signed, restored, over)
            missing = sorted(set(signed.head.recalls) - set(pointer.recalls))
            if missing:
                raise NotForUsError(f"head names recall {missing[0][:16]}, which is not here: send it before the head")
            is_new = True
            return pointer.with_head(data).taken_by(trust)

        await self._channels.change(of, taken)
        return signed, is_new

    def _check_in_force(self, pointer: ChannelPointer, trust: TrustStore, known: int) -> None:
        """Raise Problem 503 where this server, or another one, follows another store now. known: as for is_past()."""
        if self._trusted.of(pointer.of.app) is not trust or pointer.is_past(trust, known=known):
            raise busy("whom the server trusts changed meanwhile: try again")

    def _accepted(self, trust: TrustStore, of: AppChannel, data: bytes) -> SignedHead:
        now = datetime.now(UTC)
        signed = accept_head(trust, data, app=of.app, channel=of.channel, role=self._role)
        check_issued(signed.head, now)
        check_fresh(signed.head, now)
        return signed

    async def _check_named(self, of: AppChannel, signed: SignedHead) -> None:
        """Raise NotForUsError where a release that is named cannot be fetched from here."""
        pointer = await self._channels.pointer(of, fresh=True)
        for named in signed.head.releases:
            entry = pointer.entries.get(named.sequence)
            record = None if entry is None else await self._channels.readable_record(of, entry)
            release = None if record is None else record.release
            if release is None or release.withdrawn is not None or release.payload.digest != named.digest:
                raise NotForUsError(
                    f"head names sequence {named.sequence} with payload {named.digest[:16]}, which is not here"
                )
            if release.requires != named.requires:
                raise NotForUsError(f"head names sequence {named.sequence} with other requirements than its seal has")

    async def put_recall(self, of: AppChannel, digest: str, data: bytes) -> bool:
        """Take a recall of that digest; return whether it was not here before. Raises RejectedError, TransferError."""
        known = (await self._channels.pointer(of)).trust_version
        trust = await self._trusted.follow(of.app)
        found, _ = await asyncio.to_thread(
            accept_recall,
            trust,
            data,
            app=of.app,
            channel=of.channel,
            role=self._role,
            now=datetime.now(UTC),
        )
        if found != digest:
            raise NotForUsError(f"recall has digest {found[:16]}, was sent as {digest[:16]}")
        is_new = False

        def taken(pointer: ChannelPointer) -> ChannelPointer | None:
            nonlocal is_new
            if pointer.recalls.get(digest) == data:
                return None
            self._check_in_force(pointer, trust, known)
            is_new = digest not in pointer.recalls
            if is_new and len(pointer.recalls) >= MAX_KEPT_RECALLS:
                raise NotForUsError(f"{len(pointer.recalls)} recalls are here, which is the most")
            return pointer.with_recall(digest, data).taken_by(trust)

        await self._channels.change(of, taken)
        return is_new


def listed_by(
    head: Head | None, pointer: ChannelPointer, *, native: str | None, platform: str | None
) -> Iterator[Entry]:
    """Yield the releases of a channel that were not withdrawn, the first one first: of those that its head names.

    Without a head all of them, whatever they require.
    """
    if head is None:
        yield from pointer.listed()
        return
    for named in current_for(head, secret=None, native=native, platform=platform).releases:
        entry = pointer.entries.get(named.sequence)
        if entry is not None and entry.withdrawn is None:
            yield entry


def _check_next(before: SignedHead | None, after: SignedHead, restored: Collection[int], over: str | None) -> None:
    here = NOTHING if before is None else before.digest
    try:
        if over is None:
            check_successor(before, after, restored=restored)
        else:
            check_follows(before, after)
    except RejectedError as error:
        raise Problem(NOT_NEXT, str(error)) from error
    if over not in (None, here):
        raise Problem(NOT_NEXT, f"head {after.head.number} is to be put over {over}, here is {here}")
