"""A store as a tree of files that any bucket or web server gives out, and clients read as they read a server.

Of the paths of the HTTP interface the tree has the leaves: what is a list, or would be a file and a folder at once, is
not there, and no client of ours asks for it. Each object is put whole; of a release the seal comes last, and `latest`
names it only then. What is there already is what the next export begins with: no record of it is kept.
"""

import asyncio
import hashlib
import io
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from logging import Logger

from ...bundle.reading_order import check_seal_end, parse_rest, parse_unverified, pull
from ...constants import DIGEST_BYTES, MAX_ENVELOPE_BYTES, SEGMENT_BYTES
from ...errors import FormatError, RejectedError, TransferError, UsageError
from ...format import strictjson
from ...format.seal import Seal, seal_bytes_of
from ...format.signed_index import SignedIndex
from ...format.tree import segment_count
from ...http import paths
from ...http.answers import IMMUTABLE, JSON_TYPE, PAYLOAD_TYPE, REVALIDATE, SEAL_TYPE
from ...http.limits import MAX_DESCRIPTION_BYTES
from ...http.shapes import AppChannel, ReleaseDescription
from ...io.source import open_source
from ...trust.heads import read_head
from ..storage import layout
from ..storage.buffers import Buffers
from ..storage.objects import Storage
from ..storage.payload_reader import PayloadReader
from ..storage.pointers import ChannelPointer, Entry
from ..storage.records import ReleaseRecord
from ..storage.stored_runs import StoredPayload
from ..storage.verified_cache import VerifiedCache
from . import _tree
from ._channels import Channels
from ._exported_documents import DocumentExport, one_piece, put_document
from ._founding import check_layout
from ._heads import listed_by

_ROUNDS = 20
_SWEPT_AFTER = timedelta(days=1)
"""So old is what a killed export left half-written, where another one may be under way."""


