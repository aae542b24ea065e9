"""uvicorn's HTTP/1.1 protocol with the limits that it lacks: of heads, their time, and connections of one client."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..native import processors
from ._clients import CONNECTIONS, Connections, client_of
from ._cors import FOR_EVERY_PAGE
from ._forwarded import TrustedProxies
from ._limits import ServerLimits
from ._loopback import is_loopback, send_unpaced
from ._outlet import PIECE, Outlet
from ._problems import busy
from ._refusals import Refusals
from ._slow_clients import TIMED, has_body

_HEADER_OVERHEAD_BYTES = 4  # ": " and the end of the line
_MAX_PIPELINED = 16  # requests that wait on one connection for the answer to the one before

_TOO_LARGE = "Request head is too large."


def _refusal(status: str, text: str, **headers: str) -> bytes:
    """Return an answer to what no application sees, after which the connection is closed."""
    lines = {
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(text)),
        "cache-control": "no-store",
        "connection": "close",
        **{name.lower(): value for name, value in FOR_EVERY_PAGE.items()},
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n{text}".encode("ascii")


_NO_ROOM = _refusal("503 Service Unavailable", "Too many connections.", **{"retry-after": "2"})


class _RefusedError(Exception):
    """Ends the parsing of what a client sends."""


def limited_protocol(limits: ServerLimits, proxies: TrustedProxies, refusals: Refusals) -> type[asyncio.Protocol]:
    """Return a protocol class for uvicorn; all connections of a server are of it.

    proxies: hold connections for many clients, so that no limit of one client is theirs. refusals: know of clients
    that there is no room for.
    """
    connections: Connections[Any] = Connections(most=limits.connections, most_per_client=limits.connections_per_client)
    # As many as there are processors: more would only take turns, and lose what is in the caches.
    threads = ThreadPoolExecutor(processors(), thread_name_prefix="push")

    class LimitedProtocol(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._in_body = False
            self._is_deaf = False
            self._refusal: str | None = None
            self._parsed_head_bytes = 0
            self._headers_seen = 0
            self._withheld_bytes = 0
            self._head_timer: asyncio.TimerHandle | None = None
            self._outlet: Outlet | None = None
            if is_loopback(self.client):
                send_unpaced(transport.get_extra_info("socket"))
            is_proxy = proxies.is_peer(self.client)
            client = client_of(self.client)
            limit, victim = connections.add(self, client, is_one=not is_proxy)
            if victim is not None:
                victim.give_way()
            if limit is None:
                self._head_timer = self.loop.call_later(limits.head_s, self._head_late)
            else:
                refusals.add(limit, client)
                transport.write(_NO_ROOM)
                transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            connections.remove(self)
            self._stop_head_timer()
            if self._outlet is not None:
                self._outlet.close()
            super().connection_lost(exc)

        def give_way(self) -> None:
            """Make room for another connection; no request is being answered on this one."""
            self._stop_head_timer()
            self.connections.discard(self)
            self.transport.abort()

        def data_received(self, data: bytes) -> None:
            if self._is_deaf or self.transport.is_closing():
                return
            self._withheld_bytes += len(data)
            super().data_received(data)
            if self._withheld_bytes and not self._in_body and self._head_timer is None:  # a head that goes on
                self._head_timer = self.loop.call_later(limits.head_s, self._head_late)
            # Of what makes neither a whole head nor a piece of a body, the parser keeps every byte: a head without
            # end, or the trailer of a body.
            if self._withheld_bytes > limits.head_bytes and not self.transport.is_closing():
                self._refusal = _TOO_LARGE
                self.send_400_response(_TOO_LARGE)

        def send_400_response(self, msg: str) -> None:
            """Refuse what cannot be parsed, where the client takes that for no part of another answer."""
            self._refusal = self._refusal or msg
            cycle = self.cycle
            is_next = cycle is None or cycle.response_complete
            if is_next or (self._in_body and not cycle.response_started and not self.pipeline):
                self._refuse()
            elif self._in_body:
                self.transport.abort()
            else:
                self._is_deaf = True  # until the requests before are answered

        def on_message_begin(self) -> None:
            self._parsed_head_bytes = 0
            self._headers_seen = 0
            super().on_message_begin()

        def on_url(self, url: bytes) -> None:
            self._count(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._headers_seen += 1
            if self._headers_seen > limits.headers:
                raise self._refused("Request head has too many headers.")
            self._count(len(name) + len(value) + _HEADER_OVERHEAD_BYTES)
            super().on_header(name, value)

        def on_headers_complete(self) -> None:
            if len(self.pipeline) >= _MAX_PIPELINED:
                raise self._refused("Too many requests at once.")
            self._stop_head_timer()
            self._withheld_bytes = 0
            self._in_body = True
            connections.is_busy(self)
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._withheld_bytes = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._in_body = False
            self._withheld_bytes = 0
            super().on_message_complete()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.cycle.response_complete:
                connections.is_idle(self)
                if self._is_deaf and not self.transport.is_closing():
                    self._refuse()

        def _refuse(self) -> None:
            self.transport.write(_refusal("400 Bad Request", self._refusal or _TOO_LARGE))
            self.transport.close()

        def _start_asgi_task(self, cycle: Any, app: Any) -> None:
            if app is service_unavailable:  # uvicorn's own, which says nothing to caches and pages
                refusals.add(CONNECTIONS, client_of(self.client))
                app = busy("too many requests at once: try again", headers=FOR_EVERY_PAGE).response()
            extensions = cycle.scope.setdefault("extensions", {})
            extensions[TIMED] = {}
            # Whoever sends a body may go on with it all the while, which nobody would read.
            if self.transport.get_extra_info("sslcontext") is None and not has_body(cycle.scope["headers"]):
                extensions[PIECE] = {"threads": threads}
            super()._start_asgi_task(cycle, _sending_by(self, cycle, app))

        async def send(self, cycle: Any, message: Any) -> None:
            """Send a message of a cycle's response, which may be a PIECE, once the peer took what was sent before.

            Raises TimeoutError, and drops the connection, where it takes nothing; ClientDisconnect where it is gone.
            """
            is_piece = message["type"] == PIECE
            if is_piece and self._outlet is None and not cycle.disconnected:
                self.transport.set_write_buffer_limits(high=0)  # whatever waits pauses the next one
                self._outlet = Outlet(self.transport, self.loop, idle_s=limits.idle_s, threads=threads)
            try:
                if self.flow.write_paused:
                    async with asyncio.timeout(limits.idle_s):
                        await self.flow.drain()
                if is_piece:
                    await self._send_piece(cycle, message)
                else:
                    await cycle.send(message)
            except TimeoutError:
                self.transport.abort()
                raise

        async def _send_piece(self, cycle: Any, message: Any) -> None:
            if not cycle.disconnected and self._outlet is not None:
                cycle.expected_content_length -= await self._outlet.send(message)
                if self._outlet.is_closed:  # the peer has gone, which the transport will notice only when it reads
                    cycle.disconnected = True
                    cycle.message_event.set()
                    self.transport.abort()
            if cycle.disconnected:
                raise ClientDisconnect
            if not message.get("more_body", False):
                await cycle.send({"type": "http.response.body"})

        def _count(self, size: int) -> None:
            """Count what was parsed of a head, or of the trailer that belongs to it."""
            self._parsed_head_bytes += size
            if self._parsed_head_bytes > limits.head_bytes:
                raise self._refused(_TOO_LARGE)

        def _refused(self, why: str) -> _RefusedError:
            self._refusal = why
            return _RefusedError(why)

        def _stop_head_timer(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _head_late(self) -> None:
            self._head_timer = None
            answering = self.cycle is not None and not self.cycle.response_complete
            if not answering and not self.transport.is_closing():
                self.transport.close()

    return LimitedProtocol


def _sending_by(protocol: Any, cycle: Any, app: Any) -> Any:
    """Return an application whose messages the protocol sends."""

    async def sending(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, partial(protocol.send, cycle))

    return sending
