"""The statement: what a seal says, as dataclasses and as exact bytes (docs/format.md, Statement).

No I/O, no keys, no clock: bytes in, values out, and back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..constants import (
    DIGEST_BYTES,
    ENCRYPTION_SCHEME,
    MAX_ATTACHMENTS,
    MAX_COMPANIONS,
    MAX_CUSTOM_BYTES,
    MAX_RECIPIENTS,
    MAX_RSA_BITS,
    MAX_STORED_BYTES,
    MIN_RSA_BITS,
    WRAP_ALGORITHM,
)
from ..errors import FormatError
from . import strictjson
from .segment_layout import MAX_CONTENT_BYTES, content_bytes_of, payload_bytes_of
from .strictjson import (
    Members,
    Role,
    check_file_name,
    check_fingerprint,
    check_media_type,
    check_name,
    check_text,
    shown_time,
    to_base64,
)

if TYPE_CHECKING:
    # Imported where some are met: few bundles require anything.
    from .requires import Requires

_FSVERITY = "fsverity-sha256"


@dataclass(frozen=True, slots=True)
class Content:
    """What was sealed. size: plaintext bytes."""

    name: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Payload:
    """What the payload must be. size: bytes; digest: the 32-byte fs-verity digest."""

    size: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Recipient:
    """The session key, wrapped for one key. kid: that key's fingerprint."""

    kid: str
    encrypted_key: bytes


