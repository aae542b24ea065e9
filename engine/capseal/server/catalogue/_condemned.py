"""Names of objects that will be deleted: from when they are told until they are gone, nobody uses them.

A deletion cannot be taken back, nor kept from coming late, so it is announced: what nobody needs is condemned in one
collection and deleted in a later one, a grace period after. Who publishes reads the lists after he has listed what
there is and is done well within that period. And no name is ever used again (layout.py), so that a deletion which
comes hours late hits nothing else.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from ...errors import FormatError, TransferError
from ...format import strictjson
from .._kept import Kept
from ..storage import layout
from ..storage.objects import Storage

MAX_NAMES = 16_384
"""In one list, which is parsed in one go; what is more waits for the next collection."""

_MAX_BYTES = 64 * 1024 * 1024
_KEPT_LISTS = 64


@dataclass(frozen=True, slots=True)
class CondemnedList:
    """What one collection condemned."""

    path: str
    modified: datetime
    names: frozenset[str]


class Condemned:
    """The lists of condemned names in a storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._kept: Kept[str, frozenset[str]] = Kept(_KEPT_LISTS)

    async def lists(self) -> list[CondemnedList]:
        """Return all of them as they are now. Raises TransferError."""
        found = []
        for one in [one async for one in self._storage.list(layout.CONDEMNED)]:
            if layout.parse_condemned_list(one.path) is None:
                continue
            names = self._kept.get(one.path)
            if names is None:
                try:
                    data = await self._storage.get(one.path, most=_MAX_BYTES)
                    names = await asyncio.to_thread(_parse, one.path, data)
                except FileNotFoundError:
                    continue  # all that it names is gone
                self._kept.put(one.path, names)
            found.append(CondemnedList(one.path, one.modified, names))
        return found

    async def names(self) -> frozenset[str]:
        """Return every condemned name. Raises TransferError."""
        return frozenset[str]().union(*(one.names for one in await self.lists()))

    async def add(self, number: int, names: Collection[str]) -> None:
        """Condemn names, under the number of the lease that the collector has. Raises TransferError."""
        path = layout.condemned_list(number)
        data = await asyncio.to_thread(strictjson.encode, list(names))
        if not await self._storage.put_new(path, data):
            raise TransferError(f"storage: {path} was written by another collector")
        await self._storage.sync([path])


def _parse(path: str, data: bytes) -> frozenset[str]:
    try:
        names = strictjson.parse(data, path)
    except FormatError as error:
        raise TransferError(f"storage: {error}") from error
    if type(names) is not list or not all(type(name) is str for name in names):
        raise TransferError(f"storage: {path}: expected an array of names")
    return frozenset(names)
