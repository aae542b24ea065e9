"""A payload as the server sees it, stored or on its way in: size, digest, index, parts. No I/O."""

from dataclasses import dataclass, field

from ...bundle.reading_order import Verified
from ...capgo import attached
from ...format.signed_index import SignedIndex
from ...format.statement import Payload
from ...format.tree import segment_count
from ..storage.stored_runs import Part, cover, missing_segments


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
    """A payload on its way in. signed: what it must be; index: None until it came; parts: are stored."""

    signed: Payload
    index: SignedIndex | None
    parts: list[Part] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Its digest, in hex."""
        return self.signed.digest.hex()

    @property
    def missing(self) -> list[tuple[int, int]]:
        """Runs of segments that are not there yet, all of them without an index: first, and one past the last."""
        return missing_segments(self.parts if self.index else (), segment_count(self.signed.size))

    def stored(self) -> StoredPayload:
        """Return it as it is in storage, once nothing is missing."""
        return StoredPayload(self.digest, self.signed.size, cover(self.parts, segment_count(self.signed.size)))


@dataclass(slots=True)
class Upload:
    """A bundle on its way in: its seal was accepted, its parts arrive.

    id: the seal's SHA-256, in hex; capgo: the Capgo file beside the bundle, where one is demanded.
    """

    id: str
    verified: Verified
    payload: ArrivingPayload
    capgo: ArrivingPayload | None = None
    receivers: int = 0
    """Requests that are sending payload just now."""

    @classmethod
    def begin(cls, id: str, verified: Verified, *, capgo: bool) -> "Upload":
        """Return an upload of which nothing is stored.

        capgo: demand the Capgo file that the seal vouches for. Raises FormatError.
        """
        upload = cls(id, verified, ArrivingPayload(verified.statement.payload, verified.index))
        found = attached(verified.statement) if capgo else None
        if found is not None:
            upload.capgo = ArrivingPayload(found.payload, None)
        return upload

    @property
    def payloads(self) -> list[ArrivingPayload]:
        """All that must be complete before it is published."""
        return [self.payload] if self.capgo is None else [self.payload, self.capgo]

    @property
    def digests(self) -> set[str]:
        """The digests of its payloads, in hex."""
        return {one.digest for one in self.payloads}
