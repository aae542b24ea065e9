"""The seal as a document: header, envelope, index, padding (docs/format.md, Seal). No I/O, no keys, no clock."""

from dataclasses import dataclass

from ..constants import DIGEST_BYTES, MAGIC, MAX_ENVELOPE_BYTES, SEAL_ALIGN_BYTES, SEAL_HEADER_BYTES
from ..errors import FormatError, UsageError
from .dsse import Envelope
from .statement import Statement
from .tree import segment_count

SEAL_TYPE = "application/vnd.capseal.seal.v1+json"


@dataclass(frozen=True, slots=True)
class Seal:
    """A parsed seal. index: 32 bytes per segment; empty where it is large and only the level above it is held."""

    envelope: Envelope
    statement: Statement
    index: bytes

    def __repr__(self) -> str:
        said = self.statement
        return f"<Seal {said.app} {said.version!r} sequence={said.sequence} {said.channel} {said.payload.size} bytes>"

    def encode(self) -> bytes:
        """Return the seal's bytes, a multiple of 4096. Raises UsageError where its index was not kept."""
        if len(self.index) != DIGEST_BYTES * segment_count(self.statement.payload.size):
            raise UsageError(f"the seal has {len(self.index)} bytes of index in memory, and cannot be written")
        envelope = self.envelope.encode()
        head = MAGIC + len(envelope).to_bytes(4, "big") + envelope
        return (head + self.index).ljust(seal_bytes_of(len(envelope), self.statement.payload.size), b"\0")


def parse_statement(envelope: Envelope) -> Statement:
    """Return what a seal's envelope says. Raises FormatError where type or statement are not of this version."""
    return Statement.parse(envelope.payload_of(SEAL_TYPE))


def seal_bytes_of(envelope_bytes: int, payload_bytes: int) -> int:
    """Return the seal's size for that envelope and payload."""
    used = SEAL_HEADER_BYTES + envelope_bytes + DIGEST_BYTES * segment_count(payload_bytes)
    return -(-used // SEAL_ALIGN_BYTES) * SEAL_ALIGN_BYTES


def check_magic(header: bytes, *, where: str = "") -> None:
    """Raise FormatError where a seal's first 12 bytes do not begin as they must. where: begins the message."""
    if not header.startswith(MAGIC):
        raise FormatError(f"{where}byte 0: not a sealed bundle, it starts with {header[:8].hex()}", offset=0)


def parse_header(header: bytes) -> int:
    """Return the envelope's length in bytes from the seal's first 12. Raises FormatError."""
    check_magic(header)
    envelope_bytes = int.from_bytes(header[len(MAGIC) :], "big")
    if not 0 < envelope_bytes <= MAX_ENVELOPE_BYTES:
        raise FormatError(
            f"byte {len(MAGIC)}: envelope of {envelope_bytes} bytes, from 1 to {MAX_ENVELOPE_BYTES} are allowed",
            offset=len(MAGIC),
        )
    return envelope_bytes