@dataclass(slots=True)
class Exported:
    """What an export did.

    added, removed: releases; documents: names in the tree of heads, recalls and updates of the trust store that were
    written; failed: why something was passed over, a line for each; warnings: what devices will miss, although all that
    the store has is in the tree.
    """

    added: list[ReleaseDescription] = field(default_factory=list)
    removed: list[tuple[AppChannel, int]] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A file of a release. name: below the release; data: yields its bytes, verified."""

    name: str
    size: int
    media_type: str
    caching: str
    data: Callable[[], AsyncIterator[bytes | memoryview]]


Sizes = dict[str, int]
"""Of the files of a release that are in the tree, by their names below it."""


async def export_store(
    storage: Storage,
    target: Storage,
    *,
    now: datetime,
    log: Logger,
    most_seal_bytes: int,
    progress: Callable[[int], None] | None = None,
    expecting: Callable[[int], None] | None = None,
) -> Exported:
    """Make a tree say what a store says: releases come, are withdrawn and go, and `latest` follows.

    Servers may publish meanwhile, and several exports be made at once: each looks at a pointer again before it is
    done with it. Every byte is checked against the release's seal on its way. A release that the storage lost or
    altered is passed over, and the one before it may stay the latest. expecting is told how many releases there are,
    progress of each that is looked at. Raises UsageError where the target is a store, or has releases of another one,
    TransferError.
    """
    await check_layout(storage)
    if await target.see(layout.LAYOUT, most=MAX_DESCRIPTION_BYTES) is not None:
        raise UsageError(f"{target.place} is a store; export into a place of its own")
    channels = Channels(storage, age_s=0, log=log)
    exporter = _Exporter(storage, target, channels, most_seal_bytes, progress)
    named = await channels.named(fresh=True)
    if expecting is not None:
        expecting(sum(one.entries.count_listed() for one in await channels.pointers(named)))
    folders = [os.path.dirname(_tree.latest_path(of)) for of in named]
    updates = sorted({os.path.dirname(_tree.update_path(of.app, 1)) for of in named})

    async def tidy(alone: bool) -> None:
        before = now if alone else now - _SWEPT_AFTER
        for folder in [*folders, *updates]:
            if link := await target.link_in(folder):
                raise UsageError(f"{link}: is a symbolic link; an export follows none in its tree")
        for folder in folders:
            await target.sweep(before=before, below=folder, ours=_tree.is_exported)
        for folder in updates:
            await target.sweep(before=before, below=folder, ours=_tree.is_number)

    async with target.sharing(tidy):
        for of in named:
            await exporter.export(of)
    return exporter.done


def check_apart(store: str, target: str) -> None:
    """Raise UsageError where a store and a tree would be in one another. store, target: as they are opened."""
    both = [one if "://" in one else os.path.realpath(one) for one in (store, target)]
    inner, outer = (f"{one.rstrip('/')}/" for one in both)
    if inner.startswith(outer) or outer.startswith(inner):
        raise UsageError(f"{target}: is where the store {store} is; export into a place of its own")


class _Exporter:
    """One export from a store into a tree."""

    def __init__(
        self,
        storage: Storage,
        target: Storage,
        channels: Channels,
        most_seal_bytes: int,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._progress = progress
        self._storage = storage
        self._target = target
        self._channels = channels
        self._most_seal_bytes = most_seal_bytes
        self._cache, self._buffers = VerifiedCache(0), Buffers(SEGMENT_BYTES, most=0)
        self._documents = DocumentExport(storage, target)
        self.done = Exported(documents=self._documents.done)

    async def export(self, of: AppChannel) -> None:
        """Make the tree say what the pointer of an app and channel says, until that stays the same meanwhile."""
        for _ in range(_ROUNDS):
            pointer = await self._channels.pointer(of, fresh=True)
            refused: UsageError | None = None
            try:
                failed = await self._export(pointer)
            except UsageError as error:
                refused = error
            if (await self._channels.pointer(of, fresh=True)).revision == pointer.revision:
                # Else another export may have brought what was published since.
                if refused is not None:
                    raise refused
                self.done.failed += failed
                self.done.warnings += filter(None, [self._documents.warnings.get(of)])
                return
        raise TransferError(f"storage: {of.app} on {of.channel} changes all the time")

    async def _export(self, pointer: ChannelPointer) -> list[str]:
        of, failed = pointer.of, []
        before = await self._latest_there(pointer)
        head_before = await self._documents.head_there(pointer)
        brought: dict[int, ReleaseDescription] = {}
        there = await self._there(of)
        for entry in pointer.listed():
            if self._progress is not None:
                self._progress(1)
            try:
                record = await self._channels.record(of, entry)
                if await self._bring(record, there.get(entry.sequence, {})):
                    self.done.added.append(record.release)
                brought[entry.sequence] = record.release
            except (RejectedError, TransferError) as error:
                # Where either place is out of reach, nothing is known of the release.
                await self._storage.probe()
                await self._target.probe()
                failed.append(f"{of.app} on {of.channel}, sequence {entry.sequence}: {error}")
        held: set[int] = set()
        try:
            await self._documents.bring(pointer, brought)
        except (FormatError, TransferError) as error:
            await self._storage.probe()
            await self._target.probe()
            failed.append(f"{of.app} on {of.channel}: {error}")
            if head_before is not None:  # what that one names stays, unless it was withdrawn
                held = {one.sequence for one in head_before.head.releases} & pointer.removed
        # First of all nobody is led any more to what goes.
        await self._put_latest(of, _latest_of(pointer, brought), before)
        listed = {one.sequence for one in pointer.listed()}
        for sequence in sorted(there.keys() - listed - held, reverse=True):
            await self._take_away(of, sequence, there[sequence])
            self.done.removed.append((of, sequence))
        return failed

    async def _latest_there(self, pointer: ChannelPointer) -> bytes | None:
        """Return what the tree has as `latest`. Raises UsageError where the store does not know that release."""
        seen = await self._target.see(_tree.latest_path(pointer.of), most=MAX_DESCRIPTION_BYTES)
        if seen is None:
            return None
        where = f"{self._target.place}: {_tree.latest_path(pointer.of)}"
        try:
            release = ReleaseDescription.from_json(strictjson.parse(seen.data, "latest"))
        except FormatError as error:
            raise UsageError(f"{where} is none of an export: {error}") from error
        entry = pointer.entries.get(release.sequence)
        known = release.sequence in pointer.removed if entry is None else await self._is_of(pointer.of, entry, release)
        if not known or release.app_channel != pointer.of:
            raise UsageError(
                f"{where} names sequence {release.sequence}, which {self._storage.place} does not know: "
                "it is of another store, or of a later state of this one"
            )
        return seen.data

    async def _is_of(self, of: AppChannel, entry: Entry, release: ReleaseDescription) -> bool:
        """Say whether what a tree names is what a store has, be it under another seal that it had before."""
        if entry.seal == release.seal_digest:
            return True
        try:
            record = await self._channels.record(of, entry)
        except RejectedError:
            return False
        return record.release.payload == release.payload

    async def _there(self, of: AppChannel) -> dict[int, Sizes]:
        """Return the files of every release that are in the tree, by sequences."""
        prefix = _tree.leaf(paths.RELEASES, app=of.app, channel=of.channel)
        there: dict[int, Sizes] = {}
        async for one in self._target.list(prefix):
            sequence, _, name = one.path.removeprefix(f"{prefix}/").partition("/")
            # Only what an export makes is ever taken away.
            if _tree.is_number(sequence) and _tree.is_release_leaf(name):
                there.setdefault(int(sequence), {})[name] = one.size
        return there

    async def _bring(self, record: ReleaseRecord, there: Sizes) -> bool:
        """Put the files of a release, and return True, unless all are there. Raises RejectedError, TransferError.

        Seals are padded, so that another one for the same payload has the same size: it is put alone.
        """
        release = record.release
        wanted = {
            "payload": release.payload.size,
            **{f"attachments/{name}": one.size for name, one in release.attachments.items()},
            **{f"indexes/{n}": DIGEST_BYTES * segment_count(one.size) for n, one in release.attachments.items()},
        }
        old = await self._seal_there(release, there.get(_tree.SEAL, 0))
        complete = all(there.get(name) == size for name, size in wanted.items())
        if complete and old is not None and await asyncio.to_thread(_digest, old) == release.seal_digest:
            return False
        data, seal = await self._seal(record)
        if not complete or old is None or not await asyncio.to_thread(_seals_the_same, old, seal):
            # One after the other: each is put in several parts at once.
            done = [await self._put(release, leaf) for leaf in await self._leaves(record, seal)]
            await self._target.sync(done)
        leaf = _Leaf(_tree.SEAL, len(data), SEAL_TYPE, REVALIDATE, partial(one_piece, data))
        await self._target.sync([await self._put(release, leaf)])
        return True

    async def _seal_there(self, release: ReleaseDescription, size: int) -> bytes | None:
        """Return what the tree has as a release's seal, if it has one of a size that may be. size: listed, in bytes."""
        most = self._most_seal(release)
        if not 0 < size <= most:
            return None
        path = f"{_tree.release_path(release.app_channel, release.sequence)}/{_tree.SEAL}"
        try:
            return await self._target.get(path, most=most)
        except FileNotFoundError:  # another export took it away
            return None

    def _most_seal(self, release: ReleaseDescription) -> int:
        """Return how large a release's seal may be, in bytes."""
        return max(self._most_seal_bytes, seal_bytes_of(MAX_ENVELOPE_BYTES, release.payload.size))

    async def _seal(self, record: ReleaseRecord) -> tuple[bytes, Seal]:
        """Return a release's seal as it was published. Raises RejectedError, TransferError."""
        release = record.release
        try:
            data = await self._storage.get(record.seal_path, most=self._most_seal(release))
        except FileNotFoundError as error:
            raise TransferError(f"storage: {record.seal_path} is gone") from error
        found = await asyncio.to_thread(_digest, data)
        seal = await asyncio.to_thread(_parsed, data)
        signed = seal.statement
        if found != release.seal_digest or (signed.app, signed.channel, signed.sequence) != (
            *release.app_channel,
            release.sequence,
        ):
            raise TransferError(f"storage: {record.seal_path} is not the seal of that release")
        return data, seal

    async def _leaves(self, record: ReleaseRecord, seal: Seal) -> list[_Leaf]:
        """Return all files of a release but its seal."""
        index = await asyncio.to_thread(SignedIndex.checked, seal.statement.payload, seal.index)
        leaves = [self._payload_leaf("payload", record.payload, index)]
        signed = {one.name: one.payload for one in seal.statement.companions}
        for name, stored in record.companions.items():
            if name not in signed:
                raise TransferError(f"storage: {record.path} names an attachment {name[:64]!r} that its seal does not")
            path = record.index_path(name)
            try:
                entries = await self._storage.get(path, most=DIGEST_BYTES * segment_count(stored.size))
            except FileNotFoundError as error:
                raise TransferError(f"storage: {path} is gone") from error
            index = await asyncio.to_thread(SignedIndex.checked, signed[name], entries)
            leaves.append(self._payload_leaf(f"attachments/{name}", stored, index))
            leaves.append(_Leaf(f"indexes/{name}", len(entries), PAYLOAD_TYPE, IMMUTABLE, partial(one_piece, entries)))
        return leaves

    def _payload_leaf(self, name: str, stored: StoredPayload, index: SignedIndex) -> _Leaf:
        reader = PayloadReader(self._storage, stored, index, self._cache, self._buffers)
        return _Leaf(name, stored.size, PAYLOAD_TYPE, IMMUTABLE, partial(reader.chunks, 0, stored.size))

    async def _put(self, release: ReleaseDescription, leaf: _Leaf) -> str:
        path = f"{_tree.release_path(release.app_channel, release.sequence)}/{leaf.name}"
        await self._target.put_stream(
            path,
            leaf.data(),
            size=leaf.size,
            headers={"Content-Type": leaf.media_type, "Cache-Control": leaf.caching},
        )
        return path

    async def _put_latest(self, of: AppChannel, latest: ReleaseDescription | None, before: bytes | None) -> None:
        path = _tree.latest_path(of)
        if latest is None:
            if before is not None:
                await self._delete([path])
            return
        data = json.dumps(latest.to_json()).encode()
        if data != before:
            await put_document(self._target, path, data, JSON_TYPE)

    async def _take_away(self, of: AppChannel, sequence: int, there: Sizes) -> None:
        """Delete the files of a release, the seal first: without it nobody begins with the others."""
        folder = _tree.release_path(of, sequence)
        if _tree.SEAL in there:
            await self._delete([f"{folder}/{_tree.SEAL}"])
        await self._delete([f"{folder}/{name}" for name in there if name != _tree.SEAL])

    async def _delete(self, paths: list[str]) -> None:
        """Delete files so that none comes back after a power cut."""
        await self._target.delete(paths)
        await self._target.sync_gone(paths)


