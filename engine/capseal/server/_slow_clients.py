"""Nobody may hold a connection for nothing: time-outs on every body that comes and every response that goes."""

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..http.problems import TOO_SLOW
from ._limits import ServerLimits
from ._problems import Problem

ABORT = "capseal.abort"
"""ASGI scope extension: a function that drops the connection at once, with what is still to be sent."""

_LINGER_S = 2.0
_LINGER_BYTES = 32 * 1024 * 1024


class SlowClientGuard:
    """ASGI middleware that enforces idle_s and least_rate, and ends refused bodies decently."""

    def __init__(self, app: ASGIApp, limits: ServerLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            exchange = _Exchange(scope, receive, send, self._limits)
            await self._app(scope, exchange.receive, exchange.send)
        else:
            await self._app(scope, receive, send)


class _Exchange:
    """One request and its response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: ServerLimits) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limits = limits
        names = {name for name, value in scope["headers"] if value != b"0"}
        self._body_ended = not names & {b"content-length", b"transfer-encoding"}
        self._lingers = False
        self._window_start = time.monotonic()
        self._window_bytes = 0

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
        self._window_bytes += len(message.get("body", b""))
        elapsed = time.monotonic() - self._window_start
        if elapsed >= idle_s and not self._body_ended:
            if self._window_bytes < elapsed * least_rate:
                raise Problem(
                    TOO_SLOW,
                    f"{self._window_bytes} bytes of the body in {elapsed:.0f} s, "
                    f"at least {least_rate} a second are demanded",
                )
            self._window_start, self._window_bytes = time.monotonic(), 0
        return message

    async def send(self, message: Message) -> None:
        """Raises TimeoutError, and drops the connection, where the peer takes nothing."""
        if message["type"] == "http.response.start" and not self._body_ended:
            # The answer is a refusal: the rest of the body is of no use, nor is the connection then.
            self._lingers = True
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if self._lingers and last:
            await self._timed_send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._timed_send(message)

    async def _timed_send(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self._limits.idle_s):
                await self._send(message)
        except TimeoutError:
            abort = self._scope.get("extensions", {}).get(ABORT)
            if abort is not None:
                abort()
            raise

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
