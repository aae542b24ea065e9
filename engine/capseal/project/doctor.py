"""What is wrong with a project's keys and trust stores, and what to do about it."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from ..constants import SIGNING_RSA_BITS
from ..crypto.keys import PublicKey, labels, load_public_key, load_public_keys
from ..crypto.pem import as_pem
from ..errors import CapsealError, KeyFileError
from ..format.strictjson import Role
from ..trust.certificates import load_certificates, load_chain
from ..trust.key_sets import KeySet
from ..trust.signers import COMMAND_SCHEME, PKCS11_SCHEME, chain_file_of
from ..trust.store import TrustStore, load_trust
from ._capgo_key import capgo_key_findings, is_key_name
from ._findings import Finding, Severity, error_at, warning_at
from .config import FILE_NAME, Config
from .discovery import START_PAGE, has_start_page
from .git import is_tracked

__all__ = ["Finding", "Severity", "diagnose"]

SOON = timedelta(days=60)
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO
_MAX_KEY_BYTES = 64 * 1024
_PRIVATE_KEY = b"PRIVATE KEY-----"


def diagnose(config: Config, *, now: datetime, folder: str = ".") -> list[Finding]:
    """Return everything that is wrong with a project, errors first. folder: where its capseal.toml is."""
    findings = [
        *_missing(config),
        *_private_keys(config),
        *capgo_key_findings(folder),
        *_recipients(config),
        *_certificates(config, now),
        *_stores(config, now),
        *_heads(config, now),
    ]
    return sorted(findings, key=lambda finding: finding.severity is Severity.WARNING)


def _missing(config: Config) -> Iterator[Finding]:
    for name, value, advice in (
        ("app", config.app, "name the app id in capseal.toml, such as com.example.game"),
        ("signers", config.signers, "name the signing key in capseal.toml, or run 'capseal init'"),
        ("recipients", config.recipients, "name the public keys of those who shall open the bundles"),
        ("trust", config.trust, "name the trust store of production builds"),
    ):
        if not value:
            yield error_at(FILE_NAME, f"{name} is missing", advice)
    if config.web is not None and not os.path.isdir(config.web):
        yield warning_at(config.web, "the web folder is not there", "build the app, or correct 'web' in capseal.toml")
    elif config.web is not None and not has_start_page(config.web):
        yield warning_at(
            config.web, f"has no {START_PAGE}: a web view would show nothing", "correct 'web' in capseal.toml, or build"
        )


def _private_keys(config: Config) -> Iterator[Finding]:
    seen = set()
    roots = set(_files(config.root_signers))
    heads = _files((*config.head_signers, *config.development_head_signers))
    # In a clone, and in CI, an archive key need not be there.
    archives = [config.archive] if config.archive is not None and os.path.exists(config.archive) else []
    for path in (*_key_files(config), *config.identities, *archives, *heads, *_files(config.root_signers)):
        if path in seen:
            continue
        seen.add(path)
        try:
            status = os.stat(path)
        except OSError as error:
            if path in roots and isinstance(error, FileNotFoundError):
                continue  # kept elsewhere, as it should be
            yield error_at(path, f"the private key cannot be read: {error.strerror}", _whose(path, config, error))
            continue
        if stat.S_IMODE(status.st_mode) & _OTHERS_MAY:
            yield error_at(path, f"others may read it (mode {stat.S_IMODE(status.st_mode):04o})", f"chmod 600 {path}")
        if path in roots:
            yield from _root_at_hand(path, config)
        if config.web is not None and _is_below(path, config.web):
            yield error_at(
                path, f"the private key is in the web folder {config.web}, and would be shipped with it", "move it out"
            )
        if is_tracked(path):
            yield error_at(
                path,
                "the private key is tracked by git",
                f"git rm --cached {path}, add it to .gitignore, and replace the key: whoever has a clone has it",
            )
    yield from _copies(config, seen)
    for path in config.signers:
        yield from _strength(path)
    shared = {os.path.realpath(path) for path in config.signers} & {
        os.path.realpath(path) for path in config.development_signers
    }
    for path in sorted(shared):
        yield error_at(path, "signs for production and for development", "make a key of its own for development")
    yield from _archive(config)


def _archive(config: Config) -> Iterator[Finding]:
    """Find an archive key that can sign, or opens nothing; in CI it need not be there."""
    path = config.archive
    key = None if path is None else _public_of(path)
    if path is None or key is None:
        return
    for signer in (*config.signers, *config.development_signers):
        if _public_of(signer) == key:
            yield error_at(
                path, f"opens the whole history, and signs as {signer}", "make a key of its own for the archive"
            )
    if config.recipients and key not in _recipient_keys(config):
        public = _sibling(path, ".pub.pem")
        yield warning_at(
            path, "is no recipient: no recipe can be made from what is released", f"add {public} to recipients"
        )


def _recipient_keys(config: Config) -> set[PublicKey]:
    keys: set[PublicKey] = set()
    for path in config.recipients:
        with suppress(CapsealError, OSError):  # reported elsewhere
            keys.update(load_public_keys(path))
    return keys


def _whose(path: str, config: Config, error: OSError) -> str:
    """Return what to do about a private key that cannot be read: in a clone it is not there, for git leaves it out."""
    public = _sibling(path, ".pub.pem")
    if not (isinstance(error, FileNotFoundError) and os.path.exists(public)):
        return "correct the path in capseal.toml"
    if path in config.signers:
        return "it is private, not in git, and for whoever releases: ask who holds it, and put it there (mode 0600)"
    if path in (*config.head_signers, *config.development_head_signers):
        return "it is private, not in git, and for what renews heads: ask who holds it, and put it there (mode 0600)"
    if path in config.development_signers:
        return (
            "it is private, and not in git: ask who holds it, or make one of your own: "
            "capseal key generate signing -o NAME && capseal trust add NAME.pub.pem "
            f"--trust {config.development_trust} --role development --in-place, and NAME.pem in capseal.toml's "
            "development_signers"
        )
    return "it is private, not in git, and for whoever opens bundles: ask who holds it, and put it there (mode 0600)"


def _key_files(config: Config) -> list[str]:
    """Return the signing keys that are files."""
    return _files((*config.signers, *config.development_signers))


def _files(signers: Sequence[str]) -> list[str]:
    return [path for path in signers if not path.startswith((PKCS11_SCHEME, COMMAND_SCHEME))]


def _root_at_hand(path: str, config: Config) -> Iterator[Finding]:
    """Warn of a root key that whoever takes the release machine takes, too."""
    folder = os.path.dirname(os.path.realpath(path))
    beside = [other for other in _files(config.signers) if os.path.dirname(os.path.realpath(other)) == folder]
    if any(os.path.exists(other) for other in beside):
        yield warning_at(
            path,
            f"the root key lies beside the release key {beside[0]}: whoever takes one takes both, "
            "and can replace every other key",
            f"keep it offline: copy it to a stick and to paper, try the copies, delete {path} (docs/keys.md)",
        )


def _copies(config: Config, known: set[str]) -> Iterator[Finding]:
    """Find private keys in the web folder that the configuration does not name."""
    if config.web is None:
        return
    paths = {os.path.realpath(path) for path in known}
    for folder, _, names in os.walk(config.web):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.realpath(path) not in paths and is_key_name(name) and _holds_private_key(path):
                yield error_at(path, "a private key is in the web folder, and would be shipped with it", "move it out")


def _holds_private_key(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_KEY_BYTES)
        # One that is commented out would be shipped as well.
        return _PRIVATE_KEY in data or any(label.endswith("PRIVATE KEY") for label in labels(as_pem(data)))
    except (OSError, KeyFileError):
        return False


def _strength(path: str) -> Iterator[Finding]:
    public = _sibling(path, ".pub.pem")
    if not os.path.exists(public):
        return
    try:
        key = load_public_key(public)
    except KeyFileError as error:
        yield error_at(public, str(error).removeprefix(f"{public}: "), "make a new key with 'capseal key generate'")
        return
    if key.rsa.key_size < SIGNING_RSA_BITS:
        yield warning_at(
            public,
            f"signing key has {key.rsa.key_size} bits, {SIGNING_RSA_BITS} are the default",
            "take a longer one at the next rotation",
        )


def _recipients(config: Config) -> Iterator[Finding]:
    keys: set[PublicKey] = set()
    for path in config.recipients:
        try:
            keys.update(load_public_keys(path))
        except (CapsealError, OSError) as error:
            yield error_at(path, f"unusable recipients: {_reason(error, path)}", "name a file of public keys")
    for path in config.identities:
        key = _public_of(path)
        if keys and key is not None and key not in keys:
            yield warning_at(
                path,
                "is no recipient: it will open none of the bundles",
                f"add {_sibling(path, '.pub.pem')} to recipients",
            )


def _certificates(config: Config, now: datetime) -> Iterator[Finding]:
    for path in _key_files(config):
        file = chain_file_of(path)
        if not os.path.exists(file):
            continue
        try:
            certificates = load_certificates(file)
        except (CapsealError, OSError) as error:
            yield error_at(
                file, f"unusable certificate: {_reason(error, file)}", "import it again: 'capseal key import'"
            )
            continue
        for certificate in certificates:
            name, ends = certificate.subject.rfc4514_string(), certificate.not_valid_after_utc
            yield from _ending(file, f"certificate {name!r}", ends, now, "get a new one, and rotate (docs/keys.md)")


def _stores(config: Config, now: datetime) -> Iterator[Finding]:
    development = {key for path in config.development_signers if (key := _public_of(path)) is not None}
    for path, role, signers in (
        (config.trust, Role.PRODUCTION, config.signers),
        (config.development_trust, Role.DEVELOPMENT, config.development_signers),
    ):
        if path is None:
            continue
        try:
            store = load_trust(path)
        except (CapsealError, OSError) as error:
            yield error_at(path, f"unusable trust store: {_reason(error, path)}", "make it anew with 'capseal trust'")
            continue
        if role is Role.PRODUCTION:
            yield from _strangers(path, store, development)
        yield from _purposes(path, store, config, now)
        yield from _expiring(path, store, now)
        yield from _untrusted(path, store, signers)
        yield from _unrevocable(path, store, _key_files(config))
        if role is Role.PRODUCTION and 0 < len(signers) < store.threshold:
            yield warning_at(
                path,
                f"the threshold is {store.threshold}, capseal.toml names {len(signers)} signers",
                "let the others cosign: 'capseal cosign'",
            )


def _heads(config: Config, now: datetime) -> Iterator[Finding]:
    """Find kept heads that devices will not take any more, or not for long."""
    from .heads import kept_head, kept_heads, reminder  # here, since few who ask keep any

    folder = os.path.dirname(config.log) if config.log is not None else ""
    for path in kept_heads(folder):
        try:
            signed = kept_head(path)
            if signed is None or signed.head.app != config.app:
                continue
            production = signed.head.role is Role.PRODUCTION
            store = config.trust if production else config.development_trust
            why = None if store is None else reminder(signed, load_trust(store), now)
        except (CapsealError, OSError) as error:
            yield error_at(path, f"unusable heads: {_reason(error, path)}", "bring back the file, from git or a backup")
            continue
        if why is not None:
            role = "" if production else " --role development"
            yield warning_at(path, why, f"capseal head renew --channel {signed.head.channel}{role}")


def _strangers(path: str, store: TrustStore, development: set[PublicKey]) -> Iterator[Finding]:
    advice = (
        "a production build must refuse what developers sign: take it out, capseal trust remove ID --trust "
        f"{path}{_way(store)}"
    )
    for trusted in store.keys:
        short = trusted.key.fingerprint[:16]
        if trusted.role is Role.DEVELOPMENT:
            yield error_at(path, f"development key {short} is in the production trust store", advice)
        elif trusted.key in development:
            yield error_at(path, f"development key {short} is trusted for production", advice)
    for certified in store.certificates:
        if certified.role is Role.DEVELOPMENT:
            name = certified.certificate.subject.rfc4514_string()
            yield error_at(path, f"development certificate {name!r} is in the production trust store", advice)


def _purposes(path: str, store: TrustStore, config: Config, now: datetime) -> Iterator[Finding]:
    """Find what is missing of root and heads, and what ends soon."""
    if store.root is None:
        yield warning_at(
            path,
            "has no root: devices take no update of it, so that a stolen release key takes a new app build to replace",
            f"before the next app build: capseal key generate signing -o root, capseal trust add root.pub.pem "
            f"--purpose root --trust {path}",
        )
    else:
        yield from _unnamed(path, "root", store.root, config.root_signers)
    if store.heads is None:
        yield warning_at(
            path,
            "has no heads: devices cannot notice that a newer release is withheld",
            f"capseal key generate signing -o head, capseal trust add head.pub.pem --purpose head --trust {path}"
            f"{_way(store)}",
        )
        return
    yield from _unnamed(path, "head", store.heads.production, config.head_signers)
    advice = "let the root say until when: capseal trust heads --until YYYY-MM-DD --update FILE"
    yield from _ending(path, "the time for which heads may be signed", store.heads.until, now, advice)


def _unnamed(path: str, what: str, keys: KeySet, signers: Sequence[str]) -> Iterator[Finding]:
    """Find signers that a set of the store's does not have."""
    for signer in strangers_to(keys, signers):
        yield error_at(
            path,
            f"does not have {signer} as a {what} key",
            f"correct {what}_signers in capseal.toml, or rotate to it (docs/keys.md)",
        )


