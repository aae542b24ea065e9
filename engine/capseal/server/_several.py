"""A call for each of many things, a few at once, so that neither the event loop nor the storage gets them all."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
T = TypeVar("T")

AT_ONCE = 16
_IN_ONE_GO = 64
"""Calls that need not wait, until others have their turn."""


async def each(items: Iterable[A], call: Callable[[A], Awaitable[T]]) -> list[T]:
    """Return what the call gives for each item, in order; AT_ONCE are under way. Raises what the first one raises."""
    numbered = enumerate(items)
    results: dict[int, T] = {}

    async def work() -> None:
        for number, item in numbered:
            results[number] = await call(item)
            if number % _IN_ONE_GO == 0:
                await asyncio.sleep(0)

    workers = [asyncio.ensure_future(work()) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
    return [results[number] for number in range(len(results))]


def batched(items: Iterable[T], most: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most so many."""
    rest = iter(items)
    while some := list(islice(rest, most)):
        yield some
