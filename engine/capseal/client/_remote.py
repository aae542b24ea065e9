"""A release on a server, as what the rest of capseal works with: the seal's bytes and a payload source."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..constants import DIGEST_BYTES
from ..errors import TransferError, TruncatedError
from ..format.tree import segment_count
from ..http import paths
from ..http.limits import MAX_SEAL_BYTES
from ..http.shapes import ReleaseDescription
from ._connection import ATTEMPTS, TIMEOUT_S, Connection

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
    the seal first (capseal.embedding.accept, or any verb with `seal=`). Raises TransferError,
    UsageError where there is no such release, FormatError for names that are none.
    """
    with Connection(url, timeout_s=timeout_s, attempts=attempts) as connection:
        yield find_release(connection, app=app, channel=channel, sequence=sequence)


def find_release(
    connection: Connection, *, app: str, channel: str, sequence: int | None
) -> tuple[bytes, "RangeSource"]:
    """Return what open_release() gives, on a connection that stays the caller's."""
    names: dict[str, str | int] = {"app": app, "channel": channel}
    if sequence is None:
        path = paths.filled(paths.LATEST, **names)
    else:
        path = paths.filled(paths.RELEASE, **names, sequence=sequence)
    release = connection.retried(lambda: connection.ask("GET", path, ReleaseDescription.from_json))
    names["sequence"] = release.sequence
    seal_path = paths.filled(paths.RELEASE_SEAL, **names)
    seal = connection.retried(lambda: _read_small(connection, seal_path, "seal", MAX_SEAL_BYTES))
    return seal, RangeSource(connection, paths.filled(paths.RELEASE_PAYLOAD, **names), release.payload.size)


def fetch_index(connection: Connection, path: str, payload_bytes: int) -> bytes:
    """Return the index of an attachment of that size; nothing is verified here. Raises TransferError."""
    most = DIGEST_BYTES * segment_count(payload_bytes)
    return connection.retried(lambda: _read_small(connection, path, "index", most))


def _read_small(connection: Connection, path: str, what: str, most: int) -> bytes:
    """Return what is at a path, of at most so many bytes."""
    data = bytearray()
    with connection.stream("GET", path) as response:
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > most:
                raise TruncatedError(
                    f"{connection.url}: {what} is longer than {most} bytes", expected=most, actual=len(data)
                )
    return bytes(data)


class RangeSource:
    """A payload on a server, read by ranges: a Source (capseal.io.source) for any number of threads.

    size: what the server says; the signed size decides, wherever a seal is checked.
    """

    ordered = False
    seekable = True

    def __init__(self, connection: Connection, path: str, size: int) -> None:
        self.name = f"{connection.url}{path}"
        self.size: int | None = size
        self._connection = connection
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
            self._connection.retried(transfer)
        return done

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield bytes [start, stop) as they arrive, in one request. Raises TransferError where they do not."""
        first, end = self._start + start, self._start + stop
        headers = {"Range": f"bytes={first}-{end - 1}"}
        left = end - first
        with self._connection.stream("GET", self._path, headers=headers) as response:
            expected = f"bytes {first}-{end - 1}/"
            if response.status_code != 206 or not response.headers.get("content-range", "").startswith(expected):
                raise TransferError(f"{self.name}: asked for {expected[:-1]}, got status {response.status_code}")
            for chunk in response.iter_raw():
                if len(chunk) > left:
                    raise TransferError(f"{self.name}: more than the {end - first} bytes that were asked for")
                left -= len(chunk)
                yield chunk
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


class PayloadStream(io.RawIOBase):
    """A RangeSource as a binary file that is read in order, one request per read."""

    def __init__(self, source: RangeSource) -> None:
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill the buffer; fewer bytes only at the end. Raises TransferError."""
        with memoryview(buffer).cast("B") as view:
            count = self._source.read_into(self._position, view)
        self._position += count
        return count
