"""A release's record: the small JSON object whose appearance in storage publishes it. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import FormatError
from ...format import strictjson
from ...format.strictjson import Members
from ...format.tree import segment_count
from ...http.shapes import PayloadDescription, ReleaseDescription
from .layout import RECORD, index_object, release_object
from .stored_runs import StoredPayload, StoredRun, missing_segments

RECORD_TYPE = "capseal-release-v1"


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """A published release, and where its bytes are.

    runs: of the bundle's payload; companion_runs: of each companion, by its name. number: of the releases of its
    app and channel in the order in which they were published, from 1; 0 where the record says none.
    """

    release: ReleaseDescription
    runs: tuple[StoredRun, ...]
    companion_runs: Mapping[str, tuple[StoredRun, ...]]
    number: int

    @property
    def place(self) -> tuple[int, int]:
        """What sorts as the releases of an app and channel were published.

        Records of no number are from when every sequence had to be above all before.
        """
        return self.number, self.release.sequence

    @property
    def path(self) -> str:
        """Where it is itself."""
        return release_object(self.release.app_channel, self.release.sequence, RECORD)

    @property
    def seal_path(self) -> str:
        """Where the release's seal is."""
        return release_object(self.release.app_channel, self.release.sequence, "seal")

    @property
    def payload(self) -> StoredPayload:
        """The bundle's payload."""
        return StoredPayload(self.release.payload.digest, self.release.payload.size, self.runs)

    @property
    def companions(self) -> dict[str, StoredPayload]:
        """The companions, by their names."""
        return {
            name: StoredPayload(one.digest, one.size, self.companion_runs[name])
            for name, one in self.release.attachments.items()
        }

    @property
    def paths(self) -> list[str]:
        """The names of the objects that its payloads are in."""
        companions = self.companions.values()
        return [
            *self.payload.paths,
            *(path for one in companions for path in one.paths),
            *(index_object(one.digest) for one in companions),
        ]

    @property
    def digests(self) -> set[str]:
        """The digests of its payloads, in hex."""
        return {self.release.payload.digest, *(one.digest for one in self.release.attachments.values())}

    def encode(self) -> bytes:
        """Return the record."""
        attachments = {name: one.to_json() for name, one in self.release.attachments.items()}
        release = {**self.release.to_json(), "attachments": attachments}
        del release["links"]  # made from the rest, wherever it is shown
        runs = {"payload": self.runs, "attachments": dict(self.companion_runs)}
        return strictjson.encode({"type": RECORD_TYPE, "number": self.number, "release": release, "runs": runs})

    @classmethod
    def parse(cls, data: bytes) -> "ReleaseRecord":
        """Parse a record. Raises FormatError."""
        required = ("type", "release", "runs")
        members = Members(strictjson.parse(data, "record"), "record", required=required, optional=("number",))
        if members.take("type", str) != RECORD_TYPE:
            raise FormatError(f"record: not of type {RECORD_TYPE}")
        release = ReleaseDescription.from_json(members.take("release", dict), "record.release")
        runs = Members(members.take("runs", dict), "record.runs", required=("payload", "attachments"))
        companions = Members(
            runs.take("attachments", dict), "record.runs.attachments", required=tuple(release.attachments)
        )
        return cls(
            release,
            _parse_runs(runs, "payload", release.payload),
            {name: _parse_runs(companions, name, one) for name, one in release.attachments.items()},
            members.integer("number", least=0) if "number" in members else 0,
        )


def _parse_runs(members: Members, name: str, payload: PayloadDescription) -> tuple[StoredRun, ...]:
    """Return the runs that hold all of a payload."""
    segments = segment_count(payload.size)
    values: list[Any] = members.array(name, least=0, most=segments)
    if not all(type(one) is list and len(one) == 2 and {type(number) for number in one} == {int} for one in values):
        raise FormatError(f"{members.place(name)}: expected pairs of integers")
    runs = tuple(StoredRun(*one) for one in values)
    if missing_segments(runs, segments) or any(run.first < 0 or run.stop > segments for run in runs):
        raise FormatError(f"{members.place(name)}: runs do not cover payload {payload.digest[:16]}")
    return runs
