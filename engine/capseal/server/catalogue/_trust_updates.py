"""Updates of the trust store, all of them, for devices that follow one after the other.

What is taken hangs together with the store that the server goes by, from either end: an update of it or the one that
brought it, then those after and before. So whoever has a token only cannot put another history here.
"""

import asyncio

from ...constants import MAX_ENVELOPE_BYTES
from ...errors import NotForUsError, TransferError
from ...http.problems import NOT_NEXT
from ...trust.store import TrustStore
from ...trust.updates import accept_update, read_update
from .._problems import Problem
from ..storage import layout
from ..storage.objects import Storage
from ._seals import SealReader


class TrustUpdates:
    """The updates of each app in a storage, which are written once and stay."""

    def __init__(self, storage: Storage, seals: SealReader) -> None:
        self._storage = storage
        self._seals = seals

    async def get(self, app: str, version: int) -> bytes | None:
        """Return the update that brings a version of the store. Raises TransferError."""
        try:
            return await self._storage.get(layout.trust_update(app, version), most=MAX_ENVELOPE_BYTES)
        except FileNotFoundError:
            return None

    async def put(self, app: str, version: int, update: bytes) -> bool:
        """Take an update; return whether it was not here before.

        Raises RejectedError where it does not hang together with what is here, Problem 409 where another one of that
        version is here, TransferError.
        """
        here = await self.get(app, version)
        if here is None:
            before, after = await self.get(app, version - 1), await self.get(app, version + 1)
            await asyncio.to_thread(_check, update, version, self._seals.trust, before, after)
            if await self._storage.put_new(layout.trust_update(app, version), update):
                return True
            here = await self.get(app, version)
        if here is None:
            raise TransferError(f"storage: {layout.trust_update(app, version)} is gone")
        if here != update:
            raise Problem(NOT_NEXT, f"another update to version {version} of the trust store is here already")
        return False


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
