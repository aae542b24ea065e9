"""Errors as RFC 9457 problem details: every type with its status, and which exception travels as which."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import (
    FormatError,
    NotForUsError,
    RejectedError,
    RollbackError,
    SignatureError,
    StaleError,
    TamperedError,
    TruncatedError,
)

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of answer other than success. name: the last part of its URN."""

    name: str
    status: int
    title: str

    @property
    def urn(self) -> str:
        """The problem's `type`."""
        return f"urn:capseal:problem:{self.name}"


FORMAT = ProblemType("format", 400, "The bundle does not parse")
SIGNATURE = ProblemType("signature", 403, "No sufficient trusted signature")
NOT_FOR_US = ProblemType("not-for-us", 403, "The bundle is not for this server")
ROLLBACK = ProblemType("rollback", 409, "The sequence is not above the latest one")
STALE = ProblemType("stale", 409, "It has expired")
TAMPERED = ProblemType("tampered", 422, "The bytes do not match the signed index")
TRUNCATED = ProblemType("truncated", 422, "The size is not the signed one")

NAME = ProblemType("name", 400, "Not a name")
SEQUENCE = ProblemType("sequence", 400, "Not a sequence")
PAGE = ProblemType("page", 400, "Not a page of a list")
CONTENT_RANGE = ProblemType("content-range", 400, "Content-Range cannot be used")
CONTENT_LENGTH = ProblemType("content-length", 400, "Content-Length does not fit")
SPELLING = ProblemType("spelling", 400, "The request is not spelled as it has to be")
SHORT_BODY = ProblemType("short-body", 400, "The body ended early")
TOKEN = ProblemType("token", 401, "A token is needed")
NO_TOKEN = ProblemType("no-token", 403, "Not possible without a token")
FORBIDDEN = ProblemType("forbidden", 403, "Not among the token's rights")
NOT_FOUND = ProblemType("not-found", 404, "Not Found")
NO_RELEASE = ProblemType("no-release", 404, "No such release")
NO_UPLOAD = ProblemType("no-upload", 404, "No such upload")
NO_ATTACHMENT = ProblemType("no-attachment", 404, "No such attachment")
NO_HEAD = ProblemType("no-head", 404, "No such head, recall or trust update")
METHOD = ProblemType("method", 405, "Method Not Allowed")
TOO_SLOW = ProblemType("too-slow", 408, "The request came too slowly")
NOT_NEXT = ProblemType("not-next", 409, "Not what follows what is here")
INCOMPLETE = ProblemType("incomplete", 409, "Something is missing")
NO_INDEX = ProblemType("no-index", 409, "The index is missing")
WITHDRAWN = ProblemType("withdrawn", 410, "The release was withdrawn")
TOO_LARGE = ProblemType("too-large", 413, "Over a limit of this server")
RANGE = ProblemType("range", 416, "Range not satisfiable")
BUG = ProblemType("bug", 500, "The server failed")
BUSY = ProblemType("busy", 503, "Too much at once")
STORAGE = ProblemType("storage", 503, "The storage failed")

_REJECTED: Final[tuple[tuple[type[RejectedError], ProblemType, tuple[str, ...]], ...]] = (
    (FormatError, FORMAT, ("offset",)),
    (SignatureError, SIGNATURE, ()),
    (NotForUsError, NOT_FOR_US, ()),
    (RollbackError, ROLLBACK, ("floor", "sequence")),
    (StaleError, STALE, ()),
    (TamperedError, TAMPERED, ("segment", "offset")),
    (TruncatedError, TRUNCATED, ("expected", "actual")),
)
_NEVER_NONE: Final = (RollbackError, TruncatedError)


def of_rejection(error: RejectedError) -> tuple[ProblemType, dict[str, Any]]:
    """Return the type that a rejection travels as, and the members that say where."""
    for kind, problem, numbers in _REJECTED:
        if isinstance(error, kind):
            return problem, {"error": kind.__name__, **{name: getattr(error, name) for name in numbers}}
    raise TypeError(f"{type(error).__name__} has no problem type")


def rejection_in(problem: Mapping[str, Any], text: str) -> RejectedError | None:
    """Return the rejection that a problem's members tell of, with that text, or None where they tell of none."""
    for kind, _, numbers in _REJECTED:
        if problem.get("error") == kind.__name__:
            missing = 0 if kind in _NEVER_NONE else None
            found = {name: problem.get(name) for name in numbers}
            return kind(text, **{name: value if type(value) is int else missing for name, value in found.items()})
    return None
