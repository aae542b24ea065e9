"""What a reader demands beyond a trusted signature."""

from dataclasses import dataclass
from datetime import datetime

from ..errors import NotForUsError, RollbackError
from ..format.statement import Statement
from .store import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What a reader demands beyond a trusted signature; None demands nothing.

    app, channel: the statement's must be equal. floor: the statement's sequence must be above it, or
    above the lower number that the statement's own signed downgrade permit names. role: PRODUCTION
    refuses what only a development key signed. now: when certificates must be valid, by default the
    time of the check.
    """

    app: str | None = None
    channel: str | None = None
    floor: int | None = None
    role: Role = Role.PRODUCTION
    now: datetime | None = None

    def check(self, statement: Statement) -> None:
        """Raise NotForUsError or RollbackError."""
        for name, wanted, found in (
            ("app", self.app, statement.app),
            ("channel", self.channel, statement.channel),
        ):
            if wanted is not None and wanted != found:
                raise NotForUsError(f"bundle is for {name} {found!r}, expected {wanted!r}")
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
