"""Small signed documents that change in time, to a server and from it: bytes, which nobody here judges."""

from collections.abc import Callable
from typing import Any, TypeVar

from ..constants import MAX_ENVELOPE_BYTES
from ._connection import Connection, NoFileError, NoHeadError
from ._remote import read_small

T = TypeVar("T")

_FRESH = {"Cache-Control": "no-cache"}
"""Asks caches on the way to ask the server: who signs or follows what comes next needs the last one."""


def fetch_document(connection: Connection, path: str, what: str) -> bytes | None:
    """Return what is at a path, or None where the server says that it has none. what: it is called so in messages.

    Raises TransferError, TruncatedError for what is too long, UsageError.
    """
    try:
        return connection.in_time(lambda: read_small(connection, path, what, MAX_ENVELOPE_BYTES, headers=_FRESH), what)
    except (NoHeadError, NoFileError):
        return None


def put_document(connection: Connection, path: str, data: bytes, parse: Callable[[Any], T], **keywords: Any) -> T:
    """Bring a document to a path, and return what is made of the answer. keywords: of the request.

    Raises RejectedError, NotNextError, TransferError, UsageError.
    """
    timeout = connection.answer_timeout
    return connection.retried(lambda: connection.ask("PUT", path, parse, content=data, timeout=timeout, **keywords))
