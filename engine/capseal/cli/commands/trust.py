"""capseal trust: change and show trust stores, and make and apply signed updates of them."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

from ...errors import KeyFileError, UsageError
from ..framework import options, servers
from ..framework.arguments import Choice, Group, argument, at_least, option
from ..framework.console import complain, print_json, say
from ..framework.extras import need
from ..framework.passphrases import Passphrases
from ..framework.titles import counted

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from ...crypto.keys import Signer
    from ...project.config import Config
    from ...trust.key_sets import KeySet
    from ...trust.store import TrustStore

Store = Annotated[
    str | None, option("--trust", metavar="FILE", help="The trust store; default: the one in capseal.toml.")
]
Threshold = Annotated[
    int | None,
    option("--threshold", metavar="N", type=at_least(1), help="How many different keys must sign from now on."),
]
Update = Annotated[
    str | None,
    option("--update", metavar="FILE", help="Write the change as an update that the root signs, for devices."),
]


class Purpose(Choice):
    """What a key may do."""

    RELEASE = "release"
    ROOT = "root"
    HEAD = "head"


def show(
    file: Annotated[str | None, argument("FILE", help="A trust store, or an update of one.")] = None,
    json: options.Json = False,
) -> None:
    """Print who is trusted for what, or what an update would bring (unverified)."""
    from json import loads

    from ...trust.updates import read_update

    path = _path(file)
    data = options.read_document(path)
    previous = None
    if b'"signatures"' in data:
        previous, store = read_update(data)
    else:
        store = options.load_trust(path)
    if json:
        print_json({"update_of": previous, "store": loads(store.to_json())})
        return
    if previous is not None:
        say(f"UNVERIFIED: an update of trust store {previous}")
    for line in _lines(store):
        say(line)


def add(
    files: Annotated[
        list[str],
        argument(
            "FILE|URI...",
            repeatable=True,
            help="PEM files: public keys, a certificate, or revocation lists; or pkcs11: URIs of keys.",
        ),
    ],
    trust: Store = None,
    role: options.ExpectRole = options.RoleName.PRODUCTION,
    purpose: Annotated[
        Purpose,
        option("--purpose", metavar="release|root|head", type=Purpose, help="What the keys are for; default: release."),
    ] = Purpose.RELEASE,
    subject: Annotated[
        str | None,
        option("--subject", metavar="NAME", help="Which certificate of a file to trust, e.g. 'CN=Company Root'."),
    ] = None,
    threshold: Threshold = None,
    update: Update = None,
    signer: options.OtherSigners = None,
    *,
    passphrases: Passphrases,
) -> None:
    """Trust more keys or certificates, or take in newer revocation lists."""

    def edit(store: "TrustStore") -> "TrustStore":
        from datetime import UTC, datetime

        from ...format.strictjson import Role
        from ...project import trust_edits

        if purpose is Purpose.RELEASE:
            return trust_edits.with_threshold(
                store, lambda one: _with(one, files, role, subject, passphrases), threshold
            )
        return trust_edits.with_keys(
            store,
            [key for file in files for key in options.load_public(file, passphrases)],
            trust_edits.Purpose(purpose.value),
            role=Role(role.value),
            threshold=threshold,
            now=datetime.now(UTC).replace(microsecond=0),
        )

    _change(trust, edit, update, signer, passphrases)


def remove(
    ids: Annotated[
        list[str],
        argument("ID...", repeatable=True, help="Fingerprints as 'capseal trust show' prints them; 8 or more digits."),
    ],
    trust: Store = None,
    threshold: Threshold = None,
    update: Update = None,
    signer: options.OtherSigners = None,
    *,
    passphrases: Passphrases,
) -> None:
    """Trust keys or certificates no longer, of whatever purpose."""
    from ...project.trust_edits import without

    _change(trust, lambda store: without(store, ids, threshold=threshold), update, signer, passphrases)


def heads(
    trust: Store = None,
    max_age: Annotated[
        int | None, option("--max-age", metavar="DAYS", type=at_least(1), help="How long a head may be valid.")
    ] = None,
    until: Annotated[
        str | None, option("--until", metavar="YYYY-MM-DD", help="When the last head expires at the latest.")
    ] = None,
    update: Update = None,
    signer: options.OtherSigners = None,
    *,
    passphrases: Passphrases,
) -> None:
    """Change how long heads may be valid, and until when at all."""

    def edit(store: "TrustStore") -> "TrustStore":
        from dataclasses import replace

        if store.heads is None:
            raise UsageError("trust store has no heads: 'capseal trust add KEY --purpose head' begins with them")
        policy = store.heads
        if max_age is not None:
            policy = replace(policy, max_age_s=max_age * 86400)
        return replace(store, heads=policy if until is None else replace(policy, until=_day(until)))

    _change(trust, edit, update, signer, passphrases)


def restart(
    sequence: Annotated[
        int, argument("SEQUENCE", type=at_least(0), help="What devices take for their latest release.")
    ],
    trust: Store = None,
    update: Update = None,
    signer: options.OtherSigners = None,
    *,
    passphrases: Passphrases,
) -> None:
    """Let devices forget, once, what a stolen release key did with high sequences and late times."""
    from datetime import UTC, datetime

    def edit(store: "TrustStore") -> "TrustStore":
        from dataclasses import replace

        from ...trust.key_sets import Restart

        return replace(store, restart=Restart(sequence, datetime.now(UTC).replace(microsecond=0)))

    _change(trust, edit, update, signer, passphrases)


def cosign(
    update: Annotated[str, argument("UPDATE", help="An update that more than one has to sign.")],
    signer: options.OtherSigners = None,
    *,
    passphrases: Passphrases,
) -> None:
    """Add a signature to an update. Look at what it brings first: 'capseal trust show UPDATE'."""
    from ...trust.updates import cosign_update

    options.cosign_file(update, cosign_update, signer or options.find_config().root_signers, passphrases)


def apply(
    updates: Annotated[list[str], argument("UPDATE...", repeatable=True, help="In any order; old ones are skipped.")],
    trust: Store = None,
    *,
    passphrases: Passphrases,
) -> None:
    """Check updates as a device does, and bring a trust store up to date."""
    from ...io.drafts import replace_file
    from ...trust.updates import follow, read_update

    path = _path(trust)
    data = [options.read_document(update) for update in updates]
    old = options.load_trust(path)
    new = follow(old, sorted(data, key=lambda update: read_update(update)[1].version))
    if new != old:
        replace_file(path, new.to_json(), mode=0o644)
    say(f"{path}: version {new.version}" + (", as before" if new == old else f", was {old.version}"))
    _note(path, new, passphrases)


def publish(
    updates: Annotated[list[str], argument("UPDATE...", repeatable=True, help="Updates; the server keeps every one.")],
    server: servers.Server = None,
    app: Annotated[str | None, option("--app", metavar="ID", help="The app; default: capseal.toml's.")] = None,
    token_file: servers.TokenFile = None,
) -> None:
    """Bring updates to a server, before it goes by the new store itself, or after."""
    need("client")
    from ...client import put_update
    from ...errors import NotForUsError
    from ...trust.updates import read_update

    config = options.find_config()
    app, url = options.chosen_app(app, config), servers.chosen_server(server, config)
    waiting: dict[int, bytes] = {}
    for path in updates:
        data = options.read_document(path)
        waiting[read_update(data)[1].version] = data
    with servers.connect(url, token_file) as connection:
        # The server takes what is next to its store or to another update: from whichever end that begins.
        for version in sorted(waiting):
            try:
                put_update(connection, waiting[version], app=app, version=version)
            except NotForUsError:
                continue
            del waiting[version]
        for version in sorted(waiting, reverse=True):
            put_update(connection, waiting[version], app=app, version=version)
    say(f"{url}: has {counted(len(updates), 'update')} of the trust store of {app}")


def _change(
    trust: str | None,
    edit: Callable[["TrustStore"], "TrustStore"],
    update: str | None,
    signers: list[str] | None,
    passphrases: Passphrases,
) -> None:
    from dataclasses import replace
    from datetime import UTC, datetime

    from ...io.drafts import replace_file, write_new
    from ...trust.updates import make_update, next_epoch

    path = _path(trust)
    now = datetime.now(UTC).replace(microsecond=0)
    old = options.load_trust(path)
    # Changed on the way to a new version, whose epoch is known at the end.
    new = edit(old if old.created is not None else replace(old, created=now))
    if update is not None:
        new = replace(new, version=old.version + 1, created=now, epoch=next_epoch(old, new))
        loaded = options.load_signers(signers or options.find_config().root_signers, passphrases)
        _check_roots(loaded, old, new)
        write_new(update, make_update(old, new, signers=loaded), mode=0o644)
    elif old.created is None and new.root is None and new.heads is None and new.restart is None:
        new = replace(new, created=None)
    replace_file(path, new.to_json(), mode=0o644)
    for line in _lines(new):
        say(line)
    _note(path, new, passphrases)


def _check_roots(signers: "Sequence[Signer]", old: "TrustStore", new: "TrustStore") -> None:
    """Refuse to make an update that a stranger to both stores signs: this store would go where nobody follows."""
    roots = [key for store in (old, new) if store.root is not None for key in store.root.keys]
    for signer in signers:
        if roots and signer.public_key not in roots:
            raise UsageError(
                f"key {signer.public_key.fingerprint[:16]} is no root key of this trust store, and root keys sign its "
                "updates: nobody would take it"
            )


def _note(path: str, store: "TrustStore", passphrases: Passphrases) -> None:
    """Let the project's release log say at once that the version of its trust store begins."""
    from datetime import UTC, datetime

    from ...errors import RejectedError
    from ...project.release import log_store

    config = options.find_config()
    if config.log is None or not config.signers or config.trust is None or not os.path.exists(config.log):
        return
    if os.path.realpath(path) != os.path.realpath(config.trust):
        return
    _remind_of_heads(config)
    try:
        signer = options.load_signers(config.signers[:1], passphrases)[0]
        if log_store(config.log, trust=store, signer=signer, now=datetime.now(UTC)):
            say(f"{config.log}: trust store version {store.version} begins")
    except (KeyFileError, RejectedError, UsageError, FileNotFoundError) as error:
        complain(f"warning: {config.log} does not say yet that version {store.version} begins: {error}; ")
        complain(f"then: capseal log store -s KEY, with a release key of version {store.version}")


