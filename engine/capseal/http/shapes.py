"""What server and client tell one another in JSON, as values.

Encoded in one place and parsed in the same one. Parsing raises FormatError for everything that is missing,
mistyped or out of bounds; members that are unknown are ignored, so that a server may be newer than its client.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self

from ..constants import MAX_ATTACHMENTS, MAX_SIGNATURES
from ..errors import FormatError
from ..format.requires import Requires
from ..format.statement import Statement
from ..format.strictjson import Members, check_file_name, check_fingerprint, check_name, check_text, shown_time
from ..format.tree import segment_count
from . import paths

Span = tuple[int, int]
"""Bytes from the first number up to, not including, the second."""


class AppChannel(NamedTuple):
    """What releases are of: one app, and one of its channels."""

    app: str
    channel: str


_RELEASE_MEMBERS = (
    *("app", "channel", "sequence", "version", "created", "published", "withdrawn"),
    *("content", "payload", "attachments", "seal", "signers"),
)


@dataclass(frozen=True, slots=True)
class PayloadDescription:
    """A payload. size: bytes; digest: fs-verity, in hex."""

    size: int
    digest: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"size": self.size, "digest": {"fsverity-sha256": self.digest}}

    @classmethod
    def from_json(cls, value: Any, where: str) -> Self:
        """Parse such values. Raises FormatError."""
        members = _members(value, where, ("size", "digest"))
        return cls(members.integer("size", least=0), _digest(members, "fsverity-sha256"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDescription:
    """A release as clients see it. Sizes in bytes, digests in hex, times as in a statement."""

    app: str
    channel: str
    sequence: int
    version: str
    created: str
    published: str
    withdrawn: str | None
    content_name: str
    content_bytes: int
    payload: PayloadDescription
    attachments: Mapping[str, PayloadDescription]
    seal_bytes: int
    seal_digest: str
    signers: tuple[str, ...]
    requires: Requires | None = None

    @classmethod
    def of(
        cls,
        statement: Statement,
        attachments: Mapping[str, PayloadDescription],
        *,
        published: datetime,
        seal_bytes: int,
        seal_digest: str,
        signers: tuple[str, ...],
    ) -> Self:
        """Return the description of what a statement is about."""
        return cls(
            app=statement.app,
            channel=statement.channel,
            sequence=statement.sequence,
            version=statement.version,
            created=shown_time(statement.created),
            published=shown_time(published),
            withdrawn=None,
            content_name=statement.content.name,
            content_bytes=statement.content.size,
            payload=PayloadDescription(statement.payload.size, statement.payload.digest.hex()),
            attachments=attachments,
            seal_bytes=seal_bytes,
            seal_digest=seal_digest,
            signers=signers,
            requires=statement.requires,
        )

    @property
    def app_channel(self) -> AppChannel:
        """What it is a release of."""
        return AppChannel(self.app, self.channel)

    def links(self, mount: str = "") -> dict[str, str]:
        """Return where it and what belongs to it are."""
        names: dict[str, str | int] = {"app": self.app, "channel": self.channel, "sequence": self.sequence}
        return {
            "self": mount + paths.filled(paths.RELEASE, **names),
            "seal": mount + paths.filled(paths.RELEASE_SEAL, **names),
            "payload": mount + paths.filled(paths.RELEASE_PAYLOAD, **names),
        }

    def attachment_link(self, name: str) -> str:
        """Where one of its attachments is."""
        return paths.filled(
            paths.RELEASE_ATTACHMENT, app=self.app, channel=self.channel, sequence=self.sequence, name=name
        )

    def to_json(self, mount: str = "") -> dict[str, Any]:
        """Return it as JSON values. mount: what paths of the server begin with, as in a URL."""
        return {
            "app": self.app,
            "channel": self.channel,
            "sequence": self.sequence,
            "version": self.version,
            "created": self.created,
            "published": self.published,
            "withdrawn": self.withdrawn,
            "content": {"name": self.content_name, "size": self.content_bytes},
            "payload": self.payload.to_json(),
            "attachments": {
                name: {**one.to_json(), "link": mount + self.attachment_link(name)}
                for name, one in self.attachments.items()
            },
            "seal": {"size": self.seal_bytes, "digest": {"sha256": self.seal_digest}},
            "signers": list(self.signers),
            **({} if self.requires is None else {"requires": self.requires.to_json()}),
            "links": self.links(mount),
        }

    @classmethod
    def from_json(cls, value: Any, where: str = "release") -> Self:
        """Parse such values. Raises FormatError."""
        members = _members(value, where, _RELEASE_MEMBERS)
        content = _members(members.take("content", dict), members.place("content"), ("name", "size"))
        seal = _members(members.take("seal", dict), members.place("seal"), ("size", "digest"))
        return cls(
            app=members.text("app", check_name),
            channel=members.text("channel", check_name),
            sequence=members.integer("sequence", least=1),
            version=members.text("version", check_text),
            created=_time(members, "created"),
            published=_time(members, "published"),
            withdrawn=None if value["withdrawn"] is None else _time(members, "withdrawn"),
            content_name=content.text("name", check_file_name),
            content_bytes=content.integer("size", least=0),
            payload=PayloadDescription.from_json(members.take("payload", dict), members.place("payload")),
            attachments={
                name: PayloadDescription.from_json(one, place) for name, place, one in _named(members, "attachments")
            },
            seal_bytes=seal.integer("size", least=1),
            seal_digest=_digest(seal, "sha256"),
            signers=_fingerprints(members, "signers"),
            requires=Requires.parse(value["requires"], members.place("requires")) if "requires" in value else None,
        )


@dataclass(frozen=True, slots=True)
class ArrivingDescription:
    """A payload on its way to a server.

    index_missing: its index, which is in no seal, must be sent first; missing: spans of bytes that are not there.
    """

    payload: PayloadDescription
    index_missing: bool
    missing: tuple[Span, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        missing = [list(span) for span in self.missing]
        return {**self.payload.to_json(), "index_missing": self.index_missing, "missing": missing}

    @classmethod
    def from_json(cls, value: Any, where: str) -> Self:
        """Parse such values. Raises FormatError."""
        payload = PayloadDescription.from_json(value, where)
        members = _members(value, where, ("index_missing", "missing"))
        return cls(payload, members.take("index_missing", bool), _spans(members, "missing", payload.size))


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadDescription:
    """An upload under way. id: the seal's SHA-256, in hex; missing: spans of the payload that are not there yet."""

    id: str
    app: str
    channel: str
    sequence: int
    payload: PayloadDescription
    missing: tuple[Span, ...]
    attachments: Mapping[str, ArrivingDescription]

    def links(self, mount: str = "") -> dict[str, str]:
        """Return where it is, and where what it misses goes."""
        return {
            "self": mount + paths.filled(paths.UPLOAD, id=self.id),
            "payload": mount + paths.filled(paths.UPLOAD_PAYLOAD, id=self.id),
        }

    def attachment_links(self, name: str, mount: str = "") -> dict[str, str]:
        """Return where one of its attachments goes, and that attachment's index."""
        return {
            "link": mount + paths.filled(paths.UPLOAD_ATTACHMENT, id=self.id, name=name),
            "index_link": mount + paths.filled(paths.UPLOAD_ATTACHMENT_INDEX, id=self.id, name=name),
        }

    def to_json(self, mount: str = "") -> dict[str, Any]:
        """Return it as JSON values. mount: as of a release."""
        return {
            "id": self.id,
            "app": self.app,
            "channel": self.channel,
            "sequence": self.sequence,
            "payload": self.payload.to_json(),
            "missing": [list(span) for span in self.missing],
            "attachments": {
                name: {**one.to_json(), **self.attachment_links(name, mount)} for name, one in self.attachments.items()
            },
            "links": self.links(mount),
        }

    @classmethod
    def from_json(cls, value: Any, where: str = "upload") -> Self:
        """Parse such values. Raises FormatError."""
        members = _members(value, where, ("id", "app", "channel", "sequence", "payload", "missing", "attachments"))
        payload = PayloadDescription.from_json(members.take("payload", dict), members.place("payload"))
        return cls(
            id=members.text("id", check_fingerprint),
            app=members.text("app", check_name),
            channel=members.text("channel", check_name),
            sequence=members.integer("sequence", least=1),
            payload=payload,
            missing=_spans(members, "missing", payload.size),
            attachments={
                name: ArrivingDescription.from_json(one, place) for name, place, one in _named(members, "attachments")
            },
        )


