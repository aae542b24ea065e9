"""Building blocks for a server of your own, whatever its framework: verified streams and verified ranges.

Each comes twice: for asyncio (any ASGI framework, aiohttp) and for plain threads (WSGI). They hold no
secret, pass a segment on only after it matched the signed index, and raise at the first one that does
not. The asynchronous ones hash in worker threads and hand those at most 1 MiB at once, so that the
event loop is never held for longer than a copy of that takes.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from typing import Self

from .bundle.opened import OpenedBundle, SealInput, accept_detached, open_bundle
from .bundle.push_verifier import Verifier
from .bundle.reading_order import Verified
from .constants import SEGMENT_BYTES
from .errors import UsageError
from .format.signed_index import SignedIndex
from .io import durable
from .trust.expect import Expect
from .trust.store import TrustStore

Chunk = bytes | bytearray | memoryview

Read = Callable[[int, int], Chunk]
"""read(offset, size) returns that many bytes of the payload: fewer only at its end."""

AsyncRead = Callable[[int, int], Awaitable[Chunk]]
"""The same, awaited."""

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


class BundleFile:
    """A file that holds one sealed bundle, or none yet, and is only ever replaced by a newer one: whole and for good.

    Uploads may be under way at once, of threads and of processes: each writes a file of its own, and of two that end
    one after the other the newer one stays. Beside it lies `PATH.lock`.
    """

    def __init__(self, path: str | os.PathLike[str], *, trust: TrustStore, expect: Expect = Expect()) -> None:
        """expect: of every bundle; its floor is that of the first."""
        self._path = os.fspath(path)
        self._trust = trust
        self._expect = expect

    def expect(self) -> Expect:
        """Return what the next bundle has to be: above the sequence of the one that is there.

        Raises RejectedError where that does not verify, OSError.
        """
        try:
            with self.open() as stored:
                floor = stored.verified.statement.sequence
        except FileNotFoundError:
            return self._expect
        return replace(self._expect, floor=max(floor, self._expect.floor or 0))

    def open(self) -> "StoredBundle":
        """Open the bundle that is there; what replaces it meanwhile changes nothing of this one.

        Raises FileNotFoundError where there is none, RejectedError, OSError.
        """
        # Its sequence was above the floor when it came.
        opened = open_bundle(self._path, trust=self._trust, expect=replace(self._expect, floor=None))
        return StoredBundle(opened)

    def replacing(self) -> "Replacement":
        """Begin an upload, to be left as a context manager: what was not committed then is gone. Raises OSError."""
        return Replacement(self, self._path)


class StoredBundle:
    """The bundle of a BundleFile, open: close() it, or leave its context. verified: the verdict on its seal."""

    def __init__(self, opened: OpenedBundle) -> None:
        self._opened = opened
        self.verified = opened.verified

    def read(self, offset: int, size: int) -> memoryview:
        """Return bytes of the payload as they are stored: for read_verified(), which checks them. Raises OSError."""
        buffer = bytearray(size)
        return memoryview(buffer)[: self._opened.source.read_into(offset, memoryview(buffer))]

    def close(self) -> None:
        """Close the file."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Replacement:
    """A bundle on its way into a BundleFile, in a file of its own that nobody else knows."""

    def __init__(self, bundle: BundleFile, path: str) -> None:
        self._bundle = bundle
        self._path = path
        self._draft = durable.Draft(path, overwrite=True)

    def write(self, data: bytes) -> None:
        """Add bytes that were verified. Raises OSError."""
        self._draft.write(data)

    def commit(self, verified: Verified | None) -> None:
        """Let the bundle appear, synced, in place of the one that is there.

        verified: the verdict of the stream, after all of it was written. Raises RollbackError where what is there
        came meanwhile and is not older, UsageError where the stream did not end, OSError.
        """
        if verified is None:
            raise UsageError(f"{self._path}: the stream that was written has not ended")
        with durable.appending(f"{self._path}.lock", mode=0o666):
            self._bundle.expect().check(verified.statement)
            durable.commit_all([self._draft])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._draft.__exit__(*exception)


def read_verified(verified: Verified | SignedIndex, read: Read, start: int, stop: int) -> Iterator[memoryview]:
    """Yield bytes [start, stop) of a payload from a storage reader, each segment checked before it is passed on.

    verified: the seal's verdict, or the index of another payload that a seal vouches for. Whole segments
    are read around the range. Raises TamperedError, TruncatedError, whatever `read` raises, ValueError for
    a range outside the payload.
    """
    index = verified.index if isinstance(verified, Verified) else verified
    for offset, size in _runs(index, start, stop):
        run = memoryview(read(offset, size))
        _check(index, offset, size, run)
        yield _inside(run, offset, start, stop)


async def read_verified_async(
    verified: Verified | SignedIndex, read: AsyncRead, start: int, stop: int
) -> AsyncGenerator[memoryview, None]:
    """read_verified() for asyncio: `read` is awaited, hashing runs in worker threads."""
    index = verified.index if isinstance(verified, Verified) else verified
    for offset, size in _runs(index, start, stop):
        run = memoryview(await read(offset, size))
        await asyncio.to_thread(_check, index, offset, size, run)
        yield _inside(run, offset, start, stop)


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


def _runs(index: SignedIndex, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield offset and size of the runs of whole segments around a range."""
    size = index.payload.size
    if not 0 <= start <= stop <= size:
        raise ValueError(f"bytes {start} to {stop} are not inside a payload of {size} bytes")
    if start == stop:
        return
    first = start - start % SEGMENT_BYTES
    end = min(size, -(-stop // SEGMENT_BYTES) * SEGMENT_BYTES)
    for offset in range(first, end, RUN_BYTES):
        yield offset, min(RUN_BYTES, end - offset)


def _check(index: SignedIndex, offset: int, size: int, run: memoryview) -> None:
    if len(run) != size:
        raise index.payload_ended(offset + len(run))
    index.check_run(offset // SEGMENT_BYTES, run)


def _inside(run: memoryview, offset: int, start: int, stop: int) -> memoryview:
    return run[max(0, start - offset) : stop - offset]