def _remind_of_heads(config: "Config") -> None:
    from ...project.heads import kept_head, kept_heads
    from .head_sending import remind

    for path in kept_heads(os.path.dirname(config.log or "")):
        signed = kept_head(path)
        if signed is not None and signed.head.app == config.app:
            remind(config, signed.head.app, signed.head.channel)


def _path(file: str | None) -> str:
    path = file or options.find_config().trust
    if path is None:
        raise UsageError("no trust store: give --trust FILE, or make a project with 'capseal init'")
    return path


def _with(
    store: "TrustStore", files: list[str], role: options.RoleName, subject: str | None, passphrases: Passphrases
) -> "TrustStore":
    from dataclasses import replace

    from ...crypto.pem import as_pem
    from ...format.strictjson import Role
    from ...trust.certificates import load_crls
    from ...trust.signers import PKCS11_SCHEME
    from ...trust.store import TrustedCertificate, TrustedKey

    kind = Role(role.value)
    for file in files:
        if file.startswith(PKCS11_SCHEME):
            keys = (TrustedKey(key, kind) for key in options.load_public(file, passphrases))
            store = replace(store, keys=(*store.keys, *keys))
            continue
        data = options.read_document(file)
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
            keys = (TrustedKey(key, kind) for key in options.load_public(file, passphrases))
            store = replace(store, keys=(*store.keys, *keys))
    return store


