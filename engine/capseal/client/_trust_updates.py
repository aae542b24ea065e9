"""Updates of a trust store, to a server and from it: bytes, which nobody here judges."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..http import paths
from ._connection import Connection
from ._documents import fetch_document, put_document

UpdateOf = Callable[[int], bytes | None]
"""Returns the update that brings a version of a trust store, where there is one."""


def fetch_update(connection: Connection, *, app: str, version: int) -> bytes | None:
    """Return the update that brings a version, or None where the server has none.

    Raises TransferError, TruncatedError for what is too long, UsageError.
    """
    path = paths.filled(paths.TRUST_UPDATE, app=app, version=version)
    return fetch_document(connection, path, "trust update")


@contextmanager
def trust_updates(url: str, *, app: str) -> Iterator[UpdateOf]:
    """Give what fetches the updates of a server. Raises as fetch_update() does."""
    with Connection(url) as connection:
        yield lambda version: fetch_update(connection, app=app, version=version)


def put_update(connection: Connection, update: bytes, *, app: str, version: int) -> int | None:
    """Bring an update to where devices follow it; return the version of the trust store that the server goes by then.

    None where it does not say. Raises RejectedError, NotNextError, TransferError, UsageError.
    """
    path = paths.filled(paths.TRUST_UPDATE, app=app, version=version)
    return put_document(connection, path, update, _in_force)


def _in_force(value: Any) -> int | None:
    said = value.get("in_force") if isinstance(value, dict) else None
    return said if type(said) is int else None
