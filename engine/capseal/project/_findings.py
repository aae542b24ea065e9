"""What is wrong with a project, as a value."""

from dataclasses import dataclass
from enum import StrEnum


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