def strangers_to(keys: KeySet, signers: Sequence[str]) -> list[str]:
    """Return the signers that a set of keys has not, where their public halves are at hand."""
    found = ((signer, _public_of(signer)) for signer in signers)
    return [signer for signer, key in found if key is not None and key not in keys.keys]


def _expiring(path: str, store: TrustStore, now: datetime) -> Iterator[Finding]:
    for trusted in store.certificates:
        name, ends = trusted.certificate.subject.rfc4514_string(), trusted.certificate.not_valid_after_utc
        yield from _ending(path, f"trusted certificate {name!r}", ends, now, "rotate to a new one (docs/keys.md)")
    for crl in store.crls:
        if crl.next_update_utc is not None:
            name = crl.issuer.rfc4514_string()
            yield from _ending(path, f"revocation list of {name!r}", crl.next_update_utc, now, "fetch the current one")


def _untrusted(path: str, store: TrustStore, signers: Sequence[str]) -> Iterator[Finding]:
    if store.certificates:
        return  # a CA may vouch for them
    keys = {trusted.key for trusted in store.keys}
    for signer in signers:
        key = _public_of(signer)
        if key is not None and key not in keys:
            yield error_at(
                path,
                f"does not trust the signer {signer}",
                _let_in(_sibling(signer, ".pub.pem"), path, store),
            )


