"""Where tasks read and write: pinned sources, parts that are only ever created, and claims on what they may be.

All of them are values that go to workers by pickle; what is open is kept by each process for itself.
"""

import errno
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from ..constants import SEGMENT_BYTES
from ..errors import SourceChangedError, TransferError, TruncatedError, UsageError
from ..io import durable
from ._plan import Span

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ObjectStore, RetryConfig

_RETRIES: "RetryConfig" = {"max_retries": 8, "retry_timeout": timedelta(minutes=3)}
"""A store's errors back off inside the task: to begin that anew would cost more."""

_OPEN_STORES: Final = 32

CLOSED: Final = "closed"
"""The claim that no part may be sent any more: its job was given up."""


class Input(Protocol):
    """What tasks read at any offset."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def near(self) -> bool:
        """Small reads cost no more than large ones."""

    def read(self, offset: int, buffer: memoryview) -> memoryview:
        """Return as many bytes as the buffer has from there: in it, or in memory of their own.

        Raises SourceChangedError, TruncatedError, TransferError, OSError.
        """

    def check(self) -> None:
        """Raise SourceChangedError where it is not what it was when it was pinned, and that can be told."""


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file as it was. start: where the bytes begin that are meant; stamp: inode, all of its bytes, modified ns."""

    name: str
    start: int
    size: int
    stamp: tuple[int, int, int]
    near: ClassVar[bool] = True

    @classmethod
    def of(cls, path: str) -> "PinnedFile":
        """Pin a regular file. Raises OSError, UsageError."""
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{path}: not a regular file, and only such can be read by several at once")
        return cls(os.path.realpath(path), 0, found.st_size, _stamp(found))

    def from_offset(self, start: int) -> "PinnedFile":
        """Return what of it begins there."""
        return PinnedFile(self.name, self.start + start, max(0, self.size - start), self.stamp)

    def read(self, offset: int, buffer: memoryview) -> memoryview:
        fd = os.open(self.name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._check(fd)
            done = 0
            while done < len(buffer):
                count = os.preadv(fd, [buffer[done:]], self.start + offset + done)
                if count == 0:
                    raise SourceChangedError(f"{self.name}: ended at byte {self.start + offset + done}")
                done += count
            self._check(fd)
        finally:
            os.close(fd)
        return buffer

    def check(self) -> None:
        fd = os.open(self.name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._check(fd)
        finally:
            os.close(fd)

    def _check(self, fd: int) -> None:
        now = _stamp(os.fstat(fd))
        if now != self.stamp:
            raise SourceChangedError(
                f"{self.name}: changed since the job began ({self.stamp[1]} bytes then, {now[1]} now)"
            )


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


@dataclass(frozen=True, slots=True)
class PinnedObject:
    """An object of a bucket, in one version or with one entity tag. name: its URL; size: from `start` on."""

    name: str
    start: int
    size: int
    e_tag: str | None
    version: str | None
    near: ClassVar[bool] = False

    @classmethod
    def of(cls, url: str) -> "PinnedObject":
        """Pin an object. Raises UsageError where its store tells no version or entity tag, TransferError."""
        folder, key = split(url)
        import obstore

        with failures(f"cannot look at {url}"):
            try:
                meta = obstore.head(store_of(folder), key)
            except FileNotFoundError:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url) from None
        if meta["version"] is None and meta["e_tag"] is None:
            raise UsageError(f"{url}: its store tells neither version nor entity tag, so it cannot be pinned")
        return cls(url, 0, meta["size"], meta["e_tag"], meta["version"])

    def from_offset(self, start: int) -> "PinnedObject":
        """Return what of it begins there."""
        return PinnedObject(self.name, self.start + start, max(0, self.size - start), self.e_tag, self.version)

    def read(self, offset: int, buffer: memoryview) -> memoryview:
        if not buffer:
            return buffer
        start = self.start + offset
        data = self._get(start, start + len(buffer))
        if len(data) != len(buffer):
            raise SourceChangedError(f"{self.name}: {len(data)} bytes at {start}, {len(buffer)} were there")
        return data

    def check(self) -> None:
        if self.start + self.size:
            self._get(0, 1)

    def _get(self, start: int, stop: int) -> memoryview:
        import obstore
        from obstore.exceptions import PreconditionError

        options: GetOptions = {"range": (start, stop)}
        # Both where both are told: a store may ignore the one, and what it answers must then fit the other.
        if self.e_tag is not None:
            options["if_match"] = self.e_tag
        if self.version is not None:
            options["version"] = self.version
        folder, key = split(self.name)
        with failures(f"cannot read {self.name}"):
            try:
                got = obstore.get(store_of(folder), key, options=options)
                meta = got.meta
                data = memoryview(got.bytes())
            except (PreconditionError, FileNotFoundError):
                raise SourceChangedError(f"{self.name}: changed since the job began") from None
        # Not every store that takes a condition keeps it.
        if self.e_tag not in (None, meta["e_tag"]) or self.version not in (None, meta["version"]):
            raise SourceChangedError(f"{self.name}: changed since the job began")
        return data


@dataclass(frozen=True, slots=True)
class StoredParts:
    """A payload in parts. name: the URL or path of their folder; parts: all of them, in order; size: of the payload."""

    name: str
    size: int
    part_segments: int
    near: ClassVar[bool] = False

    def read(self, offset: int, buffer: memoryview) -> memoryview:
        """Return bytes that lie in one part."""
        first = offset // SEGMENT_BYTES // self.part_segments * self.part_segments
        segments = -(-self.size // SEGMENT_BYTES)
        part = Span(first, min(self.part_segments, segments - first))
        start = offset - first * SEGMENT_BYTES
        data = get(self.name, part.part_name, start, start + len(buffer))
        if len(data) != len(buffer):
            where = f"{self.name}/{part.part_name}"
            raise TruncatedError(
                f"{where}: {len(data)} bytes at {start}, expected {len(buffer)}",
                expected=len(buffer),
                actual=len(data),
            )
        return data

    def check(self) -> None:
        """Every part is compared with the signed index."""


class Output(Protocol):
    """What tasks write to."""

    @property
    def part_segments(self) -> int:
        """How many segments are written, and claimed, at once."""

    def put(self, span: Span, data: memoryview, start: int) -> bytes | None:
        """Write a span's bytes; return None, or what was there already. start: their offset in all.

        Raises TransferError, OSError.
        """


@dataclass(frozen=True, slots=True)
class Parts:
    """A folder of parts, each created once and never replaced. folder: a path or URL."""

    folder: str
    part_segments: int

    def put(self, span: Span, data: memoryview, start: int) -> bytes | None:
        return put_new(self.folder, span.part_name, data)


@dataclass(frozen=True, slots=True)
class FileUnderWay:
    """A file that has no name yet, at the same path for every worker. path: as it is called until then.

    start: where in it the payload, or what else is written, begins.
    """

    path: str
    start: int
    part_segments: int

    def put(self, span: Span, data: memoryview, start: int) -> bytes | None:
        fd = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            offset = self.start + start
            while data:
                count = os.pwrite(fd, data, offset)
                data, offset = data[count:], offset + count
        finally:
            os.close(fd)
        return None


class Claims(Protocol):
    """What each part of one payload may be, once and for all, said before its first byte is sent."""

    def claim(self, name: str, what: bytes) -> None:
        """Say what a part is. Raises SourceChangedError where something else was said of it before."""

    def check_open(self) -> None:
        """Raise SourceChangedError where the job was given up."""


class ClaimsInMemory:
    """Claims of a job that no other process works on, and whose key nobody else ever has."""

    def __init__(self) -> None:
        self._said: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def claim(self, name: str, what: bytes) -> None:
        with self._lock:
            said = self._said.setdefault(name, what)
        _check_claim(name, said, what)

    def check_open(self) -> None:
        """Whoever gives it up is the process that works on it."""


@dataclass(frozen=True, slots=True)
class ClaimsInStore:
    """Claims as objects that are only ever created. folder: a path or URL, trusted with the plaintext."""

    folder: str

    def claim(self, name: str, what: bytes) -> None:
        said = put_new(self.folder, name, memoryview(what))
        if said is not None:
            _check_claim(f"{self.folder}/{name}", said, what)
        elif is_local(self.folder):
            # What was sent must still be claimed when the power comes back.
            durable.sync_path(os.path.join(self.folder, name))
            durable.sync_folder(self.folder)

    def check_open(self) -> None:
        if get_all(self.folder, CLOSED) is not None:
            raise SourceChangedError(f"{self.folder}: the job was given up")

    def close(self) -> None:
        """Let no part be sent any more."""
        put_new(self.folder, CLOSED, memoryview(b""))


def _check_claim(name: str, said: bytes, what: bytes) -> None:
    if said != what:
        raise SourceChangedError(
            f"{name}: another ciphertext was claimed for it before; the source changed, and two plaintexts under one "
            "key and nonce would give both away"
        )


# Paths and URLs.


def is_local(place: str) -> bool:
    """Say whether a place is a path on this machine, and no URL."""
    return "://" not in place


def folder_of(place: str) -> str:
    """Return a folder as it is opened: a path for a `file://` URL."""
    return place.removeprefix("file://") if place.startswith("file:///") else place


def folder_of_parts(place: str) -> str | None:
    """Return the folder that a place names, or None where it names a file or an object. Raises TransferError."""
    folder = folder_of(place)
    if is_local(folder):
        return folder if os.path.isdir(folder) else None
    return folder if any(True for _ in listed(folder)) else None


def absolute(place: str) -> str:
    """Return a path from the root, or a URL as it is."""
    place = folder_of(place)
    return os.path.abspath(place) if is_local(place) else place


def joined(place: str, name: str) -> str:
    """Return the place of what has a name in a place."""
    return f"{place.rstrip('/')}/{name}"


def split(place: str) -> tuple[str, str]:
    """Return the folder of a place, and its name there. Raises UsageError where it names a whole bucket."""
    folder, _, name = place.rpartition("/")
    if not name or folder.endswith((":/", ":")):
        raise UsageError(f"{place}: names no object")
    return folder or "/", name


def pinned(place: str) -> PinnedFile | PinnedObject:
    """Pin a file or an object. Raises UsageError, TransferError, OSError."""
    place = folder_of(place)
    return PinnedFile.of(place) if is_local(place) else PinnedObject.of(place)


@lru_cache(_OPEN_STORES)
def store_of(folder: str, *, make: bool = False) -> "ObjectStore":
    """Return the store of a folder or an `s3://`, `gs://` or `az://` URL; the environment says how it is reached.

    make: a local folder that is not there. Raises TransferError.
    """
    from obstore.store import LocalStore, from_url

    with failures(f"cannot open {folder}"):
        if is_local(folder):
            return LocalStore(os.path.realpath(folder), mkdir=make)
        return from_url(folder, retry_config=_RETRIES)


@contextmanager
def failures(what: str) -> Iterator[None]:
    """Make TransferError of what a store says, but that something is there, missing or changed."""
    from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

    try:
        yield
    except (FileNotFoundError, AlreadyExistsError, PreconditionError, TransferError):
        raise
    except (BaseError, OSError) as error:
        # Not as its cause: it goes through pickle, and what libraries raise does not always.
        raise TransferError(f"{what}: {str(error).partition(chr(10))[0]}") from None


def _is_missing(folder: str) -> bool:
    """Say whether that is a local folder that nobody made yet."""
    return is_local(folder) and not os.path.isdir(folder)


def put_new(folder: str, name: str, data: memoryview) -> bytes | None:
    """Create an object and return None, or return what has the name. Raises TransferError."""
    import obstore
    from obstore.exceptions import AlreadyExistsError

    with failures(f"cannot put {folder}/{name}"):
        try:
            obstore.put(store_of(folder, make=True), name, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return bytes(obstore.get(store_of(folder), name).bytes())
    return None


def replace(folder: str, name: str, data: bytes) -> None:
    """Put an object, in place of what has that name. Raises TransferError."""
    import obstore

    with failures(f"cannot put {folder}/{name}"):
        obstore.put(store_of(folder, make=True), name, data, use_multipart=False)


def get(folder: str, name: str, start: int, stop: int) -> memoryview:
    """Return bytes of an object, fewer where it ends before. Raises FileNotFoundError, TransferError."""
    import obstore

    with failures(f"cannot read {folder}/{name}"):
        return memoryview(obstore.get(store_of(folder), name, options={"range": (start, stop)}).bytes())


def get_all(folder: str, name: str) -> bytes | None:
    """Return an object, or None where there is none. Raises TransferError."""
    import obstore

    if _is_missing(folder):
        return None
    with failures(f"cannot read {folder}/{name}"):
        try:
            return bytes(obstore.get(store_of(folder), name).bytes())
        except FileNotFoundError:
            return None


def listed(folder: str) -> Iterator[tuple[str, int]]:
    """Yield name and bytes of every object in a folder, and below it, in no order. Raises TransferError."""
    import obstore

    if _is_missing(folder):
        return
    with failures(f"cannot list {folder}"):
        for page in obstore.list(store_of(folder)):
            for meta in page:
                yield meta["path"], meta["size"]


def delete(folder: str, names: Sequence[str]) -> None:
    """Delete objects; one that is not there counts as deleted. Raises TransferError."""
    import obstore

    for name in names:
        with failures(f"cannot delete {folder}/{name}"):
            try:
                obstore.delete(store_of(folder), name)
            except FileNotFoundError:
                continue
