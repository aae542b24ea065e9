"""verify(): check a sealed bundle with no secret. Verifier: the same, for bytes pushed as they arrive."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from ..constants import BLOCK_BYTES, SEGMENT_BYTES
from ..errors import TruncatedError, UsageError
from ..format.dsse import Envelope
from ..format.seal import Seal
from ..format.statement import Statement
from ..io.source import PathOrFile, Source, open_source
from ..trust.expect import Expect
from ..trust.store import TrustStore
from .pipeline import Layout, Progress, Pump, Run, Work, payload_layout
from .reading_order import Steps, Verified, accept_seal, parse_unverified, pull, seal_ended

if TYPE_CHECKING:
    from ..io.sink import Sink

SealInput = str | os.PathLike[str] | bytes | BinaryIO
"""A detached seal: its path, its bytes, or a binary file object."""


def verify(
    bundle: PathOrFile,
    *,
    trust: TrustStore,
    expect: Expect = Expect(),
    seal: SealInput | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Check a sealed bundle, every byte of it, and return what it says.

    bundle: an attached sealed bundle or, with `seal`, a payload; a path or a readable binary file
    object. Needs no secret. Raises RejectedError where the bundle is not acceptable, OSError. A file in
    a tmpfs is mapped, for which a handler of SIGBUS is installed (docs/server.md, Embed it).
    """
    with open_bundle(bundle, trust=trust, expect=expect, seal=seal) as (source, verified):
        pump_payload(source, verified, jobs=jobs, progress=progress)
    return verified


def inspect(bundle: PathOrFile) -> tuple[Envelope, Statement]:
    """Return what a sealed bundle, or a detached seal, claims. Nothing of it is verified.

    Raises FormatError, TruncatedError, OSError.
    """
    with _opened(open_source(bundle)) as source:
        return pull(parse_unverified(), source)


@contextmanager
def open_bundle(
    bundle: PathOrFile, *, trust: TrustStore, expect: Expect, seal: SealInput | None
) -> Iterator[tuple[Source, Verified]]:
    """Open a bundle and authenticate its seal; the source then stands at the payload's start."""
    with _opened(open_source(bundle)) as source:
        verified = pull(accept_seal(trust, expect), source) if seal is None else accept_detached(seal, trust, expect)
        size = verified.statement.payload.size
        if source.size is not None and source.size != size:
            raise verified.payload_ended(source.size)
        yield source, verified


def accept_detached(seal: SealInput, trust: TrustStore, expect: Expect) -> Verified:
    """Authenticate a detached seal, which must be the whole of its file. Raises RejectedError, OSError."""
    with _opened(open_source(io.BytesIO(seal) if isinstance(seal, bytes) else seal)) as source:
        verified = pull(accept_seal(trust, expect), source)
        check_seal_end(source, verified.seal)
        return verified


def check_seal_end(source: Source, seal: Seal) -> None:
    """Raise TruncatedError where a detached seal that was read to its end goes on."""
    if source.peek(0, 1):
        expected = len(seal.encode())
        raise TruncatedError(f"seal goes on after its end at byte {expected}", expected=expected, actual=expected + 1)


def pump_payload(
    source: Source,
    verified: Verified,
    *,
    transform: Work | None = None,
    sink: "Sink | None" = None,
    write_layout: Layout = payload_layout,
    jobs: int | None,
    progress: Progress | None,
) -> None:
    """Check a payload, at whose start the source stands, run by run and to its signed end.

    transform: what to make of a run once all of its segments passed, by default the run itself; sink:
    where that goes. Raises TamperedError, TruncatedError, and what transform, source or sink raise.
    """

    def work(run: Run, out: memoryview) -> memoryview:
        verified.check_run(run.first, run.data)
        return run.data if transform is None else transform(run, out)

    def check_in_place(first: int, offset: int, size: int) -> bool:
        entries = source.segment_digests(offset, size)
        if entries is None:
            return False
        verified.index.check_entries(first, entries)
        return True

    size = verified.statement.payload.size
    # What is used afterwards has to be the bytes that were checked: nobody else can change a copy. The entry of
    # a payload of one block is its leaf, which only work() knows.
    can_stay = source.in_memory and transform is None and sink is None and size > BLOCK_BYTES
    Pump(
        source=source,
        sink=sink,
        work=work,
        in_place=check_in_place if can_stay else None,
        read_layout=payload_layout,
        write_layout=write_layout,
        total=size,
        ended_early=verified.payload_ended,
        jobs=jobs,
        progress=progress,
    ).run()
    if source.peek(size, 1):
        raise verified.payload_ended(size + 1)


