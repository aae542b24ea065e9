"""publish(): the seal first, then what the server still misses, in parallel; then one request makes it visible."""

import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from ..bundle.companions import checked_index
from ..bundle.pipeline import Progress
from ..bundle.verify import inspect
from ..errors import TransferError, TruncatedError, UsageError
from ..format.seal import seal_bytes_of
from ..format.statement import Companion, Statement
from ..http import paths
from ..http.limits import RUN_BYTES
from ..http.shapes import (
    ReleaseDescription,
    Span,
    UploadDescription,
    begun_from_json,
    published_from_json,
)
from ..io.source import Source, open_source
from ._connection import Connection, NoReleaseError, StartOverError
from ._parallel import run_all, serialised

JOBS = 4

_BEGINNINGS = 3


def publish(
    bundle: str | os.PathLike[str],
    connection: Connection,
    *,
    seal: str | os.PathLike[str] | None = None,
    companions: Mapping[str, str | os.PathLike[str]] | None = None,
    jobs: int = JOBS,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Publish a sealed bundle and return the release as the server describes it.

    bundle: a file: an attached sealed bundle or, with `seal`, a payload. companions: where those are that
    the seal vouches for, by their names; the others are looked for beside the bundle, under their names. Goes on
    where an upload of the same bundle was interrupted; the same again changes nothing. Raises RejectedError
    where the server refuses the bundle, or a companion is not the one that the seal vouches for, TransferError,
    UsageError, OSError.
    """
    with ExitStack() as stack:
        source = _open(bundle, stack)
        seal_bytes = _split_seal(bundle, source) if seal is None else _read_whole(seal)
        statement = inspect(io.BytesIO(seal_bytes))[1]
        files = _companion_files(statement, companions or {}, os.path.dirname(os.fspath(bundle)))
        opened = [_Companion.of(one, _open(files[one.name], stack)) for one in statement.companions]
        for _ in range(_BEGINNINGS - 1):
            try:
                return _publish(source, seal_bytes, opened, connection, jobs, progress).to_json()
            except StartOverError:
                continue
        return _publish(source, seal_bytes, opened, connection, jobs, progress).to_json()


def withdraw(connection: Connection, *, app: str, channel: str, sequence: int) -> dict[str, Any]:
    """Withdraw a release and return it; the connection needs a token. Raises TransferError, UsageError."""
    path = paths.filled(paths.RELEASE, app=app, channel=channel, sequence=sequence)
    return connection.retried(lambda: connection.ask("DELETE", path, ReleaseDescription.from_json)).to_json()


def find_release(connection: Connection, *, app: str, channel: str, sequence: int) -> dict[str, Any] | None:
    """Return a release as the server describes it, a withdrawn one too, or None where it never had it.

    Raises TransferError, UsageError.
    """
    path = paths.filled(paths.RELEASE, app=app, channel=channel, sequence=sequence)
    try:
        return connection.retried(lambda: connection.ask("GET", path, ReleaseDescription.from_json)).to_json()
    except NoReleaseError:
        return None


@dataclass(frozen=True, slots=True)
class _Companion:
    """A companion, all of it checked, and its index."""

    name: str
    source: Source
    index: bytes

    @classmethod
    def of(cls, companion: Companion, source: Source) -> "_Companion":
        """Raises RejectedError where a source is not the companion."""
        return cls(companion.name, source, checked_index(companion, source).entries)


def _companion_files(
    statement: Statement, named: Mapping[str, str | os.PathLike[str]], beside: str
) -> dict[str, str | os.PathLike[str]]:
    """Return where each companion of a seal is. Raises UsageError."""
    wanted = [one.name for one in statement.companions]
    for name in named:
        if name not in wanted:
            raise UsageError(f"{name}: the seal vouches for no such attachment")
    files: dict[str, str | os.PathLike[str]] = {}
    for name in wanted:
        files[name] = named.get(name) or os.path.join(beside, name)
        if name not in named and not os.path.exists(files[name]):
            raise UsageError(f"{name}: the seal vouches for it, and no such file is beside the bundle")
    return files


@dataclass(frozen=True, slots=True)
class _Sending:
    """A payload of an upload: where its bytes are, where they go, and which the server misses."""

    source: Source
    path: str
    size: int
    missing: tuple[Span, ...]


def _publish(
    source: Source,
    seal: bytes,
    companions: Sequence[_Companion],
    connection: Connection,
    jobs: int,
    progress: Progress | None,
) -> ReleaseDescription:
    begun = connection.retried(lambda: connection.ask("POST", paths.UPLOADS, begun_from_json, content=seal))
    if isinstance(begun, ReleaseDescription):
        return begun
    size = begun.payload.size
    if source.size != size:
        raise TruncatedError(
            f"{source.name}: payload has {source.size} bytes, the seal says {size}",
            expected=size,
            actual=source.size or 0,
        )
    sending = [_Sending(source, paths.filled(paths.UPLOAD_PAYLOAD, id=begun.id), size, begun.missing)]
    sending += [_send_index(begun, one, connection) for one in companions]
    pieces = [(one, start, stop) for one in sending for start, stop in _pieces(one.missing)]
    report = serialised(progress)
    report(sum(one.size for one in sending) - sum(stop - start for _, start, stop in pieces))

    def put(one: _Sending, start: int, stop: int) -> None:
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{one.size}"}
        piece = one.source.peek(start, stop - start)
        if len(piece) != stop - start:
            raise TruncatedError(
                f"{one.source.name}: ends early: {start + len(piece)} bytes, the seal says {one.size}",
                expected=one.size,
                actual=start + len(piece),
            )
        parse = UploadDescription.from_json
        connection.retried(lambda: connection.ask("PUT", one.path, parse, content=piece, headers=headers))
        report(stop - start)

    run_all(put, pieces, jobs=jobs)
    for one in sending:
        one.source.check_unchanged()
    upload = paths.filled(paths.UPLOAD, id=begun.id)
    return connection.retried(lambda: connection.ask("POST", upload, published_from_json))


def _send_index(begun: UploadDescription, companion: _Companion, connection: Connection) -> _Sending:
    """Send a companion's index where the server misses it, and return what it misses of the companion then."""
    name = companion.name
    arriving = begun.attachments.get(name)
    if arriving is not None and arriving.index_missing:
        path = paths.filled(paths.UPLOAD_ATTACHMENT_INDEX, id=begun.id, name=name)
        parse = UploadDescription.from_json
        answer = connection.retried(lambda: connection.ask("PUT", path, parse, content=companion.index))
        arriving = answer.attachments.get(name)
    if arriving is None:
        raise TransferError(f"{connection.url}: takes no attachment {name}, for which the seal vouches")
    path = paths.filled(paths.UPLOAD_ATTACHMENT, id=begun.id, name=name)
    return _Sending(companion.source, path, arriving.payload.size, arriving.missing)


def _pieces(missing: Iterable[Span]) -> Iterator[tuple[int, int]]:
    """Cut the missing spans at the grid of the server's runs."""
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
