"""Which release is the latest of a channel, for whom: as its head says, where it has one."""

from itertools import islice

from ...http.shapes import AppChannel
from ..storage.records import ReleaseRecord
from ._channels import Channels
from ._heads import Heads

_RECORDS_AT_ONCE = 100


class Latest:
    """The latest releases of channels, by their pointers, their heads, and what the releases need of an app."""

    def __init__(self, channels: Channels, heads: Heads) -> None:
        self._channels = channels
        self._heads = heads

    async def record(
        self, of: AppChannel, *, native: str | None = None, platform: str | None = None
    ) -> ReleaseRecord | None:
        """Return the latest release for an app: as a device outside of every share takes it, where there is a head.

        Whether the head is fresh is for devices to say: where it has expired, it still is the last word.
        """
        for fresh in (False, True):
            pointer = await self._channels.pointer(of, fresh=fresh)
            entries = self._heads.listed(pointer, native=native, platform=platform)
            first = next(entries, None)
            if first is None:
                continue
            # The first one is kept in memory and mostly does; the others are read many at once.
            records = [await self._channels.readable_record(of, first)]
            while records:
                for record in records:
                    if record is not None and _fits(record, native, platform):
                        return record
                records = await self._channels.records(of, list(islice(entries, _RECORDS_AT_ONCE)))
        return None

    async def superseded(self, of: AppChannel, below: int) -> ReleaseRecord | None:
        """Return the release with the highest sequence below another that neither was withdrawn nor does a head take
        back, whether it names it or not. Whoever asks has just seen the pointer.
        """
        pointer = await self._channels.pointer(of)
        forbidden = self._heads.forbidden(pointer)
        for entry in pointer.entries.newest_first(below=below):
            if entry.withdrawn is None and entry.sequence not in forbidden.sequences:
                record = await self._channels.readable_record(of, entry)
                if record is not None and record.release.payload.digest not in forbidden.digests:
                    return record
        return None


def _fits(record: ReleaseRecord, native: str | None, platform: str | None) -> bool:
    requires = record.release.requires
    return requires is None or requires.misfit(native=native, platform=platform) is None
