"""Make signatures, of whatever type of payload, and add them to those that are there."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from ..constants import MAX_SIGNATURES
from ..crypto.keys import FilePath, Signer
from ..errors import FormatError, KeyFileError, SignatureError, UsageError
from ..format.dsse import Envelope, Signature

SignerOrReference = Signer | FilePath
"""A signer, or what names one for load_signer(): a PEM file without passphrase, a pkcs11: URI, a command."""


def signers_of(given: "SignerOrReference | Sequence[SignerOrReference]") -> list[Signer]:
    """Return signers, loading those that are only named. Raises KeyFileError, OSError."""
    several = [given] if isinstance(given, str | os.PathLike) or not isinstance(given, Sequence) else given
    return [_loaded(one) if isinstance(one, str | os.PathLike) else one for one in several]


def _loaded(reference: FilePath) -> Signer:
    from .signers import load_signer  # here, since most signers are loaded already

    return load_signer(os.fspath(reference))


@runtime_checkable
class Certified(Protocol):
    """What a signer has besides, whose signatures carry its certificates."""

    @property
    def x5c(self) -> tuple[bytes, ...]:
        """The certificates in DER, the signer's own first."""
        ...


def sign(payload_type: str, payload: bytes, signers: Sequence[Signer]) -> Envelope:
    """Return a payload in an envelope with one signature per signer.

    Raises UsageError, KeyFileError where a signer returns what its own public key does not verify.
    """
    envelope_bytes(payload_type, payload, signers)
    unsigned = Envelope(payload_type, payload)
    return replace(unsigned, signatures=tuple(make_signature(unsigned.message, signer) for signer in signers))


def add_signature(envelope: Envelope, signer: Signer, *, what: str) -> Envelope:
    """Return an envelope with one more signature. what: names the signed thing in messages.

    Raises UsageError, KeyFileError.
    """
    fingerprint = signer.public_key.fingerprint
    if any(signature.keyid == fingerprint for signature in envelope.signatures):
        raise UsageError(f"key {fingerprint[:16]} has signed this {what} already")
    if len(envelope.signatures) == MAX_SIGNATURES:
        raise UsageError(f"{what} has {MAX_SIGNATURES} signatures already, which is the most")
    _size(replace(envelope, signatures=(*envelope.signatures, _blank(signer))))
    return replace(envelope, signatures=(*envelope.signatures, make_signature(envelope.message, signer)))


def make_signature(message: bytes, signer: Signer) -> Signature:
    """Return one signature of a message, verified. Raises KeyFileError."""
    sig = signer.sign(message)
    try:
        signer.public_key.verify(sig, message)
    except SignatureError as error:
        raise KeyFileError(
            f"signer {signer.public_key.fingerprint[:16]} returned a signature that its public key does not verify"
        ) from error
    return replace(_blank(signer), sig=sig)


def envelope_bytes(payload_type: str, payload: bytes, signers: Sequence[Signer]) -> int:
    """Return the size of the envelope that sign() makes of a payload of that size; nobody is asked to sign.

    Raises UsageError where sign() would.
    """
    if not signers:
        raise UsageError("no signer: nobody would accept what nobody signed")
    unique = {signer.public_key.fingerprint for signer in signers}
    if len(signers) > MAX_SIGNATURES or len(unique) != len(signers):
        raise UsageError(f"{len(signers)} signers of {len(unique)} keys, from 1 to {MAX_SIGNATURES} are allowed")
    return _size(Envelope(payload_type, payload, tuple(map(_blank, signers))))


def _blank(signer: Signer) -> Signature:
    """Return a signature as large as the signer's will be."""
    key = signer.public_key
    return Signature(key.fingerprint, bytes(key.signature_bytes), signer.x5c if isinstance(signer, Certified) else ())


def _size(envelope: Envelope) -> int:
    try:
        return len(envelope.encode())
    except FormatError as error:
        raise UsageError(str(error)) from None
