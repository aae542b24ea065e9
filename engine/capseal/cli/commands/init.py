"""capseal init: keys, certificates, trust stores and capseal.toml, once per project."""

import os
from typing import Annotated

from ...errors import UsageError
from ..framework import console
from ..framework.arguments import at_least, flag, option
from ..framework.passphrases import Passphrases

FOLDER = "keys"
SIGNING = f"{FOLDER}/signing"
DEVELOPMENT = f"{FOLDER}/development"
RECIPIENT = f"{FOLDER}/recipient"
TRUST = f"{FOLDER}/trust.json"
DEVELOPMENT_TRUST = f"{FOLDER}/trust-development.json"
LOG = "releases.log"
IGNORE = f"{FOLDER}/.gitignore"
CONFIG = "capseal.toml"

_GITIGNORE = "# Private keys stay out of version control.\n*.pem\n!*.pub.pem\n!*.crt.pem\n!*.csr.pem\n"


def init(
    app: Annotated[
        str | None,
        option("--app", metavar="ID", help="The app id; default: what capacitor.config or package.json says."),
    ] = None,
    web: Annotated[
        str | None,
        option("--web", metavar="DIR", help="The web build; default: as capacitor.config says, or dist, www."),
    ] = None,
    days: Annotated[
        int | None,
        option(
            "--days", metavar="N", type=at_least(1), help="How long the certificates are valid; default: ten years."
        ),
    ] = None,
    csr: Annotated[
        bool, flag("--csr", help="Make a certificate request for your company's CA in place of a certificate.")
    ] = False,
    passphrase: Annotated[bool, flag("--passphrase", help="Encrypt the keys; asks for a passphrase.")] = False,
    *,
    passphrases: Passphrases,
) -> None:
    """Make keys, certificates, trust stores and capseal.toml in this folder. Nothing is ever overwritten."""
    from ...constants import RECIPIENT_RSA_BITS, SIGNING_RSA_BITS
    from ...crypto.keys import PrivateKey
    from ...format.strictjson import Role
    from ...project.config import Config
    from ...trust.certificates import DEFAULT_DAYS, make_certificate, make_request
    from ...trust.store import TrustedKey, TrustStore
    from ..framework.files import new_files

    app, web = _found(app, web)
    pairs = [f"{name}{end}" for name in (SIGNING, DEVELOPMENT, RECIPIENT) for end in (".pem", ".pub.pem")]
    papers = [f"{SIGNING}.csr.pem" if csr else f"{SIGNING}.crt.pem", f"{DEVELOPMENT}.crt.pem"]
    with new_files([*pairs, *papers, TRUST, DEVELOPMENT_TRUST, CONFIG]) as files:
        secret = passphrases.new() if passphrase or passphrases.given else None
        signing = PrivateKey.generate(SIGNING_RSA_BITS)
        development, recipient = (PrivateKey.generate(RECIPIENT_RSA_BITS) for _ in range(2))
        days = days or DEFAULT_DAYS
        paper = make_request(signing, name=app) if csr else make_certificate(signing, name=app, days=days).pem
        development_paper = make_certificate(development, name=f"{app} development", days=days).pem
        production_trust = TrustStore.of(signing.public_key)
        development_trust = TrustStore(
            (TrustedKey(signing.public_key), TrustedKey(development.public_key, Role.DEVELOPMENT))
        )
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
        files.make_folder(FOLDER, mode=0o700)
        if not os.path.lexists(IGNORE):
            files.write(IGNORE, _GITIGNORE.encode(), mode=0o644)
        for name, key in ((SIGNING, signing), (DEVELOPMENT, development), (RECIPIENT, recipient)):
            files.write(f"{name}.pem", key.pem(passphrase=secret), mode=0o600)
            files.write(f"{name}.pub.pem", key.public_key.pem, mode=0o644)
        for path, data in (
            (papers[0], paper),
            (papers[1], development_paper),
            (TRUST, production_trust.to_json()),
            (DEVELOPMENT_TRUST, development_trust.to_json()),
            (CONFIG, config.encode()),
        ):
            files.write(path, data, mode=0o644)
    _tell(app, web, papers[0], csr=csr)


def _found(app: str | None, web: str | None) -> tuple[str, str | None]:
    """Return app id and web folder: as given, else as found. Raises UsageError."""
    from ...errors import FormatError
    from ...format.strictjson import check_name
    from ...project.discovery import find_web_app

    try:
        if app is not None:
            check_name(app, "--app")
    except FormatError as error:
        raise UsageError(str(error)) from None
    found = find_web_app(".")
    if app is None and found.app is None:
        raise UsageError("no app id found in capacitor.config or package.json; give --app ID")
    if app is None:
        console.say(f"app id {found.app}, as {found.source} says")
    return app or str(found.app), web or found.web


def _tell(app: str, web: str | None, paper: str, *, csr: bool) -> None:
    for path, what in (
        (f"{SIGNING}.pem", "secret: signs releases; for the release machine only"),
        (f"{DEVELOPMENT}.pem", "secret: signs what 'capseal dev' serves; for developers' machines"),
        (f"{RECIPIENT}.pem", "secret: opens bundles; goes into the app, on the devices"),
        (TRUST, "public: who may vouch in production builds; goes into them and to servers"),
        (DEVELOPMENT_TRUST, "public: the same for development builds"),
        (paper, "public: for your company's CA" if csr else "public: the certificate that goes with signatures"),
        (CONFIG, "public: found by every capseal command in this folder and below"),
    ):
        console.say(f"{path:<28} {what}")
    if csr:
        console.say(f"next: have {paper} signed, then 'capseal key import CHAIN.pem'")
    console.say(f"next: capseal release{'' if web else ' WEBDIR'} --version 1.0.0")


COMMANDS = {"init": init}
