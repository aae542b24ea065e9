"""What a server counted, by day: as it exports it, and the sums of several servers. No I/O."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from ..errors import FormatError
from ..format.strictjson import Members, check_text

DAY_S = 24 * 3600
MAX_COUNTS = 50_000
"""Of one answer; what is beyond is `other`, so that nobody who reports what there is not makes answers of any size."""
MAX_EXPORT_BYTES = 32 * 1024 * 1024
"""What they take at most, in JSON."""
_EPOCH = date(1970, 1, 1)
_NAMES = ("day", "app", "action", "version", "events")


class DayCount(NamedTuple):
    """Events of a kind on one day. day: in days since 1970, UTC."""

    day: int
    app: str
    action: str
    version: str
    events: int


def date_of(day: int) -> str:
    """Return a day as `2026-11-28`."""
    return datetime.fromtimestamp(day * DAY_S, UTC).strftime("%Y-%m-%d")


def exported_counts(counts: Iterable[DayCount]) -> dict[str, Any]:
    """Return what a server answers who asks for its counts."""
    return {"counts": [{**one._asdict(), "day": date_of(one.day)} for one in counts]}


def parse_counts(value: Any) -> list[DayCount]:
    """Parse that. Raises FormatError."""
    counts = Members(value, "statistics", required=("counts",)).array("counts", least=0, most=2 * MAX_COUNTS)
    return [_parsed(one, f"statistics.counts[{number}]") for number, one in enumerate(counts)]


def _parsed(value: Any, place: str) -> DayCount:
    members = Members(value, place, required=_NAMES)
    day = members.take("day", str)
    try:
        number = (date.fromisoformat(day) - _EPOCH).days
    except ValueError:
        raise FormatError(f"{place}.day: {day[:64]!r} is not a day such as 2026-11-28") from None
    app, action, version = (members.text(name, check_text) for name in ("app", "action", "version"))
    return DayCount(number, app, action, version, members.integer("events", least=0))


def sum_counts(servers: Iterable[Iterable[DayCount]]) -> list[DayCount]:
    """Return what several servers counted together, in order of days, apps, actions and versions."""
    sums: Counter[tuple[int, str, str, str]] = Counter()
    for counts in servers:
        for one in counts:
            sums[one[:4]] += one.events
    return [DayCount(*kind, events) for kind, events in sorted(sums.items())]
