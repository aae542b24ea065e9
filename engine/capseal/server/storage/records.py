"""A release's record: the small JSON object whose appearance in storage publishes it. No I/O."""

import json
from dataclasses import asdict, dataclass

from ...errors import FormatError
from ...format import strictjson
from ...format.strictjson import check_fingerprint, check_name
from ...format.tree import segment_count
from ..catalogue.uploads import StoredPayload
from .stored_runs import Part, index_path, missing_segments

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
    capgo: StoredPayload | None = None
    """The Capgo file beside the bundle."""

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
        return [self.payload] if self.capgo is None else [self.payload, self.capgo]

    @property
    def paths(self) -> list[str]:
        """The names of the objects that its payloads are in."""
        indexes = [] if self.capgo is None else [index_path(self.capgo.digest)]
        return [*(path for one in self.payloads for path in one.paths), *indexes]

    @property
    def digests(self) -> set[str]:
        """The digests of its payloads, in hex."""
        return {one.digest for one in self.payloads}

    def encode(self) -> bytes:
        """Return the record."""
        value = {"type": RECORD_TYPE, **asdict(self)}
        if self.capgo is None:
            del value["capgo"]
        return json.dumps(value).encode()

    @classmethod
    def parse(cls, data: bytes) -> "Release":
        """Parse a record. Raises FormatError."""
        try:
            value = strictjson.parse(data, "record")
            if value.pop("type") != RECORD_TYPE:
                raise FormatError(f"record is not of type {RECORD_TYPE}")
            value["signers"] = tuple(check_fingerprint(signer, "record.signers") for signer in value["signers"])
            value["parts"] = _parse_parts(value["parts"])
            if "capgo" in value:
                capgo = value["capgo"]
                value["capgo"] = StoredPayload(capgo["digest"], capgo["size"], _parse_parts(capgo["parts"]))
            release = cls(**value)
            check_name(release.app, "record.app")
            check_name(release.channel, "record.channel")
            check_fingerprint(release.seal_digest, "record.seal_digest")
            for stored in release.payloads:
                check_fingerprint(stored.digest, "record: digest of a payload")
                if missing_segments(stored.parts, segment_count(stored.size)):
                    raise FormatError(f"record: parts do not cover payload {stored.digest[:16]}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FormatError("not a usable record") from error
        return release


def _parse_parts(value: list[list[int]]) -> tuple[Part, ...]:
    return tuple(Part(*part) for part in value)