def _let_in(public: str, path: str, store: TrustStore) -> str:
    """Return what to do about a signer that a store does not trust."""
    if store.version == 1:
        return f"capseal trust add {public} --trust {path}{_way(store)}"
    # After a rotation it may be the key that was taken out, which nobody shall be told to let in again.
    return (
        "if it was rotated out: name the signers of now in capseal.toml; if it is new: the root lets it in, "
        f"capseal trust add {public} --trust {path} --update FILE"
    )


def _way(store: TrustStore) -> str:
    """Return how a store is changed: by an update, unless devices follow none of it, or no build has it yet."""
    if store.root is None:
        return ", and ship the store with the app"
    if store.version > 1:
        return " --update FILE"
    return " --update FILE (--in-place where no build has the store yet)"


def _unrevocable(path: str, store: TrustStore, signers: Sequence[str]) -> Iterator[Finding]:
    """Find keys that are trusted by themselves beside a certificate that vouches for them."""
    for signer in dict.fromkeys(signers):
        key = _public_of(signer)
        if key is None or key not in {trusted.key for trusted in store.keys}:
            continue
        try:
            chain = load_chain(chain_file_of(signer), key)
        except (CapsealError, OSError):
            continue  # reported elsewhere, or none
        for anchor in chain.anchors(trusted.certificate for trusted in store.certificates):
            yield error_at(
                path,
                f"trusts key {key.fingerprint[:16]} by itself beside {anchor.subject.rfc4514_string()!r}, which "
                "vouches for it: neither its certificate's end nor a revocation would change anything",
                f"capseal trust remove {key.fingerprint[:16]} --trust {path}{_way(store)}",
            )


def _ending(where: str, what: str, ends: datetime, now: datetime, advice: str) -> Iterator[Finding]:
    day = f"{ends:%Y-%m-%d}"
    if ends < now:
        yield error_at(where, f"{what} expired on {day}", advice)
    elif ends < now + SOON:
        yield warning_at(where, f"{what} expires soon, on {day}", advice)


def _public_of(path: str) -> PublicKey | None:
    try:
        return load_public_key(_sibling(path, ".pub.pem"))
    except (CapsealError, OSError):
        return None


def _sibling(path: str, ending: str) -> str:
    return path.removesuffix(".pub.pem").removesuffix(".pem") + ending


def _is_below(path: str, folder: str) -> bool:
    folder = os.path.realpath(folder)
    return os.path.commonpath([os.path.realpath(path), folder]) == folder


def _reason(error: CapsealError | OSError, path: str) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.removeprefix(f"{path}: ")
