"""CORS: which pages of other origins may read what is public (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Final

from starlette.datastructures import Headers
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import UsageError
from ._route_table import RouteTable

METHODS = ("GET", "HEAD")

_ALLOW = "Access-Control-Allow-Origin"
_ALLOWED_HEADERS = "Range, If-Range, If-Match, If-None-Match"
_PREFLIGHT_AGE_S = 7200
"""What Chromium caps it to."""

FOR_EVERY_PAGE: Final = {
    _ALLOW: "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range, ETag, Retry-After, X-Request-Id",
}
"""Headers of what anybody may read, and of what is refused before anybody looked at what was asked for."""

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


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return headers as a message has them."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


_RAW_FOR_EVERY_PAGE = _raw(FOR_EVERY_PAGE)


class CorsPolicy:
    """Which pages may read which answers: those of public routes, and that a path has no route."""

    def __init__(self, routes: RouteTable, own: Sequence[BaseRoute], origins: Set[str] | None) -> None:
        """own: routes that are no page's; origins: who may read the rest, None: everybody."""
        self.routes = routes
        self._own = frozenset(map(id, own))
        self._origins = origins

    def answer_to(self, scope: Scope) -> Mapping[str, str]:
        """Return the headers that an answer has besides its own; none where it is no page's."""
        if id(self.routes.route_of(scope)) in self._own:
            return {}
        if self._origins is None:  # the same for all, so that a cache need keep one answer only
            return FOR_EVERY_PAGE
        origin = Headers(scope=scope).get("origin")
        if origin is None or origin not in self._origins:
            return {"Vary": "Origin"}
        return {**FOR_EVERY_PAGE, "Vary": "Origin", _ALLOW: origin}


class PublicCors:
    """ASGI middleware that tells browsers which answers a page may read, and answers what they ask before.

    Starlette's own would let caches keep an answer for every origin, also where all may read; and it knows no
    methods of one path that differ.
    """

    def __init__(self, app: ASGIApp, policy: CorsPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it be answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_refused = False
        if scope["method"] == "OPTIONS":
            cors = self._policy.answer_to(scope)
            asked = Headers(scope=scope).get("access-control-request-method")
            may_read = _ALLOW in cors and asked in METHODS
            if may_read or (cors and self._policy.routes.route_of(scope) is not None):
                await _answer_options(send, cors, may_read=may_read)
                return
            is_refused = asked is not None  # a page is about to do what none may

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Now, since by now Starlette has noted which route it took.
                cors = self._policy.answer_to(scope)
                if is_refused:
                    cors = {name: value for name, value in cors.items() if name == "Vary"}
                raw = _RAW_FOR_EVERY_PAGE if cors is FOR_EVERY_PAGE else _raw(cors)
                message = {**message, "headers": [*message["headers"], *raw]}
            await send(message)

        await self._app(scope, receive, send_with_cors)


async def _answer_options(send: Send, cors: Mapping[str, str], *, may_read: bool) -> None:
    """Answer OPTIONS. may_read: a page of an origin that may is about to; else nothing of CORS but Vary is said."""
    headers = {"Allow": ", ".join((*METHODS, "OPTIONS")), "Cache-Control": "no-store"}
    if "Vary" in cors:
        headers["Vary"] = cors["Vary"]
    if may_read:
        headers[_ALLOW] = cors[_ALLOW]
        headers["Access-Control-Allow-Methods"] = ", ".join(METHODS)
        headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
        headers["Access-Control-Max-Age"] = str(_PREFLIGHT_AGE_S)
    await send({"type": "http.response.start", "status": 204, "headers": _raw(headers)})
    await send({"type": "http.response.body", "body": b""})
