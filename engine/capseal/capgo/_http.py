"""Bodies and JSON answers of Capgo's endpoints over HTTP."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response


class Bodies:
    """The bodies of requests that are in memory at once, of devices that nobody authenticates.

    most: bytes of all of them together.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    @asynccontextmanager
    async def body(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """Give a request's body, or so much of it that it has too much, which is what parsers say.

        It counts until the block is left. Raises HTTPException 503 where there is no room for it.
        """
        body = bytearray()
        held = 0
        try:
            async for chunk in request.stream():
                if self._held + len(chunk) > self._most:
                    raise HTTPException(503, f"requests hold {self._held} bytes, at most {self._most} are allowed")
                self._held += len(chunk)
                held += len(chunk)
                body += chunk
                if len(body) > most:
                    break
            yield bytes(body)
        finally:
            self._held -= held


def json_answer(value: dict[str, Any] | list[dict[str, Any]], *, status: int = 200) -> Response:
    """Return an answer that nobody keeps."""
    return Response(json.dumps(value), status, {"Cache-Control": "no-store"}, "application/json")
