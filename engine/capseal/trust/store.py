"""Who may vouch for a bundle: trusted keys and certificates, their roles, and how many different keys it takes."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..constants import MAX_SIGNATURES
from ..crypto.keys import MAX_PEM_BYTES, FilePath, PublicKey, load_public_key, load_public_keys, mended
from ..errors import FormatError, KeyFileError, NotForUsError, SignatureError
from ..format import strictjson
from ..format.dsse import Signature
from ..format.strictjson import Members, Role, shown_time

# Everything about certificates is imported where one is met: most stores trust bare keys, and X.509
# would take a third of the start of a command.
if TYPE_CHECKING:
    from cryptography import x509

    from .certificates import Chain
    from .key_sets import HeadPolicy, KeySet, Restart

STORE_TYPE = "capseal-trust-v1"
MAX_ENTRIES = 256
"""Keys, certificates or revocation lists in one store."""


@dataclass(frozen=True, slots=True)
class TrustedCertificate:
    """A CA's certificate, or a signer's own, and the role that those whom it vouches for are trusted in."""

    certificate: "x509.Certificate"
    role: Role = Role.PRODUCTION


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key and the role that it is trusted in.

    chain, anchors: its certificates and the store's that vouch for them, where it is not trusted by itself.
    """

    key: PublicKey
    role: Role = Role.PRODUCTION
    chain: "Chain | None" = field(default=None, repr=False)
    anchors: "tuple[x509.Certificate, ...]" = field(default=(), repr=False)

    @property
    def anchor(self) -> "x509.Certificate | None":
        """The first of the store's certificates that vouch for the key."""
        return self.anchors[0] if self.anchors else None


