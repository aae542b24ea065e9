"""What is on its way in: uploads, and the payloads in them. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...bundle.reading_order import Verified
from ...format.signed_index import SignedIndex
from ...format.statement import Payload
from ...format.tree import segment_count
from ...http.shapes import AppChannel
from ..storage.stored_runs import Parts, StoredPayload, StoredRun, cover, missing_segments


@dataclass(slots=True)
class ArrivingPayload:
    """A payload on its way in.

    signed: what it must be; index: None until it came; index_mark: of the object that it is in, where it is in one;
    runs: are stored; parts: hold all of it, where it was sealed into the store, and did not come this way.
    """

    signed: Payload
    index: SignedIndex | None
    runs: list[StoredRun] = field(default_factory=list)
    index_mark: str = ""
    parts: Parts | None = None

    @property
    def digest(self) -> str:
        """Its digest, in hex."""
        return self.signed.digest.hex()

    @property
    def missing(self) -> list[tuple[int, int]]:
        """Segments that are not there yet, all of them without an index, as pairs: first, and one past the last."""
        if self.parts is not None:
            return []
        return missing_segments(self.runs if self.index else (), segment_count(self.signed.size))

    @property
    def is_complete(self) -> bool:
        """Whether it could be published."""
        return self.index is not None and not self.missing

    def has(self, first: int, stop: int) -> bool:
        """Return whether every segment from `first` up to `stop` is there."""
        return all(end <= first or begin >= stop for begin, end in self.missing)

    def stored(self) -> StoredPayload:
        """Return it as it is in storage, once nothing is missing."""
        runs = self.parts or cover(self.runs, segment_count(self.signed.size))
        return StoredPayload(self.digest, self.signed.size, runs)


@dataclass(slots=True)
class Upload:
    """A bundle on its way in: its seal was accepted, its payloads arrive.

    id: the seal's SHA-256, in hex; companions: by their names.
    """

    id: str
    verified: Verified
    payload: ArrivingPayload
    companions: Mapping[str, ArrivingPayload]

    @classmethod
    def begin(cls, id: str, verified: Verified) -> "Upload":
        """Return an upload of which nothing is stored."""
        statement = verified.statement
        companions = {one.name: ArrivingPayload(one.payload, None) for one in statement.companions}
        return cls(id, verified, ArrivingPayload(statement.payload, verified.index), companions)

    @property
    def app_channel(self) -> AppChannel:
        """What it becomes a release of."""
        return AppChannel(self.verified.statement.app, self.verified.statement.channel)

    @property
    def payloads(self) -> list[ArrivingPayload]:
        """All that must be complete before it is published: its own payload, and whatever else the seal names."""
        return [self.payload, *self.companions.values()]

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(one.signed.size for one in self.payloads)

    @property
    def index_bytes(self) -> int:
        """What its indexes take in memory."""
        return sum(one.index.memory_bytes for one in self.payloads if one.index is not None)

    @property
    def digests(self) -> set[str]:
        """The digests of its payloads, in hex."""
        return {one.digest for one in self.payloads}


def what_is_missing(upload: Upload) -> str:
    """Return how much of an upload has not arrived, and of which attachments."""
    missing = sum(stop - first for one in upload.payloads for first, stop in one.missing)
    incomplete = [name for name, one in upload.companions.items() if not one.is_complete]
    return f"{missing} segments are missing" + (f", of attachments {', '.join(incomplete)[:200]}" if incomplete else "")
