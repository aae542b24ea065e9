"""X.509 code-signing certificates: make, request, load, and check the chain of a signature (RFC 5280).

A chain is in the order of RFC 7515, section 4.1.6: the signer's certificate first, each one certified
by the next, and it ends in a self-signed one. So every byte of it is covered by a signature that can
be checked with nothing else at hand.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..constants import MAX_CERTIFICATES
from ..crypto.keys import PrivateKey, PublicKey, read_pem
from ..errors import KeyFileError, SignatureError
from ._certificate_path import Path, check_usage, fingerprint_of, key_of, named

DEFAULT_DAYS = 3653  # ten years
MAX_DAYS = 36525  # a hundred years
_SLOW_CLOCK = timedelta(hours=1)  # a new certificate must not be from the future for a device with a slow clock
_UNPARSABLE = (
    ValueError,
    TypeError,  # a bit string in a name that may not have one
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
    UserWarning,  # where the application makes errors of warnings; cryptography's deprecations are such, too
)
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


@dataclass(frozen=True)
class Chain:
    """The certificates of a signer, which fit together; says nothing of who trusts them."""

    certificates: tuple[x509.Certificate, ...] = field(repr=False)

    @cached_property
    def key(self) -> PublicKey:
        """The key that the first certificate is for."""
        return key_of(self.certificates[0])

    @property
    def subject(self) -> str:
        """Whose certificate the first one is (RFC 4514)."""
        return self.certificates[0].subject.rfc4514_string()

    @property
    def der(self) -> tuple[bytes, ...]:
        """The certificates in DER, the signer's own first: a signature's x5c."""
        return tuple(certificate.public_bytes(Encoding.DER) for certificate in self.certificates)

    @property
    def pem(self) -> bytes:
        """The certificates in PEM, the signer's own first."""
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.certificates)

    @classmethod
    def of(cls, certificates: Sequence[x509.Certificate]) -> "Chain":
        """Return certificates as a chain, if they fit together. Raises SignatureError.

        Each must hold an RSA key that capseal allows and be signed by the next one's key with SHA-256
        or better, the last by its own; a self-signed one ends the chain.
        """
        if not 1 <= len(certificates) <= MAX_CERTIFICATES:
            raise SignatureError(f"chain of {len(certificates)} certificates, from 1 to {MAX_CERTIFICATES} are allowed")
        for certificate, issuer in zip(certificates, [*certificates[1:], certificates[-1]], strict=True):
            _check_link(certificate, issuer)
        return cls(tuple(certificates))

    @classmethod
    def parse(cls, x5c: Sequence[bytes]) -> "Chain":
        """Parse the certificates of a signature. Raises SignatureError."""
        certificates = []
        for i, der in enumerate(x5c):
            try:
                certificate = x509.load_der_x509_certificate(der)
                _parse_lazy_parts(certificate)
            except _UNPARSABLE as error:
                raise SignatureError(f"x5c[{i}]: certificate cannot be parsed: {error}") from None
            # The count of unused bits in front of a signature is signed by nobody.
            if not der.endswith(b"\0" + certificate.signature):
                raise SignatureError(f"x5c[{i}]: signature of the certificate is not whole bytes")
            certificates.append(certificate)
        return cls.of(certificates)

    def anchors(self, trusted: Iterable[x509.Certificate]) -> tuple[x509.Certificate, ...]:
        """Return the trusted certificates that vouch for the chain: those that are nearest to the signer.

        They are found by subject and key. Whoever hands on a bundle can replace the copy in the chain by
        another certificate for the same key: it must not matter which one is shown.
        """
        certificates = tuple(trusted)
        found = (tuple(t for t in certificates if _same_holder(t, own)) for own in self.certificates)
        return next(filter(None, found), ())

    @property
    def fingerprints(self) -> frozenset[str]:
        """The fingerprints of all keys in the chain, the signer's and its issuers'."""
        return frozenset(map(fingerprint_of, self.certificates))

    def path_to(self, anchor: x509.Certificate) -> Path:
        """Return the certificates below a trusted one, the signer's own first, and the trusted one last."""
        count = next(i for i, own in enumerate(self.certificates) if _same_holder(anchor, own))
        return (*self.certificates[:count], anchor)


def make_certificate(key: PrivateKey, *, name: str, days: int = DEFAULT_DAYS, now: datetime | None = None) -> Chain:
    """Return a self-signed code-signing certificate. name: its common name; days: how long it is valid.

    Raises KeyFileError.
    """
    if not 1 <= days <= MAX_DAYS:
        raise KeyFileError(f"certificate for {days} days asked for, from 1 to {MAX_DAYS} are allowed")
    subject = _name(name)
    start = (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0) - _SLOW_CLOCK
    public = key.rsa.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _SLOW_CLOCK + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGNING_USAGE, critical=True)
        .add_extension(_CODE_SIGNING, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return Chain((builder.sign(key.rsa, hashes.SHA256()),))


def make_request(key: PrivateKey, *, name: str) -> bytes:
    """Return a certificate request (PKCS#10, PEM) for a company's CA. Raises KeyFileError."""
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_name(name))
        .add_extension(_SIGNING_USAGE, critical=True)
        .add_extension(_CODE_SIGNING, critical=False)
    )
    return builder.sign(key.rsa, hashes.SHA256()).public_bytes(Encoding.PEM)


