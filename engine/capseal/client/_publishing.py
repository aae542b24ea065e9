"""publish(): the seal first, then what the server still misses, in parallel; then one request makes it visible."""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from ..bundle.pipeline import Progress
from ..bundle.verify import inspect
from ..capgo import attached
from ..errors import TruncatedError, UsageError
from ..format.seal import seal_bytes_of
from ..http import paths
from ..http.limits import RUN_BYTES
from ..http.shapes import (
    ArrivingDescription,
    ReleaseDescription,
    Span,
    UploadDescription,
    begun_from_json,
    published_from_json,
)
from ..io.source import Source, open_source
from ._connection import Connection, StartOverError
from ._parallel import run_all, serialised

JOBS = 4

_BEGINNINGS = 3


def publish(
    bundle: str | os.PathLike[str],
    connection: Connection,
    *,
    seal: str | os.PathLike[str] | None = None,
    capgo: str | os.PathLike[str] | None = None,
    jobs: int = JOBS,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Publish a sealed bundle and return the release as the server describes it.

    bundle: a file: an attached sealed bundle or, with `seal`, a payload. capgo: the Capgo file that the
    seal vouches for; a server that answers Capgo's plugin demands it. Goes on where an upload of the same
    bundle was interrupted; the same again changes nothing. Raises RejectedError where the server refuses
    the bundle, or the Capgo file is not the one that the seal vouches for, TransferError, UsageError, OSError.
    """
    with ExitStack() as stack:
        source = _open(bundle, stack)
        seal_bytes = _split_seal(bundle, source) if seal is None else _read_whole(seal)
        beside = None if capgo is None else _Beside.of(seal_bytes, _open(capgo, stack))
        for _ in range(_BEGINNINGS - 1):
            try:
                return _publish(source, seal_bytes, beside, connection, jobs, progress).to_json()
            except StartOverError:
                continue
        return _publish(source, seal_bytes, beside, connection, jobs, progress).to_json()


def withdraw(connection: Connection, *, app: str, channel: str, sequence: int) -> dict[str, Any]:
    """Withdraw a release and return it; the connection needs a token. Raises TransferError, UsageError."""
    path = paths.filled(paths.RELEASE, app=app, channel=channel, sequence=sequence)
    return connection.retried(lambda: connection.ask("DELETE", path, ReleaseDescription.from_json)).to_json()


@dataclass(frozen=True, slots=True)
class _Beside:
    """The Capgo file of a seal, all of it checked, and its index."""

    source: Source
    index: bytes

    @classmethod
    def of(cls, seal: bytes, source: Source) -> "_Beside":
        """Raises RejectedError where the file is not the seal's, UsageError where the seal has none."""
        found = attached(inspect(io.BytesIO(seal))[1])
        if found is None:
            raise UsageError(f"{source.name}: the seal vouches for no Capgo file")
        return cls(source, found.index(source).entries)


def _publish(
    source: Source,
    seal: bytes,
    beside: _Beside | None,
    connection: Connection,
    jobs: int,
    progress: Progress | None,
) -> ReleaseDescription:
    begun = connection.retried(lambda: connection.ask("POST", paths.UPLOADS, begun_from_json, content=seal))
    if beside is not None and begun.capgo is None:
        published = isinstance(begun, ReleaseDescription)
        why = f"published sequence {begun.sequence} without it" if published else "takes none"
        raise UsageError(f"{beside.source.name}: a Capgo file, but {connection.url} {why}")
    if isinstance(begun, ReleaseDescription):
        return begun
    size = begun.payload.size
    if source.size != size:
        raise TruncatedError(
            f"{source.name}: payload has {source.size} bytes, the seal says {size}",
            expected=size,
            actual=source.size or 0,
        )
    sources: list[tuple[Source, str, int, tuple[Span, ...]]] = [
        (source, paths.filled(paths.UPLOAD_PAYLOAD, id=begun.id), size, begun.missing)
    ]
    arriving = _send_index(begun, beside, connection)
    if arriving is not None and beside is not None:
        path = paths.filled(paths.UPLOAD_CAPGO, id=begun.id)
        sources.append((beside.source, path, arriving.payload.size, arriving.missing))
    pieces = [
        (source, path, size, start, stop) for source, path, size, missing in sources for start, stop in _pieces(missing)
    ]
    report = serialised(progress)
    report(sum(size for _, _, size, _ in sources) - sum(stop - start for _, _, _, start, stop in pieces))

    def put(source: Source, path: str, size: int, start: int, stop: int) -> None:
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}
        piece = source.peek(start, stop - start)
        if len(piece) != stop - start:
            raise TruncatedError(
                f"{source.name}: ends early: {start + len(piece)} bytes, the seal says {size}",
                expected=size,
                actual=start + len(piece),
            )
        connection.retried(
            lambda: connection.ask("PUT", path, UploadDescription.from_json, content=piece, headers=headers)
        )
        report(stop - start)

    run_all(put, pieces, jobs=jobs)
    for sent, *_ in sources:
        sent.check_unchanged()
    upload = paths.filled(paths.UPLOAD, id=begun.id)
    return connection.retried(lambda: connection.ask("POST", upload, published_from_json))


def _send_index(begun: UploadDescription, beside: _Beside | None, connection: Connection) -> ArrivingDescription | None:
    """Send the index of the Capgo file where it is missing, and return what the server knows of the file then."""
    if begun.capgo is None:
        return None
    if beside is None:
        raise UsageError(f"{connection.url}: demands the Capgo file that the seal vouches for (--capgo FILE)")
    if begun.capgo.index_missing:
        path = paths.filled(paths.UPLOAD_CAPGO_INDEX, id=begun.id)
        parse = UploadDescription.from_json
        return connection.retried(lambda: connection.ask("PUT", path, parse, content=beside.index)).capgo
    return begun.capgo


def _pieces(missing: Iterable[Span]) -> Iterator[tuple[int, int]]:
    """Cut the missing spans at the grid of the server's parts."""
    for start, stop in missing:
        at = start
        while at < stop:
            end = min(stop, (at // RUN_BYTES + 1) * RUN_BYTES)
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


def _open(path: str | os.PathLike[str], stack: ExitStack) -> Source:
    """Open a regular file until the stack is left."""
    source = stack.enter_context(closing(open_source(path)))
    if source.size is None or not source.seekable:
        raise UsageError(f"{source.name}: a regular file is needed to publish")
    return source
