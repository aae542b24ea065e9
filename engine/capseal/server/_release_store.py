"""What the reading half of the server serves from: the seam for releases that are not in a Storage."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from ..http.shapes import AppChannel, ReleaseDescription

Chunks = AsyncGenerator[bytes | memoryview, None]


class ReadablePayload(Protocol):
    """A payload that can be read by range, any number of times at once."""

    def chunks(self, start: int, stop: int) -> Chunks:
        """Yield bytes [start, stop).

        Raises RejectedError or TransferError before anything wrong: the response is aborted then.
        """


class FilePiece(NamedTuple):
    """Bytes of an open file. file: its descriptor, open until the next piece is asked for; offset, size: in bytes."""

    file: int
    offset: int
    size: int


class Pushed(NamedTuple):
    """Bytes that are made and written by a thread. size: of all, in bytes.

    push(socket) writes what the socket, which does not block, takes just now, and returns how many bytes; raises
    BlockingIOError where that is nothing, and what reading a payload raises, before anything wrong. check() raises
    that for what would be written first; where it is called, then by a thread, too, and before push().
    """

    push: Callable[[int], int]
    check: Callable[[], None]
    size: int


Pieces = AsyncGenerator[bytes | memoryview | FilePiece | Pushed, None]


@runtime_checkable
class SendablePayload(ReadablePayload, Protocol):
    """A payload that can be in files, which the kernel sends without anybody reading them."""

    def pieces(self, start: int, stop: int) -> Pieces:
        """Yield bytes [start, stop), as chunks() does, or where they are."""


class ReleaseStore(Protocol):
    """Releases, and their bytes, from wherever they are.

    What is withdrawn is listed, and neither latest nor read. Everything may raise TransferError.
    """

    async def channels(self, *, after: AppChannel | None, most: int) -> Sequence[AppChannel]:
        """Return apps and channels with a release that was not withdrawn, sorted: the first ones after that one."""

    async def releases(self, of: AppChannel, *, below: int | None, most: int) -> Sequence[ReleaseDescription]:
        """Return those of an app and channel, withdrawn ones too, newest first: the first ones below that sequence."""

    async def release(self, of: AppChannel, sequence: int) -> ReleaseDescription | None:
        """Return one, withdrawn or not."""

    async def latest(self, of: AppChannel) -> ReleaseDescription | None:
        """Return the one with the highest sequence that was not withdrawn."""

    async def seal(self, release: ReleaseDescription) -> bytes:
        """Return a release's seal. Raises TransferError."""

    async def payload(self, release: ReleaseDescription, attachment: str | None) -> ReadablePayload:
        """Return a release's payload, or the attachment of that name. Raises TransferError."""

    async def attachment_index(self, release: ReleaseDescription, name: str) -> bytes:
        """Return an attachment's index: 32 bytes for each segment. Raises TransferError."""


@runtime_checkable
class FittingStore(Protocol):
    """What knows itself which release is the latest for an app. Everything may raise TransferError."""

    async def latest_fitting(
        self, of: AppChannel, *, native: str | None, platform: str | None
    ) -> ReleaseDescription | None:
        """Return the latest one for an app of that version and platform; what is not told fits."""


@runtime_checkable
class HeadStore(Protocol):
    """What says which releases are current, besides them. Everything may raise TransferError."""

    async def head(self, of: AppChannel) -> bytes | None:
        """Return the head of an app and channel, in its envelope."""

    async def recall(self, of: AppChannel, digest: str) -> bytes | None:
        """Return a recall of that digest, in its envelope."""


@runtime_checkable
class TrustUpdateStore(Protocol):
    """What keeps the updates of apps' trust stores. Everything may raise TransferError."""

    async def trust_update(self, app: str, version: int) -> bytes | None:
        """Return the update that brings a version of an app's trust store."""
