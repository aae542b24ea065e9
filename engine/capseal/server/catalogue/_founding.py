"""What a place must be to be a store: empty but for parts that were sealed into it, or one of this layout already."""

from ...errors import FormatError, TransferError, UsageError
from ...format import strictjson
from ...format.strictjson import Members
from ..storage import layout
from ..storage.objects import Storage

LAYOUT_TYPE = "capseal-store-v2"
_MAX_LAYOUT_BYTES = 4096


async def check_layout(storage: Storage) -> bool:
    """Make an empty place a store of this layout, and say whether it was one already.

    Parts that were sealed into it before do not count.
    Raises UsageError where it has anything else or is of another layout, TransferError.
    """
    seen = await storage.see(layout.LAYOUT, most=_MAX_LAYOUT_BYTES)
    if seen is None:
        foreign = await _foreign(storage)
        if foreign is not None:
            # Another server may just have made it a store.
            seen = await storage.see(layout.LAYOUT, most=_MAX_LAYOUT_BYTES)
            if seen is None:
                raise foreign
    if seen is None:
        if not storage.may_be_new:
            raise TransferError(f"storage: {storage.place} has no {layout.LAYOUT} any more; is it mounted?")
        await storage.swap(layout.LAYOUT, strictjson.encode({"type": LAYOUT_TYPE}), None)
        storage.cornerstone = layout.LAYOUT
        return False
    try:
        found = Members(strictjson.parse(seen.data, "store"), "store", required=("type",)).take("type", str)
    except FormatError as error:
        raise TransferError(f"storage: {layout.LAYOUT}: {error}") from error
    if found != LAYOUT_TYPE:
        raise UsageError(f"the store is of type {found[:64]!r}, this server's is {LAYOUT_TYPE!r}")
    storage.cornerstone = layout.LAYOUT
    return True


async def _beside_parts(storage: Storage) -> str | None:
    async for one in storage.list(""):
        if not one.path.startswith(f"{layout.PARTS}/"):
            return one.path
    return None


async def _foreign(storage: Storage) -> UsageError | None:
    """Return why a place without LAYOUT cannot become a store, or None where it has nothing but sealed parts."""
    name = await storage.any_name()
    if name is not None and name.partition("/")[0] == layout.PARTS:
        name = await _beside_parts(storage)
    if name is None:
        return None
    async for one in storage.list(layout.RELEASES):
        if layout.parse_release_object(one.path) is None:
            return UsageError(
                f"the store is of an earlier version, which had {one.path}; publish its bundles anew into an empty one"
            )
        return UsageError(
            f"{storage.place} has {one.path} but no {layout.LAYOUT}: a part of a store; restore it whole, "
            "or publish its bundles anew into an empty one"
        )
    return UsageError(f"{storage.place} is no store, and not empty: it has {name}; give the store a folder of its own")
