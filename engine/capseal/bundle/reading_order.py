"""From the first byte of a seal to a statement that may be believed, step by step.

Each step uses only what the step before has authenticated (docs/format.md, Reading order). The reader
is a generator that yields how many bytes it needs next and is sent exactly those, so files, pipes and
byte streams pushed from outside all go through the same code, which itself does no I/O.
"""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from ..constants import DIGEST_BYTES, SEAL_HEADER_BYTES
from ..errors import FormatError, TruncatedError
from ..format.dsse import Envelope
from ..format.seal import Seal, parse_header, parse_statement, seal_bytes_of
from ..format.signed_index import SignedIndex, payload_ended
from ..format.statement import Statement
from ..format.tree import segment_count
from ..trust.expect import Expect
from ..trust.store import TrustedKey, TrustOrPath, trust_of

if TYPE_CHECKING:
    from ..io.source import Source

T = TypeVar("T")
Steps = Generator[int, bytes, T]
"""Yields the number of bytes wanted next, is sent them, returns the result."""

_INDEX_CHUNK_BYTES = 1024 * 1024  # memory follows what arrives, never what a seal declares


@dataclass(frozen=True, slots=True)
class Verified:
    """A seal that passed, and the trusted keys whose signatures vouch for it.

    After verify() and unseal() the payload passed too.
    """

    seal: Seal
    signers: tuple[TrustedKey, ...]

    def __repr__(self) -> str:
        signers = ", ".join(trusted.key.fingerprint[:16] for trusted in self.signers)
        return f"<Verified {self.seal!r} signed by {signers}>"

    @property
    def statement(self) -> Statement:
        """What the signers vouch for."""
        return self.seal.statement

    @property
    def index(self) -> SignedIndex:
        """What every segment of the payload must be."""
        return SignedIndex(self.statement.payload, self.seal.index)

    def check_run(self, first: int, data: memoryview) -> None:
        """Raise TamperedError at the first segment of a run that differs from the signed index."""
        self.index.check_run(first, data)

    def payload_ended(self, actual: int) -> TruncatedError:
        """Return the error for a payload of another size than the signed one."""
        return payload_ended(self.statement.payload, actual)


def accept_seal(trust: TrustOrPath, expect: Expect) -> Steps[Verified]:
    """Read a seal and authenticate it. Raises RejectedError."""
    trust = trust_of(trust)
    envelope = yield from _read_envelope()
    now = expect.now or datetime.now(UTC)
    signers = trust.check(envelope.message, envelope.signatures, role=expect.role, now=now)
    statement = parse_statement(envelope)
    signers = trust.check_signed_at(signers, statement.created, role=expect.role)
    expect.check(statement, now=now)
    return Verified((yield from parse_rest(envelope, statement)), signers)


def parse_seal() -> Steps[Seal]:
    """Read a whole seal without any check of who says so: it only has to agree with itself.

    Raises FormatError, TamperedError where index and statement differ.
    """
    envelope, statement = yield from parse_unverified()
    return (yield from parse_rest(envelope, statement))


def parse_unverified() -> Steps[tuple[Envelope, Statement]]:
    """Read what a seal claims, without any check of who says so. Raises FormatError."""
    envelope = yield from _read_envelope()
    return envelope, parse_statement(envelope)


def _read_envelope() -> Steps[Envelope]:
    header = yield SEAL_HEADER_BYTES
    return Envelope.parse((yield parse_header(header)))


def parse_rest(envelope: Envelope, statement: Statement) -> Steps[Seal]:
    """Read what follows the envelope that a statement is from: no more than that justifies. Raises RejectedError."""
    index = yield from _read_index(statement)
    SignedIndex.checked(statement.payload, index)
    envelope_bytes = len(envelope.encode())
    used = SEAL_HEADER_BYTES + envelope_bytes + len(index)
    padding = yield seal_bytes_of(envelope_bytes, statement.payload.size) - used
    if any(padding):
        raise FormatError(f"byte {used}: padding of the seal is not zero", offset=used)
    return Seal(envelope, statement, index)


def _read_index(statement: Statement) -> Steps[bytes]:
    index = bytearray()
    total = DIGEST_BYTES * segment_count(statement.payload.size)
    while len(index) < total:
        index += yield min(_INDEX_CHUNK_BYTES, total - len(index))
    return bytes(index)


def pull(steps: Steps[T], source: "Source") -> T:
    """Drive steps from the start of a source, and make what follows its new start."""
    position = 0
    try:
        wanted = next(steps)
        while True:
            buffer = bytearray(wanted)
            count = source.read_into(position, memoryview(buffer))
            position += count
            if count < wanted:
                raise seal_ended(position, position - count + wanted)
            wanted = steps.send(bytes(buffer))
    except StopIteration as stop:
        source.rebase(position)
        result: T = stop.value
        return result


def check_seal_end(source: "Source", seal: Seal) -> None:
    """Raise TruncatedError where a detached seal that was read to its end goes on."""
    if source.peek(0, 1):
        raise seal_goes_on(len(seal.encode()))


def seal_goes_on(expected: int) -> TruncatedError:
    """Return the error for a detached seal after whose end more comes. expected: its bytes."""
    return TruncatedError(f"seal goes on after its end at byte {expected}", expected=expected, actual=expected + 1)


def seal_ended(actual: int, expected: int) -> TruncatedError:
    """Return the error for a seal that ends inside what it must hold."""
    return TruncatedError(
        f"seal ends early: {actual} bytes, at least {expected} are needed", expected=expected, actual=actual
    )
