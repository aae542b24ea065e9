"""The making of a project: keys, certificates, trust stores, capseal.toml, and what git shall not see."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from ..constants import RECIPIENT_RSA_BITS, SIGNING_RSA_BITS
from ..crypto.keys import PrivateKey, PublicKey
from ..errors import UsageError
from ..format.strictjson import Role
from ..io.drafts import NewFiles, replace_file
from ..trust.certificates import DEFAULT_DAYS, make_certificate, make_request
from ..trust.key_sets import HeadPolicy, KeySet
from ..trust.store import TrustedKey, TrustStore
from .config import FILE_NAME, Config
from .log import PENDING

KEYS = "keys"
SIGNING = f"{KEYS}/signing"
DEVELOPMENT = f"{KEYS}/development"
RECIPIENT = f"{KEYS}/recipient"
ARCHIVE = f"{KEYS}/archive"
ROOT = f"{KEYS}/root"
HEAD = f"{KEYS}/head"
DEVELOPMENT_HEAD = f"{KEYS}/development-head"
TRUST = f"{KEYS}/trust.json"
DEVELOPMENT_TRUST = f"{KEYS}/trust-development.json"
LOG = "releases.log"
IGNORE = ".gitignore"
HEAD_DAYS = 14
"""How long a head may be valid: as long as a renewal may fail before devices are uncertain."""
HEADS_DAYS = 5 * 366
"""For how long heads may be signed at all, before the root has to say so again."""

_BITS = {
    SIGNING: SIGNING_RSA_BITS,
    DEVELOPMENT: RECIPIENT_RSA_BITS,
    RECIPIENT: RECIPIENT_RSA_BITS,
    ARCHIVE: RECIPIENT_RSA_BITS,
    ROOT: SIGNING_RSA_BITS,
    HEAD: RECIPIENT_RSA_BITS,
    DEVELOPMENT_HEAD: RECIPIENT_RSA_BITS,
}
"""The keys of a project, and how many bits each has."""

_KEYS_IGNORED = b"# Private keys stay out of version control.\n*.pem\n!*.pub.pem\n!*.crt.pem\n!*.csr.pem\n"
_IGNORED = (
    *("/releases/", f"/{LOG}{PENDING}", "/store/", "/device/", ".capgo_key_v2"),
    *(f"/{KEYS}/*.pem", f"!/{KEYS}/*.pub.pem", f"!/{KEYS}/*.crt.pem", f"!/{KEYS}/*.csr.pem"),
)
"""What `release`, `serve store`, `device --root device` and `capgo keygen` make, and private keys."""


@dataclass(frozen=True, slots=True)
class Given:
    """A key that is there already. reference: what names its signer, as in capseal.toml."""

    reference: str
    public_key: PublicKey


@dataclass(frozen=True, slots=True)
class Created:
    """What was made. paper: the path of the signing key's certificate, or of the request for one, or None.

    made: the keys that were made, by the start of their files' names.
    """

    paper: str | None
    made: tuple[str, ...]


def create_project(
    folder: str,
    *,
    app: str,
    web: str | None,
    now: datetime,
    days: int | None = None,
    csr: bool = False,
    passphrase: bytes | None = None,
    given: Mapping[str, Given] = MappingProxyType({}),
) -> Created:
    """Make a project in a folder, all of its files or none; nothing is overwritten, .gitignore is added to.

    web: the web folder, relative; now: when the trust stores are created; days: how long the certificates are valid;
    csr: make a request in place of the signing key's certificate; passphrase: encrypts the private keys; given: keys
    that are not made, since they are there already, such as in a hardware module: SIGNING, ROOT or HEAD; a signing key
    that is given gets no certificate here. Raises UsageError where a file exists, KeyFileError where one key is given
    for two purposes, OSError.
    """
    if csr and SIGNING in given:
        raise UsageError("a certificate for a key that is there already is requested with what made it, not with --csr")
    paper = None if SIGNING in given else f"{SIGNING}.csr.pem" if csr else f"{SIGNING}.crt.pem"
    development_paper = f"{DEVELOPMENT}.crt.pem"
    own = tuple(name for name in _BITS if name not in given)
    pairs = [f"{name}.pub.pem" for name in _BITS] + [f"{name}.pem" for name in own]
    papers = [development_paper] if paper is None else [paper, development_paper]
    made = [*pairs, *papers, TRUST, DEVELOPMENT_TRUST, FILE_NAME]
    try:
        with NewFiles(os.path.join(folder, name) for name in made) as files:
            _fill(files, folder, app, web, now, days or DEFAULT_DAYS, passphrase, given, csr=csr)
    except FileExistsError as error:
        there = os.path.exists(os.path.join(folder, FILE_NAME))
        hint = "; this is a project already: 'capseal doctor' tells what it lacks" if there else ""
        raise UsageError(f"{error.filename}: exists already, and is not overwritten{hint}") from None
    _ignore(os.path.join(folder, IGNORE))
    return Created(paper, own)


def _fill(
    files: NewFiles,
    folder: str,
    app: str,
    web: str | None,
    now: datetime,
    days: int,
    passphrase: bytes | None,
    given: Mapping[str, Given],
    *,
    csr: bool,
) -> None:
    bits = {name: count for name, count in _BITS.items() if name not in given}
    # OpenSSL makes them without the interpreter's lock, so that two processors make the keys in half the time.
    with ThreadPoolExecutor() as pool:
        keys = dict(zip(bits, pool.map(PrivateKey.generate, bits.values()), strict=True))
    public = {name: key.public_key for name, key in keys.items()} | {n: one.public_key for n, one in given.items()}

    def signer(name: str) -> tuple[str]:
        return (given[name].reference if name in given else f"{name}.pem",)

    config = Config(
        app=app,
        web=web,
        signers=signer(SIGNING),
        development_signers=(f"{DEVELOPMENT}.pem",),
        root_signers=signer(ROOT),
        head_signers=signer(HEAD),
        development_head_signers=(f"{DEVELOPMENT_HEAD}.pem",),
        recipients=(f"{RECIPIENT}.pub.pem", f"{ARCHIVE}.pub.pem"),
        identities=(f"{RECIPIENT}.pem",),
        trust=TRUST,
        development_trust=DEVELOPMENT_TRUST,
        log=LOG,
        archive=f"{ARCHIVE}.pem",
    )
    trust, development_trust = _stores(public, now)
    files.make_folder(os.path.join(folder, KEYS), mode=0o700)
    ignore = os.path.join(folder, KEYS, IGNORE)
    if not os.path.lexists(ignore):
        files.write(ignore, _KEYS_IGNORED, mode=0o644)
    for name, key in keys.items():
        files.write(os.path.join(folder, f"{name}.pem"), key.pem(passphrase=passphrase), mode=0o600)
    for name, public_key in public.items():
        files.write(os.path.join(folder, f"{name}.pub.pem"), public_key.pem, mode=0o644)
    if csr:
        files.write(os.path.join(folder, f"{SIGNING}.csr.pem"), make_request(keys[SIGNING], name=app), mode=0o644)
    elif SIGNING in keys:
        certified = make_certificate(keys[SIGNING], name=app, days=days).pem
        files.write(os.path.join(folder, f"{SIGNING}.crt.pem"), certified, mode=0o644)
    certified = make_certificate(keys[DEVELOPMENT], name=f"{app} development", days=days).pem
    for path, data in (
        (f"{DEVELOPMENT}.crt.pem", certified),
        (TRUST, trust.to_json()),
        (DEVELOPMENT_TRUST, development_trust.to_json()),
        (FILE_NAME, config.encode()),
    ):
        files.write(os.path.join(folder, path), data, mode=0o644)


def _stores(keys: dict[str, PublicKey], now: datetime) -> tuple[TrustStore, TrustStore]:
    """Return the trust stores of production and of development builds. now: in whole seconds from here on."""
    now = now.replace(microsecond=0)
    heads = HeadPolicy(HEAD_DAYS * 86400, now + timedelta(days=HEADS_DAYS), KeySet.of(keys[HEAD]))
    signing = TrustedKey(keys[SIGNING])
    production = TrustStore((signing,), root=KeySet.of(keys[ROOT]), heads=heads, created=now)
    development = replace(
        production,
        keys=(signing, TrustedKey(keys[DEVELOPMENT], Role.DEVELOPMENT)),
        heads=replace(heads, development=KeySet.of(keys[DEVELOPMENT_HEAD])),
    )
    return production, development


def _ignore(path: str) -> None:
    """Add to a .gitignore what it does not say yet."""
    path = os.path.realpath(path)
    try:
        with open(path, "rb") as file:
            there = file.read()
    except FileNotFoundError:
        there = b""
    said = {line.strip() for line in there.split(b"\n")}
    missing = [line for line in _IGNORED if line.encode() not in said]
    if missing:
        if there and not there.endswith(b"\n"):
            there += b"\n"
        lines = ["# What capseal makes, and private keys.", *missing]
        replace_file(path, there + "\n".join(lines).encode() + b"\n", mode=0o644)
