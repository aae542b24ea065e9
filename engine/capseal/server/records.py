"""A release's record: the small JSON object whose appearance in storage publishes it. No I/O."""

import json
from dataclasses import asdict, dataclass

from ..errors import FormatError
from ..statement import check_fingerprint, check_name
from ..tree import segment_count
from .parts import Part, missing_segments
from .payloads import StoredPayload

RECORD_TYPE = "capseal-release-v1"

Place = tuple[str, str]
"""App and channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A published release: what its record says. Digests in hex, times as in a statement."""

    app: str
    channel: str
    sequence: int
    version: str
    created: str
    published: str
    withdrawn: str | None = None
    content_name: str
    content_bytes: int
    payload_digest: str
    payload_bytes: int
    seal_digest: str
    seal_bytes: int
    signers: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def folder(self) -> str:
        """Where its record and seal are."""
        return f"releases/{self.app}/{self.channel}/{self.sequence:016d}"

    @property
    def payload(self) -> StoredPayload:
        """The bundle's payload."""
        return StoredPayload(self.payload_digest, self.payload_bytes, self.parts)

    @property
    def payloads(self) -> list[StoredPayload]:
        """All that is stored for it, beside its seal."""
        return [self.payload]

    @property
    def paths(self) -> list[str]:
        """The names of the objects that its payloads are in."""
        return [path for one in self.payloads for path in one.paths]

    @property
    def digests(self) -> set[str]:
        """The digests of its payloads, in hex."""
        return {one.digest for one in self.payloads}

    def encode(self) -> bytes:
        """Return the record."""
        return json.dumps({"type": RECORD_TYPE, **asdict(self)}).encode()

    @classmethod
    def parse(cls, data: bytes) -> "Release":
        """Parse a record. Raises FormatError."""
        try:
            value = json.loads(data)
            if value.pop("type") != RECORD_TYPE:
                raise FormatError(f"record is not of type {RECORD_TYPE}")
            value["signers"] = tuple(check_fingerprint(signer, "record.signers") for signer in value["signers"])
            value["parts"] = tuple(Part(*part) for part in value["parts"])
            release = cls(**value)
            check_name(release.app, "record.app")
            check_name(release.channel, "record.channel")
            check_fingerprint(release.payload_digest, "record.payload_digest")
            check_fingerprint(release.seal_digest, "record.seal_digest")
            if missing_segments(release.parts, segment_count(release.payload_bytes)):
                raise FormatError("record.parts do not cover the payload")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FormatError("not a usable record") from error
        return release
