"""Signatures of bare keys by docs/format.md, Envelope, alone: for every reader here of what such keys have signed."""

from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from .independent_reader import MGF, Rejected, unbase64


def message_of(payload_type: str, body: bytes) -> bytes:
    """Return what an envelope's signatures sign (DSSE, PAE)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def signers_of(signatures: Iterable[dict[str, Any]], message: bytes, keys: Mapping[str, Any]) -> set[str]:
    """Return which of the keys, by fingerprint, signed; a signature of another key is passed over. Raises Rejected."""
    signers = set()
    for signature in signatures:
        key = keys.get(signature["keyid"])
        if key is not None:
            try:
                key.verify(unbase64(signature["sig"]), message, padding.PSS(MGF, 32), hashes.SHA256())
            except InvalidSignature:
                raise Rejected("SignatureError", "a signature does not fit") from None
            signers.add(signature["keyid"])
    return signers
