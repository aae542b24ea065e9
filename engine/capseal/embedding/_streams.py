"""Verified bytes of what arrives: an iterable of chunks becomes one of what matched the signed index."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

from ..bundle.opened import SealInput, accept_detached
from ..bundle.push_verifier import Verifier
from ..bundle.reading_order import Verified
from ..constants import SEGMENT_BYTES
from ..trust.expect import Expect
from ..trust.store import TrustStore

Chunk = bytes | bytearray | memoryview

RUN_BYTES = 2 * SEGMENT_BYTES
"""What is hashed at once: long enough to make a thread's hand-over cheap, short enough to copy unnoticed."""


def accept(seal: SealInput, *, trust: TrustStore, expect: Expect = Expect()) -> Verified:
    """Authenticate a detached seal; the verdict is what the range form works with.

    Raises RejectedError, OSError.
    """
    return accept_detached(seal, trust, expect)


class VerifiedStream:
    """The verified bytes of a sealed bundle that arrives as an iterable of chunks: iterate over it once.

    Yields the whole seal, then whole segments; with a detached `seal`, the payload alone. Raises
    RejectedError at the first byte that is not acceptable, and where the input ends early or goes on.
    """

    def __init__(
        self,
        chunks: Iterable[Chunk],
        *,
        trust: TrustStore,
        expect: Expect = Expect(),
        seal: SealInput | None = None,
    ) -> None:
        self._chunks = chunks
        self._verifier = Verifier(trust=trust, expect=expect, seal=seal)

    @property
    def verified(self) -> Verified | None:
        """The seal's verdict, from the moment that the seal was complete; says nothing of the payload."""
        return self._verifier.verified

    def __iter__(self) -> Iterator[bytes]:
        """Raises RejectedError, and whatever the chunks raise."""
        batch = _Batch()
        for chunk in self._chunks:
            for run in batch.add(chunk, hasty=self.verified is None):
                released = self._verifier.feed(run)
                if released:
                    yield released
        released = self._verifier.feed(batch.rest())
        self._verifier.finish()
        if released:
            yield released


class AsyncVerifiedStream:
    """VerifiedStream for asyncio: takes any asynchronous iterable of chunks, such as an ASGI request's body."""

    def __init__(
        self,
        chunks: AsyncIterable[Chunk],
        *,
        trust: TrustStore,
        expect: Expect = Expect(),
        seal: SealInput | None = None,
    ) -> None:
        self._chunks = chunks
        self._make = lambda: Verifier(trust=trust, expect=expect, seal=seal)
        self._verifier: Verifier | None = None

    @property
    def verified(self) -> Verified | None:
        """The seal's verdict, from the moment that the seal was complete; says nothing of the payload."""
        return self._verifier.verified if self._verifier else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises RejectedError, and whatever the chunks raise."""
        self._verifier = verifier = await asyncio.to_thread(self._make)
        batch = _Batch()
        async for chunk in self._chunks:
            for run in batch.add(chunk, hasty=verifier.verified is None):
                released = await asyncio.to_thread(verifier.feed, run)
                if released:
                    yield released
        released = await asyncio.to_thread(verifier.feed, batch.rest())
        verifier.finish()
        if released:
            yield released


class _Batch:
    """Collects small chunks into runs worth a verifier's call, and cuts large ones."""

    def __init__(self) -> None:
        self._held: list[Chunk] = []
        self._held_bytes = 0

    def add(self, chunk: Chunk, *, hasty: bool) -> Iterator[bytes]:
        """Yield the runs that are ready; hasty: hold nothing back, as while the seal is arriving."""
        view = memoryview(chunk)
        for start in range(0, len(view), RUN_BYTES):
            piece = view[start : start + RUN_BYTES]
            self._held.append(piece)
            self._held_bytes += len(piece)
            if hasty or self._held_bytes >= SEGMENT_BYTES:
                yield self.rest()

    def rest(self) -> bytes:
        held, self._held, self._held_bytes = b"".join(self._held), [], 0
        return held
