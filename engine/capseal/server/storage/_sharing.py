"""Who writes to a folder side by side, as the lock on it tells, which a killed process cannot keep."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from ...io import durable

_TIMEOUT_S = 10.0
_PAUSE_S = 0.005


@asynccontextmanager
async def sharing(folder: str, tidy: Callable[[bool], Awaitable[None]]) -> AsyncIterator[None]:
    """Be one of those that write to a folder.

    tidy: is called first with whether there is no other; no other one begins before it ends then. Raises OSError.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            alone = durable.try_lock(fd)
        except OSError:  # a file system without locks: nobody knows who else there is
            await tidy(False)
            yield
            return
        await tidy(alone)
        with suppress(TimeoutError):
            async with asyncio.timeout(_TIMEOUT_S):
                while not durable.try_share(fd):
                    await asyncio.sleep(_PAUSE_S)
        yield
    finally:
        os.close(fd)
