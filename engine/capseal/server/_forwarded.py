"""Whose word counts of where a request came from: X-Forwarded-For, -Proto and -Host of proxies that are trusted."""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import UsageError
from ._clients import CONNECTIONS_PER_CLIENT, Address, client_of, parsed_address
from ._cors import FOR_EVERY_PAGE
from ._problems import busy
from ._refusals import Refusals

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
"""How IPv4 looks on a socket for both (RFC 4291, 2.5.5.2); here it is IPv4 wherever it comes from."""

_HOST = re.compile(r"([A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_WITH_PORT = re.compile(r"\[(?P<ipv6>[^]]*)\](:[0-9]+)?|(?P<ipv4>[0-9.]+):[0-9]+")


class TrustedProxies:
    """Networks of proxies."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """networks: such as `10.0.0.0/8`, `2001:db8::/32`, or one address. Raises UsageError."""
        try:
            self._networks = tuple(_unmapped(ipaddress.ip_network(text)) for text in networks)
        except ValueError as error:
            raise UsageError(f"trusted proxies: {error}") from error

    def __contains__(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)

    def is_peer(self, client: tuple[str, int] | None) -> bool:
        """Tell whether a connection comes from one."""
        return bool(self._networks) and client is not None and _parsed(client[0]) in self

    def origin(self, client: tuple[str, int], forwarded_for: Sequence[str]) -> tuple[str, int]:
        """Return the client that the proxies of a connection speak for.

        Each proxy appends whom it heard; so, from the end, it is the first address that is no proxy's. What stands
        before that anybody may have written.
        """
        found = client
        for text in reversed(",".join(forwarded_for).split(",")):
            address = _parsed(text.strip())
            if address is None:
                break
            found = (str(address), 0)
            if address not in self:
                break
        return found


class Forwarded:
    """ASGI middleware that believes trusted proxies, and nobody else; and limits what each client behind them takes."""

    def __init__(self, app: ASGIApp, proxies: TrustedProxies, *, most_per_client: int, refusals: Refusals) -> None:
        """most_per_client: requests at once; refusals: know of those that are too many."""
        self._app = app
        self._proxies = proxies
        self._most = most_per_client
        self._refusals = refusals
        self._requests: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on as the proxy received it."""
        if scope["type"] != "http" or not self._proxies.is_peer(scope.get("client")):
            await self._app(scope, receive, send)
            return
        scope = self._as_received(scope)
        client = client_of(scope["client"])
        if self._requests[client] >= self._most:
            detail = f"{self._requests[client]} requests of this client are being answered: try again"
            self._refusals.add(CONNECTIONS_PER_CLIENT, client)
            refusal = busy(detail, headers=FOR_EVERY_PAGE)
            await refusal.response()(scope, receive, send)
            return
        self._requests[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._requests[client] -= 1
            if not self._requests[client]:
                del self._requests[client]

    def _as_received(self, scope: Scope) -> Scope:
        headers = Headers(scope=scope)
        changed: dict[str, object] = {
            "client": self._proxies.origin(scope["client"], headers.getlist("x-forwarded-for"))
        }
        protocol = _last(headers, "x-forwarded-proto").lower()
        if protocol in ("http", "https"):
            changed["scheme"] = protocol
        host = _last(headers, "x-forwarded-host")
        if _HOST.fullmatch(host):
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            changed["headers"] = [(b"host", host.encode()), *others]
        return {**scope, **changed}


def _last(headers: Headers, name: str) -> str:
    """Return the last value of a header, on whichever line it is: what stands before it anybody may have written."""
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()


def _unmapped(network: _Network) -> _Network:
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = int(network.network_address) - int(_MAPPED.network_address)
        return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED.prefixlen))
    return network


def _parsed(text: str) -> Address | None:
    with_port = _WITH_PORT.fullmatch(text)
    if with_port:
        text = with_port["ipv6"] or with_port["ipv4"] or ""
    return parsed_address(text)
