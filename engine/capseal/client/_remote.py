"""A release on a server, as what the rest of capseal works with: the seal's bytes and a payload source."""

import io
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ..bundle.reading_order import check_seal_end, parse_rest, parse_unverified, pull
from ..constants import DIGEST_BYTES
from ..errors import TransferError, TruncatedError
from ..format.statement import Companion, Statement
from ..format.tree import segment_count
from ..http import paths
from ..http.shapes import ReleaseDescription
from ..io.source import Source, open_source
from ._connection import ATTEMPTS, TIMEOUT_S, Connection, FinalTransferError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


@contextmanager
def open_release(
    url: str,
    *,
    app: str,
    channel: str,
    sequence: int | None = None,
    timeout_s: float = TIMEOUT_S,
    attempts: int = ATTEMPTS,
) -> Iterator[tuple[bytes, "RangeSource"]]:
    """Give the seal's bytes and the payload's source of the latest release, or of that sequence.

    Nothing is verified here and no payload byte is asked for before the source is read: authenticate
    the seal first (capseal.embedding.accept, or any verb with `seal=`). Of a seal no more is read than it says itself
    that it has, and of the latest only if that is a seal of the payload that the server speaks of. Raises
    RejectedError where it is not, TransferError, UsageError where there is no such release, FormatError for names that
    are none.
    """
    with Connection(url, timeout_s=timeout_s, attempts=attempts) as connection:
        found = find_release(connection, app=app, channel=channel, sequence=sequence)
        seal, statement = found.read_seal()
        yield seal, found.payload(statement.payload.size)


@contextmanager
def stream_release(
    url: str, *, app: str, channel: str, sequence: int | None = None
) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Give seal and payload of the latest release, or of that sequence, as binary files that are read in order.

    Nothing is verified here, and nothing of either is asked for before it is read: what reads the seal step by
    step (any verb with `seal=`) takes no more memory for it than what it has authenticated says. The rest is as for
    open_release().
    """
    with (
        follow_latest(url, app=app, channel=channel, sequence=sequence) as found,
        closing(found.stream_seal()) as seal,
        closing(found.stream_payload()) as payload,
    ):
        yield seal, payload


@contextmanager
def follow_latest(url: str, *, app: str, channel: str, sequence: int | None = None) -> Iterator["FoundRelease"]:
    """Give the latest release, or that of a sequence: seal, payload, and what is beside. Raises as open_release()."""
    with Connection(url) as connection:
        yield _found(connection, app=app, channel=channel, sequence=sequence)


class FoundRelease:
    """Where a release is. described_bytes: how long its payload is by the server's word, where that was asked for."""

    def __init__(
        self, connection: Connection, *, app: str, channel: str, sequence: int, described_bytes: int | None
    ) -> None:
        self._connection = connection
        self.described_bytes = described_bytes
        # By what was asked for: whatever the server's own links say.
        self._names: dict[str, str | int] = {"app": app, "channel": channel, "sequence": sequence}
        self._seal_path = paths.filled(paths.RELEASE_SEAL, **self._names)

    def read_seal(self) -> tuple[bytes, Statement]:
        """Return the bytes of a seal that agrees with itself, and what it says. Raises RejectedError, TransferError."""
        with closing(self.stream_seal()) as stream, closing(open_source(stream)) as source:
            envelope, statement = pull(parse_unverified(), source)
            described_bytes = self.described_bytes
            if described_bytes is not None and statement.payload.size != described_bytes:
                raise TruncatedError(
                    f"{self._connection.url}: the seal speaks of a payload of {statement.payload.size} bytes, "
                    f"the server of {described_bytes}",
                    expected=described_bytes,
                    actual=statement.payload.size,
                )
            seal = pull(parse_rest(envelope, statement), source, past_header=True)
            check_seal_end(source, seal)
        return seal.encode(), statement

    def stream_seal(self) -> BinaryIO:
        """Return the seal as a file that is read in order."""
        document = _Document(self._connection, self._seal_path)
        return cast(BinaryIO, AnswerStream(self._connection, document.chunks, what="seal"))

    def stream_payload(self) -> BinaryIO:
        """Return the payload as a file that is read in order, as long as the server says that it is."""
        return cast(BinaryIO, PayloadStream(self.payload(self.described_bytes or 0)))

    def open_companion(self, companion: Companion) -> tuple[Source, bytes]:
        """Return a companion's stored bytes, to be read in order, and its index; nothing of either is verified."""
        names = {**self._names, "name": companion.name}
        path = paths.filled(paths.RELEASE_ATTACHMENT_INDEX, **names)
        index = fetch_index(self._connection, path, companion.size)
        path = paths.filled(paths.RELEASE_ATTACHMENT, **names)
        stored = PayloadStream(RangeSource(self._connection, path, companion.size))
        return open_source(cast(BinaryIO, stored)), index

    def payload(self, size: int) -> "RangeSource":
        """Return the payload, of that many bytes."""
        return RangeSource(self._connection, paths.filled(paths.RELEASE_PAYLOAD, **self._names), size)


