"""Heads, recalls and updates of the trust store, from a store into a tree, in the order in which devices ask for them.

A head comes after all that it names: releases, recalls, and updates up to its version of the trust store. Nothing is
signed or judged here, but none takes the place of one that devices would take for newer.
"""

import os
from collections.abc import AsyncIterator, Collection

from ...constants import MAX_ENVELOPE_BYTES
from ...errors import FormatError, TransferError, UsageError
from ...http.answers import HEAD_TYPE, RECALL_TYPE, REVALIDATE, UPDATE_TYPE
from ...http.shapes import AppChannel
from ...trust.heads import SignedHead, read_head
from ...trust.updates import read_update
from ..storage import layout
from ..storage.objects import Storage
from ..storage.pointers import ChannelPointer
from . import _tree


class DocumentExport:
    """The documents of one export.

    done: names in the tree of those that were written; warnings: of an app and channel, what devices will miss.
    """

    def __init__(self, storage: Storage, target: Storage) -> None:
        self._storage = storage
        self._target = target
        self.done: list[str] = []
        self.warnings: dict[AppChannel, str] = {}

    async def head_there(self, pointer: ChannelPointer) -> SignedHead | None:
        """Return the head in the tree. Raises UsageError where it is not one that the store's head comes after."""
        path = _tree.head_path(pointer.of)
        where = f"{self._target.place}: {path}"
        try:
            seen = await self._target.see(path, most=MAX_ENVELOPE_BYTES)
            there = None if seen is None else read_head(seen.data)
        except FormatError as error:
            raise UsageError(f"{where} is none of an export: {error}") from error
        if there is None:
            return None
        ours = None if pointer.head is None else read_head(pointer.head)
        if ours is None or (ours.digest != there.digest and ours.place <= there.place):
            raise UsageError(
                f"{where} has number {there.head.number} of epoch {there.head.epoch}, which is not before what "
                f"{self._storage.place} has: it is of another store, or of a later state of this one"
            )
        return there

    async def bring(self, pointer: ChannelPointer, brought: Collection[int]) -> None:
        """Put the documents of an app and channel, the head last.

        brought: sequences of releases that are in the tree. Raises TransferError, FormatError where something that
        the head names is not there: then the head stays as it was.
        """
        updates = await self._bring_updates(pointer.of.app)
        for digest, recall in sorted(pointer.recalls.items()):
            await self._put(_tree.recall_path(pointer.of, digest), recall, RECALL_TYPE)
        if pointer.head is None:
            return
        head = read_head(pointer.head).head
        # What was withdrawn meanwhile is as gone here as it is on a server.
        listed = {one.sequence for one in pointer.listed()}
        missing = sorted({one.sequence for one in head.releases} & listed - set(brought))
        if missing:
            raise TransferError(f"head {head.number} names sequence {missing[0]}, which could not be exported")
        self.warnings.pop(pointer.of, None)
        lacking = next((version for version in _led_through(updates, head.store.version) if version not in updates), 0)
        if lacking:
            self.warnings[pointer.of] = (
                f"{pointer.of.app} on {pointer.of.channel}: head {head.number} is under version {head.store.version} "
                f"of the trust store, and {self._storage.place} has no update to version {lacking}: devices with an "
                "earlier one take no head; 'capseal trust publish' brings it"
            )
        await self._put(_tree.head_path(pointer.of), pointer.head, HEAD_TYPE)

    async def _bring_updates(self, app: str) -> set[int]:
        """Put the updates of an app's trust store, and return the versions that there are of it."""
        folder = os.path.dirname(_tree.update_path(app, 1))
        there = {one.path: one.size async for one in self._target.list(folder)}
        listed = [one async for one in self._storage.list(f"{layout.TRUST}/{app}")]
        stored = [one for one in listed if _tree.is_number(one.path.rpartition("/")[2])]
        for one in sorted(stored, key=lambda one: one.path):
            version = one.path.rpartition("/")[2]
            if there.get(_tree.update_path(app, int(version))) == one.size:
                continue
            try:
                update = await self._storage.get(one.path, most=MAX_ENVELOPE_BYTES)
            except FileNotFoundError as error:
                raise TransferError(f"storage: {one.path} is gone") from error
            if read_update(update)[1].version != int(version):
                raise FormatError(f"{one.path} is not the update to version {int(version)}")
            await self._put(_tree.update_path(app, int(version)), update, UPDATE_TYPE)
        return {int(one.path.rpartition("/")[2]) for one in stored}

    async def _put(self, path: str, data: bytes, media_type: str) -> None:
        """Put a document, unless it is there."""
        seen = await self._target.see(path, most=MAX_ENVELOPE_BYTES)
        if seen is not None and seen.data == data:
            return
        await put_document(self._target, path, data, media_type)
        self.done.append(path)


def _led_through(updates: Collection[int], version: int) -> range:
    """Return the versions that bring a device to one, from the first that there is an update to; at least to that one.

    Version 1 is in the app from the start.
    """
    return range(max(2, min([version, *updates])), version + 1)


async def put_document(target: Storage, path: str, data: bytes, media_type: str) -> None:
    """Put a small file of a tree that changes in time, durably, in place of what has that name."""
    headers = {"Content-Type": media_type, "Cache-Control": REVALIDATE}
    await target.put_stream(path, one_piece(data), size=len(data), headers=headers)
    await target.sync([path])


async def one_piece(data: bytes) -> AsyncIterator[bytes | memoryview]:
    """Give bytes as what comes in pieces."""
    yield data
