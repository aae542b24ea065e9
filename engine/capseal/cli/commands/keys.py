"""capseal key: make key pairs, and show what a key file holds."""

import os
from typing import Annotated

from ..framework import options, progress
from ..framework.arguments import Choice, Group, argument, at_least, flag, option
from ..framework.console import answer, print_line, say
from ..framework.passphrases import Passphrases


class Kind(Choice):
    """What a key is for."""

    SIGNING = "signing"
    RECIPIENT = "recipient"


def generate(
    kind: Annotated[Kind, argument(type=Kind, help="signing: vouches for bundles; recipient: opens them.")],
    output: Annotated[str, option("-o", "--output", metavar="NAME", help="Makes NAME.pem and NAME.pub.pem.")],
    bits: Annotated[
        int | None,
        option("--bits", metavar="N", type=at_least(1), help="RSA key size; default: 4096 to sign, 3072 to receive."),
    ] = None,
    passphrase: Annotated[bool, flag("--passphrase", help="Encrypt the key; asks for a passphrase.")] = False,
    *,
    passphrases: Passphrases,
) -> None:
    """Make a key pair: NAME.pem is secret, NAME.pub.pem is not. Nothing is ever overwritten."""
    from ...constants import RECIPIENT_RSA_BITS, SIGNING_RSA_BITS
    from ...crypto.keys import PrivateKey
    from ..framework.files import new_files

    name = output.removesuffix(".pem")
    with new_files([f"{name}.pem", f"{name}.pub.pem"]) as files:
        secret = passphrases.new() if passphrase or passphrases.given else None
        with progress.waiting("Making a key"):
            key = PrivateKey.generate(bits or (SIGNING_RSA_BITS if kind is Kind.SIGNING else RECIPIENT_RSA_BITS))
        files.write(f"{name}.pem", key.pem(passphrase=secret), mode=0o600)
        files.write(f"{name}.pub.pem", key.public_key.pem, mode=0o644)
    answer({"files": [f"{name}.pem", f"{name}.pub.pem"], "fingerprint": key.public_key.fingerprint})
    say(f"{name}.pem and {name}.pub.pem: {kind} key {key.public_key.fingerprint}")


def show(
    file: Annotated[
        str, argument("FILE|URI", help="A PEM file: one private key, or public keys; or the pkcs11: URI of a key.")
    ],
    *,
    passphrases: Passphrases,
) -> None:
    """Print the fingerprint of each key in a file: what seals call its kid or keyid."""
    from ...trust.signers import PKCS11_SCHEME

    kind, name = "public", os.path.basename(file)
    if file.startswith(PKCS11_SCHEME):
        kind, name = "hardware", file.partition("?")[0]
    else:
        with open(file, "rb") as opened:
            if b"PRIVATE KEY-----" in opened.read(65536):
                kind = "private"
    if kind == "private":
        keys = [options.load_private_key(file, passphrases).public_key]
    else:
        keys = options.load_public(file, passphrases)
    answer([{"fingerprint": key.fingerprint, "bits": key.rsa.key_size, "kind": kind} for key in keys])
    for key in keys:
        print_line(f"{key.fingerprint}  RSA-{key.rsa.key_size}  {kind}  {name}")


def import_(
    chain: Annotated[str, argument("CHAIN.pem", help="The issued certificate and those above it, up to the root.")],
    key: Annotated[
        str, option("--key", metavar="NAME.pem", help="The key that was certified; NAME.pub.pem is beside it.")
    ] = "keys/signing.pem",
    force: Annotated[bool, flag("-f", "--force", help="Replace the certificates that the key has.")] = False,
) -> None:
    """Check the certificates that a CA issued for a key, and put them beside it as NAME.crt.pem."""
    from ...crypto.keys import load_public_key
    from ...io.drafts import replace_file, write_new
    from ...trust.certificates import load_chain
    from ...trust.signers import chain_file_of

    output = chain_file_of(key)
    loaded = load_chain(chain, load_public_key(output.removesuffix(".crt.pem") + ".pub.pem"))
    if force:
        replace_file(output, loaded.pem, mode=0o644)
    else:
        write_new(output, loaded.pem, mode=0o644)
    own, root = loaded.certificates[0], loaded.certificates[-1]
    until = f"{own.not_valid_after_utc:%Y-%m-%d}"
    issuer = root.subject.rfc4514_string() if root != own else None
    answer({"file": output, "subject": loaded.subject, "valid_until": until, "root": issuer})
    say(f"{output}: {loaded.subject}, valid until {until}")
    if issuer is not None:
        say(f"to trust that CA: capseal trust add {output} --subject '{issuer}' --in-place")
        # A key that is trusted by itself is so for ever: no revocation by the CA would change that.
        say(f"and its key only through it: capseal trust remove {loaded.key.fingerprint[:16]} --in-place")
        say("(--in-place: where no build has the store yet; else an update, which the root signs: --update FILE)")


COMMANDS = {
    "key": Group(help="Make and show keys.", commands={"generate": generate, "show": show, "import": import_}),
}
