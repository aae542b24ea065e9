"""A company with a CA: certificates, revocation lists and signatures that carry a chain."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from capseal.format.dsse import Signature
from capseal.trust.signers import load_signer

MESSAGE = b"message"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
DAY = timedelta(days=1)
CODE_SIGNING = (ExtendedKeyUsageOID.CODE_SIGNING,)


def issue(
    subject,
    key,
    issuer,
    issuer_key,
    *,
    ca=False,
    path_length=None,
    usages=CODE_SIGNING,
    start=NOW - 10 * DAY,
    end=NOW + 10 * DAY,
    digest=None,
    extensions=(),
):
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer_key, digest or hashes.SHA256())


def revocation_list(issuer, key, *serials, end=NOW + DAY, extensions=()):
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .last_update(NOW - 5 * DAY)
        .next_update(end)
    )
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - 5 * DAY).build()
        builder = builder.add_revoked_certificate(entry)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, hashes.SHA256())


class Company:
    """A root, an issuing CA, and one developer's certificate, with the keys that the suite has anyway."""

    def __init__(self, root_key, issuing_key, key):
        self.root_key, self.issuing_key, self.key = root_key, issuing_key, key
        self.root = issue("Root", root_key.rsa, "Root", root_key.rsa, ca=True, usages=())
        self.issuing = issue("Issuing", issuing_key.rsa, "Root", root_key.rsa, ca=True, path_length=0, usages=())
        self.own = self.certify()

    def certify(self, **keywords):
        return issue("Ada", self.key.rsa, "Issuing", self.issuing_key.rsa, **keywords)

    def sign(self, own=None, *, middle=None, root=None, message=MESSAGE):
        chain = [own or self.own, middle or self.issuing, root or self.root]
        return signature(self.key, chain, message)


def signature(key, chain, message=MESSAGE):
    der = tuple(certificate.public_bytes(Encoding.DER) for certificate in chain)
    return Signature(key.public_key.fingerprint, key.sign(message), der)


def certified_signer(folder, key, ca, *, start, end):
    """Return a signer whose certificate is valid for that time, and the certificate of the CA that issued it."""
    root = issue("Root", ca.rsa, "Root", ca.rsa, ca=True, usages=(), start=start, end=end + 5000 * DAY)
    own = issue("Ada", key.rsa, "Root", ca.rsa, start=start, end=end)
    key.save(folder / "key.pem")
    (folder / "key.crt.pem").write_bytes(own.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM))
    return load_signer(str(folder / "key.pem")), root
