"""aiohttp's own middleware: a handler iterates over the verified bytes of an upload."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol

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

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


_NEVER_PAUSES_BYTES = 1 << 60


class AiohttpUpload(Upload):
    """An Upload that is iterated over, in place of `request.content`, or beside it: each byte comes once."""

    _pieces: AsyncIterator[bytes]

    def read_from(self, stream: AsyncVerifiedStream) -> None:
        """Take what is iterated over."""
        self._pieces = self.checked_async(stream)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """Raises the refusal, again and again."""
        if self.refusal is not None:
            raise self.refusal
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            if not self.is_whole:
                raise UsageError("the body broke off before: there is no more of it to read") from None
            raise


class _VerifiedContent(StreamReader):
    """The verified bytes of an upload as `request.content`, for `read()`, `post()`, `multipart()` and all others."""

    def __init__(self, upload: AiohttpUpload, coming: StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(BaseProtocol(loop), _NEVER_PAUSES_BYTES, loop=loop)
        self._upload = upload
        self._coming = coming

    def set_exception(self, *broken: Any) -> None:
        """Pass on that the client went away: aiohttp tells the request's body, and what waits is what comes."""
        self._coming.set_exception(*broken)
        super().set_exception(*broken)

    def set_read_chunk_size(self, n: int) -> None:
        """Do nothing: what comes is cut already."""

    async def _wait(self, func_name: str) -> None:
        """Have bytes, or the end; the one place where every way to read waits. Raises the refusal."""
        piece = await anext(self._upload, None)
        if piece is None:
            self.feed_eof()
        else:
            self.feed_data(piece)


def _let_read(request: web.Request, upload: AiohttpUpload) -> None:
    """Let a request's body be what its upload verified. Raises UsageError where it cannot be.

    aiohttp has no public way, so what counts is what the request then says.
    """
    if getattr(request, "_read_bytes", None) is not None or getattr(request, "_post", None) is not None:
        raise UsageError(
            "the body was read before it came here: nothing that reads it may stand before this middleware"
        )
    content = _VerifiedContent(upload, request.content, asyncio.get_running_loop())
    request._payload = content
    request._cache["content"] = content  # as whoever stood before this may have asked for it
    if request.content is not content:
        raise UsageError("this version of aiohttp does not let a request's body be replaced by what was verified")


# aiohttp 3.14 and later want a key of theirs.
AIOHTTP_UPLOAD: Any = web.RequestKey(UPLOAD, AiohttpUpload) if hasattr(web, "RequestKey") else UPLOAD
"""Where an aiohttp request has its Upload."""


def aiohttp_uploads(
    *,
    trust: TrustStore,
    expect: Expect | Callable[[], Expect] = Expect(),
    seal: SealInput | None = None,
    path: str | re.Pattern[str] | None = None,
    methods: Iterable[str] = METHODS,
    limits: UploadLimits = DEFAULT_UPLOAD_LIMITS,
) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
    """Return AsgiUploads as a middleware of aiohttp: `request[AIOHTTP_UPLOAD]` is the Upload, and is iterated over.

    `request.content`, and `request.read()` with it, have verified bytes only, too.
    A response that the handler prepared itself has gone out already, and is not held back.
    """
    rules = UploadRules(trust=trust, expect=expect, seal=seal, path=path, methods=upper(methods), limits=limits)

    @web.middleware
    async def verify_uploads(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            is_concerned = rules.concern(request.method, (request.path,))
        except UploadRefusedError as refusal:
            return _problem(refusal)
        # Where aiohttp sees no body there is none to read.
        if not is_concerned or not rules.is_upload(request.method, has_body=request.body_exists):
            return await handler(request)
        upload = AiohttpUpload()
        meter = Meter(limits)
        request[AIOHTTP_UPLOAD] = upload
        try:
            meter.announce(request.content_length or 0)
            expected = await asyncio.to_thread(rules.expected)
            chunks = _chunks(request.content, meter)
            upload.read_from(AsyncVerifiedStream(chunks, trust=trust, expect=expected, seal=seal))
            _let_read(request, upload)
            response = await _answered(handler, request)
            if says_no_error(response.status):
                async for _ in upload:  # what the handler did not read
                    continue
        except (RejectedError, UploadRefusedError) as error:
            upload.refuse(error)
            response = web.Response(status=500)
        if upload.refusal is None or upload.may_be_answered(response.status) or response.prepared:
            if isinstance(response, web.HTTPException):
                raise response
            return response
        return _problem(upload.refusal)

    return verify_uploads


def _problem(refusal: Refusal) -> web.Response:
    status, headers, body = answer_to(refusal)
    return web.Response(status=status, headers=headers, body=body)


async def _answered(handler: Handler, request: web.Request) -> web.StreamResponse:
    """Return what a handler answers, raised or not."""
    try:
        return await handler(request)
    except web.HTTPException as answer:
        return answer


async def _chunks(content: StreamReader, meter: Meter) -> AsyncIterator[Chunk]:
    meter.begin()
    while True:
        try:
            async with asyncio.timeout(meter.limits.idle_s):
                chunk = await content.readany()
        except TimeoutError:
            raise meter.idle() from None
        if not chunk:
            return
        meter.count(len(chunk))
        yield chunk
