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
    METHODS,
    UPLOAD,
    Meter,
    Refusal,
    Upload,
    UploadLimits,
    UploadRefusedError,
    UploadRules,
    answer_to,
    says_no_error,
    upper,
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
        methods: Iterable[str] = METHODS,
        limits: UploadLimits = DEFAULT_UPLOAD_LIMITS,
    ) -> None:
        """path: of uploads, or a pattern for all of it, below whatever prefix; None for every path. There every request
        that announces a body is an upload, and every one of `methods`; of any other the application sees no body.
        expect: or what returns it, such as BundleFile.expect. seal: of bodies that are payloads alone."""
        self._app = app
        self._rules = UploadRules(
            trust=trust, expect=expect, seal=seal, path=path, methods=upper(methods), limits=limits
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            is_concerned = self._rules.concern(scope["method"], _paths_in(scope))
        except UploadRefusedError as refusal:
            await _refuse(send, refusal)
            return
        if not is_concerned:
            await self._app(scope, receive, send)
        elif not self._rules.is_upload(scope["method"], has_body=_has_body(scope)):
            await self._app(scope, _without_body(receive), send)
        else:
            await self._take(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(self._rules, receive, send)
        try:
            await exchange.begin(self._rules, scope)
            await self._app({**scope, UPLOAD: exchange.upload}, exchange.receive, exchange.send)
        except (RejectedError, UploadRefusedError) as error:
            if exchange.upload.refusal is None and exchange.has_started:
                raise
            exchange.upload.refuse(error)
        finally:
            await exchange.end()


class _Exchange:
    """One upload and its answer."""

    def __init__(self, rules: UploadRules, receive: Receive, send: Send) -> None:
        self.upload = Upload()
        self._receive = receive
        self._send = send
        self._meter = Meter(rules.limits)
        self._has_ended = False
        self._is_disconnected = False
        self.has_started = False
        self._is_held_back = False
        self._turn = asyncio.Lock()
        self._coming: asyncio.Future[bytes] | None = None

    async def begin(self, rules: UploadRules, scope: Scope) -> None:
        """Ask what is expected of what comes.

        Raises the refusal of what need not come at all, and what `expect` does.
        """
        for name, value in scope["headers"]:
            if name == b"content-length":
                self._meter.announce_header(value.decode("latin-1"))
        expect = await asyncio.to_thread(rules.expected)
        stream = AsyncVerifiedStream(
            self._chunks(rules.limits.idle_s), trust=rules.trust, expect=expect, seal=rules.seal
        )
        self._pieces = self.upload.checked_async(stream)

    async def receive(self) -> Message:
        """Return verified bytes of the body, each to one receiver. Raises the refusal, again and again."""
        # Applications that watch for a disconnect in a task of its own receive twice at once.
        async with self._turn:
            if self.upload.refusal is not None:
                raise self.upload.refusal
            if self._is_disconnected:
                return {"type": "http.disconnect"}
            if not self._has_ended:
                return await self._next_piece()
        return await self._receive()  # what comes now is the disconnect, whenever it likes

    async def _next_piece(self) -> Message:
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
            if says_no_error(message["status"]):
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
        await _refuse(self._send, self.upload.refusal)

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


def _paths_in(scope: Scope) -> tuple[str, ...]:
    """Return the whole path, and where that is below a mount, the path there."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    below = path.removeprefix(root)
    return (path, below) if below != path and (not below or below.startswith("/")) else (path,)


def _has_body(scope: Scope) -> bool:
    # A size that is none may be any.
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0") != b"")
        for name, value in scope["headers"]
    )


def _without_body(receive: Receive) -> Receive:
    async def receive_nothing() -> Message:
        message = await receive()
        return {**message, "body": b""} if message["type"] == "http.request" else message

    return receive_nothing


async def _refuse(send: Send, refusal: Refusal) -> None:
    status, headers, body = answer_to(refusal)
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
