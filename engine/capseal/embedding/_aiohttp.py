"""aiohttp's own middleware: a handler iterates over the verified bytes of an upload."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from aiohttp import web

from ..bundle.opened import SealInput
from ..errors import RejectedError
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

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AiohttpUpload(Upload):
    """An Upload that is iterated over, once, in place of `request.content`, which is not verified."""

    _pieces: AsyncIterator[bytes]

    def read_from(self, stream: AsyncVerifiedStream) -> None:
        """Take what is iterated over."""
        self._pieces = self.checked_async(stream)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises the refusal."""
        return self._pieces


# aiohttp 3.14 and later want a key of theirs.
AIOHTTP_UPLOAD: Any = web.RequestKey(UPLOAD, AiohttpUpload) if hasattr(web, "RequestKey") else UPLOAD
"""Where an aiohttp request has its Upload."""


def aiohttp_uploads(
    *,
    trust: TrustStore,
    expect: Expect | Callable[[], Expect] = Expect(),
    seal: SealInput | None = None,
    path: str | re.Pattern[str] | None = None,
    methods: Iterable[str] = ("POST", "PUT"),
    limits: UploadLimits = DEFAULT_UPLOAD_LIMITS,
) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
    """Return AsgiUploads as a middleware of aiohttp: `request[AIOHTTP_UPLOAD]` is the Upload, and is iterated over.

    A response that the handler prepared itself has gone out already, and is not held back.
    """
    rules = UploadRules(trust=trust, expect=expect, seal=seal, path=path, methods=frozenset(methods), limits=limits)

    @web.middleware
    async def verify_uploads(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not rules.concern(request.method, request.path):
            return await handler(request)
        expected = await asyncio.to_thread(rules.expected)
        upload = AiohttpUpload()
        meter = Meter(limits)
        upload.read_from(AsyncVerifiedStream(_chunks(request, meter), trust=trust, expect=expected, seal=seal))
        request[AIOHTTP_UPLOAD] = upload
        try:
            meter.announce(request.content_length or 0)
            response = await _answered(handler, request)
            if response.status < 300:
                async for _ in upload:  # what the handler did not read
                    continue
        except (RejectedError, UploadRefusedError) as error:
            upload.refuse(error)
            response = web.Response(status=500)
        if upload.refusal is None or upload.may_be_answered(response.status) or response.prepared:
            if isinstance(response, web.HTTPException):
                raise response
            return response
        status, headers, body = answer_to(upload.refusal)
        return web.Response(status=status, headers=headers, body=body)

    return verify_uploads


async def _answered(handler: Handler, request: web.Request) -> web.StreamResponse:
    """Return what a handler answers, raised or not."""
    try:
        return await handler(request)
    except web.HTTPException as answer:
        return answer


async def _chunks(request: web.Request, meter: Meter) -> AsyncIterator[Chunk]:
    meter.begin()
    while True:
        try:
            async with asyncio.timeout(meter.limits.idle_s):
                chunk = await request.content.readany()
        except TimeoutError:
            raise meter.idle() from None
        if not chunk:
            return
        meter.count(len(chunk))
        yield chunk
