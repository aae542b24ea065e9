"""Whether the storage can be reached, asked for as rarely as it can be."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from ..errors import TransferError

_TIMEOUT_S = 5.0
_KEPT_S = 1.0
"""An answer is good for so long: whoever asks often does not ask the storage more often."""


class Readiness:
    """Asks the storage; those who want to know at the same time get one answer."""

    def __init__(self, probe: Callable[[], Awaitable[None]]) -> None:
        """probe: raises TransferError where the storage does not answer."""
        self._probe = probe
        self._asking: asyncio.Task[None] | None = None
        self._asked_s = 0.0

    async def check(self) -> None:
        """Raise TransferError unless the storage answers within 5 s, or did in the last second."""
        if self._asking is None or (self._asking.done() and time.monotonic() - self._asked_s > _KEPT_S):
            self._asking = asyncio.create_task(self._ask())
        await asyncio.shield(self._asking)  # whoever asked first may go away

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._probe()
        except TimeoutError:
            raise TransferError(f"storage: no answer within {_TIMEOUT_S:g} s") from None
        finally:
            self._asked_s = time.monotonic()


async def always() -> None:
    """Be there: the probe of what needs no storage."""
