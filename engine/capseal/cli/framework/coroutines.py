"""Coroutines as commands: a signal cancels the coroutine through its loop, and nothing that runs there swallows it."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from .exit_codes import Interrupted, signals_given_to

T = TypeVar("T")


def run_coroutine(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run what main makes to its end and return what it returns; a signal cancels it.

    Raises Interrupted where a signal came, whatever the coroutine made of that, once all tasks and asynchronous
    generators have ended.
    """
    import asyncio

    came: list[int] = []
    tasks: list[asyncio.Task[Any]] = []
    runner = asyncio.Runner()
    loop = runner.get_loop()

    def cancel() -> None:
        # What falls over while all is being ended is of no interest: the signal is what is told.
        loop.set_exception_handler(lambda loop, context: None)
        for task in tasks:
            task.cancel()

    def heed(number: int) -> None:
        came.append(number)
        with suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(cancel)

    async def run() -> T:
        task = asyncio.current_task()
        if came or task is None:
            raise asyncio.CancelledError
        tasks.append(task)
        return await main()

    try:
        with signals_given_to(heed), runner:
            result = runner.run(run())
    except BaseException as error:
        if came:
            raise Interrupted(came[0]) from error
        raise
    if came:
        raise Interrupted(came[0])
    return result
