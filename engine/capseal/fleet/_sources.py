"""What tasks read: files and objects pinned as they were when the job began, and payloads in parts.

All of them are values that go to workers by pickle.
"""

import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from ..constants import SEGMENT_BYTES
from ..errors import SourceChangedError, TruncatedError, UsageError
from . import _places as places
from ._plan import Span

if TYPE_CHECKING:
    from obstore import GetOptions

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""What has the name meanwhile may be a pipe, which nobody waits for: it has another stamp."""


class Input(Protocol):
    """What tasks read at any offset.

    is_told: its pin tells of every change, so that what was read once need not be read again.
    """

    is_told: ClassVar[bool]

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
    is_told: ClassVar[bool] = False

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
        fd = os.open(self.name, _FLAGS)
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
        fd = os.open(self.name, _FLAGS)
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
    is_told: ClassVar[bool] = True

    @classmethod
    def of(cls, url: str) -> "PinnedObject":
        """Pin an object. Raises UsageError where its store tells no version or entity tag, TransferError."""
        folder, key = places.split(url)
        import obstore

        with places.failures(f"cannot look at {url}"):
            try:
                meta = obstore.head(places.store_of(folder), key)
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
        folder, key = places.split(self.name)
        with places.failures(f"cannot read {self.name}"):
            try:
                got = obstore.get(places.store_of(folder), key, options=options)
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
    is_told: ClassVar[bool] = False

    def read(self, offset: int, buffer: memoryview) -> memoryview:
        """Return bytes that lie in one part."""
        first = offset // SEGMENT_BYTES // self.part_segments * self.part_segments
        segments = -(-self.size // SEGMENT_BYTES)
        part = Span(first, min(self.part_segments, segments - first))
        start = offset - first * SEGMENT_BYTES
        data = places.get(self.name, part.part_name, start, start + len(buffer))
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


def pin(place: str) -> PinnedFile | PinnedObject:
    """Pin a file or an object. Raises UsageError, TransferError, OSError."""
    place = places.folder_of(place)
    return PinnedFile.of(place) if places.is_local(place) else PinnedObject.of(place)
