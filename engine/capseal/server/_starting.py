"""The application starts once: when its lifespan begins or, where no lifespan comes, with the first request."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import TransferError
from ._logs import told
from ._problems import unavailable

T = TypeVar("T")


class Once(Generic[T]):
    """A start that happens once, whoever asks for it, and again where it failed."""

    def __init__(self, start: Callable[[], Awaitable[T]]) -> None:
        self._start = start
        self._running: asyncio.Future[T] | None = None

    async def __call__(self) -> T:
        """Return what the start returned; wait for it where it is under way. Raises what it raises."""
        if self._running is None or (self._running.done() and not _succeeded(self._running)):
            self._running = asyncio.ensure_future(self._start())
        if self._running.done():
            return self._running.result()
        # Whoever asked first may go away; the others still wait.
        return await asyncio.shield(self._running)


def _succeeded(done: "asyncio.Future[T]") -> bool:
    return not done.cancelled() and done.exception() is None


class StartedBefore:
    """ASGI middleware: no request is answered before the start.

    A framework in which an application is mounted sends it no lifespan (Starlette, FastAPI and Django do not).
    """

    def __init__(self, app: ASGIApp, start: Callable[[], Awaitable[object]], log: logging.Logger) -> None:
        self._app = app
        self._start = start
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                await self._start()
            except TransferError as error:
                self._log.error("cannot start yet", extra={"members": {"error": told(error)}})
                await unavailable("the storage does not answer").response()(scope, receive, send)
                return
        await self._app(scope, receive, send)
