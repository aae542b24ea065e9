"""Nobody may hold a connection for nothing: time-outs on every body that comes and every response that goes."""

import asyncio
import re
import time
import weakref
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..http.paths import UPLOADS
from ..http.problems import TOO_SLOW
from ._limits import ServerLimits
from ._problems import Problem

TIMED = "capseal.timed"
"""ASGI scope extension: send raises TimeoutError by itself, and drops the connection, where the peer takes nothing."""

_OF_BODY = (b"content-length", b"transfer-encoding")
_LINGER_S = 2.0
_LINGER_BYTES = 32 * 1024 * 1024
_UPLOAD = re.compile(re.escape(UPLOADS) + r"/([^/]+)/")


class SlowClientGuard:
    """ASGI middleware that enforces idle_s and least_rate, and ends refused bodies decently."""

    def __init__(self, app: ASGIApp, limits: ServerLimits) -> None:
        self._app = app
        self._limits = limits
        self._uploads: weakref.WeakValueDictionary[str, _Rate] = weakref.WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if TIMED not in scope.get("extensions", {}):
            send = _timed(send, self._limits.idle_s)
        if not has_body(scope["headers"]):
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send, self._limits, self._rate_of(scope))
        await self._app(scope, exchange.receive, exchange.send)

    def _rate_of(self, scope: Scope) -> "_Rate":
        """Return what a request's bytes are counted by: all that send to one upload now share a line, and a count."""
        match = _UPLOAD.match(scope["path"].removeprefix(scope.get("root_path", "")))  # where it is mounted
        if match is None:
            return _Rate()
        # Held by the requests alone: what nobody sends to is forgotten, whatever was made up for an id.
        return self._uploads.setdefault(match[1], _Rate())


def has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether a request with these headers has a body."""
    return any(name in _OF_BODY and value != b"0" for name, value in headers)


def _timed(send: Send, idle_s: float) -> Send:
    """Return a send that raises TimeoutError where the peer takes nothing."""

    async def timed(message: Message) -> None:
        async with asyncio.timeout(idle_s):
            await send(message)

    return timed


class _Rate:
    """Bytes that came in a window of time."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()
        self._bytes = 0

    def count(self, size: int) -> None:
        """Add what came."""
        self._bytes += size

    def check(self, window_s: float, least_rate: int) -> None:
        """Raise Problem 408 where a window that is over had fewer bytes per second than that, and begin another."""
        elapsed_s = time.monotonic() - self._start_s
        if elapsed_s < window_s:
            return
        came = self._bytes
        self._start_s, self._bytes = time.monotonic(), 0
        if came < elapsed_s * least_rate:
            raise Problem(
                TOO_SLOW,
                f"{came} bytes in {elapsed_s:.0f} s by all requests of this upload, at least {least_rate} a second are "
                "demanded; what arrived whole is kept",
            )


class _Exchange:
    """A request whose body is still to come, and its response."""

    def __init__(self, receive: Receive, send: Send, limits: ServerLimits, rate: _Rate) -> None:
        self._receive = receive
        self._send = send
        self._limits = limits
        self._body_ended = False
        self._lingers = False
        self._rate = rate

    async def receive(self) -> Message:
        """Raises Problem 408 where the body comes too slowly."""
        if self._body_ended:  # what comes now is the disconnect, whenever it likes
            return await self._receive()
        idle_s, least_rate = self._limits.idle_s, self._limits.least_rate
        try:
            async with asyncio.timeout(idle_s):
                message = await self._receive()
        except TimeoutError:
            raise Problem(TOO_SLOW, f"no byte of the body for {idle_s:g} s") from None
        self._body_ended = not message.get("more_body", False)
        self._rate.count(len(message.get("body", b"")))
        if not self._body_ended:
            self._rate.check(idle_s, least_rate)
        return message

    async def send(self, message: Message) -> None:
        """Send; where it is a refusal, read what is still to come of the body before the response ends."""
        if message["type"] == "http.response.start" and not self._body_ended:
            # The answer is a refusal: the rest of the body is of no use, nor is the connection then.
            self._lingers = True
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if self._lingers and last:
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _linger(self) -> None:
        """Read a little more and throw it away.

        Closing at once would reset the connection, and the client might never see the answer.
        """
        thrown_away = 0
        try:
            async with asyncio.timeout(_LINGER_S):
                while not self._body_ended and thrown_away < _LINGER_BYTES:
                    message = await self._receive()
                    self._body_ended = not message.get("more_body", False)
                    thrown_away += len(message.get("body", b""))
        except TimeoutError:
            return
