"""capseal trust: change and show trust stores, and make and apply signed updates of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from ...errors import KeyFileError, UsageError
from ..framework import options
from ..framework.arguments import Group, argument, at_least, option
from ..framework.console import say
from ..framework.passphrases import Passphrases
from ..framework.titles import counted

if TYPE_CHECKING:
    from cryptography import x509

    from ...trust.store import TrustStore

MIN_ID_CHARS = 8

Store = Annotated[
    str | None, option("--trust", metavar="FILE", help="The trust store; default: the one in capseal.toml.")
]
Threshold = Annotated[
    int | None,
    option("--threshold", metavar="N", type=at_least(1), help="How many different keys must sign from now on."),
]
Update = Annotated[
    str | None,
    option("--update", metavar="FILE", help="Write the change as a signed update, for devices in the field."),
]


def show(
    file: Annotated[str | None, argument("FILE", help="A trust store, or an update of one.")] = None,
) -> None:
    """Print who is trusted for what, or what an update would bring (unverified)."""
    from ...trust.updates import read_update

    path = _path(file)
    with open(path, "rb") as opened:
        data = opened.read(options.MAX_STORE_BYTES)
    if b'"signatures"' in data:
        previous, store = read_update(data)
        say(f"UNVERIFIED: an update of trust store {previous}")
    else:
        store = options.load_trust(path)
    for line in _lines(store):
        say(line)


def add(
    files: Annotated[
        list[str],
        argument("FILE...", repeatable=True, help="PEM files: public keys, a certificate, or revocation lists."),
    ],
    trust: Store = None,
    role: options.ExpectRole = options.RoleName.PRODUCTION,
    subject: Annotated[
        str | None,
        option("--subject", metavar="NAME", help="Which certificate of a file to trust, e.g. 'CN=Company Root'."),
    ] = None,
    threshold: Threshold = None,
    update: Update = None,
    signer: options.Signers = None,
    *,
    passphrases: Passphrases,
) -> None:
    """Trust more keys or certificates, or take in newer revocation lists."""
    _change(trust, lambda store: _with(store, files, role, subject), threshold, update, signer, passphrases)


def remove(
    ids: Annotated[
        list[str],
        argument("ID...", repeatable=True, help="Fingerprints as 'capseal trust show' prints them; 8 or more digits."),
    ],
    trust: Store = None,
    threshold: Threshold = None,
    update: Update = None,
    signer: options.Signers = None,
    *,
    passphrases: Passphrases,
) -> None:
    """Trust keys or certificates no longer."""
    _change(trust, lambda store: _without(store, ids), threshold, update, signer, passphrases)


def cosign(
    update: Annotated[str, argument("UPDATE", help="An update that more than one has to sign.")],
    signer: options.Signers = None,
    *,
    passphrases: Passphrases,
) -> None:
    """Add a signature to an update. Look at what it brings first: 'capseal trust show UPDATE'."""
    from ...io.durable import replace_file
    from ...trust.updates import cosign_update

    one = options.load_one_signer(signer or options.find_config().root_signers, passphrases)
    with open(update, "rb") as opened:
        data = opened.read(options.MAX_STORE_BYTES)
    replace_file(update, cosign_update(data, one), mode=0o644)


def apply(
    updates: Annotated[list[str], argument("UPDATE...", repeatable=True, help="In any order; old ones are skipped.")],
    trust: Store = None,
) -> None:
    """Check updates as a device does, and bring a trust store up to date."""
    from ...io.durable import replace_file
    from ...trust.updates import follow, read_update

    path = _path(trust)
    data = []
    for update in updates:
        with open(update, "rb") as opened:
            data.append(opened.read(options.MAX_STORE_BYTES))
    old = options.load_trust(path)
    new = follow(old, sorted(data, key=lambda update: read_update(update)[1].version))
    if new != old:
        replace_file(path, new.to_json(), mode=0o644)
    say(f"{path}: version {new.version}" + (", as before" if new == old else f", was {old.version}"))


def _change(
    trust: str | None,
    edit: Callable[["TrustStore"], "TrustStore"],
    threshold: int | None,
    update: str | None,
    signers: list[str] | None,
    passphrases: Passphrases,
) -> None:
    from dataclasses import replace
    from datetime import UTC, datetime

    from ...io.durable import replace_file, write_new
    from ...trust.updates import make_update, next_epoch

    path = _path(trust)
    old = options.load_trust(path)
    # The threshold last: on the way there may be fewer keys than it takes, or than it took.
    new = replace(edit(replace(old, threshold=1)), threshold=threshold or old.threshold)
    if update is not None:
        now = datetime.now(UTC).replace(microsecond=0)
        new = replace(new, version=old.version + 1, created=now, epoch=next_epoch(old, new))
        loaded = options.load_signers(signers or options.find_config().root_signers, passphrases)
        write_new(update, make_update(old, new, signers=loaded), mode=0o644)
    replace_file(path, new.to_json(), mode=0o644)
    for line in _lines(new):
        say(line)


def _path(file: str | None) -> str:
    path = file or options.find_config().trust
    if path is None:
        raise UsageError("no trust store: give --trust FILE, or make a project with 'capseal init'")
    return path


def _with(store: "TrustStore", files: list[str], role: options.RoleName, subject: str | None) -> "TrustStore":
    from dataclasses import replace

    from ...crypto.keys import load_public_keys
    from ...crypto.pem import as_pem
    from ...format.strictjson import Role
    from ...trust.certificates import load_crls
    from ...trust.store import TrustedCertificate, TrustedKey

    kind = Role(role.value)
    for file in files:
        with open(file, "rb") as opened:
            data = opened.read(options.MAX_STORE_BYTES)
        try:
            data = as_pem(data)
        except KeyFileError as error:
            raise KeyFileError(f"{file}: {error}") from None
        if b"-----BEGIN X509 CRL-----" in data:
            crls = load_crls(file)
            issuers = {crl.issuer for crl in crls}
            store = replace(store, crls=(*(crl for crl in store.crls if crl.issuer not in issuers), *crls))
        elif b"-----BEGIN CERTIFICATE-----" in data:
            certificate = TrustedCertificate(_one_certificate(file, subject), kind)
            store = replace(store, certificates=(*store.certificates, certificate))
        else:
            store = replace(store, keys=(*store.keys, *(TrustedKey(key, kind) for key in load_public_keys(file))))
    return store


def _one_certificate(file: str, subject: str | None) -> "x509.Certificate":
    from ...trust.certificates import load_certificates

    found = [c for c in load_certificates(file) if subject in (None, c.subject.rfc4514_string())]
    if len(found) != 1:
        names = ", ".join(repr(c.subject.rfc4514_string()) for c in load_certificates(file))
        raise UsageError(f"{file}: {len(found)} certificates match; choose one with --subject: {names}")
    return found[0]


def _without(store: "TrustStore", ids: list[str]) -> "TrustStore":
    from dataclasses import replace

    for wanted in ids:
        keys = [t for t in store.keys if _matches(t.key.fingerprint, wanted)]
        certificates = [t for t in store.certificates if _matches(_fingerprint(t.certificate), wanted)]
        if len(keys) + len(certificates) != 1:
            raise UsageError(f"{wanted}: names {len(keys) + len(certificates)} entries of the trust store, expected 1")
        store = replace(
            store,
            keys=tuple(t for t in store.keys if t not in keys),
            certificates=tuple(t for t in store.certificates if t not in certificates),
        )
    return store


def _matches(fingerprint: str, wanted: str) -> bool:
    return len(wanted) >= MIN_ID_CHARS and fingerprint.startswith(wanted.lower())


def _fingerprint(certificate: "x509.Certificate") -> str:
    from cryptography.hazmat.primitives import hashes

    return certificate.fingerprint(hashes.SHA256()).hex()


def _lines(store: "TrustStore") -> list[str]:
    lines = [f"trust store version {store.version}, threshold {store.threshold}"]
    lines += [f"  key          {t.key.fingerprint}  {t.role:<11}  RSA-{t.key.rsa.key_size}" for t in store.keys]
    lines += [
        f"  certificate  {_fingerprint(t.certificate)}  {t.role:<11}  {t.certificate.subject.rfc4514_string()}, "
        f"until {t.certificate.not_valid_after_utc:%Y-%m-%d}"
        for t in store.certificates
    ]
    lines += [f"  revocations  of {crl.issuer.rfc4514_string()}, {counted(len(crl), 'entry')}" for crl in store.crls]
    return lines


COMMANDS = {
    "trust": Group(
        help="Who may vouch: show and change trust stores, sign and apply their updates.",
        commands={"show": show, "add": add, "remove": remove, "cosign": cosign, "apply": apply},
    ),
}
