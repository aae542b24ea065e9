"""Who collects: one server at a time, by an object that each of them takes from the other only when it is still."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from ...errors import FormatError, TransferError
from ...format import strictjson
from ...format.strictjson import Members
from ..storage.layout import LEASE
from ..storage.objects import Storage
from ..storage.stored import Seen

LEASE_TYPE = "capseal-lease-v1"
_MAX_BYTES = 4096
_FREE = ""


class LeaseLostError(Exception):
    """Another server may be collecting by now."""


@dataclass(frozen=True, slots=True)
class _Lease:
    """number: how often it was taken; holder: whose it is, or empty; renewed: how often it was kept."""

    number: int
    holder: str
    renewed: int = 0

    def encode(self) -> bytes:
        members = {"type": LEASE_TYPE, "number": self.number, "holder": self.holder, "renewed": self.renewed}
        return strictjson.encode(members)

    @classmethod
    def parse(cls, data: bytes) -> "_Lease":
        members = Members(strictjson.parse(data, "lease"), "lease", required=("type", "number", "holder", "renewed"))
        if members.take("type", str) != LEASE_TYPE:
            raise FormatError(f"lease: not of type {LEASE_TYPE}")
        return cls(members.integer("number", least=0), members.take("holder", str), members.integer("renewed", least=0))


class CollectorLease:
    """The lease as one server sees it. No two clocks are compared: it has run out when it stayed as it is for lease_s.

    clock: seconds, of this server. number: of the lease that is held; now: the storage's time when it was taken.
    """

    def __init__(self, storage: Storage, *, lease_s: float, clock: Callable[[], float]) -> None:
        self._storage = storage
        self._lease_s = lease_s
        self._clock = clock
        self._watched: tuple[bytes, float] = (b"", 0.0)
        self._held: tuple[_Lease, float] | None = None
        self.number = 0
        self.now: datetime | None = None

    async def take(self) -> bool:
        """Take it, or return False where another server has it. Raises TransferError."""
        seen = await self._see()
        lease = _Lease(0, _FREE) if seen is None else _parsed(seen.data)
        if seen is not None and lease.holder != _FREE and not self._has_run_out(seen.data):
            return False
        taken = _Lease(lease.number + 1, secrets.token_hex(16))
        if not await self._put(taken, seen):
            return False
        self.number = taken.number
        return True

    async def keep(self) -> None:
        """Renew it where a third of it is over. Raises LeaseLostError where it may be another's, TransferError."""
        if self._held is None:
            raise LeaseLostError
        lease, since = self._held
        if self._clock() - since > self._lease_s:
            raise LeaseLostError
        if self._clock() - since > self._lease_s / 3:
            seen = await self._see()
            if seen is None or seen.data != lease.encode():
                raise LeaseLostError
            if not await self._put(replace(lease, renewed=lease.renewed + 1), seen):
                raise LeaseLostError

    async def give_back(self) -> None:
        """Let others have it at once. Raises TransferError."""
        if self._held is not None:
            lease, self._held = self._held[0], None
            seen = await self._see()
            if seen is not None and seen.data == lease.encode():
                await self._storage.swap(LEASE, replace(lease, holder=_FREE).encode(), seen)

    def _has_run_out(self, data: bytes) -> bool:
        """Return whether it stayed the same for long enough, as far as this server has watched it."""
        if self._watched[0] != data:
            self._watched = (data, self._clock())
        return self._clock() - self._watched[1] > self._lease_s

    async def _put(self, lease: _Lease, seen: Seen | None) -> bool:
        since = self._clock()  # before it is sent: others may count from its arrival
        await self._storage.swap(LEASE, lease.encode(), seen)
        written = await self._see()
        # What is there decides, whatever was answered: the holder's name is in it.
        if written is None or written.data != lease.encode():
            return False
        self._held, self.now = (lease, since), written.modified
        return True

    async def _see(self) -> Seen | None:
        return await self._storage.see(LEASE, most=_MAX_BYTES)


def _parsed(data: bytes) -> _Lease:
    try:
        return _Lease.parse(data)
    except FormatError as error:
        raise TransferError(f"storage: {LEASE}: {error}") from error
