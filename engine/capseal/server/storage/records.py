"""A release's record: what it is and where its bytes are; written once, before a pointer names it. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import FormatError
from ...format import strictjson
from ...format.strictjson import Members
from ...format.tree import segment_count
from ...http.shapes import PayloadDescription, ReleaseDescription
from .layout import RECORD, SEAL, index_object, is_commitment, is_mark, release_object
from .stored_runs import MAX_PART_SEGMENTS, Parts, StoredPayload, StoredRun, missing_segments

RECORD_TYPE = "capseal-release-v2"
MAX_RECORD_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredCompanion:
    """A companion that is there. runs: hold every segment, in order; index: the mark of its index."""

    runs: Sequence[StoredRun]
    index: str


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """A release, and where its bytes are.

    mark: of itself and the seal; runs: of the bundle's payload, which may be parts that were sealed into the store;
    stored: each companion, by its name. Whether the release is withdrawn is not its to say, but the pointer's.
    """

    release: ReleaseDescription
    mark: str
    runs: Sequence[StoredRun]
    stored: Mapping[str, StoredCompanion]

    @property
    def path(self) -> str:
        """Where it is itself."""
        return release_object(self.release.app_channel, self.release.sequence, self.mark, RECORD)

    @property
    def seal_path(self) -> str:
        """Where the release's seal is."""
        return release_object(self.release.app_channel, self.release.sequence, self.mark, SEAL)

    @property
    def payload(self) -> StoredPayload:
        """The bundle's payload."""
        return StoredPayload(self.release.payload.digest, self.release.payload.size, self.runs)

    @property
    def parts_folder(self) -> str | None:
        """The commitment that names the folder of its parts, where the payload was sealed into the store."""
        return self.runs.folder if isinstance(self.runs, Parts) else None

    @property
    def companions(self) -> dict[str, StoredPayload]:
        """The companions, by their names."""
        return {
            name: StoredPayload(one.digest, one.size, self.stored[name].runs)
            for name, one in self.release.attachments.items()
        }

    @property
    def paths(self) -> list[str]:
        """The names of the objects that its payloads are in."""
        companions = self.companions.values()
        return [
            *self.payload.paths,
            *(path for one in companions for path in one.paths),
            *(self.index_path(name) for name in self.stored),
        ]

    def index_path(self, companion: str) -> str:
        """Where a companion's index is."""
        return index_object(self.release.attachments[companion].digest, self.stored[companion].index)

    def encode(self) -> bytes:
        """Return the record."""
        attachments = {name: one.to_json() for name, one in self.release.attachments.items()}
        release = {**self.release.to_json(), "attachments": attachments}
        del release["links"]  # made from the rest, wherever it is shown
        stored = {name: {"index": one.index, "runs": one.runs} for name, one in self.stored.items()}
        record = {"type": RECORD_TYPE, "mark": self.mark, "release": release, "attachments": stored}
        if isinstance(self.runs, Parts):
            parts = {"folder": self.runs.folder, "segments": self.runs.part_segments}
            return strictjson.encode({**record, "parts": parts})
        return strictjson.encode({**record, "runs": self.runs})

    @classmethod
    def parse(cls, data: bytes) -> "ReleaseRecord":
        """Parse a record. Raises FormatError."""
        required = ("type", "mark", "release", "attachments")
        members = Members(strictjson.parse(data, "record"), "record", required=required, optional=("runs", "parts"))
        if members.take("type", str) != RECORD_TYPE:
            raise FormatError(f"record: not of type {RECORD_TYPE}")
        release = ReleaseDescription.from_json(members.take("release", dict), "record.release")
        if release.withdrawn is not None:
            raise FormatError("record.release.withdrawn: expected null")
        companions = Members(
            members.take("attachments", dict), "record.attachments", required=tuple(release.attachments)
        )
        return cls(
            release,
            _mark(members, "mark"),
            _parse_where(members, release.payload),
            {name: _parse_companion(companions, name, one) for name, one in release.attachments.items()},
        )


def _parse_where(members: Members, payload: PayloadDescription) -> Sequence[StoredRun]:
    """Return the runs of a bundle's payload: in the folder of its digest, or in one of parts."""
    if ("parts" in members) == ("runs" in members):
        raise FormatError(f"{members.place('runs')}: expected these, or parts")
    if "runs" in members:
        return _parse_runs(members, "runs", payload)
    place = members.place("parts")
    parts = Members(members.take("parts", dict), place, required=("folder", "segments"))
    folder = parts.take("folder", str)
    if not is_commitment(folder):
        raise FormatError(f"{place}.folder: {folder[:64]!r} is not 64 hexadecimal digits")
    return Parts(folder, segment_count(payload.size), parts.integer("segments", least=1, most=MAX_PART_SEGMENTS))


def _parse_companion(members: Members, name: str, payload: PayloadDescription) -> StoredCompanion:
    one = Members(members.take(name, dict), members.place(name), required=("index", "runs"))
    return StoredCompanion(_parse_runs(one, "runs", payload), _mark(one, "index"))


def _mark(members: Members, name: str) -> str:
    value = members.take(name, str)
    if not is_mark(value):
        raise FormatError(f"{members.place(name)}: {value[:64]!r} is not 16 hexadecimal digits")
    return value


def _parse_runs(members: Members, name: str, payload: PayloadDescription) -> tuple[StoredRun, ...]:
    """Return the runs that hold all of a payload."""
    segments = segment_count(payload.size)
    values: list[Any] = members.array(name, least=0, most=segments)
    if not all(type(one) is list and list(map(type, one)) == [int, int, str] and is_mark(one[2]) for one in values):
        raise FormatError(f"{members.place(name)}: expected two integers and a mark of each run")
    runs = tuple(StoredRun(*one) for one in values)
    if missing_segments(runs, segments) or any(run.first < 0 or run.stop > segments for run in runs):
        raise FormatError(f"{members.place(name)}: runs do not cover payload {payload.digest[:16]}")
    return runs
