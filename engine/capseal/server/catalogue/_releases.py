"""Which releases there are, in memory. No I/O."""

from ...errors import RollbackError
from ...http.shapes import AppChannel
from ..storage.records import ReleaseRecord


class Releases:
    """The records of all releases, and the highest sequence that each app and channel ever had."""

    def __init__(self) -> None:
        self._records: dict[AppChannel, dict[int, ReleaseRecord]] = {}
        self._by_seal: dict[str, ReleaseRecord] = {}
        self._floors: dict[AppChannel, int] = {}

    def add(self, record: ReleaseRecord) -> None:
        """Take a record, in place of the one that the release has."""
        of = record.release.app_channel
        self._records.setdefault(of, {})[record.release.sequence] = record
        self._by_seal[record.release.seal_digest] = record
        self.use_up(of, record.release.sequence)

    def use_up(self, of: AppChannel, sequence: int) -> None:
        """Let no sequence up to this one be published any more."""
        self._floors[of] = max(self._floors.get(of, 0), sequence)

    def is_used_up(self, of: AppChannel, sequence: int) -> bool:
        """Whether a sequence, or a higher one, was ever published."""
        return sequence <= self._floors.get(of, 0)

    def check_sequence(self, of: AppChannel, sequence: int) -> None:
        """Raise RollbackError where a sequence is used up."""
        if self.is_used_up(of, sequence):
            floor = self._floors[of]
            raise RollbackError(
                f"sequence {sequence} of {of.app} on {of.channel} is not above {floor}, the highest that was published",
                floor=floor,
                sequence=sequence,
            )

    def channels(self) -> list[AppChannel]:
        """Return every app and channel with a release that was not withdrawn, sorted."""
        return sorted(of for of in self._records if self.latest(of) is not None)

    def count(self) -> int:
        """Return how many releases are published and not withdrawn."""
        return len(self.not_withdrawn())

    def not_withdrawn(self) -> list[ReleaseRecord]:
        """Return the records of all that is published and not withdrawn."""
        every = (record for records in self._records.values() for record in records.values())
        return [record for record in every if record.release.withdrawn is None]

    def all_of(self, of: AppChannel) -> list[ReleaseRecord]:
        """Return the records of an app and channel, newest first, withdrawn ones too."""
        return sorted(self._records.get(of, {}).values(), key=lambda one: one.release.sequence, reverse=True)

    def get(self, of: AppChannel, sequence: int) -> ReleaseRecord | None:
        """Return the record of a release, withdrawn or not."""
        return self._records.get(of, {}).get(sequence)

    def latest(self, of: AppChannel) -> ReleaseRecord | None:
        """Return the record with the highest sequence that was not withdrawn."""
        listed = (one for one in self._records.get(of, {}).values() if one.release.withdrawn is None)
        return max(listed, key=lambda one: one.release.sequence, default=None)

    def with_seal(self, digest: str) -> ReleaseRecord | None:
        """Return the record of the release that has a seal, unless it was withdrawn. digest: its SHA-256, in hex."""
        record = self._by_seal.get(digest)
        return record if record is not None and record.release.withdrawn is None else None