def published_to_json(release: ReleaseDescription, mount: str = "") -> dict[str, Any]:
    """Return what an upload answers that is, or was already, published."""
    return {"missing": [], "release": release.to_json(mount)}


def published_from_json(value: Any) -> ReleaseDescription:
    """Parse such values. Raises FormatError."""
    members = _members(value, "answer", ("release",))
    return ReleaseDescription.from_json(members.take("release", dict))


def begun_from_json(value: Any) -> UploadDescription | ReleaseDescription:
    """Parse the answer to a seal: the upload, or the release where it is published already. Raises FormatError."""
    is_release = type(value) is dict and "release" in value
    return published_from_json(value) if is_release else UploadDescription.from_json(value)


def _members(value: Any, where: str, wanted: tuple[str, ...]) -> Members:
    """Return the members that are wanted, each of them there; others are ignored."""
    known = {name: value[name] for name in wanted if name in value} if type(value) is dict else value
    return Members(known, where, required=wanted)


def _named(members: Members, name: str) -> Iterator[tuple[str, str, Any]]:
    """Yield name, place and value of the members of an object whose names are attachments'."""
    values = members.take(name, dict)
    if len(values) > MAX_ATTACHMENTS:
        raise FormatError(f"{members.place(name)}: {len(values)} members, at most {MAX_ATTACHMENTS} are allowed")
    for key, value in values.items():
        check_name(key, members.place(name))
        yield key, f"{members.place(name)}.{key}", value


def _digest(members: Members, algorithm: str) -> str:
    return _members(members.take("digest", dict), members.place("digest"), (algorithm,)).text(
        algorithm, check_fingerprint
    )


def _time(members: Members, name: str) -> str:
    return shown_time(members.time(name))


def _fingerprints(members: Members, name: str) -> tuple[str, ...]:
    values = members.array(name, least=0, most=MAX_SIGNATURES)
    if not all(type(value) is str for value in values):
        raise FormatError(f"{members.place(name)}: expected strings")
    return tuple(check_fingerprint(value, members.place(name)) for value in values)


def _spans(members: Members, name: str, size: int) -> tuple[Span, ...]:
    """Return spans of a payload: inside it, in order, apart from one another."""
    spans = []
    reached = 0
    for value in members.array(name, least=0, most=segment_count(size)):
        if type(value) is not list or len(value) != 2 or not all(type(one) is int for one in value):
            raise FormatError(f"{members.place(name)}: expected pairs of integers")
        start, stop = value
        if not reached <= start < stop <= size:
            raise FormatError(f"{members.place(name)}: bytes {start} to {stop} are no span from {reached} to {size}")
        spans.append((start, stop))
        reached = stop
    return tuple(spans)
