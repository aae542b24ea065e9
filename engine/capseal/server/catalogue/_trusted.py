"""Whom the server trusts: the store that it was given and, app by app, what published updates made of it.

The same rule as on devices: update after update from the given store on, each signed by the root of the one before. So
every server on a storage goes by what was published there, and none has to be told. All updates are kept, for devices
that follow one after the other, and those of the past, too. What is taken hangs together with the store in force, from
either end: an update of it or the one that brought it, then those after and before. So whoever has a token only cannot
put another history here.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from logging import Logger

from ...constants import MAX_ENVELOPE_BYTES
from ...errors import FormatError, NotForUsError, RejectedError, TransferError
from ...http.problems import NOT_NEXT
from ...trust.store import TrustStore
from ...trust.updates import accept_update, check_by_own_root, read_update
from .._kept import Kept
from .._problems import Problem
from ..storage import layout
from ..storage.objects import Storage

_LOOKED_FOR = 4096
"""Apps of which it is known when updates were looked for."""


@dataclass(frozen=True, slots=True)
class _Stores:
    """The given store, those that updates made of it, and when each app's were looked for: replaced together."""

    given: TrustStore
    followed: dict[str, TrustStore] = field(default_factory=dict)
    looked: Kept[str, float] = field(default_factory=lambda: Kept(_LOOKED_FOR))

    def of(self, app: str | None) -> TrustStore:
        return self.given if app is None else self.followed.get(app, self.given)


class Trusted:
    """The trust stores in force, and the updates in a storage.

    age_s: how old what is known of updates may be, for reading; clock: seconds.
    """

    def __init__(
        self, storage: Storage, given: TrustStore, *, age_s: float, clock: Callable[[], float], log: Logger
    ) -> None:
        self._storage = storage
        self._stores = _Stores(given)
        self._age_s = age_s
        self._clock = clock
        self._log = log

    def replace(self, given: TrustStore) -> None:
        """Begin anew with another store, from any thread; updates that do not fit it count no more."""
        self._stores = _Stores(given)

    def of(self, app: str | None) -> TrustStore:
        """Return the store in force for an app, as far as is known; None: for what names none."""
        return self._stores.of(app)

    async def recent(self, app: str) -> TrustStore:
        """Return the store in force, after the updates that were there a little while ago. Raises TransferError."""
        looked = self._stores.looked.get(app)
        if looked is not None and self._clock() - looked <= self._age_s:
            return self.of(app)
        return await self.follow(app)

    async def follow(self, app: str | None) -> TrustStore:
        """Return the store in force, after every update that is in the storage now. Raises TransferError."""
        while True:
            stores, began = self._stores, self._clock()
            store = stores.of(app)
            if app is None or store.root is None:
                return store
            update = await self.update(app, store.version + 1)
            after = None if update is None else await asyncio.to_thread(self._accepted, app, store, update)
            if stores is not self._stores:
                continue
            if after is None:
                stores.looked.put(app, began)
                return stores.of(app)
            if stores.of(app) is store:  # else another request followed it meanwhile
                stores.followed[app] = after
                self._log.info("trust store followed", extra={"members": {"app": app, "version": after.version}})

    async def update(self, app: str, version: int) -> bytes | None:
        """Return the update that brings a version of an app's store. Raises TransferError."""
        try:
            return await self._storage.get(layout.trust_update(app, version), most=MAX_ENVELOPE_BYTES)
        except FileNotFoundError:
            return None

    async def put(self, app: str, version: int, update: bytes) -> tuple[bool, TrustStore]:
        """Take an update; return whether it was not here before, and the store that is in force from now on.

        On disk when it returns. What is here and cannot be read, as a power cut leaves it, is replaced.
        Raises RejectedError where it does not hang together with what is here, Problem 409 where another one of that
        version is here, TransferError.
        """
        path = layout.trust_update(app, version)
        here = await self._storage.see(path, most=MAX_ENVELOPE_BYTES)
        if here is None or _unless_torn(here.data) is None:
            trust = await self.follow(app)
            before, after = [_unless_torn(await self.update(app, version + step)) for step in (-1, 1)]
            await asyncio.to_thread(_check, update, version, trust, before, after)
            if await self._storage.swap(path, update, here):
                return True, await self.follow(app)
            here = await self._storage.see(path, most=MAX_ENVELOPE_BYTES)
        if here is None:
            raise TransferError(f"storage: {path} is gone")
        if here.data != update:
            raise Problem(NOT_NEXT, f"another update to version {version} of the trust store is here already")
        await self._storage.sync([path])  # whoever put it here may have been killed before
        return False, await self.follow(app)

    def _accepted(self, app: str, store: TrustStore, update: bytes) -> TrustStore | None:
        """Return what an update brings, or None where it does not fit: the given store is of another line, or newer."""
        try:
            return accept_update(store, update)
        except RejectedError as error:
            members = {"app": app, "version": store.version, "error": str(error)}
            self._log.warning("trust update not followed", extra={"members": members})
            return None


def _unless_torn(update: bytes | None) -> bytes | None:
    """Return an update, or None where a power cut left less than one."""
    try:
        if update is not None:
            read_update(update)
        return update
    except FormatError:
        return None


def _check(update: bytes, version: int, trust: TrustStore, before: bytes | None, after: bytes | None) -> None:
    """Raise RejectedError unless an update leads to the present store, or from it, or to or from what is here."""
    previous, brought = read_update(update)
    if brought.version != version:
        raise NotForUsError(f"update brings version {brought.version} of the trust store, was sent as {version}")
    if before is not None:
        accept_update(read_update(before)[1], update)
        return
    if version == trust.version + 1:
        accept_update(trust, update)
        return
    if after is not None:
        leads_here = read_update(after)[0] == brought.digest
    else:
        leads_here = version == trust.version and brought.digest == trust.digest
    if not leads_here:
        raise NotForUsError(
            f"update to version {version} of the trust store is neither of version {trust.version}, which is in force "
            f"here, nor next to an update that is here; send those between first (it is for {previous[:16]})"
        )
    # The store that it brings is genuine, which says nothing of where the update says that it came from.
    check_by_own_root(update)
