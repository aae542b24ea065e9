"""EventCounts: how many events of each kind came in each hour, in an SQLite file that several processes may use."""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager

from ._day_counts import DAY_S, MAX_COUNTS, DayCount, sum_counts
from ._events import OTHER, EventKind

HOUR_S = 3600
MAX_KINDS_AN_HOUR = 10_000
"""Whoever reports anything, reports versions and apps that there are not: what comes beyond is counted as `other`."""
_BUSY_S = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS counts (
    hour INTEGER NOT NULL, app TEXT NOT NULL, platform TEXT NOT NULL, action TEXT NOT NULL, version TEXT NOT NULL,
    events INTEGER NOT NULL, PRIMARY KEY (hour, app, platform, action, version)
) WITHOUT ROWID
"""
_BY_DAY = f"""
SELECT hour / {DAY_S} AS day, app, action, version, sum(events) AS events FROM counts
GROUP BY day, app, action, version ORDER BY events DESC LIMIT ?
"""  # noqa: S608 - a number
_OF_DAY = f"SELECT hour / {DAY_S} AS day, sum(events) FROM counts GROUP BY day"  # noqa: S608 - a number
_ADD = """
INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (hour, app, platform, action, version) DO UPDATE SET events = events + excluded.events
"""


class EventCounts:
    """Counts events, and says what was counted. What add() returned from is on the disk.

    path: of the file; keep_days: for how long; clock: seconds since 1970. The file is opened when it is first used, so
    that a server that forks shares no connection.
    """

    def __init__(self, path: str, *, keep_days: int, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._keep_days = keep_days
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._waiting: list[tuple[Counter[EventKind], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._swept = -1  # the day on which what is old was deleted

    async def add(self, counts: Counter[EventKind]) -> None:
        """Count events. Raises sqlite3.Error where they cannot be written; none of them is counted then."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((counts, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        await done

    async def _write_all(self) -> None:
        """Write what waits, and what comes meanwhile: many requests, one transaction."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            together: Counter[EventKind] = sum((counts for counts, _ in batch), Counter())
            try:
                await asyncio.to_thread(self._write, together)
            except sqlite3.Error as error:
                for _, done in batch:
                    if not done.done():
                        done.set_exception(error)
            else:
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)

    def _write(self, counts: Mapping[EventKind, int]) -> None:
        if self._connection is None:
            self._connection = _opened(self._path)
        now = int(self._clock())
        hour = now - now % HOUR_S
        with _transaction(self._connection) as connection:
            if self._swept != now // DAY_S:
                connection.execute("DELETE FROM counts WHERE hour < ?", (now - self._keep_days * DAY_S,))
            (kinds,) = connection.execute("SELECT count(*) FROM counts WHERE hour = ?", (hour,)).fetchone()
            if kinds + len(counts) > MAX_KINDS_AN_HOUR:
                counts = _bounded(connection, hour, counts, MAX_KINDS_AN_HOUR - kinds)
            connection.executemany(_ADD, [(hour, *kind, events) for kind, events in counts.items()])
        self._swept = now // DAY_S

    def by_day(self) -> list[DayCount]:
        """Return what was counted, by day, app, action and version, no more than fits an answer.

        Blocks; raises sqlite3.Error.
        """
        with closing(_opened(self._path)) as connection, _transaction(connection, "BEGIN"):
            rows = connection.execute(_BY_DAY, (MAX_COUNTS,))
            counts = [DayCount(*row) for row in rows]
            if len(counts) < MAX_COUNTS:
                return sum_counts([counts])
            rest = Counter(dict(connection.execute(_OF_DAY).fetchall()))
            for one in counts:
                rest[one.day] -= one.events
        others = [DayCount(day, OTHER, OTHER, OTHER, events) for day, events in rest.items() if events]
        return sum_counts([counts, others])


def _bounded(
    connection: sqlite3.Connection, hour: int, counts: Mapping[EventKind, int], room: int
) -> Counter[EventKind]:
    """Return counts of which no more than so many kinds are new."""
    known = {
        EventKind(*row)
        for row in connection.execute("SELECT app, platform, action, version FROM counts WHERE hour = ?", (hour,))
    }
    bounded: Counter[EventKind] = Counter()
    for kind, events in counts.items():
        if kind not in known and room <= 0:
            kind = EventKind(OTHER, OTHER, OTHER, OTHER)
        elif kind not in known:
            known.add(kind)
            room -= 1
        bounded[kind] += events
    return bounded


def _opened(path: str) -> sqlite3.Connection:
    # Used by one thread at a time; transactions are begun and ended by hand.
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # what was answered with 200 survives a loss of power, too
    connection.execute(_SCHEMA)
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
    connection.execute(begin)
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
