"""publish(): the seal first, then what the server still misses, in parallel; then one request makes it visible."""

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from ..errors import TruncatedError, UsageError
from ..params import SEGMENT_BYTES
from ..pipeline import Progress
from ..seals import seal_bytes_of
from ..source import Source, open_source
from ..statement import check_name
from ..verifying import inspect
from .connection import Connection, StartOverError
from .parallel import run_all, serialised

JOBS = 4

_BEGINNINGS = 3

PIECE_BYTES = 16 * SEGMENT_BYTES
"""What goes in one request: a part of the server's, and all that a broken connection can cost."""


def publish(
    bundle: str | os.PathLike[str],
    connection: Connection,
    *,
    seal: str | os.PathLike[str] | None = None,
    jobs: int = JOBS,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Publish a sealed bundle and return the release as the server describes it.

    bundle: a file: an attached sealed bundle or, with `seal`, a payload. Goes on where an upload of the
    same bundle was interrupted; the same again changes nothing. Raises RejectedError where the server
    refuses the bundle, TransferError, UsageError, OSError.
    """
    with closing(open_source(bundle)) as source:
        if source.size is None or not source.seekable:
            raise UsageError(f"{source.name}: a regular file is needed to publish")
        seal_bytes = _split_seal(bundle, source) if seal is None else _read_whole(seal)
        for _ in range(_BEGINNINGS - 1):
            try:
                return _publish(source, seal_bytes, connection, jobs, progress)
            except StartOverError:
                continue
        return _publish(source, seal_bytes, connection, jobs, progress)


def withdraw(connection: Connection, *, app: str, channel: str, sequence: int) -> dict[str, Any]:
    """Withdraw a release and return it; the connection needs a token. Raises TransferError, UsageError."""
    path = f"/v1/apps/{check_name(app, 'app')}/channels/{check_name(channel, 'channel')}/releases/{sequence}"
    release: dict[str, Any] = connection.retried(lambda: connection.ask("DELETE", path))
    return release


def _publish(
    source: Source, seal: bytes, connection: Connection, jobs: int, progress: Progress | None
) -> dict[str, Any]:
    begun = connection.retried(lambda: connection.ask("POST", "/v1/uploads", content=seal))
    if "release" in begun:
        release: dict[str, Any] = begun["release"]
        return release
    size = int(begun["payload"]["size"])
    if source.size != size:
        raise TruncatedError(
            f"{source.name}: payload has {source.size} bytes, the seal says {size}",
            expected=size,
            actual=source.size or 0,
        )
    spans = list(_pieces(begun["missing"]))
    report = serialised(progress)
    report(size - sum(stop - start for start, stop in spans))

    def put(start: int, stop: int) -> None:
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}
        piece = source.peek(start, stop - start)
        if len(piece) != stop - start:
            raise TruncatedError(
                f"{source.name}: payload ends early: {start + len(piece)} bytes, the seal says {size}",
                expected=size,
                actual=start + len(piece),
            )
        connection.retried(lambda: connection.ask("PUT", begun["links"]["payload"], content=piece, headers=headers))
        report(stop - start)

    run_all(put, spans, jobs=jobs)
    source.check_unchanged()
    published: dict[str, Any] = connection.retried(lambda: connection.ask("POST", begun["links"]["self"]))["release"]
    return published


def _pieces(missing: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Cut the missing spans at the grid of the server's parts."""
    for start, stop in missing:
        at = start
        while at < stop:
            end = min(stop, (at // PIECE_BYTES + 1) * PIECE_BYTES)
            yield at, end
            at = end


def _split_seal(bundle: str | os.PathLike[str], source: Source) -> bytes:
    """Return the seal of an attached bundle, and make the payload's start the source's."""
    envelope, statement = inspect(bundle)
    size = seal_bytes_of(len(envelope.encode()), statement.payload.size)
    seal = source.peek(0, size)
    source.rebase(len(seal))
    return seal


def _read_whole(path: str | os.PathLike[str]) -> bytes:
    with open(path, "rb") as file:
        return file.read()