@dataclass(frozen=True, slots=True)
class TrustStore:
    """Who may vouch for releases, how many different keys must have signed, and who may change that.

    keys: trusted by themselves, whatever their certificates say. certificates: trust the keys that
    they certify, as long as dates, usage and the revocation lists (crls) allow. version: counts the
    signed updates of the store (see updates). root: who signs those; without it the store takes none.
    heads: who may say what is current. epoch: rises by one with each change of the heads' keys; created:
    when this version was made. restart: what devices lower their memory of releases to, once. No key has
    two purposes.

    A production build's store holds production entries only, so that nothing signed for development
    can pass there; a development build's store holds both kinds.
    """

    keys: tuple[TrustedKey, ...] = ()
    threshold: int = 1
    certificates: tuple[TrustedCertificate, ...] = ()
    crls: "tuple[x509.CertificateRevocationList, ...]" = ()
    version: int = 1
    root: "KeySet | None" = None
    heads: "HeadPolicy | None" = None
    epoch: int = 1
    created: datetime | None = None
    restart: "Restart | None" = None

    def __post_init__(self) -> None:
        self._check_releases()
        if self.created is None and (self.root or self.heads or self.restart or self.epoch > 1):
            raise KeyFileError("trust store has root, heads, restart or a later epoch, but not when it was created")
        if self.root is not None or self.heads is not None:
            from .key_sets import check_disjoint

            check_disjoint(self._purposes())

    def _check_releases(self) -> None:
        unique = {trusted.key.fingerprint for trusted in self.keys}
        if len(unique) != len(self.keys):
            raise KeyFileError("trust store names the same key twice")
        if len({trusted.certificate for trusted in self.certificates}) != len(self.certificates):
            raise KeyFileError("trust store names the same certificate twice")
        production = sum(trusted.role is Role.PRODUCTION for trusted in self.keys)
        issued = any(trusted.role is Role.PRODUCTION for trusted in self.certificates)
        most = MAX_SIGNATURES if issued else max(1, min(MAX_SIGNATURES, production))
        if not 1 <= self.threshold <= most or not (self.keys or self.certificates):
            raise KeyFileError(
                f"trust store has threshold {self.threshold} but {production} production keys of {len(self.keys)}"
            )

    def _purposes(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Give every purpose that keys of this store have, and the fingerprints of its keys."""
        yield "releases", tuple(trusted.key.fingerprint for trusted in self.keys)
        if self.certificates:
            from ._certificate_path import fingerprint_of

            yield "releases", tuple(fingerprint_of(trusted.certificate) for trusted in self.certificates)
        yield from self._other_purposes()

    def _other_purposes(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        if self.root is not None:
            yield "root", self.root.fingerprints
        if self.heads is not None:
            yield "production heads", self.heads.production.fingerprints
            if self.heads.development is not None:
                yield "development heads", self.heads.development.fingerprints

    @classmethod
    def of(cls, *keys: PublicKey, threshold: int = 1, role: Role = Role.PRODUCTION) -> "TrustStore":
        """Return a store of bare keys of one role."""
        return cls(tuple(TrustedKey(key, role) for key in keys), threshold)

    @property
    def digest(self) -> str:
        """SHA-256 of the store's file, in hex: what the next signed update refers to."""
        from hashlib import sha256  # here, since most stores are only read

        return sha256(self.to_json()).hexdigest()

    def check(
        self, message: bytes, signatures: Sequence[Signature], *, role: Role, now: datetime
    ) -> tuple[TrustedKey, ...]:
        """Return the trusted keys that signed the message, or raise.

        A signature's keyid only says which key to try. role: PRODUCTION demands a threshold of
        production keys; DEVELOPMENT is also content with one development key. now: when certificates
        must be valid. Raises SignatureError, NotForUsError.
        """
        trusted_keys = {trusted.key.fingerprint: trusted for trusted in self.keys}
        signers: dict[str, TrustedKey] = {}
        refused: list[SignatureError] = []
        for signature in signatures:
            trusted = trusted_keys.get(signature.keyid)
            if signature.x5c:
                # Certificates are not signed by the envelope, so they must prove themselves, trusted or not.
                chain = _chain_of(signature)
                chain.key.verify(signature.sig, message)
                if trusted is None:
                    trusted = self._by_certificate(chain, refused, now)
            elif trusted is not None:
                trusted.key.verify(signature.sig, message)
            if trusted is not None:
                signers[signature.keyid] = trusted
        if not signers and not refused:
            shown = ", ".join(signature.keyid[:16] for signature in signatures)
            raise SignatureError(f"signed by {shown}, which no trusted key matches")
        return self._enough(tuple(signers.values()), refused, role)

    def check_signed_at(
        self, signers: Sequence[TrustedKey], created: datetime, *, role: Role
    ) -> tuple[TrustedKey, ...]:
        """Return those of the checked signers whose certificates were valid when the bundle was made.

        Raises SignatureError, NotForUsError where they are too few.
        """
        valid: list[TrustedKey] = []
        refused: list[SignatureError] = []
        for trusted in signers:
            if trusted.chain is None:
                valid.append(trusted)
            elif anchors := _dated(trusted.chain, trusted.anchors, created, refused):
                valid.append(replace(trusted, anchors=anchors))
        return self._enough(tuple(valid), refused, role)

    def _by_certificate(self, chain: "Chain", refused: list[SignatureError], now: datetime) -> TrustedKey | None:
        """Return the chain's key if a trusted certificate vouches for it now; else note why not.

        The store's own certificates are judged, never the copies of them that the chain shows.
        """
        from ._certificate_path import check_path

        # Whatever a CA certified: no key has two purposes.
        for purpose, fingerprints in self._other_purposes():
            if not chain.fingerprints.isdisjoint(fingerprints):
                refused.append(SignatureError(f"certificate {chain.subject!r} is for a key that is for {purpose} here"))
                return None
        anchors = chain.anchors(trusted.certificate for trusted in self.certificates)
        good = _passing(anchors, lambda anchor: check_path(chain.path_to(anchor), self.crls, now), refused)
        return TrustedKey(chain.key, self._weakest_role(chain), chain, good) if good else None

    def _weakest_role(self, chain: "Chain") -> Role:
        """Return DEVELOPMENT if any key of the chain is the store's for development.

        Whatever certificate it has there, and whoever else vouches for it: nobody can lift a signature to
        production by choosing which certificates go with it.
        """
        from ._certificate_path import fingerprint_of

        development = {t.key.fingerprint for t in self.keys if t.role is Role.DEVELOPMENT}
        development |= {fingerprint_of(t.certificate) for t in self.certificates if t.role is Role.DEVELOPMENT}
        return Role.PRODUCTION if development.isdisjoint(chain.fingerprints) else Role.DEVELOPMENT

    def _enough(
        self, signers: tuple[TrustedKey, ...], refused: Sequence[SignatureError], role: Role
    ) -> tuple[TrustedKey, ...]:
        production = sum(trusted.role is Role.PRODUCTION for trusted in signers)
        if production >= self.threshold or (role is Role.DEVELOPMENT and production < len(signers)):
            return signers
        if refused:
            raise refused[0]
        if production == 0:
            raise NotForUsError("signed by a development key only, a production signature is demanded")
        raise SignatureError(
            f"signed by {production} trusted production keys, the threshold is {self.threshold} different ones"
        )

    def to_value(self) -> dict[str, Any]:
        """Return the store as JSON values."""
        from cryptography.hazmat.primitives.serialization import Encoding  # here, since most stores are only read

        value: dict[str, Any] = {
            "type": STORE_TYPE,
            "version": self.version,
        }
        if self.created is not None:
            value |= {"epoch": self.epoch, "created": shown_time(self.created)}
        value |= {
            "threshold": self.threshold,
            "keys": [{"role": t.role.value, "public_key": t.key.pem.decode()} for t in self.keys],
        }
        if self.certificates:
            value["certificates"] = [
                {"role": t.role.value, "certificate": t.certificate.public_bytes(Encoding.PEM).decode()}
                for t in self.certificates
            ]
        if self.crls:
            value["crls"] = [crl.public_bytes(Encoding.PEM).decode() for crl in self.crls]
        for name, part in (("root", self.root), ("heads", self.heads), ("restart", self.restart)):
            if part is not None:
                value[name] = part.to_value()
        return value

    def to_json(self) -> bytes:
        """Return the bytes of a trust store file."""
        return (json.dumps(self.to_value(), indent=2) + "\n").encode()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a new trust store file. Raises FileExistsError."""
        from ..io.drafts import write_new  # here, since few processes save trust stores

        write_new(path, self.to_json(), mode=0o644)


TrustOrPath = TrustStore | FilePath


def trust_of(given: TrustOrPath) -> TrustStore:
    """Return a trust store, loading one that is only named. Raises KeyFileError, OSError."""
    return load_trust(given) if isinstance(given, str | os.PathLike) else given


def load_trust(path: str | os.PathLike[str]) -> TrustStore:
    """Load a trust store file, or a PEM file of public keys or of one certificate (production, threshold 1).

    Raises KeyFileError, OSError.
    """
    with open(path, "rb") as file:
        data = file.read(MAX_PEM_BYTES * MAX_SIGNATURES + 1)
    name = os.fspath(path)
    try:
        if not data.lstrip().startswith(b"{"):
            data = mended(data)
        if data.lstrip().startswith(b"{"):
            return parse_store(strictjson.parse(data, "trust store"))
        return _store_of_pem(data)
    except (KeyFileError, FormatError) as error:
        raise KeyFileError(f"{name}: {error}") from error.__cause__


def parse_store(value: object) -> TrustStore:
    """Return a trust store from its JSON values. Raises FormatError, KeyFileError."""
    members = Members(
        value,
        "trust store",
        required=("type", "threshold", "keys"),
        optional=("version", "epoch", "created", "certificates", "crls", "root", "heads", "restart"),
    )
    kind = members.take("type", str)
    if kind != STORE_TYPE:
        raise FormatError(f"{members.place('type')}: {kind[:64]!r} is unknown, expected {STORE_TYPE!r}")
    keys = [
        TrustedKey(load_public_key(_pem(entry, "public_key")), entry.role("role"))
        for entry in _entries(members, "keys", ("role", "public_key"))
    ]
    certificates: list[TrustedCertificate] = []
    for entry in _entries(members, "certificates", ("role", "certificate")):
        from .certificates import load_certificates

        certificates += (
            TrustedCertificate(certificate, entry.role("role"))
            for certificate in load_certificates(_pem(entry, "certificate"))
        )
    return TrustStore(
        keys=tuple(keys),
        threshold=members.integer("threshold", least=1),
        certificates=tuple(certificates),
        crls=_parse_crls(members),
        version=members.integer("version", least=1) if "version" in members else 1,
        epoch=members.integer("epoch", least=1) if "epoch" in members else 1,
        created=members.time("created") if "created" in members else None,
        **_parse_purposes(members),
    )


def _parse_purposes(members: Members) -> dict[str, Any]:
    present = [name for name in ("root", "heads", "restart") if name in members]
    if not present:
        return {}
    from .key_sets import HeadPolicy, KeySet, Restart

    parsers = {"root": KeySet.parse, "heads": HeadPolicy.parse, "restart": Restart.parse}
    return {name: parsers[name](members.take(name, dict), members.place(name)) for name in present}


def _parse_crls(members: Members) -> "tuple[x509.CertificateRevocationList, ...]":
    if "crls" not in members:
        return ()
    from .certificates import load_crls

    texts = members.array("crls", least=0, most=MAX_ENTRIES)
    return tuple(crl for text in texts for crl in load_crls(str(text).encode("ascii", "replace")))


def _entries(members: Members, name: str, required: tuple[str, ...]) -> list[Members]:
    if name not in members:
        return []
    values = members.array(name, least=0, most=MAX_ENTRIES)
    return [Members(value, f"{members.place(name)}[{i}]", required=required) for i, value in enumerate(values)]


def _pem(entry: Members, name: str) -> bytes:
    return entry.take(name, str).encode("ascii", "replace")


def _store_of_pem(data: bytes) -> TrustStore:
    if b"-----BEGIN CERTIFICATE-----" not in data:
        return TrustStore.of(*load_public_keys(data))
    from .certificates import load_certificates

    certificates = load_certificates(data)
    if len(certificates) != 1:
        # A chain ends in a root that vouches for many; nobody shall trust that one by accident.
        raise KeyFileError(f"{len(certificates)} certificates; which one is trusted has to be said in a trust store")
    return TrustStore(certificates=(TrustedCertificate(certificates[0]),))


def _dated(
    chain: "Chain", anchors: "tuple[x509.Certificate, ...]", created: datetime, refused: list[SignatureError]
) -> "tuple[x509.Certificate, ...]":
    from ._certificate_path import check_dates

    return _passing(anchors, lambda a: check_dates(chain.path_to(a), created, "the bundle was made at"), refused)


def _passing(
    anchors: "tuple[x509.Certificate, ...]", check: "Callable[[x509.Certificate], None]", refused: list[SignatureError]
) -> "tuple[x509.Certificate, ...]":
    """Return the anchors that pass a check; if none does, note why the first does not.

    That does not count, nor does it harm: a key may expire while another one takes over.
    """
    passing, reasons = [], []
    for anchor in anchors:
        try:
            check(anchor)
            passing.append(anchor)
        except SignatureError as error:
            reasons.append(error)
    if not passing:
        refused += reasons[:1]
    return tuple(passing)


def _chain_of(signature: Signature) -> "Chain":
    from .certificates import Chain

    chain = Chain.parse(signature.x5c)
    if chain.key.fingerprint != signature.keyid:
        raise SignatureError(
            f"certificate {chain.subject!r} is for key {chain.key.fingerprint[:16]}, "
            f"the signature says {signature.keyid[:16]}"
        )
    return chain
