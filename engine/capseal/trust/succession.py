"""Which release may follow those that were taken: one rule for devices and servers (docs/device.md)."""

from dataclasses import dataclass

from ..errors import RollbackError
from ..format.statement import Statement
from ..format.strictjson import shown_time
from .expect import check_floor


@dataclass(frozen=True, slots=True)
class Succession:
    """What is remembered of the releases that were taken.

    floor: the sequence of the last one; highest: of them all; newest: the latest `created` of their statements, as
    statements spell it, empty before the first.
    """

    floor: int = 0
    highest: int = 0
    newest: str = ""

    def check(self, sequence: int, created: str, *, permit: int | None, least: int = 0) -> None:
        """Raise RollbackError unless a release may follow. permit, least: as for check_floor()."""
        if sequence > self.highest:
            return
        check_floor(sequence, self.floor, permit=permit, least=least)
        # Below what once was taken, a permit opened the way. Only a statement younger than all that were taken may
        # go it, so that neither an old permit nor what it withdrew can be replayed.
        if created <= self.newest:
            raise RollbackError(
                f"sequence {sequence} is not above {self.highest}, which was trusted before, and its statement "
                f"of {created} is not younger than {self.newest}, which was trusted, too",
                floor=self.floor,
                sequence=sequence,
            )

    def check_statement(self, statement: Statement) -> None:
        """Do what check() does, with what a statement says."""
        self.check(statement.sequence, shown_time(statement.created), permit=statement.allow_downgrade_to)

    def after(self, sequence: int, created: str) -> "Succession":
        """Return what is remembered once a release was taken, which passed check()."""
        return Succession(sequence, max(self.highest, sequence), max(self.newest, created))
