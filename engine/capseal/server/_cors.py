"""CORS: which pages of other origins may read what is public (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

import re
from collections.abc import Iterable, Set

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import UsageError

METHODS = ("GET", "HEAD")

_ALLOWED_HEADERS = "Range, If-Range, If-Match, If-None-Match"
_EXPOSED_HEADERS = "Accept-Ranges, Content-Length, Content-Range, ETag, Retry-After, X-Request-Id"
_PREFLIGHT_AGE_S = 7200
"""What Chromium caps it to."""

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")


def checked_origins(texts: Iterable[str] | None) -> frozenset[str] | None:
    """Return origins as browsers write them, or None for all of them. Raises UsageError."""
    if texts is None:
        return None
    origins = frozenset(text.lower() for text in texts)
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise UsageError(f"{origin!r} is not an origin such as https://app.example.com or capacitor://localhost")
    return origins


class PublicCors:
    """ASGI middleware of one public route: says who may read it, and answers OPTIONS itself.

    It is put around single routes, so that what is not public cannot have it. Starlette's own would let caches
    keep an answer for every origin, also where all may read; and it knows no methods of one path that differ.
    """

    def __init__(self, app: ASGIApp, origins: Set[str] | None) -> None:
        """origins: who may read, or None for everybody."""
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let answer, a request for the route."""
        request = Headers(scope=scope)
        cors = self._answer_to(request.get("origin"))
        if scope["method"] == "OPTIONS":
            if request.get("access-control-request-method") in METHODS and "Access-Control-Allow-Origin" in cors:
                cors["Access-Control-Allow-Methods"] = ", ".join(METHODS)
                cors["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
                cors["Access-Control-Max-Age"] = str(_PREFLIGHT_AGE_S)
            else:  # asks for what is not public, or is not asked by a page
                cors.pop("Access-Control-Allow-Origin", None)
            headers = {**cors, "Allow": ", ".join((*METHODS, "OPTIONS")), "Cache-Control": "no-store"}
            raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": 204, "headers": raw})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": list(message["headers"])}
                headers = MutableHeaders(scope=message)
                headers.update(cors)
                if "Access-Control-Allow-Origin" in cors:
                    headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
            await send(message)

        await self._app(scope, receive, send_with_cors)

    def _answer_to(self, origin: str | None) -> dict[str, str]:
        if self._origins is None:  # the same for all, so that a cache need keep one answer only
            return {"Access-Control-Allow-Origin": "*"}
        answer = {"Vary": "Origin"}
        if origin is not None and origin in self._origins:
            answer["Access-Control-Allow-Origin"] = origin
        return answer
