"""A storage that fails as buckets do: before it did what it was told, after it did, or by saying that it did not."""

import random
from collections.abc import AsyncIterator, Iterable

from obstore.store import MemoryStore

from capseal import TransferError
from capseal.embedding import Chunk
from capseal.server.storage.objects import Storage
from capseal.server.storage.stored import Seen, StoredObject


class FaultyStorage(Storage):
    """One server's view of a store that others share.

    rate: how many of a hundred requests go wrong; chance: how.
    """

    def __init__(self, store: MemoryStore, chance: random.Random, *, rate: int = 0) -> None:
        super().__init__(store)
        self.chance = chance
        self.rate = rate
        self.faults = 0

    def _goes_wrong(self) -> str:
        """Return how a request goes: not at all, lost on the way there, or on the way back."""
        if self.chance.randrange(100) >= self.rate:
            return ""
        self.faults += 1
        return self.chance.choice(["lost request", "lost answer"])

    def _fail(self, how: str, *, at: str) -> None:
        if how == at:
            raise TransferError(f"storage: 503, {how}")

    async def put(self, path: str, data: Chunk) -> None:
        how = self._goes_wrong()
        self._fail(how, at="lost request")
        await super().put(path, data)
        self._fail(how, at="lost answer")

    async def put_new(self, path: str, data: Chunk) -> bool:
        how = self._goes_wrong()
        self._fail(how, at="lost request")
        put = await super().put_new(path, data)
        self._fail(how, at="lost answer")
        return put

    async def swap(self, path: str, data: bytes, seen: Seen | None) -> bool:
        how = self._goes_wrong()
        if how and self.chance.randrange(3) == 0:
            # 409 while another one writes; or 412 to the second sending of what arrived the first time.
            if how == "lost answer":
                await super().swap(path, data, seen)
            return False
        self._fail(how, at="lost request")
        done = await super().swap(path, data, seen)
        self._fail(how, at="lost answer")
        return done

    async def see(self, path: str, *, most: int, unless: Seen | None = None) -> Seen | None:
        self._fail("lost request" if self._goes_wrong() else "", at="lost request")
        return await super().see(path, most=most, unless=unless)

    async def get(self, path: str, *, most: int) -> bytes:
        self._fail("lost request" if self._goes_wrong() else "", at="lost request")
        return await super().get(path, most=most)

    async def list(self, prefix: str) -> AsyncIterator[StoredObject]:
        self._fail("lost request" if self._goes_wrong() else "", at="lost request")
        async for one in super().list(prefix):
            yield one

    async def delete(self, paths: Iterable[str]) -> None:
        how = self._goes_wrong()
        self._fail(how, at="lost request")
        await super().delete(paths)
        self._fail(how, at="lost answer")
