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
        self._check_floor(statement)
        misfit = statement.requires and statement.requires.misfit(native=self.native, platform=self.platform)
        if misfit:
            raise NotForUsError(misfit)

    def _check_floor(self, statement: Statement) -> None:
        if self.floor is None:
            return
        permit = statement.allow_downgrade_to
        floor = self.floor if permit is None else min(self.floor, permit)
        if statement.sequence <= floor:
            raise RollbackError(
                f"sequence {statement.sequence} is not above {floor}, which was trusted before",
                floor=floor,
                sequence=statement.sequence,
            )
