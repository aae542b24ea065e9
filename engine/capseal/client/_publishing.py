"""publish(): the seal first, then what the server still misses, in parallel; then one request makes it visible."""

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..bundle.companions import checked_index
from ..bundle.pipeline import Progress
from ..bundle.reading_order import check_seal_end, parse_seal, pull
from ..bundle.verify import inspect
from ..errors import FormatError, TransferError, TruncatedError, UsageError
from ..format.seal import seal_bytes_of
from ..format.statement import Companion, Payload, Statement
from ..format.strictjson import Members
from ..format.tree import segment_count
from ..http import paths
from ..http.limits import MAX_DESCRIPTION_BYTES, MISSING_BYTES
from ..http.shapes import (
    PayloadDescription,
    ReleaseDescription,
    Span,
    UploadDescription,
    begun_from_json,
    published_from_json,
)
from ..io.source import Source, open_source
from ._connection import Connection, NoReleaseError, StartOverError
from ._parallel import serialised
from ._sending import Sending, send_all

JOBS = 4

_BEGINNINGS = 3
_PAGE_ITEMS = 100
_PAGE_BYTES = 16 * MAX_DESCRIPTION_BYTES


def publish(
    bundle: str | os.PathLike[str],
    connection: Connection,
    *,
    seal: str | os.PathLike[str] | None = None,
    companions: Mapping[str, str | os.PathLike[str]] | None = None,
    jobs: int = JOBS,
    progress: Progress | None = None,
    expecting: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Publish a sealed bundle and return the release as the server describes it.

    bundle: a file: an attached sealed bundle or, with `seal`, a payload. companions: where those are that
    the seal vouches for, by their names; the others are looked for beside the bundle, under its name and theirs
    (BUNDLE.NAME, or as fetch() writes them), or theirs alone. Goes on
    where an upload of the same bundle was interrupted; the same again changes nothing. expecting: told once,
    before any progress, how many bytes are signed of payload and companions. Where anything goes is derived
    from the seal, whatever the server's own links say. Raises RejectedError where the server refuses the bundle,
    or a companion is not the one that the seal vouches for, TransferError, UsageError, OSError.
    """
    with ExitStack() as stack:
        source = _open(bundle, stack)
        seal_bytes = _split_seal(bundle, source) if seal is None else _detached_seal(seal)
        statement = inspect(io.BytesIO(seal_bytes))[1]
        files = _companion_files(statement, companions or {}, os.fspath(bundle))
        if source.size != statement.payload.size:
            text = f"payload has {source.size} bytes, the seal says {statement.payload.size}"
            if seal is None and not source.size:
                text += "; this is the seal alone: publish the payload beside it"
            raise TruncatedError(
                f"{source.name}: {text}",
                expected=statement.payload.size,
                actual=source.size or 0,
            )
        opened = [_Companion.of(one, _open(files[one.name], stack)) for one in statement.companions]
        upload = _Upload(connection, seal_bytes, statement)
        if expecting is not None:
            expecting(statement.payload.size + sum(one.size for one in statement.companions))
        return _begun_again(lambda: _publish(upload, source, opened, jobs, progress)).to_json()


def publish_stored(seal: bytes, connection: Connection) -> dict[str, Any]:
    """Publish a bundle whose payload was sealed into the server's store, and return the release as the server tells it.

    Nothing but the seal is sent. The same again changes nothing. Raises RejectedError where the server refuses it,
    UsageError where it misses some of the payload, TransferError.
    """
    upload = _Upload(connection, seal, inspect(io.BytesIO(seal))[1])

    def publish() -> ReleaseDescription:
        begun = upload.begin()
        if isinstance(begun, ReleaseDescription):
            return begun
        attachments = begun.attachments.values()
        missing = [*begun.missing, *(span for one in attachments for span in one.missing)]
        if missing:
            raise UsageError(
                f"{connection.url}: misses {sum(stop - start for start, stop in missing)} bytes; the parts are not in "
                "its store, below parts/, or not all of them"
            )
        return upload.publish()

    return _begun_again(publish).to_json()


def _begun_again(publish: Callable[[], ReleaseDescription]) -> ReleaseDescription:
    """Do it, and a few times more where the server has forgotten an upload meanwhile."""
    for _ in range(_BEGINNINGS - 1):
        try:
            return publish()
        except StartOverError:
            continue
    return publish()


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


def listed_releases(connection: Connection, *, app: str, channel: str) -> Iterator[ReleaseDescription]:
    """Yield what a server lists of an app and channel, newest first, withdrawn ones too, as nobody has verified it.

    Raises TransferError, UsageError.
    """
    path = paths.filled(paths.RELEASES, app=app, channel=channel)
    below: dict[str, int] = {}
    while True:
        page = partial(
            connection.ask, "GET", path, _parsed_page, params={"limit": _PAGE_ITEMS, **below}, most=_PAGE_BYTES
        )
        try:
            releases, more = connection.in_time(page, "list of releases")
        except NoReleaseError:
            return
        yield from releases
        if not more or not releases:
            return
        lowest = releases[-1].sequence
        if lowest >= below.get("below", lowest + 1):
            raise TransferError(f"{connection.url}: lists sequence {lowest} of {app} on {channel} again")
        below = {"below": lowest}


def _parsed_page(value: Any) -> tuple[list[ReleaseDescription], bool]:
    members = Members(value, "answer", required=("releases",), optional=("next",))
    items = members.array("releases", least=0, most=_PAGE_ITEMS)
    return [ReleaseDescription.from_json(one) for one in items], "next" in members


@dataclass(frozen=True, slots=True)
class _Companion:
    """A companion, all of it checked, and its index."""

    name: str
    source: Source
    index: bytes

    @classmethod
    def of(cls, companion: Companion, source: Source) -> "_Companion":
        """Raises RejectedError where a source is not the companion."""
        return cls(companion.name, source, checked_index(companion, source).whole())


def _companion_files(
    statement: Statement, named: Mapping[str, str | os.PathLike[str]], bundle: str
) -> dict[str, str | os.PathLike[str]]:
    """Return where each companion of a seal is. Raises UsageError."""
    wanted = [one.name for one in statement.companions]
    for name in named:
        if name not in wanted:
            raise UsageError(f"{name}: the seal vouches for no such attachment")
    files: dict[str, str | os.PathLike[str]] = {}
    for name in wanted:
        beside = (
            f"{bundle}.{name}",
            f"{bundle.removesuffix('.payload')}.attachment.{name}",
            os.path.join(os.path.dirname(bundle), name),
        )
        found = named.get(name) or next(filter(os.path.exists, beside), None)
        if found is None:
            raise UsageError(f"{name}: the seal vouches for it, and no such file is beside the bundle")
        files[name] = found
    return files


class _Upload:
    """What the server says of an upload, believed only where it is about this bundle.

    Nothing of it decides where anything is sent: an upload's id is its seal's SHA-256. Raises TransferError.
    """

    def __init__(self, connection: Connection, seal: bytes, statement: Statement) -> None:
        self.connection = connection
        self.seal = seal
        self.id = hashlib.sha256(seal).hexdigest()
        self.statement = statement
        sizes = [statement.payload.size, *(one.size for one in statement.companions)]
        self._most = MAX_DESCRIPTION_BYTES + MISSING_BYTES * sum(map(segment_count, sizes))

    def path(self, template: str, **names: str) -> str:
        """Return the path of something that belongs to it."""
        return paths.filled(template, id=self.id, **names)

    def ask(self, method: str, path: str, **keywords: Any) -> UploadDescription:
        """Send one request, once, and return what it says of the upload."""

        def parse(value: Any) -> UploadDescription:
            return self._checked(UploadDescription.from_json(value))

        return self.connection.ask(method, path, parse, most=self._most, **keywords)

    def begin(self) -> UploadDescription | ReleaseDescription:
        """Send the seal, and return the upload, or the release where it is published already."""

        def parse(value: Any) -> UploadDescription | ReleaseDescription:
            begun = begun_from_json(value)
            return self._checked(begun) if isinstance(begun, UploadDescription) else self._checked_release(begun)

        connection = self.connection
        keywords = {"content": self.seal, "timeout": connection.answer_timeout}
        return connection.retried(lambda: connection.ask("POST", paths.UPLOADS, parse, most=self._most, **keywords))

    def put_index(self, name: str, index: bytes) -> UploadDescription:
        """Send a companion's index, and return the upload."""
        connection, path = self.connection, self.path(paths.UPLOAD_ATTACHMENT_INDEX, name=name)
        return connection.retried(lambda: self.ask("PUT", path, content=index, timeout=connection.answer_timeout))

    def publish(self) -> ReleaseDescription:
        """Publish it."""

        def parse(value: Any) -> ReleaseDescription:
            return self._checked_release(published_from_json(value))

        connection, path = self.connection, self.path(paths.UPLOAD)
        timeout = connection.answer_timeout
        return connection.retried(lambda: connection.ask("POST", path, parse, timeout=timeout))

    def missing(self, name: str | None, described: UploadDescription | None = None) -> tuple[Span, ...]:
        """Return what the server misses of the payload, or of the companion of that name; it is asked once."""
        described = described or self.ask("GET", self.path(paths.UPLOAD))
        return described.missing if name is None else described.attachments[name].missing

    def _checked(self, described: UploadDescription) -> UploadDescription:
        companions = {name: one.payload for name, one in described.attachments.items()}
        if described.id != self.id:
            raise FormatError(f"upload {described.id[:16]} is not that of the seal, {self.id[:16]}")
        self._check(described, companions)
        return described

    def _checked_release(self, release: ReleaseDescription) -> ReleaseDescription:
        self._check(release, release.attachments)
        return release

    def _check(
        self, said: UploadDescription | ReleaseDescription, companions: Mapping[str, PayloadDescription]
    ) -> None:
        signed = self.statement
        if (said.app, said.channel, said.sequence) != (signed.app, signed.channel, signed.sequence):
            raise FormatError(
                f"is about {said.app} on {said.channel}, sequence {said.sequence}, "
                f"not {signed.app} on {signed.channel}, sequence {signed.sequence}"
            )
        if said.payload != _described(signed.payload):
            raise FormatError("is about another payload than that of the seal")
        if companions != {one.name: _described(one.payload) for one in signed.companions}:
            raise FormatError("is about other attachments than those that the seal vouches for")


def _described(payload: Payload) -> PayloadDescription:
    return PayloadDescription(payload.size, payload.digest.hex())


def _publish(
    upload: _Upload, source: Source, companions: Sequence[_Companion], jobs: int, progress: Progress | None
) -> ReleaseDescription:
    begun = upload.begin()
    if isinstance(begun, ReleaseDescription):
        return begun
    sending = [_sending(upload, begun, None, source)]
    for one in companions:
        described = begun
        if begun.attachments[one.name].index_missing:
            described = upload.put_index(one.name, one.index)
        sending.append(_sending(upload, described, one.name, one.source))
    send_all(upload.connection, sending, jobs=jobs, report=serialised(progress))
    for sent in sending:
        sent.source.check_unchanged()
    return upload.publish()


def _sending(upload: _Upload, described: UploadDescription, name: str | None, source: Source) -> Sending:
    """Return what is to be sent of the payload, or of the companion of that name."""
    if name is None:
        path, size = upload.path(paths.UPLOAD_PAYLOAD), described.payload.size
    else:
        path, size = upload.path(paths.UPLOAD_ATTACHMENT, name=name), described.attachments[name].payload.size
    return Sending(source, path, size, upload.missing(name, described), lambda: upload.missing(name))


def _split_seal(bundle: str | os.PathLike[str], source: Source) -> bytes:
    """Return the seal of an attached bundle, and make the payload's start the source's."""
    envelope, statement = inspect(bundle)
    size = seal_bytes_of(len(envelope.encode()), statement.payload.size)
    seal = source.peek(0, size)
    source.rebase(len(seal))
    return seal


def _detached_seal(path: str | os.PathLike[str]) -> bytes:
    """Return a detached seal, of which no more is read than it says to have. Raises RejectedError, OSError."""
    with closing(open_source(path)) as source:
        seal = pull(parse_seal(), source)
        check_seal_end(source, seal)
        return seal.encode()


def _open(path: str | os.PathLike[str], stack: ExitStack) -> Source:
    """Open a regular file until the stack is left."""
    source = stack.enter_context(closing(open_source(path)))
    if source.size is None or not source.seekable:
        raise UsageError(f"{source.name}: a regular file is needed to publish")
    return source
