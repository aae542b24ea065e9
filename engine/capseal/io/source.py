"""Where bytes come from: regular files read at any offset, streams read in order.

A source fills the caller's buffer and keeps nothing of what it read.
"""

import errno
import io
import os
import stat
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, Protocol, runtime_checkable

from ..errors import SourceChangedError, UsageError

PathOrFile = str | os.PathLike[str] | BinaryIO
PathFileOrBytes = PathOrFile | bytes | bytearray | memoryview


@runtime_checkable
class Source(Protocol):
    """What the pipeline reads from. One that is a file also says where it lies (memory.Placed)."""

    name: str
    """For messages, and the default name of what is sealed."""
    size: int | None
    """Bytes from offset 0 to the end; None where only the end will tell."""
    ordered: bool
    """Reads must come from one thread at a time, and in order unless the source is seekable."""
    seekable: bool
    """Reads may come in any order."""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill the buffer from that offset and return the bytes read: fewer only at the end."""

    def peek(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from that offset without consuming them: fewer only at the end."""

    def rebase(self, offset: int) -> None:
        """Make that offset the new offset 0; an ordered source must just have been read up to it."""

    def check_unchanged(self) -> None:
        """Raise SourceChangedError where the source is not what it was when it was opened."""

    def close(self) -> None:
        """Release what the source holds; calling it again does nothing."""


class FileSource:
    """A regular file, read with pread: any offset, any number of threads."""

    ordered = False
    seekable = True

    def __init__(self, fd: int, name: str, *, start: int = 0, close: Callable[[], None]) -> None:
        self.name = name
        self._fd = fd
        self._start = start
        self._opened_as = os.fstat(fd)
        self.size: int | None = max(0, self._opened_as.st_size - start)
        self.close = close

    def read_into(self, offset: int, buffer: memoryview) -> int:
        done = 0
        while done < len(buffer):
            try:
                count = os.preadv(self._fd, [buffer[done:]], self._start + offset + done)
            except OSError as error:
                raise _named(error, self.name) from None
            if count == 0:
                break
            done += count
        return done

    def peek(self, offset: int, size: int) -> bytes:
        try:
            return os.pread(self._fd, size, self._start + offset)
        except OSError as error:
            raise _named(error, self.name) from None

    def place(self) -> tuple[int, int]:
        """Return the descriptor, and the offset in the file of the source's byte 0."""
        return self._fd, self._start

    def rebase(self, offset: int) -> None:
        self._start += offset
        self.size = max(0, self._opened_as.st_size - self._start)

    def check_unchanged(self) -> None:
        then, now = self._opened_as, os.fstat(self._fd)
        if (then.st_size, then.st_mtime_ns) != (now.st_size, now.st_mtime_ns):
            raise SourceChangedError(
                f"{self.name}: changed while it was being read ({then.st_size} bytes before, {now.st_size} after)"
            )


class StreamSource:
    """Anything with readinto: a pipe, a socket, a BytesIO, a zip made on the fly.

    in_order_only: go nowhere in it, even if it says that it can.
    """

    ordered = True

    def __init__(
        self,
        stream: Any,
        name: str,
        *,
        size: int | None = None,
        in_order_only: bool = False,
        close: Callable[[], None],
    ) -> None:
        self.name = name
        self.size = size
        self.close = close
        self.seekable = not in_order_only and bool(getattr(stream, "seekable", lambda: False)())
        self._stream = stream
        self._start = 0
        if self.seekable:
            self._start = stream.tell()
            self.size = max(0, stream.seek(0, os.SEEK_END) - self._start)
            stream.seek(self._start)
        self._position = 0
        self._peeked = b""  # bytes at _position that the stream has given already

    def read_into(self, offset: int, buffer: memoryview) -> int:
        self._go_to(offset)
        done = min(len(self._peeked), len(buffer))
        buffer[:done] = self._peeked[:done]
        self._peeked = self._peeked[done:]
        while done < len(buffer):
            try:
                count = self._stream.readinto(buffer[done:])
            except OSError as error:
                raise _named(error, self.name) from None
            if count is None:
                raise BlockingIOError(errno.EAGAIN, f"{self.name}: stream is in non-blocking mode")
            if count == 0:
                break
            done += count
        self._position += done
        return done

    def peek(self, offset: int, size: int) -> bytes:
        self._go_to(offset)
        if len(self._peeked) < size:
            buffer = bytearray(size)
            count = self.read_into(offset, memoryview(buffer))
            self._peeked = bytes(buffer[:count])
            self._position = offset
        return self._peeked[:size]

    def rebase(self, offset: int) -> None:
        self._go_to(offset)
        self._start += offset
        self._position = 0
        if self.size is not None:
            self.size = max(0, self.size - offset)

    def check_unchanged(self) -> None:
        """A stream is read once: there is nothing to compare it with."""

    def _go_to(self, offset: int) -> None:
        if offset == self._position:
            return
        if not self.seekable:
            raise io.UnsupportedOperation(f"{self.name}: a stream at byte {self._position} cannot go to {offset}")
        self._stream.seek(self._start + offset)
        self._position = offset
        self._peeked = b""


def open_source(source: PathFileOrBytes) -> Source:
    """Open a path, a binary file object or bytes; of a file object, what follows its position is read.

    Raises OSError.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return StreamSource(io.BytesIO(source), "bytes", close=_nothing)
    if isinstance(source, str | os.PathLike):
        return _open_path(os.fspath(source))
    name = source.name if isinstance(getattr(source, "name", None), str) else "stream"
    # Only a plain file's descriptor holds the bytes that its read() gives: gzip's holds packed ones.
    raw = getattr(source, "raw", source)
    if isinstance(raw, io.FileIO) and stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
        if _is_made_when_read(raw.fileno()):
            return StreamSource(source, name, in_order_only=True, close=_nothing)
        return FileSource(raw.fileno(), name, start=source.tell(), close=_nothing)
    if not hasattr(source, "readinto"):
        raise TypeError(f"{name}: a binary file object with readinto is needed, not {type(source).__name__}")
    return StreamSource(source, name, close=_nothing)


def _open_path(path: str) -> Source:
    file = open(path, "rb", buffering=0)
    try:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            if _is_made_when_read(file.fileno()):
                return StreamSource(file, path, in_order_only=True, close=file.close)
            return FileSource(file.fileno(), path, close=file.close)
        return StreamSource(file, path, close=file.close)
    except BaseException:
        file.close()
        raise


def _named(error: OSError, name: str) -> OSError:
    """Return what says which file it was: a descriptor's error names none."""
    return error if error.filename is not None or not error.strerror else OSError(error.errno, error.strerror, name)


def _is_made_when_read(fd: int) -> bool:
    """Say whether a file has content that its size knows nothing of, as those of /proc have."""
    return os.fstat(fd).st_size == 0 and os.pread(fd, 1, 0) != b""


def _nothing() -> None:
    """The caller's file object stays open: who opened it closes it."""


def check_rereadable(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Raise UsageError where one of these is no regular file: a pipe gives its content once, then blocks. OSError."""
    for path in paths:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UsageError(f"{os.fspath(path)}: is no regular file, and cannot be read again")
