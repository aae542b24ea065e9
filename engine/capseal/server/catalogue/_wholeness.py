"""Whether all is there that a release needs.

A server that was stopped for longer than the grace period, just before it made a release visible, takes that back when
it wakes, since what the release names may have been collected meanwhile. One that is killed then cannot.
"""

import asyncio
from collections.abc import Callable

from ...http.shapes import AppChannel
from .._kept import Kept
from ..storage.objects import Storage
from ..storage.pointers import Entry
from ..storage.records import ReleaseRecord
from ._channels import Channels
from ._condemned import Condemned

_WHOLE_FOR_S = 60.0
"""So long an entry is taken to be whole without a look: no collector hits it any more, but what else may happen to it
is to be found out."""
_KEPT_ENTRIES = 4096


class Wholeness:
    """Looks whether releases are whole, at most once at a time of each, whoever asks: their seals are public.

    clock: seconds.
    """

    def __init__(
        self, storage: Storage, channels: Channels, condemned: Condemned, *, clock: Callable[[], float]
    ) -> None:
        self._storage = storage
        self._channels = channels
        self._condemned = condemned
        self._clock = clock
        self._whole: Kept[str, float] = Kept(_KEPT_ENTRIES)
        self._looking: dict[str, asyncio.Task[bool]] = {}

    async def of(self, of: AppChannel, entry: Entry) -> bool:
        """Return whether a record can be read, and all that it names is there and to stay. Raises TransferError."""
        at = self._whole.get(entry.mark)
        if at is not None and self._clock() - at <= _WHOLE_FOR_S:
            return True
        looking = self._looking.get(entry.mark)
        if looking is None:
            looking = self._looking[entry.mark] = asyncio.create_task(self._look(of, entry))
            looking.add_done_callback(lambda _: self._looking.pop(entry.mark, None))
        return await asyncio.shield(looking)

    async def _look(self, of: AppChannel, entry: Entry) -> bool:
        began = self._clock()
        (record,) = await self._channels.records(of, [entry])
        if record is None:
            return False
        missing, folders = await asyncio.to_thread(_needed, record)
        for folder in folders:
            missing.difference_update(one.path for one in await self._storage.listed_files(folder))
        if missing:
            return False
        # Only now: whoever condemned one of these before they were listed has told so by now.
        condemned = await self._condemned.names()
        is_whole = not condemned or await asyncio.to_thread(lambda: all(map(condemned.isdisjoint, _needed(record))))
        if is_whole:
            self._whole.put(entry.mark, began)
        return is_whole


def _needed(record: ReleaseRecord) -> tuple[set[str], set[str]]:
    """Return the names of all that a release needs, and of the folders they are in: hundreds of thousands."""
    names = {record.path, record.seal_path, *record.paths}
    return names, {name.rpartition("/")[0] for name in names}