def find_latest(connection: Connection, *, app: str, channel: str) -> tuple[FoundRelease, int]:
    """Return the latest release and its payload's size in bytes. Raises TransferError, UsageError, FormatError."""
    path = paths.filled(paths.LATEST, app=app, channel=channel)
    release = connection.in_time(
        lambda: connection.ask("GET", path, ReleaseDescription.from_json), "what says which release is the latest"
    )
    size = release.payload.size
    found = FoundRelease(connection, app=app, channel=channel, sequence=release.sequence, described_bytes=size)
    return found, size


def _found(connection: Connection, *, app: str, channel: str, sequence: int | None) -> FoundRelease:
    """Return the latest release, or that of a sequence, whose payload is as long as its seal claims."""
    if sequence is None:
        return find_latest(connection, app=app, channel=channel)[0]
    found = find_release(connection, app=app, channel=channel, sequence=sequence)
    with closing(found.stream_seal()) as stream, closing(open_source(stream)) as source:
        _, statement = pull(parse_unverified(), source)  # no more than the envelope
    size = statement.payload.size
    return FoundRelease(connection, app=app, channel=channel, sequence=sequence, described_bytes=size)


def find_release(connection: Connection, *, app: str, channel: str, sequence: int | None) -> FoundRelease:
    """Return the latest release, or that of a sequence. Raises TransferError, UsageError, FormatError.

    That of a sequence is not asked for: its seal says all that its description does, and in a tree of files (docs/
    server.md, Static export) there is none, since its name is a folder's.
    """
    if sequence is None:
        return find_latest(connection, app=app, channel=channel)[0]
    return FoundRelease(connection, app=app, channel=channel, sequence=sequence, described_bytes=None)


def find_seal(connection: Connection, *, app: str, channel: str, sequence: int) -> BinaryIO:
    """Return the seal of a release as a file that is read in order; nothing is verified here. Raises as above."""
    return find_release(connection, app=app, channel=channel, sequence=sequence).stream_seal()


def fetch_index(connection: Connection, path: str, payload_bytes: int) -> bytes:
    """Return the index of an attachment of that size; nothing is verified here. Raises TransferError."""
    most = DIGEST_BYTES * segment_count(payload_bytes)
    return connection.in_time(lambda: read_small(connection, path, "index", most), "index")


def read_small(connection: Connection, path: str, what: str, most: int, **keywords: Any) -> bytes:
    """Return what is at a path, of at most so many bytes."""
    data = bytearray()
    with connection.stream("GET", path, **keywords) as response:
        for chunk in response.iter_raw():
            data += chunk
            if len(data) > most:
                raise TruncatedError(
                    f"{connection.url}: {what} is longer than {most} bytes", expected=most, actual=len(data)
                )
    return bytes(data)


class _Document:
    """What is at a path and has no ranges: it is asked for again from its start, as long as it stays the same."""

    def __init__(self, connection: Connection, path: str) -> None:
        self._connection = connection
        self._path = path
        self._etag: str | None = None

    def chunks(self, start: int) -> Iterator[bytes]:
        """Yield bytes from that one on, as they arrive. Raises TransferError."""
        with self._connection.stream("GET", self._path) as response:
            etag = response.headers.get("etag", "")
            if start and etag != self._etag:
                raise FinalTransferError(f"{self._connection.url}{self._path}: changed while it was being read")
            self._etag = etag
            yield from _skipped(response.iter_raw(), start)


class NoRangesError(FinalTransferError):
    """Asked for a range, a server or a proxy answers with the whole."""


