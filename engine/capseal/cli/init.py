"""capseal init: keys, a trust store and capseal.toml, once per project."""

import os
from typing import Annotated

import typer

from . import config, console
from .passphrases import PassphraseFd, PassphraseFile, Passphrases

FOLDER = "keys"
SIGNING = f"{FOLDER}/signing"
RECIPIENT = f"{FOLDER}/recipient"
TRUST = f"{FOLDER}/trust.json"
IGNORE = f"{FOLDER}/.gitignore"

_TOML = """\
# What `capseal` commands need not be told in this folder and below. Paths are relative to this file.
app = "{app}"
signers = ["{signing}.pem"]
recipients = ["{recipient}.pub.pem"]
identities = ["{recipient}.pem"]
trust = "{trust}"
"""
_GITIGNORE = "# Private keys stay out of version control.\n*.pem\n!*.pub.pem\n"


def register(app: typer.Typer) -> None:
    """Mount the command."""
    app.command()(init)


def init(
    app: Annotated[str, typer.Option(metavar="ID", help="What the bundles are for, e.g. com.example.game.")],
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Encrypt the keys; asks for a passphrase.")] = False,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
) -> None:
    """Make keys, a trust store and capseal.toml in this folder. Nothing is ever overwritten."""
    from ..errors import FormatError, UsageError
    from ..keys import PrivateKey
    from ..params import RECIPIENT_RSA_BITS, SIGNING_RSA_BITS
    from ..statement import check_name
    from ..trust import TrustStore
    from .files import NewFiles

    try:
        check_name(app, "--app")
    except FormatError as error:
        raise UsageError(str(error)) from None
    passphrases = Passphrases(passphrase_file, passphrase_fd)
    pairs = [f"{name}{end}" for name in (SIGNING, RECIPIENT) for end in (".pem", ".pub.pem")]
    with NewFiles([*pairs, TRUST, config.FILE_NAME]) as files:
        secret = passphrases.new() if passphrase or passphrases.given else None
        signing = PrivateKey.generate(SIGNING_RSA_BITS)
        recipient = PrivateKey.generate(RECIPIENT_RSA_BITS)
        files.make_folder(FOLDER, mode=0o700)
        if not os.path.lexists(IGNORE):
            files.write(IGNORE, _GITIGNORE.encode(), mode=0o644)
        for name, key in ((SIGNING, signing), (RECIPIENT, recipient)):
            files.write(f"{name}.pem", key.pem(passphrase=secret), mode=0o600)
            files.write(f"{name}.pub.pem", key.public_key.pem, mode=0o644)
        files.write(TRUST, TrustStore.of(signing.public_key).to_json(), mode=0o644)
        toml = _TOML.format(app=app, signing=SIGNING, recipient=RECIPIENT, trust=TRUST)
        files.write(config.FILE_NAME, toml.encode(), mode=0o644)
    console.say(f"{SIGNING}.pem       secret: signs bundles; keep it off devices and servers")
    console.say(f"{RECIPIENT}.pem     secret: opens bundles; goes to the devices")
    console.say(f"{TRUST}        public: who may vouch; goes to devices and servers")
    console.say(f"{config.FILE_NAME}           found by every capseal command in this folder and below")
    console.say("next: capseal seal dist.zip --version 1.0.0")
