"""Heads and recalls of a channel, to a server and from it: bytes, which nobody here judges."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ..http import paths
from ._connection import Connection
from ._documents import fetch_document, put_document


def fetch_head(connection: Connection, *, app: str, channel: str) -> bytes | None:
    """Return the head that a server shows, or None where it says that it has none.

    Raises TransferError, TruncatedError for what is too long, UsageError.
    """
    path = paths.filled(paths.CHANNEL_HEAD, app=app, channel=channel)
    return fetch_document(connection, path, "head")


def fetch_recall(connection: Connection, digest: str, *, app: str, channel: str) -> bytes | None:
    """Return the recall of a digest that a server shows, or None where it says that it has none. Raises as above."""
    path = paths.filled(paths.CHANNEL_RECALL, app=app, channel=channel, digest=digest)
    return fetch_document(connection, path, "recall")


@contextmanager
def channel_head(url: str, *, app: str, channel: str) -> Iterator[tuple[bytes | None, Callable[[str], bytes | None]]]:
    """Give the head that a server shows, and what fetches the recall of a digest from there. Raises as above."""
    with Connection(url) as connection:
        yield (
            fetch_head(connection, app=app, channel=channel),
            lambda digest: fetch_recall(connection, digest, app=app, channel=channel),
        )


def put_head(
    connection: Connection,
    head: bytes,
    *,
    app: str,
    channel: str,
    restored: Iterable[int] = (),
    over: str | None = None,
) -> None:
    """Put a head in place of the one before it.

    restored: sequences whose withdrawal it drops. over: digest of the head that the server has, or `none`, where that
    is not the one before. Raises NotNextError where the server has another one, RejectedError where it does not count
    there, TransferError, UsageError.
    """
    path = paths.filled(paths.CHANNEL_HEAD, app=app, channel=channel)
    query = [("restore", str(sequence)) for sequence in restored] + ([] if over is None else [("over", over)])
    put_document(connection, path, head, _nothing, params=query)


def put_recall(connection: Connection, digest: str, recall: bytes, *, app: str, channel: str) -> None:
    """Bring a recall to where heads may name it. Raises RejectedError, TransferError, UsageError."""
    path = paths.filled(paths.CHANNEL_RECALL, app=app, channel=channel, digest=digest)
    put_document(connection, path, recall, _nothing)


def _nothing(value: Any) -> None:
    """Make nothing of an answer: that it came says it all."""
