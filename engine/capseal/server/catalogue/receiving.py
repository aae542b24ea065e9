"""Receiving payload: every segment is verified before it is stored, at most a few are in flight."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable

from ...constants import SEGMENT_BYTES
from ...embedding import RUN_BYTES as HASHED_BYTES
from ...embedding import Chunk
from ...errors import RejectedError, TransferError
from ...format.signed_index import SignedIndex
from ...http.limits import RUN_BYTES as STORED_RUN_BYTES
from ..storage.buffers import Buffers
from ..storage.stored_runs import StoredRun

PutRun = Callable[[StoredRun, memoryview], Awaitable[None]]
"""Stores a verified run of segments; the bytes are its own until it returns."""


class RunBuffers(Buffers):
    """Buffers of one stored run each."""

    def __init__(self, most: int) -> None:
        super().__init__(STORED_RUN_BYTES, most=most)


class Receiver:
    """Takes the bytes of a run of segments in pieces of any length, verifies them, stores them in runs.

    Some segments are hashed and one run is stored while the next bytes arrive: two runs in memory, and at
    most 4 segments are read past a bad one. Leave it as a context manager: it waits
    for what is in flight, so that nothing is stored after it has been left.
    """

    def __init__(self, index: SignedIndex, put: PutRun, buffers: RunBuffers, *, start: int, stop: int) -> None:
        """start, stop: bytes in the payload, both where a segment starts or the payload ends."""
        self._index = index
        self._put = put
        self._buffers = buffers
        self._stop = stop
        self._run_start = start
        self._checked = start
        self.received = start
        """How far the bytes came, as an offset in the payload."""
        self._whole_buffer = buffers.take()
        self._buffer = self._cut_buffer()
        self._check: asyncio.Task[None] | None = None
        self._store: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Receiver":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await asyncio.gather(*filter(None, (self._check, self._store)), return_exceptions=True)

    async def receive(self, chunks: AsyncIterable[Chunk]) -> None:
        """Take everything. Raises RejectedError at the first bad segment, TransferError from storage.

        Where the chunks end early, or raise, what was verified until then is stored.
        """
        keep = True
        try:
            async for chunk in chunks:
                await self._take(memoryview(chunk))
        except (RejectedError, TransferError, asyncio.CancelledError):
            keep = False
            raise
        finally:
            if keep:
                await self._finish()

    async def _take(self, view: memoryview) -> None:
        while view:
            if self.received == self._stop:
                raise self._index.payload_ended(self._stop + len(view))
            filled = self.received - self._run_start
            count = min(len(view), len(self._buffer) - filled, HASHED_BYTES - (self.received - self._checked))
            self._buffer[filled : filled + count] = view[:count]
            view = view[count:]
            self.received += count
            run_full = filled + count == len(self._buffer)
            if run_full or self.received - self._checked == HASHED_BYTES:
                await self._start_check(self.received)
            if run_full:
                await self._start_store(self.received)

    async def _start_check(self, stop: int) -> None:
        """Hash from where the last check ended, in a worker thread, after that one is done."""
        await self._settle_check()
        run = self._buffer[self._checked - self._run_start : stop - self._run_start]
        first = self._checked // SEGMENT_BYTES
        self._check = asyncio.create_task(asyncio.to_thread(self._index.check_run, first, run))
        self._checked = stop

    async def _settle_check(self) -> None:
        if self._check is not None:
            check, self._check = self._check, None
            await check

    async def _start_store(self, stop: int) -> None:
        """Store the run up to `stop` in the background, once it is verified and the last one is stored."""
        await self._settle_check()
        await self._settle_store()
        first = self._run_start // SEGMENT_BYTES
        run = StoredRun(first, -(-stop // SEGMENT_BYTES) - first, "")
        data = self._buffer[: stop - self._run_start]
        self._store = asyncio.create_task(self._put_run(run, data, self._whole_buffer))
        self._run_start = stop
        if stop < self._stop:
            self._whole_buffer = self._buffers.take()
            self._buffer = self._cut_buffer()

    async def _put_run(self, run: StoredRun, data: memoryview, whole_buffer: memoryview) -> None:
        await self._put(run, data)
        # Only now, and not after a failure: a put that was cancelled may still be reading.
        self._buffers.give(whole_buffer)

    async def _settle_store(self) -> None:
        if self._store is not None:
            store, self._store = self._store, None
            await store

    async def _finish(self) -> None:
        size = self._index.payload.size
        whole = self.received if self.received == size else self.received - self.received % SEGMENT_BYTES
        if whole > self._checked:
            await self._start_check(whole)
        await self._settle_check()
        if whole > self._run_start:
            await self._start_store(whole)
        await self._settle_store()

    def _cut_buffer(self) -> memoryview:
        grid = (self._run_start // STORED_RUN_BYTES + 1) * STORED_RUN_BYTES
        return self._whole_buffer[: min(grid, self._stop) - self._run_start]
