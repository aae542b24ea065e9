"""Runs of payloads that were verified, in memory: what many ask for at once is read and hashed once."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from ...embedding import RUN_BYTES

_AGING_ASKS = 8192
"""After so many, what was asked for before counts half."""

Key = tuple[str, int]
"""A payload's digest, in hex, and where in it a run begins."""


class VerifiedCache:
    """The runs that were asked for last, of at most `most_bytes`; what is asked for at once by many is made once.

    What is in it was verified and is this process's alone: it is as good as at first, whatever became of the storage.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held_bytes = 0
        self._runs: OrderedDict[Key, memoryview] = OrderedDict()
        self._coming: dict[Key, asyncio.Future[memoryview]] = {}
        self._asked: dict[Key, int] = {}
        self._asks = 0

    def is_worth(self, key: Key) -> bool:
        """Count that a run is asked for, and say whether it is here, or is asked for more than what it would displace.

        Else more is asked for than there is room for, and to keep each for a moment would only cost.
        """
        self._asks += 1
        if self._asks % _AGING_ASKS == 0:
            self._asked = {key: count // 2 for key, count in self._asked.items() if count > 1}
        asked = self._asked[key] = self._asked.get(key, 0) + 1
        if key in self._runs or key in self._coming:
            return True
        if self._held_bytes + RUN_BYTES * (1 + len(self._coming)) <= self._most_bytes:
            return True
        oldest = next(iter(self._runs), None)
        return oldest is not None and asked > self._asked.get(oldest, 0) + 1

    async def get(self, key: Key, make: Callable[[], Awaitable[memoryview]]) -> memoryview:
        """Return a run; make() gives one that was verified. Raises what make() does, for all who wait for it."""
        run = self._runs.get(key)
        if run is not None:
            self._runs.move_to_end(key)
            return run
        if key not in self._coming:
            coming = self._coming[key] = asyncio.ensure_future(make())
            coming.add_done_callback(lambda done: self._came(key, done))
        # Whoever asked first may go away; the others still wait.
        return await asyncio.shield(self._coming[key])

    def _came(self, key: Key, done: "asyncio.Future[memoryview]") -> None:
        del self._coming[key]
        if done.cancelled() or done.exception() is not None:
            return
        run = done.result()
        self._runs[key] = run
        self._held_bytes += len(run)
        while self._held_bytes > self._most_bytes:
            _, oldest = self._runs.popitem(last=False)
            self._held_bytes -= len(oldest)
