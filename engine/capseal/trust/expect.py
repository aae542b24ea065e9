"""What a reader demands beyond a trusted signature."""

from dataclasses import dataclass
from datetime import datetime

from ..errors import FormatError, NotForUsError, RollbackError, UsageError
from ..format.statement import Statement
from ..format.strictjson import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What a reader demands beyond a trusted signature; None demands nothing.

    app, channel: the statement's must be equal. floor: the statement's sequence must be above it, or
    above the lower number that the statement's own signed downgrade permit names. role: PRODUCTION
    refuses what only a development key signed, and what was signed as meant for development. native,
    platform: the native app's version, 1 to 4 integers with dots between, and the platform that it runs
    on, which must fit what the bundle requires. now: when certificates must be valid, by default the
    time of the check. Raises UsageError where native is no such version.
    """

    app: str | None = None
    channel: str | None = None
    floor: int | None = None
    role: Role = Role.PRODUCTION
    native: str | None = None
    platform: str | None = None
    now: datetime | None = None

    def __post_init__(self) -> None:
        if self.native is not None:
            from ..format.requires import check_version  # here, since few readers are told of one

            try:
                check_version(self.native, "native version")
            except FormatError as error:
                raise UsageError(str(error)) from None

    def check(self, statement: Statement) -> None:
        """Raise NotForUsError or RollbackError."""
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
