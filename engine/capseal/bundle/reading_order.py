"""From the first byte of a seal to a statement that may be believed, step by step.

Each step uses only what the step before has authenticated (docs/format.md, Reading order). The reader
is a generator that yields how many bytes it needs next and is sent exactly those, so files, pipes and
byte streams pushed from outside all go through the same code, which itself does no I/O.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from ..constants import DIGEST_BYTES, MAGIC, SEAL_HEADER_BYTES
from ..errors import FormatError, TruncatedError
from ..format.dsse import Envelope
from ..format.seal import Seal, check_magic, parse_header, parse_statement, seal_bytes_of
from ..format.signed_index import Load, SignedIndex, payload_ended
from ..format.statement import Statement
from ..format.tree import level_above, segment_count
from ..trust.expect import Expect
from ..trust.store import TrustedKey, TrustOrPath, trust_of

if TYPE_CHECKING:
    from ..io.source import Source

T = TypeVar("T")
Steps = Generator[int, bytes, T]
"""Yields the number of bytes wanted next, is sent them, returns the result."""

_INDEX_CHUNK_BYTES = 1024 * 1024  # memory follows what arrives, never what a seal declares; whole blocks


@dataclass(frozen=True, slots=True)
class Verified:
    """A seal that passed, and the trusted keys whose signatures vouch for it.

    After verify() and unseal() the payload passed too. held: the index, where that is large: then it is not in the
    seal, but loaded again block by block.
    """

    seal: Seal
    signers: tuple[TrustedKey, ...]
    held: SignedIndex | None = None

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
        return self.held or SignedIndex(self.statement.payload, self.seal.index)

    def without_index(self, load: Load) -> "Verified":
        """Return the same without the index in memory: with the level above it, and what loads its blocks again.

        load: gives bytes of the index, which must have more than one entry.
        """
        level = level_above(self.seal.index)
        return replace(
            self,
            seal=replace(self.seal, index=b""),
            held=SignedIndex.held(self.statement.payload, level, load),
        )

    def check_run(self, first: int, data: memoryview) -> None:
        """Raise TamperedError at the first segment of a run that differs from the signed index."""
        self.index.check_run(first, data)

    def payload_ended(self, actual: int) -> TruncatedError:
        """Return the error for a payload of another size than the signed one."""
        return payload_ended(self.statement.payload, actual)


@dataclass(frozen=True, slots=True)
class Reload:
    """Where a seal can be read again, so that a large index need not be held.

    above_bytes: of a larger index only the level above it is; load(offset, size): gives bytes of the seal, by their
    distance from its end, which is negative.
    """

    above_bytes: int
    load: Load


def accept_seal(trust: TrustOrPath, expect: Expect, *, reload: Reload | None = None) -> Steps[Verified]:
    """Read a seal and authenticate it. Raises RejectedError."""
    trust = trust_of(trust)
    envelope = yield from _read_envelope()
    now = expect.now or datetime.now(UTC)
    signers = trust.check(envelope.message, envelope.signatures, role=expect.role, now=now)
    statement = parse_statement(envelope)
    signers = trust.check_signed_at(signers, statement.created, role=expect.role)
    expect.check(statement, now=now)
    if reload is None or _index_bytes(statement) <= max(reload.above_bytes, DIGEST_BYTES):
        return Verified((yield from parse_rest(envelope, statement)), signers)
    level = yield from _read_level(statement)
    load = reload.load
    padding_bytes = yield from _read_padding(envelope, statement)
    start = -padding_bytes - _index_bytes(statement)
    held = SignedIndex.held(statement.payload, level, lambda offset, size: load(start + offset, size))
    return Verified(Seal(envelope, statement, b""), signers, held)


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
    yield from _read_padding(envelope, statement)
    return Seal(envelope, statement, index)


def _read_padding(envelope: Envelope, statement: Statement) -> Steps[int]:
    """Read what follows the index, and return how many bytes that is."""
    envelope_bytes = len(envelope.encode())
    used = SEAL_HEADER_BYTES + envelope_bytes + _index_bytes(statement)
    padding = yield seal_bytes_of(envelope_bytes, statement.payload.size) - used
    if any(padding):
        raise FormatError(f"byte {used}: padding of the seal is not zero", offset=used)
    return len(padding)


def _index_bytes(statement: Statement) -> int:
    return DIGEST_BYTES * segment_count(statement.payload.size)


def _read_level(statement: Statement) -> Steps[bytes]:
    """Read an index without keeping it, and return the level above it."""
    level = bytearray()
    left = _index_bytes(statement)
    while left:
        piece = yield min(_INDEX_CHUNK_BYTES, left)
        level += level_above(piece)
        left -= len(piece)
    return bytes(level)


def _read_index(statement: Statement) -> Steps[bytes]:
    index = bytearray()
    total = _index_bytes(statement)
    while len(index) < total:
        index += yield min(_INDEX_CHUNK_BYTES, total - len(index))
    return bytes(index)


def pull(steps: Steps[T], source: "Source", *, past_header: bool = False) -> T:
    """Drive steps from the start of a source, and make what follows its new start.

    past_header: whether the source has been read past the seal's header before.
    """
    position = 0
    try:
        wanted = next(steps)
        while True:
            buffer = bytearray(wanted)
            count = source.read_into(position, memoryview(buffer))
            if position == 0 and not past_header:
                _check_header(bytes(buffer[:count]), source.name)
            position += count
            if count < wanted:
                raise seal_ended(position, position - count + wanted)
            wanted = steps.send(bytes(buffer))
    except StopIteration as stop:
        source.rebase(position)
        result: T = stop.value
        return result


def _check_header(header: bytes, name: str) -> None:
    """Raise FormatError or TruncatedError, which name the source, where it does not begin with a whole header."""
    if len(header) == SEAL_HEADER_BYTES:
        check_magic(header, where=f"{name}: ")
    elif MAGIC.startswith(header[: len(MAGIC)]):
        raise seal_ended(len(header), SEAL_HEADER_BYTES, where=f"{name}: ")
    else:
        what = f"{name}: not a sealed bundle, it has {len(header)} bytes and starts with {header[:8].hex()}"
        raise TruncatedError(what, expected=SEAL_HEADER_BYTES, actual=len(header))


def check_seal_end(source: "Source", seal: Seal) -> None:
    """Raise TruncatedError where a detached seal that was read to its end goes on."""
    if source.peek(0, 1):
        raise seal_goes_on(seal_bytes_of(len(seal.envelope.encode()), seal.statement.payload.size))


def seal_goes_on(expected: int) -> TruncatedError:
    """Return the error for a detached seal after whose end more comes. expected: its bytes."""
    return TruncatedError(f"seal goes on after its end at byte {expected}", expected=expected, actual=expected + 1)


def seal_ended(actual: int, expected: int, *, where: str = "") -> TruncatedError:
    """Return the error for a seal that ends inside what it must hold. where: begins the message."""
    return TruncatedError(
        f"{where}seal ends early: {actual} bytes, at least {expected} are needed", expected=expected, actual=actual
    )
