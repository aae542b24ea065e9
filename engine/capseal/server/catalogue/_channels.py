"""The channels as the store has them: pointers, asked again after a while; records, which never change."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from logging import Logger
from time import monotonic

from ...errors import FormatError, TransferError
from ...http.shapes import AppChannel
from .._kept import Kept
from .._problems import busy
from .._several import batched, each
from ..storage import layout
from ..storage.objects import Storage
from ..storage.pointers import MAX_POINTER_BYTES, ChannelPointer, Entry
from ..storage.records import MAX_RECORD_BYTES, ReleaseRecord
from ..storage.stored import Seen
from ._uncollected import uncollected

_KEPT_POINTER_BYTES = 16 * 1024 * 1024
_KEPT_RECORD_BYTES = 2 * 1024 * 1024
"""As they are stored. In memory they take a few times as much, and of each object that is kept the interpreter's own
collection looks at every part, while all waits."""
_BYTES_BESIDE = 256

_ATTEMPTS = 20
_PAUSE_S = 0.02
_PARSED_IN_THREAD_BYTES = 16 * 1024
"""From this size on parsing would hold the event loop."""

_RECORDS_AT_ONCE = 32

Step = Callable[[ChannelPointer], ChannelPointer | None]
"""What changes a pointer: returns the new one, or None where nothing is to change; may raise."""


@dataclass(frozen=True, slots=True)
class _Read:
    seen: Seen | None
    pointer: ChannelPointer
    at: float


class Channels:
    """Pointers and records, kept for a while, and the one way to change a pointer.

    age_s: how old a pointer may be that is read from.
    """

    def __init__(self, storage: Storage, *, age_s: float, log: Logger) -> None:
        self._storage = storage
        self._age_s = age_s
        self._log = log
        self._pointers: Kept[AppChannel, _Read] = Kept(_KEPT_POINTER_BYTES)
        self._records: Kept[str, ReleaseRecord] = Kept(_KEPT_RECORD_BYTES)
        self._reading: dict[AppChannel, asyncio.Task[_Read]] = {}
        self._changing: dict[AppChannel, asyncio.Lock] = {}
        self._named: tuple[float, list[AppChannel]] = (-float("inf"), [])

    async def named(self, *, fresh: bool = False) -> list[AppChannel]:
        """Return every app and channel that has a pointer, sorted. Raises TransferError."""
        at, channels = self._named
        if fresh or monotonic() - at > self._age_s:
            began = monotonic()
            parsed = [layout.parse_channel_pointer(one.path) async for one in self._storage.list(layout.CHANNELS)]
            channels = sorted(of for of in parsed if of is not None)
            self._named = (began, channels)
        return channels

    async def pointers(self, channels: Sequence[AppChannel], *, fresh: bool = False) -> list[ChannelPointer]:
        """Return several pointers, in order. Raises TransferError."""
        return await each(channels, lambda of: self.pointer(of, fresh=fresh))

    async def pointer(self, of: AppChannel, *, fresh: bool = False) -> ChannelPointer:
        """Return the pointer of an app and channel; one without releases where there is none. Raises TransferError.

        fresh: as the store has it now, not up to `age_s` ago.
        """
        if fresh:
            return (await self._read(of)).pointer
        kept = self._pointers.get(of)
        if kept is not None and monotonic() - kept.at <= self._age_s:
            return kept.pointer
        # Whoever comes meanwhile waits for the same answer: a crowd asks the store once.
        reading = self._reading.get(of)
        if reading is None:
            reading = self._reading[of] = asyncio.create_task(self._read(of))
            reading.add_done_callback(lambda _: self._reading.pop(of, None))
        return (await asyncio.shield(reading)).pointer

    async def entry(self, of: AppChannel, sequence: int) -> Entry | None:
        """Return a release's entry, or None where the store has none now. Raises TransferError."""
        entry = (await self.pointer(of)).entries.get(sequence)
        return entry or (await self.pointer(of, fresh=True)).entries.get(sequence)

    async def change(self, of: AppChannel, step: Step) -> ChannelPointer:
        """Change a pointer as `step` says, and return it; on disk when it returns.

        step: called again with what others made of it meanwhile, and also after a change whose answer was lost, so
        it must know its own. Raises what it raises, TransferError, Problem 503.
        """
        async with self._changing.setdefault(of, asyncio.Lock()):
            for attempt in range(_ATTEMPTS):
                read = await self._read(of)
                changed = step(read.pointer)
                if changed is None:
                    return read.pointer
                data = await asyncio.to_thread(changed.encode)
                if await self._storage.swap(changed.path, data, read.seen):
                    self._pointers.drop(of)
                    if read.seen is None:
                        self._named = (-float("inf"), [])
                    return changed
                await asyncio.sleep(random.uniform(0, _PAUSE_S * (attempt + 1)))  # noqa: S311 - nothing secret
        raise busy(f"{of.app} on {of.channel} is changed by others all the time: try again")

    async def record(self, of: AppChannel, entry: Entry) -> ReleaseRecord:
        """Return a release's record, withdrawn where the pointer says so. Raises FormatError, TransferError."""
        path = layout.release_object(of, entry.sequence, entry.mark, layout.RECORD)
        record = self._records.get(path)
        if record is None:
            record, size = await self._read_record(path, entry)
            self._records.put(path, record, weight=size)
        return _as_pointed(record, entry)

    async def records(self, of: AppChannel, entries: Sequence[Entry]) -> list[ReleaseRecord | None]:
        """Return the records of several releases, in order; None is a damaged one, which is logged. None is kept.

        Raises TransferError.
        """
        records: list[ReleaseRecord | None] = []
        for some in batched(entries, _RECORDS_AT_ONCE):
            paths = [layout.release_object(of, entry.sequence, entry.mark, layout.RECORD) for entry in some]
            found = await self._storage.get_several(paths, most=MAX_RECORD_BYTES)
            for entry, record in zip(some, await asyncio.to_thread(_parsed_records, paths, some, found), strict=True):
                if isinstance(record, FormatError):
                    self._log_damaged(of, entry, record)
                    records.append(None)
                else:
                    records.append(record)
        return records

    async def readable_record(self, of: AppChannel, entry: Entry) -> ReleaseRecord | None:
        """Return a release's record, or None where it is damaged, which is logged. Raises TransferError."""
        try:
            return await self.record(of, entry)
        except FormatError as error:
            self._log_damaged(of, entry, error)
            return None

    def _log_damaged(self, of: AppChannel, entry: Entry, error: FormatError) -> None:
        members = {"app": of.app, "channel": of.channel, "sequence": entry.sequence, "error": str(error)}
        self._log.error("record ignored", extra={"members": members})

    async def _read_record(self, path: str, entry: Entry) -> tuple[ReleaseRecord, int]:
        try:
            data = await self._storage.get(path, most=MAX_RECORD_BYTES)
        except FileNotFoundError as error:
            raise FormatError(f"{path} is gone") from error
        if len(data) < _PARSED_IN_THREAD_BYTES:
            return _parsed_record(path, entry, data), len(data)
        return await asyncio.to_thread(_parsed_record, path, entry, data), len(data)

    async def _read(self, of: AppChannel) -> _Read:
        began = monotonic()
        kept = self._pointers.get(of)
        seen = await self._storage.see(
            layout.channel_pointer(of), most=MAX_POINTER_BYTES, unless=kept.seen if kept else None
        )
        if kept is not None and seen is kept.seen:
            read = replace(kept, at=began)
        elif seen is None:
            read = _Read(None, ChannelPointer(of), began)
        else:
            read = _Read(seen, await self._parsed(of, seen.data), began)
        # Of two that read at once the later one stays, whichever ends first.
        newest = self._pointers.get(of)
        if newest is None or newest.at <= began:
            self._pointers.put(of, read, weight=_BYTES_BESIDE + (len(read.seen.data) if read.seen else 0))
        return read

    async def _parsed(self, of: AppChannel, data: bytes) -> ChannelPointer:
        try:
            if len(data) < _PARSED_IN_THREAD_BYTES:
                return ChannelPointer.parse(of, data)
            return await asyncio.to_thread(_parsed_at_leisure, of, data)
        except FormatError as error:
            # Nothing is served, and above all nothing accepted, on the word of a pointer that cannot be read.
            raise TransferError(f"storage: {layout.channel_pointer(of)}: {error}") from error


def _parsed_at_leisure(of: AppChannel, data: bytes) -> ChannelPointer:
    with uncollected():
        return ChannelPointer.parse(of, data)


def _parsed_record(path: str, entry: Entry, data: bytes) -> ReleaseRecord:
    record = ReleaseRecord.parse(data)
    if record.path != path or record.release.seal_digest != entry.seal:
        raise FormatError(f"{path} is the record of {record.path}")
    return record


def _parsed_records(
    paths: Sequence[str], entries: Sequence[Entry], found: Sequence[bytes | None]
) -> list[ReleaseRecord | FormatError]:
    records: list[ReleaseRecord | FormatError] = []
    for path, entry, data in zip(paths, entries, found, strict=True):
        try:
            if data is None:
                raise FormatError(f"{path} is gone")
            records.append(_as_pointed(_parsed_record(path, entry, data), entry))
        except FormatError as error:
            records.append(error)
    return records


def _as_pointed(record: ReleaseRecord, entry: Entry) -> ReleaseRecord:
    """Return a record, withdrawn where the pointer says so."""
    return replace(record, release=replace(record.release, withdrawn=entry.withdrawn)) if entry.withdrawn else record
