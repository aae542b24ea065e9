"""Bodies and JSON answers of Capgo's endpoints over HTTP."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response


async def body_of(request: Request, most: int) -> bytes:
    """Return a request's body, or so much of it that it has too much, which is what parsers say."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            break
    return bytes(body)


def json_answer(value: dict[str, Any] | list[dict[str, Any]], *, status: int = 200) -> Response:
    """Return an answer that nobody keeps."""
    return Response(json.dumps(value), status, {"Cache-Control": "no-store"}, "application/json")
