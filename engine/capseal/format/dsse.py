"""DSSE envelopes: one payload of a named type and its signatures (docs/format.md, Envelope).

Seals, trust updates and log entries are payload types over it. No I/O, no keys, no clock. DSSE:
https://github.com/secure-systems-lab/dsse, protocol 1.0.2.
"""

from dataclasses import dataclass

from ..constants import MAX_CERTIFICATES, MAX_ENVELOPE_BYTES, MAX_RSA_BITS, MAX_SIGNATURES, MIN_RSA_BITS
from ..errors import FormatError
from . import strictjson
from .strictjson import Members, check_fingerprint, check_media_type, from_base64, to_base64


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
    """A payload, the type that says how to read it, and who signed both."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...] = ()

    @property
    def message(self) -> bytes:
        """The bytes that are signed: DSSE's pre-authentication encoding (PAE)."""
        return pae(self.payload_type, self.payload)

    def payload_of(self, payload_type: str) -> bytes:
        """Return the payload, which must be of that type. Raises FormatError."""
        # What was signed as one kind of document must never pass for another.
        if self.payload_type != payload_type:
            raise FormatError(f"envelope.payloadType: {self.payload_type!r} is unknown, expected {payload_type!r}")
        return self.payload

    def encode(self) -> bytes:
        """Return the one JSON encoding that readers accept: no white space, members in this order.

        Raises FormatError where it is larger than an envelope may be.
        """
        encoded = self._encode()
        if len(encoded) > MAX_ENVELOPE_BYTES:
            raise FormatError(f"envelope of {len(encoded)} bytes, at most {MAX_ENVELOPE_BYTES} are allowed")
        return encoded

    @classmethod
    def parse(cls, data: bytes) -> "Envelope":
        """Parse an envelope strictly; its payload stays unread and unverified. Raises FormatError."""
        if len(data) > MAX_ENVELOPE_BYTES:
            raise FormatError(f"envelope of {len(data)} bytes, at most {MAX_ENVELOPE_BYTES} are allowed")
        members = Members(
            strictjson.parse(data, "envelope"), "envelope", required=("payload", "payloadType", "signatures")
        )
        envelope = cls(
            payload=members.base64("payload"),
            payload_type=members.text("payloadType", check_media_type),
            signatures=tuple(
                _parse_signature(value, f"{members.place('signatures')}[{i}]")
                for i, value in enumerate(members.array("signatures", least=1, most=MAX_SIGNATURES))
            ),
        )
        # What no signature covers must have one spelling only, or it could be altered unnoticed.
        if envelope._encode() != data:
            raise FormatError("envelope: not in the canonical encoding (members in order, no white space)")
        return envelope

    def _encode(self) -> bytes:
        signatures = []
        for signature in self.signatures:
            entry: dict[str, object] = {"keyid": signature.keyid, "sig": to_base64(signature.sig)}
            if signature.x5c:
                entry["x5c"] = [to_base64(certificate) for certificate in signature.x5c]
            signatures.append(entry)
        return strictjson.encode(
            {"payload": to_base64(self.payload), "payloadType": self.payload_type, "signatures": signatures}
        )


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %b %d %b" % (len(payload_type.encode()), payload_type.encode(), len(payload), payload)


def _parse_signature(value: object, place: str) -> Signature:
    members = Members(value, place, required=("keyid", "sig"), optional=("x5c",))
    sig = members.base64("sig")
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
