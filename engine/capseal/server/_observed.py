"""What is known of every request once it was answered: metrics, a line of the log, and an id that joins both sides'."""

import logging
import time

from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import _request_ids
from ._route_table import RouteTable
from .routes.context import ServerState


class Observed:
    """ASGI middleware that counts and logs every request, once its response has ended, and gives it an id."""

    def __init__(self, app: ASGIApp, state: ServerState, routes: RouteTable) -> None:
        self._app = app
        self._state = state
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_ids.request_id_of(scope["headers"])
        _request_ids.current.set(request_id)
        began = time.monotonic()
        status_code = 0
        sent_bytes = 0

        async def observed_send(message: Message) -> None:
            nonlocal status_code, sent_bytes
            if message["type"] == "http.response.start":
                status_code = message["status"]
                headers = [*message["headers"], (_request_ids.HEADER, request_id.encode())]
                message = {**message, "headers": headers}
            sent_bytes += message["count"] if "count" in message else len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, observed_send)
        finally:
            seconds = time.monotonic() - began
            route = self._routes.route_of(scope)
            label = route.path if isinstance(route, Route) else "none"  # of bounded variety
            self._state.metrics.answered(scope["method"], label, status_code, seconds)
            self._log(scope, status_code, sent_bytes, seconds)

    def _log(self, scope: Scope, status_code: int, sent_bytes: int, seconds: float) -> None:
        log = self._state.log
        if not log.isEnabledFor(logging.INFO):
            return
        members = {
            "method": scope["method"][:20],
            "path": scope["path"][:300],
            "status": status_code,
            "bytes": sent_bytes,
            "ms": round(seconds * 1000, 1),
            "client": (scope.get("client") or ("",))[0],
        }
        # As log.info() does, which would walk the stack first to find this very line.
        log.handle(log.makeRecord(log.name, logging.INFO, __file__, 0, "request", (), None, extra={"members": members}))
