"""No call of the storage takes longer than it may, and each is measured."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from ...errors import TransferError

P = ParamSpec("P")
T = TypeVar("T")


def _untold(done: bool) -> None:
    """Leave aside whether something was written."""


def _nowhere(call: str, seconds: float) -> None:
    """Leave a measure aside."""


@dataclass
class Pace:
    """How long a call may take, and who is told how each went.

    told: the name of the call and seconds; wrote: whether what was to be written was.
    """

    timeout_s: float = 30.0
    told: Callable[[str, float], None] = field(default=_nowhere)
    wrote: Callable[[bool], None] = field(default=_untold)


class _Paced(Protocol):
    pace: Pace


S = TypeVar("S", bound=_Paced)


def in_time(
    wish: str,
) -> Callable[[Callable[Concatenate[S, P], Awaitable[T]]], Callable[Concatenate[S, P], Awaitable[T]]]:
    """Let a method of the storage raise TransferError where it does not end in time.

    wish: what it asks for, in words; the path that it is called with, if it is, comes behind them.
    """

    def decorated(call: Callable[Concatenate[S, P], Awaitable[T]]) -> Callable[Concatenate[S, P], Awaitable[T]]:
        name = call.__name__

        @wraps(call)
        async def bounded(self: S, /, *args: P.args, **keywords: P.kwargs) -> T:
            path = args[0] if args and isinstance(args[0], str) else ""
            return await _bounded(call(self, *args, **keywords), name, f"{wish} {path}".rstrip(), self.pace)

        return bounded

    return decorated


def writes(call: Callable[Concatenate[S, P], Awaitable[T]]) -> Callable[Concatenate[S, P], Awaitable[T]]:
    """Let a method of the storage tell whether it wrote; one that returns False had no need to, and shows nothing."""

    @wraps(call)
    async def telling(self: S, /, *args: P.args, **keywords: P.kwargs) -> T:
        try:
            outcome = await call(self, *args, **keywords)
        except TransferError:
            self.pace.wrote(False)
            raise
        if outcome is not False:
            self.pace.wrote(True)
        return outcome

    return telling


def not_in_time(wish: str, wait_s: float) -> TransferError:
    """Return what to raise where the storage does not do in time what it is asked for, such as `read store.json`."""
    return TransferError(f"storage: no answer to a request to {wish} within {wait_s:g} s")


async def pages_in_time(pages: AsyncIterator[T], wish: str, pace: Pace) -> AsyncIterator[T]:
    """Yield the pages of a listing, each of which comes in time. Raises TransferError."""
    while True:
        try:
            page = await _bounded(anext(pages), "list", wish, pace)
        except StopAsyncIteration:
            return
        yield page


async def waited_for(pieces: AsyncIterable[T], patience: asyncio.Timeout, wait_s: float) -> AsyncIterator[T]:
    """Pass on the pieces of what is put, and have patience anew with each."""
    async for piece in pieces:
        patience.reschedule(asyncio.get_running_loop().time() + wait_s)
        yield piece


async def _bounded(answer: Awaitable[T], name: str, wish: str, pace: Pace) -> T:
    began = time.monotonic()
    try:
        async with asyncio.timeout(pace.timeout_s):
            return await answer
    except TimeoutError as error:
        raise not_in_time(wish, pace.timeout_s) from error
    finally:
        pace.told(name, time.monotonic() - began)
