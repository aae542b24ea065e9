"""Whether a path of certificates, from a signer's own up to a trusted one, may be used for code signing (RFC 5280).

cryptography.x509.verification judges the path: signatures, names, dates, who may issue, path lengths, name constraints,
critical extensions. Ours are the demands that it takes as an extension policy, and revocation, which it has not.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from ..constants import MAX_CERTIFICATES
from ..crypto.keys import PublicKey
from ..errors import KeyFileError, SignatureError

T = TypeVar("T", bound=x509.ExtensionType)

Path = tuple[x509.Certificate, ...]
"""The signer's certificate first, the trusted one last; one certificate may be both."""

_APPLICABLE_NAMES = (x509.DNSName, x509.IPAddress, x509.RFC822Name)  # the constraints that cryptography applies


def check_path(path: Path, crls: Sequence[x509.CertificateRevocationList], now: datetime) -> None:
    """Raise SignatureError unless a path may be used now.

    crls: none of those who issued a certificate of the path may have revoked it.
    """
    check_dates(path, now, "it is now")
    check_usage(path[0])
    for certificate, issuer in pairwise(path):
        _check_revocation(certificate, issuer, crls, now)
    _check_anchor_revocation(path[-1], crls)
    _judge(path, now)


def check_dates(path: Path, when: datetime, what: str) -> None:
    """Raise SignatureError unless every certificate of a path is valid at a time. what: names the time."""
    for certificate in path:
        for wrong, state, date in (
            (when < certificate.not_valid_before_utc, "is not valid before", certificate.not_valid_before_utc),
            (when > certificate.not_valid_after_utc, "expired at", certificate.not_valid_after_utc),
        ):
            if wrong:
                raise SignatureError(f"certificate {named(certificate)} {state} {_shown(date)}, {what} {_shown(when)}")


def check_usage(certificate: x509.Certificate) -> None:
    """Raise SignatureError unless a certificate is a code signer's own, and no CA's."""
    usage = _extension(certificate, x509.ExtendedKeyUsage)
    if usage is None or ExtendedKeyUsageOID.CODE_SIGNING not in usage:
        found = "none" if usage is None else _listed(usage)
        raise SignatureError(
            f"certificate {named(certificate)} is not for code signing: extended key usage "
            f"{ExtendedKeyUsageOID.CODE_SIGNING.dotted_string} expected, found {found}"
        )
    key_usage = _extension(certificate, x509.KeyUsage)
    if key_usage is not None and not key_usage.digital_signature:
        raise SignatureError(f"certificate {named(certificate)} is not for signing: key usage lacks digitalSignature")
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise SignatureError(f"certificate {named(certificate)} is a CA's, which may sign certificates, and no bundles")


def key_of(certificate: x509.Certificate) -> PublicKey:
    """Return the key of a certificate. Raises SignatureError where capseal does not allow it."""
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        raise SignatureError(f"certificate {named(certificate)} does not hold an RSA key")
    try:
        return PublicKey(key)
    except KeyFileError as error:
        raise SignatureError(f"certificate {named(certificate)}: {error}") from None


def fingerprint_of(certificate: x509.Certificate) -> str:
    """Return the fingerprint of the key of a certificate, whatever its kind: SHA-256 of its SubjectPublicKeyInfo."""
    return sha256(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def named(certificate: x509.Certificate) -> str:
    """Return how messages name a certificate."""
    return f"{certificate.subject.rfc4514_string()!r}"


def _check_revocation(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    crls: Sequence[x509.CertificateRevocationList],
    now: datetime,
) -> None:
    by_name = [crl for crl in crls if crl.issuer == issuer.subject]
    own = [crl for crl in by_name if crl.is_signature_valid(key_of(issuer).rsa)]
    if by_name and not own:
        raise SignatureError(f"revocation list of {named(issuer)} is not signed by that certificate's key")
    _check_not_listed(certificate, own)
    ends = [crl.next_update_utc for crl in own if crl.next_update_utc is not None]
    if ends and max(ends) < now:
        raise SignatureError(
            f"revocation list of {named(issuer)} is out of date: it ended at {_shown(max(ends))}, "
            f"it is now {_shown(now)}"
        )


def _check_anchor_revocation(anchor: x509.Certificate, crls: Sequence[x509.CertificateRevocationList]) -> None:
    # Its issuer need not be at hand, so the list goes by the name: who may put lists into the store is trusted.
    _check_not_listed(anchor, [crl for crl in crls if crl.issuer == anchor.issuer])


def _check_not_listed(certificate: x509.Certificate, crls: Sequence[x509.CertificateRevocationList]) -> None:
    for crl in crls:
        entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
        # Whatever the date: a thief can date a bundle back.
        if entry is not None:
            raise SignatureError(f"certificate {named(certificate)} was revoked at {_shown(entry.revocation_date_utc)}")


def _judge(path: Path, now: datetime) -> None:
    own, anchor = path[0], path[-1]

    def check_constraints(policy: Policy, issuer: x509.Certificate, found: x509.NameConstraints | None) -> None:
        if found is not None:
            _check_applicable(found, own)

    issuers = (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _check_issuer_usage)
        .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _check_issuer_purpose)
        # RFC 5280, section 4.2.1.10: critical, always. What is not might be passed over by the next reader.
        .may_be_present(x509.NameConstraints, Criticality.CRITICAL, check_constraints)
    )
    verifier = (
        PolicyBuilder()
        .store(Store([anchor]))
        .time(now)
        .max_chain_depth(MAX_CERTIFICATES)
        .extension_policies(ca_policy=issuers, ee_policy=ExtensionPolicy.permit_all())
        .build_client_verifier()
    )
    try:
        verifier.verify(own, list(path[1:-1]))
    except VerificationError as error:
        raise SignatureError(f"chain of {named(own)} does not lead to {named(anchor)}: {error}") from None


def _check_issuer_usage(policy: Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("key usage of an issuer lacks keyCertSign")


def _check_issuer_purpose(policy: Policy, certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
    allowed = (ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    if usage is not None and not any(purpose in usage for purpose in allowed):
        raise ValueError(f"issuer {named(certificate)} may not certify code signers: its usages are {_listed(usage)}")


def _check_applicable(constraints: x509.NameConstraints, own: x509.Certificate) -> None:
    """Raise ValueError unless the constraints say something of the signer that cryptography looks at.

    It holds them against subjectAltName, and says nothing of a certificate that has no name of such a kind.
    """
    kinds = {type(name) for name in (*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ()))}
    if not kinds <= set(_APPLICABLE_NAMES):
        raise ValueError(f"name constraints of kinds that cannot be applied: {_kinds(kinds)}")
    names = _extension(own, x509.SubjectAlternativeName) or ()
    if not any(type(name) in kinds for name in names):
        raise ValueError(f"name constraints for {_kinds(kinds)}, and {named(own)} has no such name")


def _kinds(kinds: set[type[x509.GeneralName]]) -> str:
    return ", ".join(sorted(kind.__name__ for kind in kinds))


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _listed(usage: x509.ExtendedKeyUsage) -> str:
    return ", ".join(sorted(oid.dotted_string for oid in usage))


def _shown(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