def _one_certificate(file: str, subject: str | None) -> "x509.Certificate":
    from ...trust.certificates import load_certificates

    found = [c for c in load_certificates(file) if subject in (None, c.subject.rfc4514_string())]
    if len(found) != 1:
        names = ", ".join(repr(c.subject.rfc4514_string()) for c in load_certificates(file))
        raise UsageError(f"{file}: {len(found)} certificates match; choose one with --subject: {names}")
    return found[0]


def _day(text: str) -> "datetime":
    from datetime import UTC, datetime

    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"--until {text}: not a day such as 2031-01-31") from None


def _lines(store: "TrustStore") -> list[str]:
    from ...project.trust_edits import certificate_fingerprint

    when = "" if store.created is None else f", epoch {store.epoch}, created {store.created:%Y-%m-%d}"
    lines = [f"trust store version {store.version}, threshold {store.threshold}{when}"]
    lines += [f"  key          {t.key.fingerprint}  {t.role:<11}  RSA-{t.key.rsa.key_size}" for t in store.keys]
    lines += [
        f"  certificate  {certificate_fingerprint(t.certificate)}  {t.role:<11}  "
        f"{t.certificate.subject.rfc4514_string()}, until {t.certificate.not_valid_after_utc:%Y-%m-%d}"
        for t in store.certificates
    ]
    lines += [f"  revocations  of {crl.issuer.rfc4514_string()}, {counted(len(crl), 'entry')}" for crl in store.crls]
    if store.root is None:
        lines.append("  no root: devices take no update of this store")
    else:
        lines += _lines_of_set("root", store.root)
    if store.heads is not None:
        days = store.heads.max_age_s / 86400
        lines.append(f"  heads        valid for at most {days:g} days, none after {store.heads.until:%Y-%m-%d}")
        lines += _lines_of_set("head", store.heads.production, "production")
        if store.heads.development is not None:
            lines += _lines_of_set("head", store.heads.development, "development")
    if store.restart is not None:
        lines.append(f"  restart      at sequence {store.restart.sequence}, {store.restart.created:%Y-%m-%d %H:%M:%S}Z")
    return lines


def _lines_of_set(what: str, keys: "KeySet", role: str = "") -> list[str]:
    needed = f"{keys.threshold} of {len(keys.keys)}"
    return [f"  {what:<11}  {key.fingerprint}  {role:<11}  RSA-{key.rsa.key_size}, {needed}" for key in keys.keys]


COMMANDS = {
    "trust": Group(
        help="Who may vouch: show and change trust stores, sign and apply their updates.",
        commands={
            "show": show,
            "add": add,
            "remove": remove,
            "cosign": cosign,
            "apply": apply,
            "publish": publish,
            "heads": heads,
            "restart": restart,
        },
    ),
}
