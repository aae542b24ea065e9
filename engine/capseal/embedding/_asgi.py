"""ASGI middleware: of an upload the application sees verified bytes only (Starlette, FastAPI, Django, any other)."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from ..bundle.opened import SealInput
from ..errors import RejectedError, UsageError
from ..trust.expect import Expect
from ..trust.store import TrustStore
from ._streams import AsyncVerifiedStream, Chunk
from ._uploads import (
    DEFAULT_UPLOAD_LIMITS,
    UPLOAD,
    Meter,
    Upload,
    UploadLimits,
    UploadRefusedError,
    UploadRules,
    answer_to,
)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class AsgiUploads:
    """Verifies uploads before the application sees a byte of them, and answers for it those that are refused.

    The application reads the body as ever; `scope["capseal.upload"]` is its Upload, with the verdict once all was
    read. A handler that demands that lets nothing in that did not come through here. At the first bad byte, reading
    raises a RejectedError; whatever the application then answers, but for a 4xx of its own, becomes a problem document
    (RFC 9457). No success goes out before all of the upload was verified, whether the application read it or not.
    """

    def __init__(
        self,
        app: App,
        *,
        trust: TrustStore,
        expect: Expect | Callable[[], Expect] = Expect(),
        seal: SealInput | None = None,
        path: str | re.Pattern[str] | None = None,
        methods: Iterable[str] = ("POST", "PUT"),
        limits: UploadLimits = DEFAULT_UPLOAD_LIMITS,
    ) -> None:
        """path: of uploads, whole, below where this is mounted; a pattern for all of it; None for every request of
        `methods`. expect: or what returns it, such as BundleFile.expect. seal: of bodies that are payloads alone."""
        self._app = app
        self._rules = UploadRules(
            trust=trust, expect=expect, seal=seal, path=path, methods=frozenset(methods), limits=limits
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._rules.concern(scope["method"], _path_in(scope)):
            await self._app(scope, receive, send)
            return
        expect = await asyncio.to_thread(self._rules.expected)
        exchange = _Exchange(self._rules, expect, scope, receive, send)
        try:
            if not exchange.upload.refusal:
                await self._app({**scope, UPLOAD: exchange.upload}, exchange.receive, exchange.send)
        except (RejectedError, UploadRefusedError) as error:
            if exchange.upload.refusal is None and exchange.has_started:
                raise
            exchange.upload.refuse(error)
        finally:
            await exchange.end()


class _Exchange:
    """One upload and its answer."""

    def __init__(self, rules: UploadRules, expect: Expect, scope: Scope, receive: Receive, send: Send) -> None:
        self.upload = Upload()
        self._receive = receive
        self._send = send
        self._meter = Meter(rules.limits)
        self._has_ended = False
        self._is_disconnected = False
        self.has_started = False
        self._is_held_back = False
        self._coming: asyncio.Future[bytes] | None = None
        stream = AsyncVerifiedStream(
            self._chunks(rules.limits.idle_s), trust=rules.trust, expect=expect, seal=rules.seal
        )
        self._pieces = self.upload.checked_async(stream)
        try:
            for name, value in scope["headers"]:
                if name == b"content-length" and value.isdigit():
                    self._meter.announce(int(value))
        except UploadRefusedError as refusal:
            self.upload.refuse(refusal)

    async def receive(self) -> Message:
        """Return verified bytes of the body. Raises the refusal, again and again."""
        if self.upload.refusal is not None:
            raise self.upload.refusal
        if self._is_disconnected:
            return {"type": "http.disconnect"}
        if self._has_ended:  # what comes now is the disconnect, whenever it likes
            return await self._receive()
        if self._coming is None:
            self._coming = asyncio.ensure_future(_next(self._pieces))
        try:
            # Frameworks look for a disconnect by a receive that they cancel: what is under way goes on.
            piece = await asyncio.shield(self._coming)
        except _GoneError:
            self._is_disconnected = True
            return {"type": "http.disconnect"}
        self._coming = None
        self._has_ended = self.upload.is_whole
        if not piece and not self._has_ended:
            raise UsageError("the body broke off before: there is no more of it to read")
        return {"type": "http.request", "body": piece, "more_body": not self._has_ended}

    async def send(self, message: Message) -> None:
        """Pass an answer on, unless it would say of an upload what is not so."""
        if message["type"] == "http.response.start":
            if message["status"] < 300:
                await self._read_the_rest()
            self._is_held_back = not self.upload.may_be_answered(message["status"])
            self.has_started = not self._is_held_back
        if not self._is_held_back:
            await self._send(message)

    async def end(self) -> None:
        """Answer what was refused and not answered yet, and leave nothing running."""
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)
        if self.upload.refusal is None or self.has_started:
            return
        status, headers, body = answer_to(self.upload.refusal)
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
        await self._send({"type": "http.response.body", "body": body})

    async def _read_the_rest(self) -> None:
        try:
            while not (self._has_ended or self._is_disconnected):
                await self.receive()
        except (RejectedError, UploadRefusedError):
            return  # known to the upload

    async def _chunks(self, idle_s: float) -> AsyncIterator[Chunk]:
        self._meter.begin()
        while True:
            try:
                async with asyncio.timeout(idle_s):
                    message = await self._receive()
            except TimeoutError:
                raise self._meter.idle() from None
            if message["type"] == "http.disconnect":
                raise _GoneError
            body: bytes = message.get("body", b"")
            self._meter.count(len(body))
            yield body
            if not message.get("more_body", False):
                return


class _GoneError(Exception):
    """The client went away: neither an end nor a refusal."""


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    """Return the next piece, or nothing at the end."""
    return await anext(pieces, b"")


def _path_in(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
