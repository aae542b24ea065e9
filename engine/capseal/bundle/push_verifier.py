"""Verifier: checks a sealed bundle whose bytes are pushed as they arrive; for embedding, does no I/O."""

from ..constants import SEGMENT_BYTES
from ..errors import UsageError
from ..trust.expect import Expect
from ..trust.store import TrustOrPath
from .opened import SealInput, accept_detached
from .reading_order import Steps, Verified, accept_seal, seal_ended


class Verifier:
    """Checks a sealed bundle that arrives in pieces of any length; for embedding, does no I/O.

    feed() returns what has become verified, so that a server can pass on exactly that; finish() says
    that no more will come. After an error the verifier stays failed.
    """

    def __init__(self, *, trust: TrustOrPath, expect: Expect = Expect(), seal: SealInput | None = None) -> None:
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
