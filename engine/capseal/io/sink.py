"""Where bytes go. A file appears under its final name only on commit(), whole and synced; never before.

Sinks are context managers: leaving one that was not committed aborts it and leaves no trace.
"""

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, Self, TypeGuard, runtime_checkable

from ..errors import UsageError
from . import drafts

if TYPE_CHECKING:
    from .memory import LargeOutput, Window

LARGE_BYTES = 3 * 512 * 1024
"""Smaller files gain nothing by what memory.py does: of a huge page, too much would be wasted."""

_STANDARD = {1: "standard output", 2: "standard error"}

PathOrFile = str | os.PathLike[str] | BinaryIO


@dataclass(frozen=True, slots=True)
class Detached:
    """Two outputs in place of one: the seal, and the payload as a file of its own; or whatever has write()."""

    seal: PathOrFile
    payload: PathOrFile

    def __post_init__(self) -> None:
        one, other = (os.path.realpath(part) if _is_path(part) else part for part in (self.seal, self.payload))
        if one == other:
            name = os.fspath(self.seal) if _is_path(self.seal) else _name_of(self.seal)
            raise UsageError(f"{name}: seal and payload cannot be the same file")


@runtime_checkable
class Sink(Protocol):
    """What the pipeline writes to. It may also be a Lender."""

    ordered: bool
    """Writes must come in order, from one thread at a time."""
    seekable: bool
    """Offsets may come in any order, from one thread at a time."""
    folder: str | None
    """Where the output will appear, if that is a place on disk."""

    def expect(self, size: int) -> None:
        """Be told how many bytes will have been written in the end; who does not know need not say."""

    def write_at(self, offset: int, data: memoryview | bytes) -> None:
        """Write all of data at that offset."""

    def commit(self) -> None:
        """Make the output appear."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None:
        """Abort, unless committed."""


@runtime_checkable
class Lender(Protocol):
    """A sink that may have memory to write into, so that nothing need be copied there."""

    def lend(self, offset: int, size: int) -> memoryview | None:
        """Give memory for `size` bytes that will go to that offset, or None: then any buffer will do.

        write_at(), with that offset and at most the first `size` bytes of it, takes it back.
        """


class FileSink:
    """A file that does not exist until commit(): written beside its final name, synced, then named.

    overwrite: replace what has that name, or what a link of that name leads to. Otherwise FileExistsError is raised,
    when the sink is made, to say so before the work, and again on commit().
    """

    ordered = False
    seekable = True

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self._draft = drafts.Draft(os.path.realpath(path) if overwrite else path, overwrite=overwrite)
        self.folder: str | None = self._draft.folder
        self.fd = self._draft.fd
        self._writing = threading.Lock()
        self._large: LargeOutput | None = None
        self._lent: dict[int, Window] = {}
        self._end = 0  # of what was written

    def expect(self, size: int) -> None:
        with self._writing:
            large = self._if_large(size)
        if large is not None:
            large.expect(size)

    def lend(self, offset: int, size: int) -> memoryview | None:
        if size < LARGE_BYTES:
            return None
        try:
            with self._writing:
                large = self._if_large(offset + size) if self._draft.is_open else None
                if large is None or not large.reserve(offset + size):
                    return None
            window = large.window(offset, size)
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
                large = self._if_large(offset + size)
                self._end = max(self._end, offset + size)
                if window is not None and view.obj is window.view.obj:
                    view = view[:0]  # it is in the file already
                elif large is not None and offset + size >= LARGE_BYTES:
                    large.cover(offset + size)
                while view:
                    count = os.pwrite(self.fd, view, offset)
                    view = view[count:]
                    offset += count
        except OSError as error:  # which knows no name, and a full disk is one of several
            raise OSError(error.errno, error.strerror, self._draft.path) from None
        finally:
            if window is not None:
                window.close()
        if large is not None:
            large.written(start, size)

    def _if_large(self, end: int) -> "LargeOutput | None":
        """Return what helps to write a large file, from when something is to be beyond LARGE_BYTES."""
        if self._large is None and end >= LARGE_BYTES:
            from .memory import LargeOutput  # here, since small files do without

            self._large = LargeOutput(self.fd)
            self._large.written(0, self._end)
        return self._large

    def commit(self) -> None:
        commit_all([self])

    def finish(self) -> drafts.Draft:
        """Return the file, to which nothing more will be written; commit_all() gives it its name."""
        if self._large is not None:
            self._large.trim(self._end)
        return self._draft

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._draft.is_open:
            for window in self._lent.values():
                window.close()
        self._draft.__exit__(*exception)


class StreamSink:
    """The caller's file object, or whatever has write(): what was written stays written, commit() only flushes.

    name: of the stream in errors, by default what the stream says.
    """

    ordered = True
    folder: str | None = None

    def __init__(self, stream: Any, *, owned: bool = False, name: str | None = None) -> None:
        self._stream = stream
        self._name = name or _name_of(stream)
        self._owned = owned
        self._position = 0
        self.seekable = getattr(stream, "seekable", lambda: False)() and not _appends(stream)
        self._start = stream.tell() if self.seekable else 0

    def expect(self, size: int) -> None:
        """A stream takes what comes."""

    def write_at(self, offset: int, data: memoryview | bytes) -> None:
        if offset != self._position:
            if not self.seekable:
                raise OSError(errno.ESPIPE, f"stream at byte {self._position} cannot go to {offset}")
            self._stream.seek(self._start + offset)
        view = memoryview(data)
        while view:
            try:
                count = self._stream.write(view)
            except OSError as error:
                if error.filename is not None or not error.strerror:
                    raise
                raise OSError(error.errno, error.strerror, self._name) from error
            if count is None:
                raise BlockingIOError(errno.EAGAIN, "stream is in non-blocking mode, or its write() gives no count")
            view = view[count:]
        self._position = offset + len(data)

    def commit(self) -> None:
        if hasattr(self._stream, "flush"):
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._owned:
            self._stream.close()


def _name_of(stream: Any) -> str | None:
    name = getattr(stream, "name", None)
    if isinstance(name, int):
        return _STANDARD.get(name, f"file descriptor {name}")
    return name if isinstance(name, str) else None


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


def open_part(target: PathOrFile, *, overwrite: bool = False) -> "FileSink | StreamSink":
    """Return the sink for one of several outputs: a path, which becomes a file, or whatever has write()."""
    return FileSink(target, overwrite=overwrite) if _is_path(target) else StreamSink(target)


def commit_all(sinks: "Iterable[FileSink | StreamSink]") -> None:
    """Make several files appear together, or none of them; the last one gives the others their meaning.

    Streams are flushed before: what they cannot take leaves no file.
    """
    files = []
    for sink in sinks:
        if isinstance(sink, FileSink):
            files.append(sink)
        else:
            sink.commit()
    drafts.commit_all([file.finish() for file in files])


def _is_path(target: PathOrFile) -> "TypeGuard[str | os.PathLike[str]]":
    return isinstance(target, str | os.PathLike)