@dataclass(frozen=True, slots=True)
class Encryption:
    """How the payload was encrypted, and who can open it."""

    commitment: bytes
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that travels beside the bundle. digest: its 32-byte SHA-256."""

    name: str
    media_type: str
    size: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Companion:
    """A further payload that the seal vouches for, stored and served as the bundle's own is.

    size: stored bytes; digest: their 32-byte fs-verity digest. sealed: encrypted under the bundle's
    session key, as the payload is; otherwise its bytes are as they are.
    """

    name: str
    media_type: str
    size: int
    digest: bytes
    sealed: bool = False

    @property
    def payload(self) -> Payload:
        """What its stored bytes must be."""
        return Payload(self.size, self.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Everything that a seal's signatures vouch for; the members of the JSON document."""

    app: str
    version: str
    sequence: int
    channel: str
    role: Role
    created: datetime
    content: Content
    payload: Payload
    encryption: Encryption
    requires: "Requires | None" = None
    allow_downgrade_to: int | None = None
    attachments: tuple[Attachment, ...] = ()
    companions: tuple[Companion, ...] = ()
    custom: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the statement as JSON values, members in the order of the format."""
        value: dict[str, Any] = {
            "app": self.app,
            "version": self.version,
            "sequence": self.sequence,
            "channel": self.channel,
            "role": str(self.role),
            "created": shown_time(self.created),
            "content": {
                "name": self.content.name,
                "mediaType": self.content.media_type,
                "size": self.content.size,
            },
            "payload": {"size": self.payload.size, "digest": {_FSVERITY: self.payload.digest.hex()}},
            "encryption": {
                "scheme": ENCRYPTION_SCHEME,
                "commitment": to_base64(self.encryption.commitment),
                "recipients": [
                    {"kid": r.kid, "alg": WRAP_ALGORITHM, "encrypted_key": to_base64(r.encrypted_key)}
                    for r in self.encryption.recipients
                ],
            },
        }
        if self.requires is not None:
            value["requires"] = self.requires.to_json()
        if self.allow_downgrade_to is not None:
            value["policy"] = {"allow_downgrade_to": self.allow_downgrade_to}
        if self.attachments or self.companions:
            value["attachments"] = [*map(_attachment_json, self.attachments), *map(_companion_json, self.companions)]
        if self.custom is not None:
            value["custom"] = dict(self.custom)
        return value

    def encode(self) -> bytes:
        """Return the bytes that are signed."""
        return strictjson.encode(self.to_json())

    @classmethod
    def parse(cls, data: bytes) -> "Statement":
        """Parse the signed bytes strictly. Raises FormatError."""
        members = Members(
            strictjson.parse(data, "statement"),
            "statement",
            required=("app", "version", "sequence", "channel", "role", "created", "content", "payload", "encryption"),
            optional=("requires", "policy", "attachments", "custom"),
        )
        attachments, companions = _parse_attachments(members)
        statement = cls(
            app=members.text("app", check_name),
            version=members.text("version", check_text),
            sequence=members.integer("sequence", least=1),
            channel=members.text("channel", check_name),
            role=members.role("role"),
            created=members.time("created"),
            content=_parse_content(members),
            payload=_parse_payload(members),
            encryption=_parse_encryption(members),
            allow_downgrade_to=_parse_policy(members),
            requires=_parse_requires(members),
            attachments=attachments,
            companions=companions,
            custom=_parse_custom(members),
        )
        expected = payload_bytes_of(statement.content.size)
        if statement.payload.size != expected:
            raise FormatError(
                f"statement.payload.size: {statement.payload.size} does not fit content of "
                f"{statement.content.size} bytes, which takes {expected}"
            )
        stored = statement.payload.size + sum(companion.size for companion in companions)
        if stored > MAX_STORED_BYTES:
            raise FormatError(
                f"statement: payload and companions of {stored} bytes, at most {MAX_STORED_BYTES} are allowed"
            )
        permit = statement.allow_downgrade_to
        if permit is not None and permit >= statement.sequence:
            raise FormatError(
                f"statement.policy.allow_downgrade_to: {permit} is not below the sequence {statement.sequence}"
            )
        return statement


def _parse_content(members: Members) -> Content:
    content = _object(members, "content", ("name", "mediaType", "size"))
    return Content(
        name=content.text("name", check_file_name),
        media_type=content.text("mediaType", check_media_type),
        size=content.integer("size", least=0, most=MAX_CONTENT_BYTES),
    )


def _parse_payload(members: Members) -> Payload:
    payload = _object(members, "payload", ("size", "digest"))
    return Payload(size=payload.integer("size", least=1), digest=_digest(payload, _FSVERITY))


def _parse_encryption(members: Members) -> Encryption:
    encryption = _object(members, "encryption", ("scheme", "commitment", "recipients"))
    encryption.text("scheme", _exactly(ENCRYPTION_SCHEME))
    commitment = encryption.base64("commitment")
    if len(commitment) != DIGEST_BYTES:
        raise FormatError(f"{encryption.place('commitment')}: {len(commitment)} bytes, expected {DIGEST_BYTES}")
    recipients: dict[str, Recipient] = {}
    for i, value in enumerate(encryption.array("recipients", least=1, most=MAX_RECIPIENTS)):
        place = f"{encryption.place('recipients')}[{i}]"
        entry = Members(value, place, required=("kid", "alg", "encrypted_key"))
        kid = entry.text("kid", check_fingerprint)
        entry.text("alg", _exactly(WRAP_ALGORITHM))
        if kid in recipients:
            raise FormatError(f"{place}: recipient {kid[:16]} appears twice")
        encrypted_key = entry.base64("encrypted_key")
        if not MIN_RSA_BITS <= 8 * len(encrypted_key) <= MAX_RSA_BITS:
            raise FormatError(f"{entry.place('encrypted_key')}: {len(encrypted_key)} bytes do not fit any allowed key")
        recipients[kid] = Recipient(kid, encrypted_key)
    return Encryption(commitment, tuple(recipients.values()))


def _parse_policy(members: Members) -> int | None:
    if "policy" not in members:
        return None
    return _object(members, "policy", ("allow_downgrade_to",)).integer("allow_downgrade_to", least=0)


def _parse_requires(members: Members) -> "Requires | None":
    if "requires" not in members:
        return None
    from .requires import Requires

    return Requires.parse(members.take("requires", dict), members.place("requires"))


def _attachment_json(attachment: Attachment) -> dict[str, Any]:
    return _described(attachment) | {"digest": {"sha256": attachment.digest.hex()}}


def _companion_json(companion: Companion) -> dict[str, Any]:
    value = _described(companion) | {"digest": {_FSVERITY: companion.digest.hex()}}
    return value | {"encryption": {"scheme": ENCRYPTION_SCHEME}} if companion.sealed else value


def _described(item: Attachment | Companion) -> dict[str, Any]:
    return {"name": item.name, "mediaType": item.media_type, "size": item.size}


def _parse_attachments(members: Members) -> tuple[tuple[Attachment, ...], tuple[Companion, ...]]:
    if "attachments" not in members:
        return (), ()
    found: dict[str, Attachment | Companion] = {}
    for i, value in enumerate(members.array("attachments", least=1, most=MAX_ATTACHMENTS)):
        place = f"{members.place('attachments')}[{i}]"
        item = _parse_attachment(value, place)
        if item.name in found:
            raise FormatError(f"{place}: attachment {item.name[:64]!r} appears twice")
        found[item.name] = item
    companions = tuple(item for item in found.values() if isinstance(item, Companion))
    if len(companions) > MAX_COMPANIONS:
        raise FormatError(
            f"{members.place('attachments')}: {len(companions)} companions, at most {MAX_COMPANIONS} are allowed"
        )
    return tuple(item for item in found.values() if isinstance(item, Attachment)), companions


def _parse_attachment(value: object, place: str) -> Attachment | Companion:
    """Return a companion where the fs-verity digest is given instead of a SHA-256: two digests could disagree."""
    required = ("name", "mediaType", "size", "digest")
    entry = Members(value, place, required=required, optional=("encryption",))
    if _FSVERITY not in entry.take("digest", dict):
        entry = Members(value, place, required=required)
        return Attachment(
            name=entry.text("name", check_file_name),
            media_type=entry.text("mediaType", check_media_type),
            size=entry.integer("size", least=0),
            digest=_digest(entry, "sha256"),
        )
    sealed = "encryption" in entry
    size = entry.integer("size", least=1)
    if sealed:
        _object(entry, "encryption", ("scheme",)).text("scheme", _exactly(ENCRYPTION_SCHEME))
        content_bytes_of(size, entry.place("size"))
    return Companion(
        name=entry.text("name", check_name),  # it stands in URLs
        media_type=entry.text("mediaType", check_media_type),
        size=size,
        digest=_digest(entry, _FSVERITY),
        sealed=sealed,
    )


def _parse_custom(members: Members) -> Mapping[str, Any] | None:
    if "custom" not in members:
        return None
    custom: dict[str, Any] = members.take("custom", dict)
    size = len(strictjson.encode(custom))
    if size > MAX_CUSTOM_BYTES:
        raise FormatError(f"{members.place('custom')}: {size} bytes, at most {MAX_CUSTOM_BYTES} are allowed")
    return custom


def _object(members: Members, name: str, required: tuple[str, ...]) -> Members:
    return Members(members.take(name, dict), members.place(name), required=required)


def _digest(members: Members, algorithm: str) -> bytes:
    digest = Members(members.take("digest", dict), members.place("digest"), required=(algorithm,))
    return bytes.fromhex(digest.text(algorithm, check_fingerprint))


def _exactly(expected: str) -> Callable[[str, str], str]:
    def check(value: str, place: str) -> str:
        if value != expected:
            raise FormatError(f"{place}: {value[:64]!r} is unknown, expected {expected!r}")
        return value

    return check
