"""What a reader demands beyond a trusted signature, and which release may follow which (docs/device.md)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..errors import FormatError, NotForUsError, RollbackError, StaleError, UsageError
from ..format.statement import Statement
from ..format.strictjson import Role, shown_time

if TYPE_CHECKING:
    from .heads import Current, Forbidden
    from .key_sets import Restart


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What a reader demands beyond a trusted signature; None demands nothing.

    app, channel: the statement's must be equal. floor: the statement's sequence must be above it, or
    above the lower number that the statement's own signed downgrade permit names. role: PRODUCTION
    refuses what only a development key signed, and what was signed as meant for development. native,
    platform: the native app's version, 1 to 4 integers with dots between, and the platform that it runs
    on, which must fit what the bundle requires. head: what a fresh head names for this reader: nothing else will do;
    or what a head takes back: that will not do.
    max_age: how long ago the bundle may have been made, for readers without heads. now: when certificates must be
    valid, by default the time of the check. Raises UsageError where native is no such version.
    """

    app: str | None = None
    channel: str | None = None
    floor: int | None = None
    role: Role = Role.PRODUCTION
    native: str | None = None
    platform: str | None = None
    head: "Current | Forbidden | None" = None
    max_age: timedelta | None = None
    now: datetime | None = None

    def __post_init__(self) -> None:
        if self.native is not None:
            from ..format.requires import check_version  # here, since few readers are told of one

            try:
                check_version(self.native, "native version")
            except FormatError as error:
                raise UsageError(str(error)) from None

    def check(self, statement: Statement, *, now: datetime | None = None) -> None:
        """Raise NotForUsError, RollbackError or StaleError: the one rule of servers, readers and devices.

        now: the time, where max_age is demanded and Expect does not say it.
        """
        for name, wanted, found in (
            ("app", self.app, statement.app),
            ("channel", self.channel, statement.channel),
        ):
            if wanted is not None and wanted != found:
                raise NotForUsError(f"bundle is for {name} {found!r}, expected {wanted!r}")
        if self.role is Role.PRODUCTION and statement.role is not Role.PRODUCTION:
            raise NotForUsError(f"bundle is meant for {statement.role.value}, {self.role.value} is demanded")
        if self.floor is not None:
            check_floor(statement.sequence, self.floor, permit=statement.allow_downgrade_to)
        misfit = statement.requires and statement.requires.misfit(native=self.native, platform=self.platform)
        if misfit:
            raise NotForUsError(misfit)
        if self.head is not None:
            self.head.check(statement)
        if self.max_age is not None:
            self._check_age(statement, self.max_age, self.now or now)

    def _check_age(self, statement: Statement, most: timedelta, now: datetime | None) -> None:
        if now is None:
            raise UsageError("max_age: how old a bundle is takes the time, which is not told")
        if now - statement.created > most:
            raise StaleError(
                f"bundle was made at {shown_time(statement.created)}, it is {shown_time(now)}: more than {most} ago"
            )


def check_floor(sequence: int, floor: int, *, permit: int | None, least: int = 0) -> None:
    """Raise RollbackError unless a sequence is above the floor, or above the lower number that its permit names.

    The rule of everybody who takes new bundles in place of old ones: readers, devices, servers. permit: what the
    signed statement allows a downgrade to; least: what no permit goes below.
    """
    if permit is not None:
        floor = max(least, min(floor, permit))
    if sequence <= floor:
        raise RollbackError(
            f"sequence {sequence} is not above {floor}, which was trusted before", floor=floor, sequence=sequence
        )


@dataclass(frozen=True, slots=True)
class Succession:
    """What is remembered of the releases that were taken, by devices and by servers alike.

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

    def restarted(self, restart: "Restart", *, least: int = 0) -> "Succession":
        """Return what is remembered once a trust store let it begin again: lowered, never raised.

        least: as for check().
        """
        return Succession(
            max(least, min(self.floor, restart.sequence)),
            max(least, min(self.highest, restart.sequence)),
            min(self.newest, shown_time(restart.created)),
        )

    def after(self, sequence: int, created: str) -> "Succession":
        """Return what is remembered once a release was taken, which passed check()."""
        return Succession(sequence, max(self.highest, sequence), max(self.newest, created))