@contextmanager
def _opened(source: Source) -> Iterator[Source]:
    try:
        yield source
    finally:
        source.close()


class Verifier:
    """Checks a sealed bundle that arrives in pieces of any length; for embedding, does no I/O.

    feed() returns what has become verified, so that a server can pass on exactly that; finish() says
    that no more will come. After an error the verifier stays failed.
    """

    def __init__(self, *, trust: TrustStore, expect: Expect = Expect(), seal: SealInput | None = None) -> None:
        """With a detached `seal`, what is fed is the payload alone. Raises RejectedError."""
        self._pending = bytearray()
        self._seal_bytes = 0
        self._payload_bytes = 0
        self._failed = False
        self._finished = False
        self._verified: Verified | None = None
        self._steps: Steps[Verified] = accept_seal(trust, expect)
        self._wanted = next(self._steps)
        if seal is not None:
            self._verified = accept_detached(seal, trust, expect)

    @property
    def verified(self) -> Verified | None:
        """The seal's verdict, from the moment that the seal was complete; says nothing of the payload."""
        return self._verified

    @property
    def verified_payload_bytes(self) -> int:
        """How far the payload is verified, in bytes from its start: whole segments."""
        return self._payload_bytes

    def feed(self, data: bytes | bytearray | memoryview) -> bytes:
        """Take the next bytes and return those that are now verified: all of the seal, then whole segments.

        Raises RejectedError at the first bad segment; nothing of that call's bytes is returned then.
        """
        if self._failed or self._finished:
            raise UsageError(f"verifier was fed after it had {'failed' if self._failed else 'finished'}")
        self._failed = True
        self._pending += data
        released = b""
        if self._verified is None:
            released = self._feed_seal()
        if self._verified is not None:
            released += self._feed_payload(self._verified)
        self._failed = False
        return released

    def finish(self) -> Verified:
        """Return the verdict on the whole bundle. Raises TruncatedError where something is missing."""
        if self._failed:
            raise UsageError("verifier was finished after it had failed")
        self._failed = True
        verified = self._verified
        if verified is None:
            raise seal_ended(self._seal_bytes + len(self._pending), self._seal_bytes + self._wanted)
        if self._payload_bytes < verified.statement.payload.size:
            raise verified.payload_ended(self._payload_bytes + len(self._pending))
        self._failed = False
        self._finished = True
        return verified

    def _feed_seal(self) -> bytes:
        try:
            while len(self._pending) >= self._wanted:
                taken = bytes(self._pending[: self._wanted])
                del self._pending[: self._wanted]
                self._seal_bytes += self._wanted
                self._wanted = self._steps.send(taken)
        except StopIteration as stop:
            verified: Verified = stop.value
            self._verified = verified
            return verified.seal.encode()
        return b""

    def _feed_payload(self, verified: Verified) -> bytes:
        size = verified.statement.payload.size
        if self._payload_bytes + len(self._pending) > size:
            raise verified.payload_ended(self._payload_bytes + len(self._pending))
        ready = len(self._pending)
        if self._payload_bytes + ready < size:
            ready -= ready % SEGMENT_BYTES
        released = bytes(self._pending[:ready])
        if ready:
            verified.check_run(self._payload_bytes // SEGMENT_BYTES, memoryview(released))
            self._payload_bytes += ready
            del self._pending[:ready]
        return released