def load_certificates(source: str | os.PathLike[str] | bytes) -> tuple[x509.Certificate, ...]:
    """Load every certificate of a PEM file, or of PEM bytes; other blocks are ignored. Raises KeyFileError, OSError."""
    name, data = read_pem(source, kind="certificate file")
    certificates = _parse_certificates(name, data)
    try:
        for certificate in certificates:
            _parse_lazy_parts(certificate)
    except _UNPARSABLE as error:
        raise KeyFileError(f"{name}: certificate cannot be parsed: {error}") from None
    return certificates


def load_crls(source: str | os.PathLike[str] | bytes) -> tuple[x509.CertificateRevocationList, ...]:
    """Load every revocation list of a PEM file, or of PEM bytes. Raises KeyFileError, OSError."""
    name, data = read_pem(source, kind="certificate file")
    begin = b"-----BEGIN X509 CRL-----"
    try:
        crls = tuple(x509.load_pem_x509_crl(begin + piece) for piece in data.split(begin)[1:])
        critical = [e.oid.dotted_string for crl in crls for e in crl.extensions if e.critical]
        for crl in crls:
            _ = crl.issuer, crl.signature_hash_algorithm, crl.next_update_utc, [e.revocation_date_utc for e in crl]
    except _UNPARSABLE as error:
        raise KeyFileError(f"{name}: unusable revocation list: {error}") from None
    if not crls:
        raise KeyFileError(f"{name}: no PEM revocation list (X509 CRL)")
    if critical:
        raise KeyFileError(
            f"{name}: revocation list with critical extension {critical[0]}; only complete lists are used"
        )
    return crls


def load_chain(source: str | os.PathLike[str] | bytes, key: PublicKey) -> Chain:
    """Load the chain of a key from PEM certificates in any order; others in the file are ignored.

    Raises KeyFileError where it is not complete up to a self-signed certificate, OSError.
    """
    name, data = read_pem(source, kind="certificate file")
    found = _parse_certificates(name, data)
    own = [c for c in found if _fingerprint_or_none(c) == key.fingerprint]
    if not own:
        raise KeyFileError(f"{name}: none of {len(found)} certificates is for key {key.fingerprint[:16]}")
    chain = own[:1]
    while not _issued(chain[-1], chain[-1]):
        issuer = next((c for c in found if c not in chain and _issued(chain[-1], c)), None)
        if issuer is None:
            raise KeyFileError(
                f"{name}: the certificate of {chain[-1].issuer.rfc4514_string()!r}, which issued "
                f"{chain[-1].subject.rfc4514_string()!r}, is missing; give the whole chain up to the root"
            )
        chain.append(issuer)
    try:
        result = Chain.of(chain)
        check_usage(chain[0])
    except SignatureError as error:
        raise KeyFileError(f"{name}: {error}") from None
    return result


_SIGNING_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
_CODE_SIGNING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])


def _parse_lazy_parts(certificate: x509.Certificate) -> None:
    """Let cryptography parse now what it would parse, or fail to parse, only when it is asked for it."""
    _ = certificate.subject, certificate.issuer, certificate.extensions, certificate.signature_hash_algorithm
    _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate.public_key()


def _check_link(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    # RSA throughout: an ECDSA signature can be changed into another valid one by anybody.
    key_of(certificate)
    if not isinstance(certificate.signature_hash_algorithm, _HASHES):
        raise SignatureError(f"certificate {named(certificate)} is not signed with SHA-256, SHA-384 or SHA-512")
    if certificate is not issuer and _issued(certificate, certificate):
        raise SignatureError(f"chain goes on after {named(certificate)}, which is self-signed")
    if not _issued(certificate, issuer):
        if certificate is issuer:
            raise SignatureError(
                f"broken chain: it ends in {named(certificate)}, which is not self-signed; "
                "the chain is incomplete, or corrupt or was altered"
            )
        raise SignatureError(
            f"broken chain: certificate {named(certificate)} is not signed by the next one, {named(issuer)}"
        )


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _same_holder(one: x509.Certificate, other: x509.Certificate) -> bool:
    return one.subject == other.subject and fingerprint_of(one) == fingerprint_of(other)


def _fingerprint_or_none(certificate: x509.Certificate) -> str | None:
    try:
        return key_of(certificate).fingerprint
    except (SignatureError, ValueError, UnsupportedAlgorithm):
        return None


def _name(common_name: str) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    except ValueError as error:
        raise KeyFileError(f"common name {common_name[:80]!r} of a certificate: {error}") from None


def _parse_certificates(name: str, data: bytes) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except _UNPARSABLE as error:
        raise KeyFileError(f"{name}: no usable PEM certificate: {error}") from None