class RangeSource:
    """A payload on a server, read by ranges: a Source (capseal.io.source) for any number of threads.

    size: what the server says; the signed size decides, wherever a seal is checked. Where ranges are answered
    with the whole, what was not asked for is passed over.
    """

    ordered = False
    seekable = True

    def __init__(self, connection: Connection, path: str, size: int) -> None:
        self.name = f"{connection.url}{path}"
        self.size: int | None = size
        self.connection = connection
        self._path = path
        self._end = size
        self._start = 0

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill the buffer from that offset, with retries. Raises TransferError."""
        wanted = max(0, min(len(buffer), self._end - self._start - offset))
        done = 0

        def transfer() -> None:
            nonlocal done
            for chunk in self.chunks(offset + done, offset + wanted):
                buffer[done : done + len(chunk)] = chunk
                done += len(chunk)

        if wanted:
            self.connection.retried(transfer, reached=lambda: done)
        return done

    def chunks(self, start: int, stop: int, *, from_whole: bool = True) -> Iterator[bytes]:
        """Yield bytes [start, stop) as they arrive, in one request. Raises TransferError where they do not.

        from_whole: an answer with the whole payload will do, too; without it, one that has more than was asked
        for raises NoRangesError.
        """
        first, end = self._start + start, self._start + stop
        if first == end:
            return
        with self.connection.stream("GET", self._path, headers={"Range": f"bytes={first}-{end - 1}"}) as response:
            whole = response.status_code == 200
            expected = f"bytes {first}-{end - 1}/"
            if not whole and not (
                response.status_code == 206 and response.headers.get("content-range", "").startswith(expected)
            ):
                raise TransferError(f"{self.name}: asked for {expected[:-1]}, got status {response.status_code}")
            if whole and not from_whole and (first, end) != (0, self._end):
                raise NoRangesError(f"{self.name}: asked for {expected[:-1]}, got the whole")
            left = end - first
            for chunk in _skipped(response.iter_raw(), first) if whole else response.iter_raw():
                wanted = chunk[:left] if whole and end < self._end else chunk
                if len(wanted) > left:
                    raise TransferError(f"{self.name}: more than the {end - first} bytes that were asked for")
                left -= len(wanted)
                yield wanted
                if whole and not left and end < self._end:
                    return
        if left:
            raise TransferError(f"{self.name}: ended {left} bytes before {end}")

    def peek(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from that offset."""
        buffer = bytearray(size)
        return bytes(buffer[: self.read_into(offset, memoryview(buffer))])

    def rebase(self, offset: int) -> None:
        """Make that offset the new offset 0."""
        self._start += offset
        self.size = max(0, self._end - self._start)

    def check_unchanged(self) -> None:
        """A release never changes: its digest is what the seal says, or it is rejected."""

    def close(self) -> None:
        """The connection stays open: who made it closes it."""


def _skipped(chunks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Yield what comes after so many bytes."""
    for chunk in chunks:
        if count < len(chunk):
            yield chunk[count:]
        count = max(0, count - len(chunk))


class AnswerStream(io.RawIOBase):
    """An answer as a binary file that is read in order; broken off, it is asked for again from where it was.

    chunks_from: yields bytes from a position on, as they arrive. what: what a small document is called, all of which
    must come in the connection's document_s; what the reader does between two reads does not count.
    """

    def __init__(
        self, connection: Connection, chunks_from: Callable[[int], Iterator[bytes]], *, what: str | None = None
    ) -> None:
        self._connection = connection
        self._what = what
        self._left_s = connection.document_s
        self._chunks_from = chunks_from
        self._chunks: Iterator[bytes] | None = None
        self._left = memoryview(b"")
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill the buffer with what is there; 0 only at the end. Raises TransferError."""
        with memoryview(buffer).cast("B") as view:
            if not self._left and view:
                self._left = memoryview(self._arrived())
            count = min(len(view), len(self._left))
            view[:count] = self._left[:count]
        self._left = self._left[count:]
        self._position += count
        return count

    def close(self) -> None:
        """End the request."""
        chunks, self._chunks = self._chunks, None
        if isinstance(chunks, Generator):
            chunks.close()
        super().close()

    def _arrived(self) -> bytes:
        if self._what is None:
            return self._connection.retried(self._next)
        began_s = time.monotonic()
        try:
            return self._connection.in_time(self._next, self._what, left_s=max(0.0, self._left_s))
        finally:
            self._left_s -= time.monotonic() - began_s

    def _next(self) -> bytes:
        if self._chunks is None:
            self._chunks = self._chunks_from(self._position)
        try:
            return next(self._chunks, b"")
        except TransferError:
            self._chunks = None
            raise


class PayloadStream(AnswerStream):
    """A RangeSource as a binary file that is read in order, in one request."""

    def __init__(self, source: RangeSource) -> None:
        super().__init__(source.connection, lambda start: source.chunks(start, source.size or 0))
