"""A payload out of storage, by range, and verified on the way where there is an index to check it against."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import groupby

from ...constants import BLOCK_BYTES, SEGMENT_BYTES
from ...embedding import RUN_BYTES, read_verified, read_verified_async
from ...errors import RejectedError, TransferError
from ...format.signed_index import SignedIndex
from ...native import filehints
from .._release_store import Chunks, FilePiece, Pieces, Pushed
from ._checked_run import CheckedRun
from .buffers import Buffers
from .objects import Storage
from .stored_runs import StoredPayload, StoredRun, pieces
from .verified_cache import VerifiedCache


class PayloadReader:
    """A payload in storage, read by range; verified on the way out where there is an index to check it against."""

    def __init__(
        self,
        storage: Storage,
        stored: StoredPayload,
        index: SignedIndex | None,
        cache: VerifiedCache,
        buffers: Buffers,
    ) -> None:
        """cache: keeps what many ask for; buffers: of a segment each, for what is not kept."""
        self._storage = storage
        self._stored = stored
        self._index = index
        self._cache = cache
        self._buffers = buffers

    async def chunks(self, start: int, stop: int) -> Chunks:
        """Yield bytes [start, stop). Raises RejectedError, TransferError: nothing wrong was yielded then."""
        if self._index is None:
            for stored, offset, size in pieces(self._stored.runs, start, stop):
                for at in range(0, size, RUN_BYTES):
                    yield await self._read_run(stored, offset + at, min(RUN_BYTES, size - at))
            return
        for first in range(start - start % RUN_BYTES, stop, RUN_BYTES):
            async for chunk in self._kept(self._index, max(start, first), min(stop, first + RUN_BYTES)):
                yield chunk

    async def pieces(self, start: int, stop: int) -> Pieces:
        """Yield bytes [start, stop), where they need not be checked as parts of files in the page cache.

        Where they must be, and are not kept, as what a thread reads, checks and writes. Raises as chunks() does.
        """
        if self._index is not None and self._storage.is_local:
            async for piece in self._verified_pieces(self._index, start, stop):
                yield piece
            return
        if not self._storage.is_local:
            async for chunk in self.chunks(start, stop):
                yield chunk
            return
        for stored, offset, size in pieces(self._stored.runs, start, stop):
            fd = self._open_run(stored)  # here: for 8 MiB, to wake a thread would cost more than all else
            try:
                if filehints.is_in_memory(fd) or filehints.is_cached(fd, offset, size):
                    yield FilePiece(fd, offset, size)
                    continue
            finally:
                os.close(fd)
            # A disk would hold up the event loop. The kernel reads ahead, so that the next run is there already.
            for at in range(0, size, RUN_BYTES):
                yield await self._read_run(stored, offset + at, min(RUN_BYTES, size - at))

    async def _kept(self, index: SignedIndex, start: int, stop: int) -> Chunks:
        """Yield bytes [start, stop), which lie in one run of RUN_BYTES, from what is kept, or kept from now on."""
        first = start - start % RUN_BYTES
        try:
            run = await self._cache.get((self._stored.digest, first), partial(self._checked, index, first))
            yield run[start - first : stop - first]
        except (RejectedError, TransferError):  # perhaps in a segment of the run that nobody asked for
            async for piece in read_verified_async(index, self._read, start, stop):
                yield piece

    async def _verified_pieces(self, index: SignedIndex, start: int, stop: int) -> Pieces:
        for run, offset, size in pieces(self._stored.runs, start, stop):
            begin = run.first * SEGMENT_BYTES + offset
            for is_kept, group in groupby(_blocks(begin, begin + size), self._is_worth_keeping):
                spans = list(group)
                if is_kept:
                    for span in spans:
                        async for chunk in self._kept(index, *span):
                            yield chunk
                else:
                    begin, end = spans[0][0], spans[-1][1]
                    checked = CheckedRun(index, run, self._open_run(run), self._buffers, start=begin, stop=end)
                    try:
                        yield Pushed(checked.push, checked.check_first, checked.size)
                    finally:
                        checked.close()

    def _is_worth_keeping(self, span: tuple[int, int]) -> bool:
        if self._stored.size <= BLOCK_BYTES:
            return True  # its entry is its leaf, which no CheckedRun knows; it is small
        return self._cache.is_worth((self._stored.digest, span[0] - span[0] % RUN_BYTES))

    def _open_run(self, run: StoredRun) -> int:
        path = run.path(self._stored.digest)
        with _whole_object(path):
            return self._storage.open_now(path)

    async def _checked(self, index: SignedIndex, first: int) -> memoryview:
        """Return the run of verified segments that begins at a byte of the payload."""
        stop = min(first + RUN_BYTES, self._stored.size)
        if self._storage.is_local:
            # Read and hashed by one thread in one go: the bytes are still in its core's cache.
            return await asyncio.to_thread(next, read_verified(index, self._read_now, first, stop))
        return await anext(read_verified_async(index, self._read, first, stop))

    async def _read(self, offset: int, size: int) -> bytes | memoryview:
        wanted = pieces(self._stored.runs, offset, offset + size)
        return _joined([await self._read_run(*one) for one in wanted])

    def _read_now(self, offset: int, size: int) -> bytes | memoryview:
        return _joined([self._read_run_now(*one) for one in pieces(self._stored.runs, offset, offset + size)])

    async def _read_run(self, run: StoredRun, offset: int, size: int) -> memoryview:
        path = run.path(self._stored.digest)
        with _whole_object(path):
            return _checked_size(path, offset, size, await self._storage.read(path, offset, size))

    def _read_run_now(self, run: StoredRun, offset: int, size: int) -> memoryview:
        path = run.path(self._stored.digest)
        with _whole_object(path):
            return _checked_size(path, offset, size, self._storage.read_now(path, offset, size))


@contextmanager
def _whole_object(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise TransferError(f"storage: {path} is gone") from error


def _blocks(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of [start, stop) that lie in one run of RUN_BYTES each."""
    while start < stop:
        end = min(stop, (start // RUN_BYTES + 1) * RUN_BYTES)
        yield start, end
        start = end


def _checked_size(path: str, offset: int, size: int, data: memoryview) -> memoryview:
    if len(data) != size:
        raise TransferError(f"storage: {path} ends at byte {offset + len(data)}, {offset + size} are expected")
    return data


def _joined(read: list[memoryview]) -> bytes | memoryview:
    return read[0] if len(read) == 1 else b"".join(read)
