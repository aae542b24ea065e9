"""A payload out of storage, by range, and verified on the way where there is an index to check it against."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from ...embedding import RUN_BYTES, read_verified, read_verified_async
from ...errors import TransferError
from ...format.signed_index import SignedIndex
from .._release_store import Chunks
from .objects import Storage
from .stored_runs import StoredPayload, StoredRun, pieces


class PayloadReader:
    """A payload in storage, read by range; verified on the way out where there is an index to check it against."""

    def __init__(self, storage: Storage, stored: StoredPayload, index: SignedIndex | None) -> None:
        self._storage = storage
        self._stored = stored
        self._index = index

    async def chunks(self, start: int, stop: int) -> Chunks:
        """Yield bytes [start, stop). Raises RejectedError, TransferError: nothing wrong was yielded then."""
        if self._index is None:
            for run, offset, size in pieces(self._stored.runs, start, stop):
                for at in range(0, size, RUN_BYTES):
                    yield await self._read_run(run, offset + at, min(RUN_BYTES, size - at))
        elif self._storage.is_local:
            # Read and hashed by one thread in one go: the bytes are still in its core's cache.
            checked = read_verified(self._index, self._read_now, start, stop)
            while (bytes_read := await asyncio.to_thread(next, checked, None)) is not None:
                yield bytes_read
        else:
            async for bytes_read in read_verified_async(self._index, self._read, start, stop):
                yield bytes_read

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


def _checked_size(path: str, offset: int, size: int, data: memoryview) -> memoryview:
    if len(data) != size:
        raise TransferError(f"storage: {path} ends at byte {offset + len(data)}, {offset + size} are expected")
    return data


def _joined(read: list[memoryview]) -> bytes | memoryview:
    return read[0] if len(read) == 1 else b"".join(read)
