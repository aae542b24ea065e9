"""Other seals for what is published, as after capseal.rewrap(): put beside the old ones, and then named by the pointer.

Servers may use the store meanwhile. What a cache has of a seal it asks for again, since the seal's digest is its entity
tag; the old seals are collected as all that no pointer names.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from logging import Logger
from time import monotonic

from ...errors import TransferError
from ...format.seal import Seal
from ...http.shapes import AppChannel
from .._problems import Problem
from ..storage import layout
from ..storage.objects import Storage
from ..storage.pointers import Entry
from ..storage.records import ReleaseRecord
from ._channels import Channels
from ._founding import check_layout

_WITHIN_S = 60.0
"""A collector may condemn what no pointer names yet, and deletes it an hour later, or what else it was told."""


@dataclass(frozen=True, slots=True)
class OtherSeal:
    """What is to be served in place of a release's seal, of the same payload. entry, record: of the release now."""

    entry: Entry
    record: ReleaseRecord
    seal: Seal


class Resealing:
    """The releases of a store, and other seals for them."""

    def __init__(self, storage: Storage, *, log: Logger) -> None:
        self._storage = storage
        self._channels = Channels(storage, age_s=0, log=log)

    async def channels(self) -> list[AppChannel]:
        """Return every app and channel. Raises UsageError where it is no store, TransferError."""
        await check_layout(self._storage)
        return await self._channels.named(fresh=True)

    async def entries(self, of: AppChannel) -> list[Entry]:
        """Return the releases that were not withdrawn, by ascending sequence. Raises TransferError."""
        return [*(await self._channels.pointer(of, fresh=True)).listed()][::-1]

    async def record(self, of: AppChannel, entry: Entry) -> ReleaseRecord:
        """Return a release's record. Raises FormatError, TransferError."""
        return await self._channels.record(of, entry)

    async def replace(self, of: AppChannel, others: Sequence[OtherSeal]) -> set[int]:
        """Have other seals served from now on, all of them at once; return the sequences of those releases.

        One that was changed, withdrawn or removed meanwhile stays as it is. others: not more than are put in some
        seconds, each accepted by whom the servers trust. On disk when it returns. Raises TransferError.
        """
        deadline = monotonic() + _WITHIN_S
        entries = {}
        for other in others:
            data = other.seal.encode()
            digest = hashlib.sha256(data).hexdigest()
            signers = tuple(signature.keyid for signature in other.seal.envelope.signatures)
            release = replace(other.record.release, seal_bytes=len(data), seal_digest=digest, signers=signers)
            record = replace(other.record, release=release, mark=layout.new_mark())
            await self._storage.put(record.seal_path, data)
            await self._storage.put(record.path, record.encode())
            await self._storage.sync([record.seal_path, record.path])
            entries[other.entry] = other.entry._replace(seal=digest, mark=record.mark)
        try:
            pointer = await self._channels.change(of, lambda now: now.resealed(entries))
            if monotonic() > deadline:
                # It may name what is being deleted.
                back = {after: before for before, after in entries.items()}
                await self._channels.change(of, lambda now: now.resealed(back))
                raise TransferError("storage: to put seals took so long that they may be collected; try again")
        except Problem as problem:
            raise TransferError(f"storage: {problem}") from problem
        return {after.sequence for after in entries.values() if pointer.entries.get(after.sequence) == after}
