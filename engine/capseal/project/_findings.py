"""What is wrong with a project, as a value."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ..errors import CapsealError

SOON = timedelta(days=60)


class Severity(StrEnum):
    """ERROR: it does not work, or is not safe. WARNING: it will not stay so, or could be better."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. where: the file, or the entry of the configuration; advice: what to do."""

    severity: Severity
    where: str
    what: str
    advice: str


def error_at(where: str, what: str, advice: str) -> Finding:
    return Finding(Severity.ERROR, where, what, advice)


def warning_at(where: str, what: str, advice: str) -> Finding:
    return Finding(Severity.WARNING, where, what, advice)


def ending(where: str, what: str, ends: datetime, now: datetime, advice: str) -> Iterator[Finding]:
    """Find what has ended, or ends soon."""
    day = f"{ends:%Y-%m-%d}"
    if ends < now:
        yield error_at(where, f"{what} expired on {day}", advice)
    elif ends < now + SOON:
        yield warning_at(where, f"{what} expires soon, on {day}", advice)


def reason_of(error: CapsealError | OSError, path: str) -> str:
    """Return what is wrong with a file, without its name."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.removeprefix(f"{path}: ")
