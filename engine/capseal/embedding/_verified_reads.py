"""Verified ranges of what is stored: whole segments are read around a range, and checked before they are passed on."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

from ..bundle.reading_order import Verified
from ..constants import SEGMENT_BYTES
from ..format.signed_index import SignedIndex
from ._streams import RUN_BYTES, Chunk

Read = Callable[[int, int], Chunk]
"""read(offset, size) returns that many bytes of the payload: fewer only at its end."""

AsyncRead = Callable[[int, int], Awaitable[Chunk]]
"""The same, awaited."""


def read_verified(verified: Verified | SignedIndex, read: Read, start: int, stop: int) -> Iterator[memoryview]:
    """Yield bytes [start, stop) of a payload from a storage reader, each segment checked before it is passed on.

    verified: the seal's verdict, or the index of another payload that a seal vouches for. Whole segments
    are read around the range. Raises TamperedError, TruncatedError, whatever `read` raises, ValueError for
    a range outside the payload.
    """
    index = verified.index if isinstance(verified, Verified) else verified
    for offset, size in _runs(index, start, stop):
        run = memoryview(read(offset, size))
        _check(index, offset, size, run)
        yield _inside(run, offset, start, stop)


async def read_verified_async(
    verified: Verified | SignedIndex, read: AsyncRead, start: int, stop: int
) -> AsyncGenerator[memoryview, None]:
    """read_verified() for asyncio: `read` is awaited, hashing runs in worker threads."""
    index = verified.index if isinstance(verified, Verified) else verified
    for offset, size in _runs(index, start, stop):
        run = memoryview(await read(offset, size))
        await asyncio.to_thread(_check, index, offset, size, run)
        yield _inside(run, offset, start, stop)


def _runs(index: SignedIndex, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield offset and size of the runs of whole segments around a range."""
    size = index.payload.size
    if not 0 <= start <= stop <= size:
        raise ValueError(f"bytes {start} to {stop} are not inside a payload of {size} bytes")
    if start == stop:
        return
    first = start - start % SEGMENT_BYTES
    end = min(size, -(-stop // SEGMENT_BYTES) * SEGMENT_BYTES)
    for offset in range(first, end, RUN_BYTES):
        yield offset, min(RUN_BYTES, end - offset)


def _check(index: SignedIndex, offset: int, size: int, run: memoryview) -> None:
    if len(run) != size:
        raise index.payload_ended(offset + len(run))
    index.check_run(offset // SEGMENT_BYTES, run)


def _inside(run: memoryview, offset: int, start: int, stop: int) -> memoryview:
    return run[max(0, start - offset) : stop - offset]
