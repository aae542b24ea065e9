"""Problems (capseal.http.problems) as Starlette answers them."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..errors import RejectedError, TransferError
from ..http import problems
from ..http.problems import ProblemType
from ._logs import told


class Problem(Exception):  # noqa: N818 - an answer, not only an error
    """An answer other than success."""

    def __init__(
        self, kind: ProblemType, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.headers = dict(headers or {})
        self.body = {
            "type": kind.urn,
            "title": kind.title,
            "status": kind.status,
            "detail": detail,
            **{name: value for name, value in members.items() if value is not None},
        }

    def response(self) -> Response:
        """Return the problem as a response."""
        # What is not there now may be there in a moment: a cache that kept its absence would hide it.
        headers = {"Cache-Control": "no-store", **self.headers}
        return Response(json.dumps(self.body), self.kind.status, headers, problems.MEDIA_TYPE)


def rejected(error: RejectedError, **members: Any) -> Problem:
    """Return the problem for a bundle that is not acceptable."""
    kind, where = problems.of_rejection(error)
    return Problem(kind, str(error), **where, **members)


def too_large(what: str, actual: int, limit: int) -> Problem:
    """Return the problem for something over its limit."""
    return Problem(problems.TOO_LARGE, f"{what} of {actual} bytes, at most {limit} are allowed")


def busy(detail: str, *, headers: Mapping[str, str] | None = None) -> Problem:
    """Return the problem for a server that has no room just now."""
    return Problem(problems.BUSY, detail, headers={"Retry-After": "2", **(headers or {})})


def unavailable(detail: str) -> Problem:
    """Return the problem for a storage that does not answer, or does not hold what was put there."""
    return Problem(problems.STORAGE, detail, headers={"Retry-After": "10"})


async def on_problem(request: Request, error: Problem) -> Response:
    """Answer a Problem."""
    return error.response()


async def on_transfer_error(request: Request, error: TransferError) -> Response:
    """Answer a TransferError: the storage failed; its own words are for the log only."""
    request.app.state.log.error("storage failed", extra={"members": {"error": told(error)}})
    return unavailable("the storage did not answer as it should; see the server's log").response()


async def on_http_exception(request: Request, error: HTTPException) -> Response:
    """Answer what Starlette itself refuses: unknown paths and methods."""
    kind = {404: problems.NOT_FOUND, 405: problems.METHOD}.get(error.status_code)
    kind = kind or ProblemType("http", error.status_code, error.detail)
    return Problem(kind, f"{request.method} {request.url.path[:200]}", headers=error.headers).response()
