"""The server's storage, with payloads in it that are made when they are read."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from obstore.store import MemoryStore

from ..constants import SEGMENT_BYTES
from ..errors import SourceChangedError, TransferError
from ..format.tree import segment_count
from ..http.limits import RUN_SEGMENTS
from ..server.storage.objects import Storage, StoredObject
from ..server.storage.stored_runs import Part
from ._bundle import FolderBundle

_PART_PATH = re.compile(r"payloads/([0-9a-f]{64})/([0-9]{10})-([0-9]{2})")


class FolderStorage(Storage):
    """Holds seals and records in memory and, as the one payload, that of the current bundle."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self._bundle: FolderBundle | None = None

    def show(self, bundle: FolderBundle) -> None:
        """Let a bundle's payload be the one that is here."""
        self._bundle = bundle

    async def read(self, path: str, offset: int, size: int) -> memoryview:
        part = _PART_PATH.fullmatch(path)
        if part is None:
            return await super().read(path, offset, size)
        bundle = self._bundle
        if bundle is None or bundle.seal.statement.payload.digest.hex() != part[1]:
            raise TransferError(f"storage: {path} is of a bundle that is no longer current")
        start = int(part[2]) * SEGMENT_BYTES
        size = min(size, int(part[3]) * SEGMENT_BYTES - offset)
        try:
            return await asyncio.to_thread(bundle.read, start + offset, size)
        except SourceChangedError as error:
            raise TransferError(f"storage: {error}") from error

    async def list(self, prefix: str) -> AsyncIterator[StoredObject]:
        async for stored in super().list(prefix):
            yield stored
        if prefix.startswith("payloads") and self._bundle is not None:
            statement = self._bundle.seal.statement
            digest, total = statement.payload.digest.hex(), statement.payload.size
            for first in range(0, segment_count(total), RUN_SEGMENTS):
                part = Part(first, min(RUN_SEGMENTS, segment_count(total) - first))
                path = part.path(digest)
                if path.startswith(prefix):
                    size = min(part.stop * SEGMENT_BYTES, total) - first * SEGMENT_BYTES
                    yield StoredObject(path, size, datetime.now(UTC))
