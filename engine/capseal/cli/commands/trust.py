"""capseal trust: change and show trust stores, and make and apply signed updates of them."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

from ...errors import KeyFileError, UsageError
from ..framework import options
from ..framework.arguments import Choice, Group, argument, at_least, flag, option
from ..framework.console import answer, print_line, say
from ..framework.passphrases import Passphrases
from ..framework.titles import counted
from .trust_updates import Store, apply, cosign, is_projects, keep_past, note, publish, standing, store_path

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from ...crypto.keys import Signer
    from ...trust.key_sets import KeySet
    from ...trust.store import TrustStore

Threshold = Annotated[
    int | None,
    option("--threshold", metavar="N", type=at_least(1), help="How many different keys must sign from now on."),
]
InPlace = Annotated[
    bool, flag("--in-place", help="Change the file alone, though the store has a root: before a build has it.")
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
    trust: Store = None,
) -> None:
    """Print who is trusted for what, or what an update would bring (unverified)."""
    from json import loads

    from ...trust.updates import read_update

    if file is not None and trust is not None:
        raise UsageError(f"{file} and --trust {trust}: only one is shown at a time")
    path = store_path(file or trust)
    data = options.read_document(path)
    previous = None
    if b'"signatures"' in data:
        previous, store = read_update(data)
    else:
        store = options.load_trust(path)
    answer({"update_of": previous, "store": loads(store.to_json())})
    if previous is not None:
        print_line(f"UNVERIFIED: an update of trust store {previous}")
    for line in _lines(store):
        print_line(line)


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
    in_place: InPlace = False,
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

    _change(trust, edit, update, signer, passphrases, in_place=in_place)
    if purpose is Purpose.HEAD:
        name = "head_signers" if role is options.RoleName.PRODUCTION else "development_head_signers"
        say(f"next: name the private half in {name} of capseal.toml, where heads are signed")


def remove(
    ids: Annotated[
        list[str],
        argument("ID...", repeatable=True, help="Fingerprints as 'capseal trust show' prints them; 8 or more digits."),
    ],
    trust: Store = None,
    threshold: Threshold = None,
    update: Update = None,
    in_place: InPlace = False,
    signer: options.OtherSigners = None,
    *,
    passphrases: Passphrases,
) -> None:
    """Trust keys or certificates no longer, of whatever purpose."""
    from ...project.trust_edits import without

    def edit(store: "TrustStore") -> "TrustStore":
        return without(store, ids, threshold=threshold)

    _change(trust, edit, update, signer, passphrases, in_place=in_place)


def heads(
    trust: Store = None,
    max_age: Annotated[
        int | None, option("--max-age", metavar="DAYS", type=at_least(1), help="How long a head may be valid.")
    ] = None,
    until: Annotated[
        str | None, option("--until", metavar="YYYY-MM-DD", help="When the last head expires at the latest.")
    ] = None,
    update: Update = None,
    in_place: InPlace = False,
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

    _change(trust, edit, update, signer, passphrases, in_place=in_place)


def restart(
    sequence: Annotated[
        int, argument("SEQUENCE", type=at_least(0), help="What devices take for their latest release.")
    ],
    trust: Store = None,
    update: Update = None,
    in_place: InPlace = False,
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

    _change(trust, edit, update, signer, passphrases, in_place=in_place)


def _change(
    trust: str | None,
    edit: Callable[["TrustStore"], "TrustStore"],
    update: str | None,
    signers: list[str] | None,
    passphrases: Passphrases,
    *,
    in_place: bool,
) -> None:
    from dataclasses import replace
    from datetime import UTC, datetime

    from ...io.drafts import replace_file

    path = store_path(trust)
    now = datetime.now(UTC).replace(microsecond=0)
    old = options.load_trust(path)
    if update is not None and in_place:
        raise UsageError("--update and --in-place: a change is signed for devices, or made in the file alone")
    if old.root is not None and update is None and not in_place:
        raise UsageError(
            f"{path}: has a root, so builds that have it follow signed updates and no edit: give --update FILE, or "
            "--in-place where no build has it yet"
        )
    # Changed on the way to a new version, whose epoch is known at the end.
    new = edit(old if old.created is not None else replace(old, created=now))
    if update is not None:
        _write_update(path, update, old, new, now, signers, passphrases)
        return
    if old.created is None and new.root is None and new.heads is None and new.restart is None:
        new = replace(new, created=None)
    replace_file(path, new.to_json(), mode=0o644)
    _tell_changed(path, new, update=None, enough=True)
    note(path, new, passphrases)


def _tell_changed(path: str, new: "TrustStore", *, update: str | None, enough: bool) -> None:
    """Print what a store says now, or will where an update has its signatures."""
    from json import loads

    answer({"trust": path, "update": update, "enough": enough, "store": loads(new.to_json())})
    for line in _lines(new):
        say(line)


def _write_update(
    path: str,
    update: str,
    old: "TrustStore",
    new: "TrustStore",
    now: "datetime",
    signers: list[str] | None,
    passphrases: Passphrases,
) -> None:
    from dataclasses import replace

    from ...io.drafts import replace_file, write_new
    from ...io.durable import make_folders
    from ...trust.updates import make_update, next_epoch

    new = replace(new, version=old.version + 1, created=now, epoch=next_epoch(old, new))
    loaded = options.load_signers(signers or options.find_config().root_signers, passphrases)
    _check_roots(loaded, old, new)
    data = make_update(old, new, signers=loaded)
    make_folders(os.path.dirname(update) or os.curdir)
    write_new(update, data, mode=0o644)
    told, enough = standing(data, old)
    _tell_changed(path, new, update=update, enough=enough)
    if not enough and is_projects(path):
        say(f"{update}: {told}; {path} stays at version {old.version}; next: capseal trust cosign {update} -s KEY")
        return
    if is_projects(path):
        keep_past(old, [data])
    replace_file(path, new.to_json(), mode=0o644)
    say(f"{update}: {told}; {path} is version {new.version}")
    if not enough:
        say(f"next: capseal trust cosign {update} -s KEY")
    elif is_projects(path):
        say(f"next: capseal trust publish {update}")
    else:
        say(f"next: capseal trust apply {update}, where the project is, then capseal trust publish {update}")
    note(path, new, passphrases)


def _check_roots(signers: "Sequence[Signer]", old: "TrustStore", new: "TrustStore") -> None:
    """Refuse to make an update that a stranger to both stores signs: this store would go where nobody follows."""
    roots = [key for store in (old, new) if store.root is not None for key in store.root.keys]
    for signer in signers:
        if roots and signer.public_key not in roots:
            raise UsageError(
                f"key {signer.public_key.fingerprint[:16]} is no root key of this trust store, and root keys sign its "
                "updates: nobody would take it"
            )


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
