"""The seal as a document: header, DSSE envelope, index, padding (docs/format.md, Seal).

No I/O, no keys, no clock. DSSE: https://github.com/secure-systems-lab/dsse, protocol 1.0.2.
"""

from dataclasses import dataclass

from ..constants import (
    DIGEST_BYTES,
    MAGIC,
    MAX_CERTIFICATES,
    MAX_ENVELOPE_BYTES,
    MAX_RSA_BITS,
    MAX_SIGNATURES,
    MIN_RSA_BITS,
    PAYLOAD_TYPE,
    SEAL_ALIGN_BYTES,
    SEAL_HEADER_BYTES,
)
from ..errors import FormatError
from . import strictjson
from .statement import Statement, check_fingerprint, check_media_type, from_base64, to_base64
from .strictjson import Members
from .tree import segment_count


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature of an envelope.

    keyid: fingerprint of the key that made it; sig: RSA-PSS; x5c: the signer's certificates in DER,
    its own first (RFC 7515, section 4.1.6), or none.
    """

    keyid: str
    sig: bytes
    x5c: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Envelope:
    """A DSSE envelope around the bytes of a statement."""

    payload: bytes
    signatures: tuple[Signature, ...]
    payload_type: str = PAYLOAD_TYPE

    @property
    def message(self) -> bytes:
        """The bytes that are signed: DSSE's pre-authentication encoding (PAE)."""
        return pae(self.payload_type, self.payload)

    def encode(self) -> bytes:
        """Return the one JSON encoding that readers accept: no white space, members in this order."""
        signatures = []
        for signature in self.signatures:
            entry: dict[str, object] = {"keyid": signature.keyid, "sig": to_base64(signature.sig)}
            if signature.x5c:
                entry["x5c"] = [to_base64(certificate) for certificate in signature.x5c]
            signatures.append(entry)
        return strictjson.encode(
            {"payload": to_base64(self.payload), "payloadType": self.payload_type, "signatures": signatures}
        )

    @classmethod
    def parse(cls, data: bytes) -> "Envelope":
        """Parse an envelope strictly; its statement stays unread and unverified. Raises FormatError."""
        members = Members(
            strictjson.parse(data, "envelope"), "envelope", required=("payload", "payloadType", "signatures")
        )
        envelope = cls(
            payload=from_base64(members.take("payload", str), members.place("payload")),
            payload_type=members.text("payloadType", check_media_type),
            signatures=tuple(
                _parse_signature(value, f"{members.place('signatures')}[{i}]")
                for i, value in enumerate(members.array("signatures", least=1, most=MAX_SIGNATURES))
            ),
        )
        # What no signature covers must have one spelling only, or it could be altered unnoticed.
        if envelope.encode() != data:
            raise FormatError("envelope: not in the canonical encoding (members in order, no white space)")
        return envelope

    def statement(self) -> Statement:
        """Parse the statement. Raises FormatError where type or statement are not of this version."""
        if self.payload_type != PAYLOAD_TYPE:
            raise FormatError(f"envelope.payloadType: {self.payload_type!r} is unknown, expected {PAYLOAD_TYPE!r}")
        return Statement.parse(self.payload)


@dataclass(frozen=True, slots=True)
class Seal:
    """A parsed seal. index: 32 bytes per segment."""

    envelope: Envelope
    statement: Statement
    index: bytes

    def encode(self) -> bytes:
        """Return the seal's bytes, a multiple of 4096."""
        envelope = self.envelope.encode()
        if len(envelope) > MAX_ENVELOPE_BYTES:
            raise FormatError(f"envelope of {len(envelope)} bytes, at most {MAX_ENVELOPE_BYTES} are allowed")
        head = MAGIC + len(envelope).to_bytes(4, "big") + envelope
        return (head + self.index).ljust(seal_bytes_of(len(envelope), self.statement.payload.size), b"\0")


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %b %d %b" % (len(payload_type.encode()), payload_type.encode(), len(payload), payload)


def seal_bytes_of(envelope_bytes: int, payload_bytes: int) -> int:
    """Return the seal's size for that envelope and payload."""
    used = SEAL_HEADER_BYTES + envelope_bytes + DIGEST_BYTES * segment_count(payload_bytes)
    return -(-used // SEAL_ALIGN_BYTES) * SEAL_ALIGN_BYTES


def parse_header(header: bytes) -> int:
    """Return the envelope's length in bytes from the seal's first 12. Raises FormatError."""
    if not header.startswith(MAGIC):
        raise FormatError(f"byte 0: not a sealed bundle, it starts with {header[:8].hex()}", offset=0)
    envelope_bytes = int.from_bytes(header[len(MAGIC) :], "big")
    if not 0 < envelope_bytes <= MAX_ENVELOPE_BYTES:
        raise FormatError(
            f"byte {len(MAGIC)}: envelope of {envelope_bytes} bytes, from 1 to {MAX_ENVELOPE_BYTES} are allowed",
            offset=len(MAGIC),
        )
    return envelope_bytes


def _parse_signature(value: object, place: str) -> Signature:
    members = Members(value, place, required=("keyid", "sig"), optional=("x5c",))
    sig = from_base64(members.take("sig", str), members.place("sig"))
    if not MIN_RSA_BITS <= 8 * len(sig) <= MAX_RSA_BITS:
        raise FormatError(f"{members.place('sig')}: {len(sig)} bytes do not fit any allowed key")
    x5c: tuple[bytes, ...] = ()
    if "x5c" in members:
        certificates = members.array("x5c", least=1, most=MAX_CERTIFICATES)
        x5c = tuple(_certificate(text, f"{members.place('x5c')}[{i}]") for i, text in enumerate(certificates))
    return Signature(members.text("keyid", check_fingerprint), sig, x5c)


def _certificate(value: object, place: str) -> bytes:
    if type(value) is not str:
        raise FormatError(f"{place}: expected a string")
    return from_base64(value, place)
