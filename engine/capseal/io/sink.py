"""Where bytes go. A file appears under its final name only on commit(), whole and synced; never before.

Sinks are context managers: leaving one that was not committed aborts it and leaves no trace.
"""

import errno
import fcntl
import os
import secrets
import stat
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, Self

from ..errors import UsageError
from ..native.filehints import HUGE_BYTES, HugePages, Window, preallocate, start_writeback

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)  # what a file system without hard links says

_WORTH_HUGE_BYTES = HUGE_BYTES * 3 // 4  # of a small file, the rest of the page would be wasted

PathOrFile = str | os.PathLike[str] | BinaryIO


@dataclass(frozen=True, slots=True)
class Detached:
    """Two outputs in place of one: the seal, and the payload as a file of its own."""

    seal: str | os.PathLike[str]
    payload: str | os.PathLike[str]

    def __post_init__(self) -> None:
        if os.path.realpath(self.seal) == os.path.realpath(self.payload):
            raise UsageError(f"{os.fspath(self.seal)}: seal and payload cannot be the same file")


class Sink(Protocol):
    """What the pipeline writes to."""

    ordered: bool
    """Writes must come in order, from one thread at a time."""
    seekable: bool
    """Offsets may come in any order, from one thread at a time."""
    folder: str | None
    """Where the output will appear, if that is a place on disk."""

    def expect(self, size: int) -> None:
        """Be told how many bytes will have been written in the end; who does not know need not say."""

    def lend(self, offset: int, size: int) -> memoryview | None:
        """Give memory for `size` bytes that will go to that offset, or None: then any buffer will do.

        write_at(), with that offset and at most the first `size` bytes of it, takes it back.
        """

    def write_at(self, offset: int, data: memoryview | bytes) -> None:
        """Write all of data at that offset."""

    def commit(self) -> None:
        """Make the output appear."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None:
        """Abort, unless committed."""


class FileSink:
    """A file that does not exist until commit(): written beside its final name, synced, then renamed.

    overwrite: replace what has that name. Otherwise FileExistsError is raised, when the sink is made,
    to say so before the work, and again on commit().
    """

    ordered = False
    seekable = True

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.path = os.path.realpath(path) if overwrite else os.fspath(path)
        if os.path.isdir(self.path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.path)
        if not overwrite and os.path.lexists(self.path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.path)
        self._overwrite = overwrite
        folder, name = os.path.split(self.path)
        self.folder: str | None = folder or "."
        short = os.fsdecode(os.fsencode(name)[:200])  # file systems allow 255 bytes
        self._part = os.path.join(folder, f".{short}.{secrets.token_hex(8)}.part")
        self._open = False
        try:
            self.fd = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except OSError as error:
            # The name that the user knows, not the temporary one.
            raise OSError(error.errno, error.strerror, self.path) from None
        self._open = True
        self._writing = threading.Lock()
        self._pages = HugePages(self.fd)
        self._lent: dict[int, Window] = {}
        self._end = 0  # of what was written
        self._room = 0  # the file's size, which windows may need to be beyond that end

    def expect(self, size: int) -> None:
        preallocate(self.fd, size)

    def lend(self, offset: int, size: int) -> memoryview | None:
        if size < _WORTH_HUGE_BYTES:
            return None
        try:
            with self._writing:
                if not self._open or not self._pages.cover(offset + size):
                    return None
                if self._room < offset + size:
                    os.ftruncate(self.fd, offset + size)
                    self._room = offset + size
            window = Window(self.fd, offset, size)
        except OSError:  # write_at() will tell, if it fails too
            return None
        self._lent[offset] = window
        return window.view

    def write_at(self, offset: int, data: memoryview | bytes) -> None:
        view = memoryview(data)
        start, size = offset, len(view)
        window = self._lent.pop(offset, None)
        try:
            # The kernel lets one thread at a time write to a file, and others spin: here they sleep.
            with self._writing:
                self._end = max(self._end, offset + size)
                self._room = max(self._room, self._end)
                if window is not None and view.obj is window.view.obj:
                    view = view[:0]  # it is in the file already
                elif offset + size >= _WORTH_HUGE_BYTES:
                    self._pages.cover(offset + size)
                while view:
                    count = os.pwrite(self.fd, view, offset)
                    view = view[count:]
                    offset += count
        except OSError as error:  # which knows no name, and a full disk is one of several
            raise OSError(error.errno, error.strerror, self.path) from None
        finally:
            if window is not None:
                window.close()
        # The disk works while we do; commit() then waits for the last runs only.
        start_writeback(self.fd, start, size)

    def commit(self) -> None:
        commit_all([self])

    def sync(self) -> None:
        """Have all that was written on disk, and nothing more than that; the first half of commit_all()."""
        self._pages.trim(self._end)
        os.fsync(self.fd)

    def keep_replaced(self) -> str | None:
        """Give the file that publish() will replace a second name, and return that; None where there is none."""
        if not self._overwrite or not os.path.lexists(self.path):
            return None
        kept = f"{self._part}.old"
        try:
            os.link(self.path, kept)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise OSError(error.errno, error.strerror, self.path) from None
            os.rename(self.path, kept)
        return kept

    def publish(self) -> None:
        """Give the file its final name; commit_all() calls this once everything is synced."""
        if self._overwrite:
            os.replace(self._part, self.path)
        else:
            _link_new(self._part, self.path)
        self._open = False
        os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._open:
            self._open = False
            for window in self._lent.values():
                window.close()
            os.close(self.fd)
            with suppress(FileNotFoundError):  # a signal may come between the renaming and its record
                os.unlink(self._part)


class StreamSink:
    """The caller's file object: what was written stays written, commit() only flushes."""

    ordered = True
    folder: str | None = None

    def __init__(self, stream: Any, *, owned: bool = False) -> None:
        self._stream = stream
        self._owned = owned
        self._position = 0
        self.seekable = stream.seekable() and not _appends(stream)
        self._start = stream.tell() if self.seekable else 0

    def expect(self, size: int) -> None:
        """A stream takes what comes."""

    def lend(self, offset: int, size: int) -> memoryview | None:
        return None

    def write_at(self, offset: int, data: memoryview | bytes) -> None:
        if offset != self._position:
            if not self.seekable:
                raise OSError(errno.ESPIPE, f"stream at byte {self._position} cannot go to {offset}")
            self._stream.seek(self._start + offset)
        view = memoryview(data)
        while view:
            count = self._stream.write(view)
            if count is None:
                raise BlockingIOError(errno.EAGAIN, "stream is in non-blocking mode, or its write() gives no count")
            view = view[count:]
        self._position = offset + len(data)

    def commit(self) -> None:
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._owned:
            self._stream.close()


