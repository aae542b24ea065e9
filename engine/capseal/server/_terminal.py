"""Whether the terminal that a process was started on is there still."""

import sys


class Terminal:
    """What standard error was at the start.

    One that is closed says so by SIGHUP, as does who wants a reload; but nobody is there to reload for.
    """

    def __init__(self) -> None:
        self._was_there = sys.stderr.isatty()

    @property
    def is_closed(self) -> bool:
        """Whether there was one, and it is gone."""
        return self._was_there and not sys.stderr.isatty()
