"""Where servers keep things: named objects in a local folder, S3, GCS or Azure, through obstore.

Every put is atomic: an object is there whole or not at all. What several servers decide on is changed by swap(), which
replaces nothing but what was seen. Only names and bytes here; what they mean stands in layout.py.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import obstore
from obstore.exceptions import AlreadyExistsError, NotModifiedError, PreconditionError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from ...embedding import Chunk
from ...errors import TransferError
from ...io import durable
from .._several import each
from ._failures import failures
from ._folder import Folder
from .pace import Pace, in_time, not_in_time, pages_in_time, waited_for, writes
from .stored import Seen, StoredObject

if TYPE_CHECKING:
    from obstore import Attributes, UpdateVersion
    from obstore.store import RetryConfig

_LIST_PAGE = 250
"""Objects that are looked at in one go."""
_PROBE = "readyz"
"""The name that probe() asks for where nothing is known to be there, which no object has."""
_STANDS_S = 5.0
"""So long ago the cornerstone of a bucket may have been seen by whoever writes what decides nothing."""
_DELETED_AT_ONCE = 16

_PART_BYTES = 8 * 1024**2
_MOST_PARTS = 9_000
"""Of one object: S3 takes 10,000."""
_PARTS_AT_ONCE = 4

_RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
"""Of requests to a bucket. Options of its client would displace those in the environment, such as plain HTTP."""


class Storage:
    """A place for objects. Raises TransferError where it cannot do what it is told, or not in time.

    place: as it was opened; may_be_new: whether a store may be made there; pace: how long a call may take; bytes_in: of
    a folder, what its last complete listing added up to; cornerstone: the object without which this is not the place
    that was opened any more, such as a folder whose disk was unmounted, or a bucket that was emptied: nothing is
    written there then, and that something is missing says nothing.
    """

    def __init__(self, store: ObjectStore, place: str = "the store", *, may_be_new: bool = True) -> None:
        self._store = store
        self.place = place
        self.may_be_new = may_be_new
        self.pace = Pace()
        self.cornerstone: str | None = None
        self._stood_at = -float("inf")
        self.bytes_in: dict[str, int] = {}
        self._in_memory = isinstance(store, MemoryStore)
        folder = store.prefix if isinstance(store, LocalStore) else None
        self._folder = Folder(os.fspath(folder)) if folder else None

    def close(self) -> None:
        """Give back what is held, which is nothing today: no lock outlives a call."""

    @classmethod
    def open(cls, place: str, *, may_be_new: bool = True) -> "Storage":
        """Open a local folder, or an `s3://`, `gs://`, `az://` or `memory://` URL.

        may_be_new: make a folder, and a store, where there is none. Credentials and endpoints of the clouds come from
        their usual environment variables. Raises TransferError.
        """
        scheme, separator, _ = place.partition("://")
        with failures(f"cannot open {place}"):
            if not separator:
                folder = os.path.abspath(place)
                if may_be_new:
                    durable.make_folders(folder)
                elif not os.path.isdir(folder):
                    raise TransferError(f"storage: {folder}: no such folder")
                return cls(LocalStore(folder, automatic_cleanup=True), place, may_be_new=may_be_new)
            if scheme == "file":
                store = LocalStore.from_url(place, mkdir=may_be_new, automatic_cleanup=True)
                return cls(store, place, may_be_new=may_be_new)
            if scheme == "memory":
                return cls(MemoryStore(), place)
            return cls(from_url(place, retry_config=_RETRIES), place, may_be_new=may_be_new)

    async def any_name(self) -> str | None:
        """Return a name of what is in there, or None; what file systems and killed servers leave does not count."""
        if self._folder is not None:
            with failures("cannot be listed"):
                return await asyncio.to_thread(self._folder.any_name)
        async for one in self.list(""):
            return one.path
        return None

    async def _check_there(self, *, age_s: float = 0) -> None:
        """Raise TransferError where the cornerstone is gone.

        age_s: how long ago it may have been seen in a bucket, where it takes a request to look; a folder is looked at.
        """
        if self.cornerstone is None:
            return
        if self._folder is not None:
            await asyncio.to_thread(self._folder.check_has, self.cornerstone)
        elif time.monotonic() - self._stood_at > age_s:
            await self._ask_for(self.cornerstone)

    @in_time("look for")
    async def _ask_for(self, cornerstone: str) -> None:
        asked_at = time.monotonic()
        with failures(f"cannot ask for {cornerstone}"):
            try:
                await obstore.head_async(self._store, cornerstone)
            except FileNotFoundError as error:
                raise TransferError(f"storage: {self.place} is gone, or has lost its {cornerstone}") from error
        self._stood_at = asked_at

    @in_time("look whether it is there")
    async def probe(self) -> None:
        """Raise TransferError where the storage cannot be reached."""
        if self._folder is not None:
            await asyncio.to_thread(self._folder.check_there)
        if self.cornerstone is not None or self._folder is not None:
            await self._check_there()
            return
        with failures("cannot be reached"), suppress(FileNotFoundError):  # which only what is reached can say
            await obstore.head_async(self._store, _PROBE)

    @writes
    @in_time("write")
    async def put(self, path: str, data: Chunk) -> None:
        """Store an object, in place of what has that name."""
        with failures(f"cannot put {path}"):
            await self._check_there(age_s=_STANDS_S)
            await obstore.put_async(self._store, path, self._own(data), use_multipart=False)

    async def put_stream(self, path: str, pieces: AsyncIterable[Chunk], *, size: int, headers: "Attributes") -> None:
        """Store what comes in pieces, in place of what has that name: whole, or not at all.

        size: of all of it, at least about, in bytes. headers: what a bucket is to answer with wherever it serves the
        object. Raises what the pieces do, and TransferError, where one takes too long, too.
        """
        wait_s = self.pace.timeout_s
        with failures(f"cannot put {path}"):
            await self._check_there(age_s=_STANDS_S)
            try:
                async with asyncio.timeout(wait_s) as patience:
                    await obstore.put_async(
                        self._store,
                        path,
                        waited_for(pieces, patience, wait_s),
                        attributes=None if self.is_local else headers,
                        chunk_size=max(_PART_BYTES, -(-size // _MOST_PARTS)),
                        max_concurrency=_PARTS_AT_ONCE,
                    )
            except TimeoutError as error:
                raise not_in_time(f"write {path}", wait_s) from error

    @writes
    @in_time("write")
    async def put_new(self, path: str, data: Chunk) -> bool:
        """Store an object and return True, or return False where the name is taken."""
        with failures(f"cannot put {path}"):
            await self._check_there()
            try:
                await obstore.put_async(self._store, path, self._own(data), mode="create")
            except AlreadyExistsError:
                return False
            return True

    @in_time("read")
    async def see(self, path: str, *, most: int, unless: Seen | None = None) -> Seen | None:
        """Return an object of at most so many bytes, or None where there is none.

        unless: what it was before; that very value is returned where it is so still.
        """
        known = unless if unless is not None and unless.e_tag is not None else None
        with failures(f"cannot get {path}"):
            if self._folder is not None:
                return await asyncio.to_thread(self._see_file, self._folder, path, most, unless)
            try:
                result = await obstore.get_async(
                    self._store, path, options={"if_none_match": known.e_tag} if known else None
                )
                meta = result.meta
                if meta["size"] > most:
                    raise TransferError(f"storage: {path} has {meta['size']} bytes, at most {most} are expected")
                data = bytes(await result.bytes_async())
            except FileNotFoundError:
                await self._check_there(age_s=_STANDS_S)
                return None
            except NotModifiedError:
                return known
        return Seen(data, meta["last_modified"], meta["e_tag"], meta["version"])

    def _see_file(self, folder: Folder, path: str, most: int, unless: Seen | None) -> Seen | None:
        """Do what see() does of a local folder, in the calling thread."""
        found = folder.read_dated(path, most)
        if found is None:
            if self.cornerstone is not None:
                folder.check_has(self.cornerstone)
            return None
        data, modified = found
        # A file's entity tag would be made of its inode, size and time, all of which may come again within a tick of
        # the kernel's clock: files are compared by their content.
        if unless is not None and data == unless.data:
            return unless
        return Seen(data, modified, None, None)

    @writes
    @in_time("write")
    async def swap(self, path: str, data: bytes, seen: Seen | None) -> bool:
        """Put an object in place of the one that was seen, or of none; return False where it is another one now.

        False may be said, too, of what was put, where its answer was lost and it was sent again: look at it.
        On disk when it returns.
        """
        with failures(f"cannot put {path}"):
            if self._folder is not None:
                return await asyncio.to_thread(self._swap_file, self._folder, path, data, seen)
            # What is decided is decided in the store that was opened: where that was emptied, every floor is gone.
            await self._check_there()
            mode: UpdateVersion | Literal["create"] = "create" if seen is None else seen.mode
            try:
                await obstore.put_async(self._store, path, data, mode=mode)
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                return False
            return True

    def _swap_file(self, folder: Folder, path: str, data: bytes, seen: Seen | None) -> bool:
        """Do what swap() does, under the lock on a folder."""
        with folder.locked():
            if self.cornerstone is not None:
                folder.check_has(self.cornerstone)
            expected = None if seen is None else seen.data
            try:
                found = folder.read_span(path, 0, len(expected or b"") + 1)
            except FileNotFoundError:
                found = None
            if found != expected:
                return False
            obstore.put(self._store, path, data, use_multipart=False)
            folder.sync([path])
            return True

    def _own(self, data: Chunk) -> Chunk:
        # A store in memory keeps a view of what it is given, and buffers of runs are filled anew.
        return bytes(data) if self._in_memory else data

    @in_time("read")
    async def get(self, path: str, *, most: int) -> bytes:
        """Return an object of at most so many bytes. Raises FileNotFoundError."""
        with failures(f"cannot get {path}"):
            if self._folder is not None:
                data = await asyncio.to_thread(self._folder.read, path, most)
                if data is None:
                    raise FileNotFoundError(path)
                return data
            result = await obstore.get_async(self._store, path)
            if result.meta["size"] > most:
                raise TransferError(f"storage: {path} has {result.meta['size']} bytes, at most {most} are expected")
            return bytes(await result.bytes_async())

    async def get_several(self, paths: Sequence[str], *, most: int) -> Sequence[bytes | None]:
        """Return several objects of at most so many bytes, in order; None is what is not there."""
        if self._folder is not None:
            return await self._read_files(self._folder, paths, most)

        async def get(path: str) -> bytes | None:
            try:
                return await self.get(path, most=most)
            except FileNotFoundError:
                return None

        return await each(paths, get)

    @in_time("read several objects")
    async def _read_files(self, folder: Folder, paths: Sequence[str], most: int) -> Sequence[bytes | None]:
        """Do what get_several() does with one thread: to wake one for each would cost more than to read them."""
        with failures(f"cannot get {len(paths)} objects"):
            return await asyncio.to_thread(lambda: [folder.read(path, most) for path in paths])

    @in_time("read")
    async def read(self, path: str, offset: int, size: int) -> memoryview:
        """Return bytes of an object: fewer where it ends before. Raises FileNotFoundError."""
        if self._folder is not None:
            return await asyncio.to_thread(self.read_now, path, offset, size)
        with failures(f"cannot read {size} bytes at {offset} of {path}"):
            return memoryview(await obstore.get_range_async(self._store, path, start=offset, length=size))

    @property
    def is_local(self) -> bool:
        """Whether a read is so quick that a worker thread may wait for it."""
        return self._folder is not None

    def read_now(self, path: str, offset: int, size: int) -> memoryview:
        """Do what read() does of a local folder, in the calling thread."""
        if self._folder is None:
            raise FileNotFoundError(path)
        with failures(f"cannot read {size} bytes at {offset} of {path}"):
            return memoryview(self._folder.read_span(path, offset, size))

    def read_again(self, path: str, offset: int, size: int) -> memoryview:
        """Do what read() does, of a bucket too, in the calling thread, which waits for it.

        Raises FileNotFoundError, TransferError.
        """
        if self._folder is not None:
            return self.read_now(path, offset, size)
        with failures(f"cannot read {size} bytes at {offset} of {path}"):
            return memoryview(obstore.get_range(self._store, path, start=offset, length=size))

    def open_now(self, path: str) -> int:
        """Return a descriptor of an object in a local folder, in the calling thread. Raises FileNotFoundError."""
        if self._folder is None:
            raise FileNotFoundError(path)
        with failures(f"cannot open {path}"):
            return self._folder.open(path)

    async def list(self, prefix: str) -> AsyncIterator[StoredObject]:
        """Yield the objects in a folder and all below it, in no order."""
        with failures(f"cannot list {prefix or self.place}"):
            size = 0
            listing = aiter(obstore.list(self._store, prefix, chunk_size=_LIST_PAGE))
            async for page in pages_in_time(listing, f"list {prefix or self.place}", self.pace):
                for meta in page:
                    size += meta["size"]
                    yield StoredObject(meta["path"], meta["size"], meta["last_modified"])
            await self._check_there()
            if "/" not in prefix:  # a server lists a folder for each upload, and would remember all of them
                self.bytes_in[prefix] = size

    async def listed_files(self, folder: str) -> Sequence[StoredObject]:
        """Return the objects in a folder that can be read, in no order: in a local one, a link is none."""
        found = [one async for one in self.list(folder)]
        if self._folder is None or not found:
            return found
        with failures(f"cannot list {folder}"):
            links = await asyncio.to_thread(self._folder.links_in, folder)
        return [one for one in found if one.path not in links]

    async def delete(self, paths: Iterable[str]) -> None:
        """Delete objects; one that is not there counts as deleted."""
        gate = asyncio.Semaphore(_DELETED_AT_ONCE)

        async def delete(path: str) -> None:
            async with gate:
                with suppress(FileNotFoundError), failures(f"cannot delete {path}"):
                    await self._delete(path)

        for outcome in await asyncio.gather(*map(delete, paths), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    @in_time("delete")
    async def _delete(self, path: str) -> None:
        await obstore.delete_async(self._store, path)

    async def sync(self, paths: Iterable[str]) -> None:
        """Make objects and their names survive a power cut, where the storage is a local folder."""
        if self._folder is not None:
            with failures("cannot sync"):
                await asyncio.to_thread(self._folder.sync, list(paths))

    async def sync_gone(self, paths: Iterable[str]) -> None:
        """Make it survive a power cut that objects were deleted, where the storage is a local folder."""
        if self._folder is not None:
            with failures("cannot sync"):
                await asyncio.to_thread(self._folder.sync_gone, list(paths))

    async def sweep(self, *, before: datetime, below: str = "", ours: Callable[[str], bool] = lambda path: True) -> int:
        """Delete what was left half-written before then by who was killed, in a local folder; return how many files.

        ours: whether an object below there is one whose halves may go.
        """
        if self._folder is None:
            return 0
        with failures("cannot sweep"):
            return await asyncio.to_thread(self._folder.sweep, below, before, ours)

    @asynccontextmanager
    async def sharing(self, tidy: Callable[[bool], Awaitable[None]]) -> AsyncIterator[None]:
        """Be one of those that write side by side.

        tidy: is called first with whether it is known that there is no other; none begins before it ends then.
        """
        if self._folder is None:
            await tidy(False)
            yield
            return
        async with self._folder.sharing(tidy):
            yield

    async def link_in(self, below: str) -> str | None:
        """Return a symbolic link on the way to a folder or below it, of a local folder, or None."""
        if self._folder is None:
            return None
        with failures(f"cannot list {below}"):
            return await asyncio.to_thread(self._folder.link_in, below)
