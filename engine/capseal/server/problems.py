"""Errors as RFC 9457 problem details; which exception becomes which status stands here and nowhere else."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..errors import (
    FormatError,
    NotForUsError,
    RejectedError,
    RollbackError,
    SignatureError,
    TamperedError,
    TransferError,
    TruncatedError,
)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:capseal:problem:"

_REJECTED: tuple[tuple[type[RejectedError], int, str, str], ...] = (
    (FormatError, 400, "format", "The bundle does not parse"),
    (SignatureError, 403, "signature", "No sufficient trusted signature"),
    (NotForUsError, 403, "not-for-us", "The bundle is not for this server"),
    (RollbackError, 409, "rollback", "The sequence is not above the latest one"),
    (TamperedError, 422, "tampered", "The bytes do not match the signed index"),
    (TruncatedError, 422, "truncated", "The size is not the signed one"),
)


class Problem(Exception):  # noqa: N818 - an answer, not only an error
    """An answer other than success. slug: the last part of the problem's type."""

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.headers = dict(headers or {})
        self.body = {
            "type": TYPE_PREFIX + slug,
            "title": title,
            "status": status,
            "detail": detail,
            **{name: value for name, value in members.items() if value is not None},
        }

    def response(self) -> Response:
        """Return the problem as a response."""
        return Response(json.dumps(self.body), self.status, self.headers, MEDIA_TYPE)


def rejected(error: RejectedError, **members: Any) -> Problem:
    """Return the problem for a bundle that is not acceptable."""
    for kind, status, slug, title in _REJECTED:
        if isinstance(error, kind):
            for name in ("segment", "offset", "expected", "actual", "floor", "sequence"):
                members.setdefault(name, getattr(error, name, None))
            return Problem(status, slug, title, str(error), error=type(error).__name__, **members)
    raise TypeError(f"{type(error).__name__} has no problem type")


def too_large(what: str, actual: int, limit: int) -> Problem:
    """Return the problem for something over its limit."""
    return Problem(
        413, "too-large", "Over a limit of this server", f"{what} of {actual} bytes, at most {limit} are allowed"
    )


def too_slow(detail: str) -> Problem:
    """Return the problem for a body that comes too slowly."""
    return Problem(408, "too-slow", "The request came too slowly", detail)


def busy(detail: str) -> Problem:
    """Return the problem for a server that has no room just now."""
    return Problem(503, "busy", "Too much at once", detail, headers={"Retry-After": "2"})


def unavailable(detail: str) -> Problem:
    """Return the problem for a storage that does not answer, or does not hold what was put there."""
    return Problem(503, "storage", "The storage failed", detail, headers={"Retry-After": "10"})


async def on_problem(request: Request, error: Problem) -> Response:
    """Answer a Problem."""
    return error.response()


async def on_rejected(request: Request, error: RejectedError) -> Response:
    """Answer a RejectedError."""
    return rejected(error).response()


async def on_transfer_error(request: Request, error: TransferError) -> Response:
    """Answer a TransferError: the storage failed; its own words are for the log only."""
    request.app.state.log.error("storage failed", extra={"members": {"error": str(error)[:500]}})
    return unavailable("the storage did not answer as it should; see the server's log").response()


async def on_http_exception(request: Request, error: HTTPException) -> Response:
    """Answer what Starlette itself refuses: unknown paths and methods."""
    slug = {404: "not-found", 405: "method"}.get(error.status_code, "http")
    problem = Problem(error.status_code, slug, error.detail, f"{request.method} {request.url.path[:200]}")
    problem.headers = dict(error.headers or {})
    return problem.response()
