"""Which releases there are, in memory. No I/O."""

from ...errors import RollbackError
from ...format.statement import Statement
from ...http.shapes import AppChannel
from ...trust.expect import check_floor
from ..storage.records import ReleaseRecord


class Releases:
    """The records of all releases, and what a new one of each app and channel has to be above."""

    def __init__(self) -> None:
        self._records: dict[AppChannel, dict[int, ReleaseRecord]] = {}
        self._by_seal: dict[str, ReleaseRecord] = {}
        self._damaged: dict[AppChannel, set[int]] = {}

    def add(self, record: ReleaseRecord) -> None:
        """Take a record, in place of the one that the release has."""
        self._records.setdefault(record.release.app_channel, {})[record.release.sequence] = record
        self._by_seal[record.release.seal_digest] = record

    def add_damaged(self, of: AppChannel, sequence: int) -> None:
        """Take a release of whose record nothing but the name can be read."""
        self._damaged.setdefault(of, set()).add(sequence)

    def next_number(self, of: AppChannel) -> int:
        """Return the number that the next record of an app and channel has."""
        return 1 + max((record.number for record in self._records.get(of, {}).values()), default=0)

    def floor(self, of: AppChannel) -> int:
        """Return what the next sequence has to be above, unless a permit lowers it: that of the last release.

        A release whose record is damaged counts as the last one: its name alone raises the floor.
        """
        last = max(self._records.get(of, {}).values(), key=lambda one: one.place, default=None)
        return max(self._damaged.get(of, {0}) | {last.release.sequence if last else 0})

    def check_statement(self, statement: Statement) -> None:
        """Raise RollbackError where a bundle may not be published after all that was.

        Withdrawing gives back neither the floor nor a sequence.
        """
        of, sequence = AppChannel(statement.app, statement.channel), statement.sequence
        if sequence in self._records.get(of, {}) or sequence in self._damaged.get(of, ()):
            raise RollbackError(
                f"sequence {sequence} of {of.app} on {of.channel} was published before",
                floor=sequence,
                sequence=sequence,
            )
        check_floor(sequence, self.floor(of), permit=statement.allow_downgrade_to)

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
