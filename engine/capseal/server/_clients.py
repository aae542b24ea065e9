"""What one client may take of what all share; a client is an address, as far as a server can know."""

import ipaddress
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from ._problems import busy

_IPV6_NETWORK_BITS = 64
"""What one customer of a provider gets at least, and may take any address of."""

T = TypeVar("T")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parsed_address(text: str) -> Address | None:
    """Return the address that a text is, IPv4 where IPv6 only says so (RFC 4291, 2.5.5.2), or None."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def client_of(address: tuple[str, int] | None) -> str:
    """Return what counts as one client: an IPv4 address, or the network of an IPv6 one; empty for a local socket."""
    if address is None:
        return ""
    parsed = parsed_address(address[0])
    if parsed is None:
        return address[0]
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, _IPV6_NETWORK_BITS), strict=False))
    return str(parsed)


class MemoryBudget:
    """Bytes that requests hold in memory before anybody vouches for them: of all clients together, and of each."""

    def __init__(self, most: int, most_per_client: int) -> None:
        self._most = most
        self._most_per_client = most_per_client
        self._held: Counter[str] = Counter()

    @contextmanager
    def share(self, client: str) -> Iterator["MemoryShare"]:
        """Give what one request holds, which is nothing any more when the block ends."""
        share = MemoryShare(self, client)
        try:
            yield share
        finally:
            self._held[client] -= share.size
            if not self._held[client]:
                del self._held[client]

    def take(self, client: str, size: int) -> None:
        """Raise Problem 503 where there is no room for so many bytes more."""
        for held, most, whose in (
            (self._held[client], self._most_per_client, "of this client"),
            (self._held.total(), self._most, "of all clients"),
        ):
            if held + size > most:
                raise busy(f"seals that arrive hold {held} bytes {whose}, at most {most} are allowed: try again")
        self._held[client] += size


class MemoryShare:
    """What one request holds of a budget. size: bytes."""

    def __init__(self, budget: MemoryBudget, client: str) -> None:
        self._budget = budget
        self._client = client
        self.size = 0

    def add(self, size: int) -> None:
        """Hold so many bytes more. Raises Problem 503."""
        self._budget.take(self._client, size)
        self.size += size


CONNECTIONS = "connections"
CONNECTIONS_PER_CLIENT = "connections_per_client"
"""Limits by the names of their settings."""


class Connections(Generic[T]):
    """The connections of a server, by client, and which have been idle for longest.

    Idle is one on which no request is being answered: what it costs is a descriptor, and its place.
    """

    def __init__(self, *, most: int, most_per_client: int) -> None:
        self._most = most
        self._most_per_client = most_per_client
        self._client_of: dict[T, str] = {}
        self._counts: Counter[str] = Counter()
        self._idle: dict[T, None] = {}

    def add(self, connection: T, client: str, *, is_one: bool = True) -> tuple[str | None, T | None]:
        """Take a new connection, which is idle. is_one: it is a client, and not many behind a proxy.

        Returns the limit that leaves no room for it, or None; and the connection that has to go for it, or None.
        """
        victim = None
        limit = None
        if is_one and self._counts[client] >= self._most_per_client:
            victim = next((one for one in self._idle if self._client_of[one] == client), None)
            limit = CONNECTIONS_PER_CLIENT if victim is None else None
        elif len(self._client_of) >= self._most:
            victim = next(iter(self._idle), None)
            limit = CONNECTIONS if victim is None else None
        if victim is not None:
            self.remove(victim)
        if limit is None:
            self._client_of[connection] = client
            self._counts[client] += 1
            self._idle[connection] = None
        return limit, victim

    def is_busy(self, connection: T) -> None:
        """Say that a request on a connection is being answered."""
        self._idle.pop(connection, None)

    def is_idle(self, connection: T) -> None:
        """Say that none is any more."""
        if connection in self._client_of:
            self._idle[connection] = None

    def remove(self, connection: T) -> None:
        """Forget a connection; one that is not known is forgotten already."""
        client = self._client_of.pop(connection, None)
        if client is not None:
            self._counts[client] -= 1
            if not self._counts[client]:
                del self._counts[client]
        self._idle.pop(connection, None)
