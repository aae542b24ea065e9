"""Nobody may hold a connection for nothing: time-outs on every body that comes and every response that goes."""

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .limits import Limits
from .problems import too_slow

ABORT = "capseal.abort"
"""ASGI scope extension: a function that drops the connection at once, with what is still to be sent."""


class Pace:
    """ASGI middleware that enforces idle_s and least_rate."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limits = self._limits
        body_ended = False
        window_start = time.monotonic()
        window_bytes = 0

        async def paced_receive() -> Message:
            nonlocal body_ended, window_start, window_bytes
            if body_ended:  # what comes now is the disconnect, whenever it likes
                return await receive()
            try:
                async with asyncio.timeout(limits.idle_s):
                    message = await receive()
            except TimeoutError:
                raise too_slow(f"no byte of the body for {limits.idle_s:g} s") from None
            body_ended = not message.get("more_body", False)
            window_bytes += len(message.get("body", b""))
            elapsed = time.monotonic() - window_start
            if elapsed >= limits.idle_s and not body_ended:
                if window_bytes < elapsed * limits.least_rate:
                    raise too_slow(
                        f"{window_bytes} bytes of the body in {elapsed:.0f} s, at least "
                        f"{limits.least_rate} a second are demanded"
                    )
                window_start, window_bytes = time.monotonic(), 0
            return message

        async def paced_send(message: Message) -> None:
            try:
                async with asyncio.timeout(limits.idle_s):
                    await send(message)
            except TimeoutError:
                abort = scope.get("extensions", {}).get(ABORT)
                if abort is not None:
                    abort()
                raise

        await self._app(scope, paced_receive, paced_send)
