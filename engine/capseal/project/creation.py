"""The making of a project: keys, certificates, trust stores, capseal.toml, and what git shall not see."""

import os
from dataclasses import dataclass

from ..constants import RECIPIENT_RSA_BITS, SIGNING_RSA_BITS
from ..crypto.keys import PrivateKey
from ..errors import UsageError
from ..format.strictjson import Role
from ..io.durable import NewFiles, replace_file
from ..trust.certificates import DEFAULT_DAYS, make_certificate, make_request
from ..trust.store import TrustedKey, TrustStore
from .config import FILE_NAME, Config
from .log import PENDING

KEYS = "keys"
SIGNING = f"{KEYS}/signing"
DEVELOPMENT = f"{KEYS}/development"
RECIPIENT = f"{KEYS}/recipient"
TRUST = f"{KEYS}/trust.json"
DEVELOPMENT_TRUST = f"{KEYS}/trust-development.json"
LOG = "releases.log"
IGNORE = ".gitignore"

_KEYS_IGNORED = b"# Private keys stay out of version control.\n*.pem\n!*.pub.pem\n!*.crt.pem\n!*.csr.pem\n"
_IGNORED = (
    *("/releases/", f"/{LOG}{PENDING}", "/store/", "/device/", ".capgo_key_v2"),
    *(f"/{KEYS}/*.pem", f"!/{KEYS}/*.pub.pem", f"!/{KEYS}/*.crt.pem", f"!/{KEYS}/*.csr.pem"),
)
"""What `release`, `serve store`, `device --root device` and `capgo keygen` make, and private keys."""


@dataclass(frozen=True, slots=True)
class Created:
    """What was made. paper: the path of the signing key's certificate, or of the request for one."""

    paper: str


def create_project(
    folder: str,
    *,
    app: str,
    web: str | None,
    days: int | None = None,
    csr: bool = False,
    passphrase: bytes | None = None,
) -> Created:
    """Make a project in a folder, all of its files or none; nothing is overwritten, .gitignore is added to.

    web: the web folder, relative; days: how long the certificates are valid; csr: make a request in place of the
    signing key's certificate; passphrase: encrypts the private keys. Raises UsageError where a file exists, OSError.
    """
    paper = f"{SIGNING}.csr.pem" if csr else f"{SIGNING}.crt.pem"
    development_paper = f"{DEVELOPMENT}.crt.pem"
    pairs = [f"{name}{end}" for name in (SIGNING, DEVELOPMENT, RECIPIENT) for end in (".pem", ".pub.pem")]
    made = [*pairs, paper, development_paper, TRUST, DEVELOPMENT_TRUST, FILE_NAME]
    try:
        with NewFiles(os.path.join(folder, name) for name in made) as files:
            _fill(files, folder, app, web, days or DEFAULT_DAYS, passphrase, csr=csr, papers=(paper, development_paper))
    except FileExistsError as error:
        there = os.path.exists(os.path.join(folder, FILE_NAME))
        hint = "; this is a project already: 'capseal doctor' tells what it lacks" if there else ""
        raise UsageError(f"{error.filename}: exists already, and is not overwritten{hint}") from None
    _ignore(os.path.join(folder, IGNORE))
    return Created(paper)


def _fill(
    files: NewFiles,
    folder: str,
    app: str,
    web: str | None,
    days: int,
    passphrase: bytes | None,
    *,
    csr: bool,
    papers: tuple[str, str],
) -> None:
    signing = PrivateKey.generate(SIGNING_RSA_BITS)
    development, recipient = (PrivateKey.generate(RECIPIENT_RSA_BITS) for _ in range(2))
    config = Config(
        app=app,
        web=web,
        signers=(f"{SIGNING}.pem",),
        development_signers=(f"{DEVELOPMENT}.pem",),
        recipients=(f"{RECIPIENT}.pub.pem",),
        identities=(f"{RECIPIENT}.pem",),
        trust=TRUST,
        development_trust=DEVELOPMENT_TRUST,
        log=LOG,
    )
    development_trust = TrustStore(
        (TrustedKey(signing.public_key), TrustedKey(development.public_key, Role.DEVELOPMENT))
    )
    files.make_folder(os.path.join(folder, KEYS), mode=0o700)
    ignore = os.path.join(folder, KEYS, IGNORE)
    if not os.path.lexists(ignore):
        files.write(ignore, _KEYS_IGNORED, mode=0o644)
    for name, key in ((SIGNING, signing), (DEVELOPMENT, development), (RECIPIENT, recipient)):
        files.write(os.path.join(folder, f"{name}.pem"), key.pem(passphrase=passphrase), mode=0o600)
        files.write(os.path.join(folder, f"{name}.pub.pem"), key.public_key.pem, mode=0o644)
    certified = make_certificate(development, name=f"{app} development", days=days).pem
    for path, data in (
        (papers[0], make_request(signing, name=app) if csr else make_certificate(signing, name=app, days=days).pem),
        (papers[1], certified),
        (TRUST, TrustStore.of(signing.public_key).to_json()),
        (DEVELOPMENT_TRUST, development_trust.to_json()),
        (FILE_NAME, config.encode()),
    ):
        files.write(os.path.join(folder, path), data, mode=0o644)


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
