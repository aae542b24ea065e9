"""What the reading half of the server serves from: the seam for releases that are not in a Storage."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from ..http.shapes import AppChannel, ReleaseDescription

Chunks = AsyncGenerator[bytes | memoryview, None]


class ReadablePayload(Protocol):
    """A payload that can be read by range, any number of times at once."""

    def chunks(self, start: int, stop: int) -> Chunks:
        """Yield bytes [start, stop).

        Raises RejectedError or TransferError before anything wrong: the response is aborted then.
        """


class ReleaseStore(Protocol):
    """Releases, from memory; their bytes, from wherever they are.

    What is withdrawn is listed, and neither latest nor read.
    """

    def channels(self) -> Sequence[AppChannel]:
        """Return every app and channel with a release that was not withdrawn, sorted."""

    def releases(self, of: AppChannel) -> Sequence[ReleaseDescription]:
        """Return all of an app and channel, newest first, withdrawn ones too."""

    def release(self, of: AppChannel, sequence: int) -> ReleaseDescription | None:
        """Return one, withdrawn or not."""

    def latest(self, of: AppChannel) -> ReleaseDescription | None:
        """Return the one with the highest sequence that was not withdrawn."""

    async def seal(self, release: ReleaseDescription) -> bytes:
        """Return a release's seal. Raises TransferError."""

    async def payload(self, release: ReleaseDescription, attachment: str | None) -> ReadablePayload:
        """Return a release's payload, or the attachment of that name. Raises TransferError."""

    async def attachment_index(self, release: ReleaseDescription, name: str) -> bytes:
        """Return an attachment's index: 32 bytes for each segment. Raises TransferError."""