def _latest_of(pointer: ChannelPointer, brought: Mapping[int, ReleaseDescription]) -> ReleaseDescription | None:
    """Return what a server answers as `latest` to who says nothing of itself, of the releases that are in the tree."""
    try:
        head = None if pointer.head is None else read_head(pointer.head).head
    except FormatError:  # told of where it was to be carried; a server has no answer then, either
        return None
    listed = listed_by(head, pointer, native=None, platform=None)
    return next((brought[one.sequence] for one in listed if one.sequence in brought), None)


def _digest(seal: bytes) -> str:
    return hashlib.sha256(seal).hexdigest()


def _seals_the_same(old: bytes, seal: Seal) -> bool:
    """Say whether a seal is another one for the very payload and attachments of a release."""
    try:
        signed = _parsed(old).statement
    except RejectedError:
        return False
    return (signed.payload, signed.companions) == (seal.statement.payload, seal.statement.companions)


def _parsed(data: bytes) -> Seal:
    """Return a seal that agrees with itself; who signed it is for its readers to judge. Raises RejectedError."""
    with closing(open_source(io.BytesIO(data))) as source:
        envelope, statement = pull(parse_unverified(), source)
        seal = pull(parse_rest(envelope, statement), source, past_header=True)
        check_seal_end(source, seal)
    return seal
