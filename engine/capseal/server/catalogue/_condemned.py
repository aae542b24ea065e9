"""Names of objects that will be deleted: from when they are told until they are gone, nobody uses them.

A deletion cannot be taken back, nor kept from coming late, so it is announced: what nobody needs is condemned in one
collection and deleted in a later one, a grace period after. Who publishes reads the lists after he has listed what
there is and is done well within that period. And no name is ever used again (layout.py), so that a deletion which
comes hours late hits nothing else.

But for parts of what was sealed into the store, which a job that is resumed may put again, and of which condemned ones
are spared where it puts more. So before the first of them is deleted, it is said once and for all which folders are
given up: whoever collects abides by what was said first, and of a folder that was given up nothing is published ever.
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
_KEPT_NAMES = 64 * MAX_NAMES


@dataclass(frozen=True, slots=True)
class CondemnedList:
    """What one collection condemned. number: of the lease that it had."""

    number: int
    path: str
    modified: datetime
    names: frozenset[str]


class Condemned:
    """The lists of condemned names in a storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._kept: Kept[str, frozenset[str]] = Kept(_KEPT_NAMES)

    async def lists(self) -> list[CondemnedList]:
        """Return all of them as they are now. Raises TransferError."""
        found = []
        for one in [one async for one in self._storage.list(layout.CONDEMNED)]:
            number = layout.parse_condemned_list(one.path)
            names = None if number is None else await self._named_in(one.path)
            if number is not None and names is not None:
                found.append(CondemnedList(number, one.path, one.modified, names))
        return found

    async def names(self) -> frozenset[str]:
        """Return every condemned name, and those of folders of parts that were given up. Raises TransferError."""
        listed = [one.path async for one in self._storage.list(layout.CONDEMNED)]
        known = [path for path in listed if layout.parse_condemned_list(path) or layout.is_given_up_parts(path)]
        return frozenset[str]().union(*[await self._named_in(path) or () for path in known])

    async def give_up(self, one: CondemnedList, folders: Collection[str]) -> frozenset[str]:
        """Say which folders of parts are given up with a list, and return what was said of it first.

        Whoever said it may sleep, and delete of them whenever he wakes up. Raises TransferError.
        """
        path = layout.given_up_parts(one.number)
        await self._storage.put_new(path, strictjson.encode(sorted(folders)))
        await self._storage.sync([path])
        said = await self._named_in(path)
        if said is None:
            raise TransferError(f"storage: {path} is gone")
        return said

    async def _named_in(self, path: str) -> frozenset[str] | None:
        """Return the names in an object, which never changes, or None where it is gone."""
        names = self._kept.get(path)
        if names is None:
            try:
                data = await self._storage.get(path, most=_MAX_BYTES)
            except FileNotFoundError:
                return None
            names = await asyncio.to_thread(_parse, path, data)
            self._kept.put(path, names, weight=1 + len(names))
        return names

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