def _appends(stream: Any) -> bool:
    # As `>>` in a shell opens it: whatever the position, every write goes to the end.
    try:
        return bool(fcntl.fcntl(stream.fileno(), fcntl.F_GETFL) & os.O_APPEND)
    except (OSError, AttributeError):
        return False


def open_sink(target: PathOrFile, *, overwrite: bool = False) -> Sink:
    """Return the sink for a path or a writable binary file object. Raises OSError.

    A path that names a device or a named pipe is written to, never replaced.
    """
    if not isinstance(target, str | os.PathLike):
        return StreamSink(target)
    try:
        mode = os.stat(target).st_mode
    except OSError:
        mode = stat.S_IFREG
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return FileSink(target, overwrite=overwrite)
    return StreamSink(open(target, "wb", buffering=0), owned=True)


def commit_all(sinks: Iterable[FileSink]) -> None:
    """Make several files appear: all are synced before the first gets its name.

    The last one is the one that gives the others their meaning: where naming it fails, the new names
    before it are taken back, and what had them is there again.
    """
    sinks = list(sinks)
    for sink in sinks:
        sink.sync()
    published: list[FileSink] = []
    kept: list[str | None] = []
    try:
        for sink in sinks:
            kept.append(None if sink is sinks[-1] else sink.keep_replaced())
            sink.publish()
            published.append(sink)
    except BaseException:
        for sink, old in zip(sinks, kept, strict=False):
            if old is not None:
                os.replace(old, sink.path)
            elif sink in published:
                os.unlink(sink.path)
        raise
    finally:
        for old in filter(None, kept):
            with suppress(FileNotFoundError):
                os.unlink(old)
    for folder in dict.fromkeys(os.path.dirname(sink.path) or "." for sink in sinks):
        _sync_folder(folder)


def _link_new(part: str, path: str) -> None:
    try:
        # Unlike rename, link never replaces a file that appeared meanwhile.
        os.link(part, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise OSError(error.errno, error.strerror, path) from None  # FileExistsError and its like
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None
        os.rename(part, path)
    else:
        os.unlink(part)


def _sync_folder(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
