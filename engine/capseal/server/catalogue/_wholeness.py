"""Whether all is there that a release needs.

A server that was stopped for longer than the grace period, just before it made a release visible, takes that back when
it wakes, since what the release names may have been collected meanwhile. One that is killed then cannot.
"""

from ...http.shapes import AppChannel
from ..storage.objects import Storage
from ..storage.pointers import Entry
from ._channels import Channels
from ._condemned import Condemned


async def is_whole(of: AppChannel, entry: Entry, storage: Storage, channels: Channels, condemned: Condemned) -> bool:
    """Return whether a record can be read, and all that it names is there and to stay. Raises TransferError."""
    (record,) = await channels.records(of, [entry])
    if record is None:
        return False
    needed = {record.path, record.seal_path, *record.paths}
    there: set[str] = set()
    for folder in {name.rpartition("/")[0] for name in needed}:
        there.update([one.path async for one in storage.list(folder)])
    # Only now: whoever condemned one of these before they were listed has told so by now.
    return needed <= there - await condemned.names()
