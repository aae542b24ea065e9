"""A payload as the server sees it, stored or on its way in: size, digest, index, parts. No I/O."""

from dataclasses import dataclass, field

from ..acceptance import SignedIndex, Verified
from ..statement import Payload
from ..tree import segment_count
from .parts import Part, cover, missing_segments


@dataclass(frozen=True, slots=True)
class StoredPayload:
    """A payload that is there. digest: fs-verity, in hex; size: bytes; parts: hold every segment, in order."""

    digest: str
    size: int
    parts: tuple[Part, ...]

    @property
    def paths(self) -> list[str]:
        """The names of its parts."""
        return [part.path(self.digest) for part in self.parts]


@dataclass(slots=True)
class ArrivingPayload:
    """A payload on its way in. signed: what it must be; index: what each segment of it must be; parts: are stored."""

    signed: Payload
    index: SignedIndex
    parts: list[Part] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Its digest, in hex."""
        return self.signed.digest.hex()

    @property
    def missing(self) -> list[tuple[int, int]]:
        """Runs of segments that are not there yet: first, and one past the last."""
        return missing_segments(self.parts, segment_count(self.signed.size))

    def stored(self) -> StoredPayload:
        """Return it as it is in storage, once nothing is missing."""
        return StoredPayload(self.digest, self.signed.size, cover(self.parts, segment_count(self.signed.size)))


@dataclass(slots=True)
class Upload:
    """A bundle on its way in: its seal was accepted, its parts arrive. id: the seal's SHA-256, in hex."""

    id: str
    verified: Verified
    payload: ArrivingPayload
    receivers: int = 0
    """Requests that are sending payload just now."""

    @classmethod
    def begin(cls, id: str, verified: Verified) -> "Upload":
        """Return an upload of which nothing is stored."""
        return cls(id, verified, ArrivingPayload(verified.statement.payload, verified.index))

    @property
    def payloads(self) -> list[ArrivingPayload]:
        """All that must be complete before it is published."""
        return [self.payload]

    @property
    def digests(self) -> set[str]:
        """The digests of its payloads, in hex."""
        return {one.digest for one in self.payloads}
