"""Clients that there is no room for, which no application sees: counted, and told of now and then."""

import time
from collections.abc import Callable
from logging import Logger

_PAUSE_S = 5.0
"""Between two lines: one for each refusal would be what a flood is answered with."""


class Refusals:
    """What was refused for want of room, by the limit that leaves none."""

    def __init__(
        self, log: Logger, count: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """count: is told of each, by the limit's name."""
        self._log = log
        self._count = count
        self._clock = clock
        self._told_s = -float("inf")
        self._untold = 0

    def add(self, limit: str, client: str) -> None:
        """Count one. limit: the setting's name; client: an address."""
        self._count(limit)
        self._untold += 1
        now_s = self._clock()
        if now_s - self._told_s >= _PAUSE_S:
            members = {"limit": limit, "client": client, "refused": self._untold}
            self._log.warning("no room", extra={"members": members})
            self._told_s = now_s
            self._untold = 0
