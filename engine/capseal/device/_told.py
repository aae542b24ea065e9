"""What a device store answers with."""

from dataclasses import dataclass

from ..errors import CapsealError, RejectedError
from ._state import Failure, InstalledBundle

Problem = OSError | CapsealError


@dataclass(frozen=True, slots=True)
class Running:
    """What to run. path: the folder of its content; bundle: None for the built-in one.

    problem: why it is not what it would have been, for the log.
    """

    path: str
    bundle: InstalledBundle | None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """One installed bundle, checked. problem: None where it is whole and still trusted."""

    bundle: InstalledBundle
    problem: OSError | RejectedError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a device has. floor: no sequence at or below it is installed; starts: those of the pending bundle."""

    floor: int
    current: InstalledBundle | None
    staged: InstalledBundle | None
    pending: InstalledBundle | None
    starts: int
    confirmed: tuple[InstalledBundle, ...]
    failed: tuple[Failure, ...]
