"""Signers by what names them, with the certificates that they have."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..crypto.keys import PublicKey, Signer, load_private_key, load_public_key
from ..errors import KeyFileError

if TYPE_CHECKING:
    # Imported where it is needed: X.509 would double the time that the other signers take to load.
    from .certificates import Chain

PKCS11_SCHEME = "pkcs11:"
COMMAND_SCHEME = "command:"


@dataclass(frozen=True)
class CertifiedSigner:
    """A signer whose signatures carry its certificates (x5c)."""

    signer: Signer
    chain: "Chain"

    def __post_init__(self) -> None:
        ours, certified = self.signer.public_key.fingerprint, self.chain.key.fingerprint
        if ours != certified:
            raise KeyFileError(
                f"certificate {self.chain.subject!r} is for key {certified[:16]}, the signer is {ours[:16]}"
            )

    @property
    def public_key(self) -> PublicKey:
        return self.signer.public_key

    @property
    def x5c(self) -> tuple[bytes, ...]:
        """The certificates in DER, the signer's own first."""
        return self.chain.der

    def sign(self, message: bytes) -> bytes:
        return self.signer.sign(message)


def load_signer(reference: str, *, secret: Callable[[], bytes] | None = None) -> Signer:
    """Return the signer that a reference names, with its certificates where it has some.

    reference: a PEM private key; `pkcs11:` and the rest of a URI (RFC 7512); or `command:`, a public
    key file, `:` and a command line. Certificates are in NAME.crt.pem beside NAME.pem or NAME.pub.pem,
    or where a URI's x-chain says. secret: called for the passphrase or PIN. Raises KeyFileError, OSError.
    """
    signer: Signer
    if reference.startswith(PKCS11_SCHEME):
        from .external_signers import Pkcs11Signer, Pkcs11Uri

        uri = Pkcs11Uri.parse(reference)
        signer, chain = Pkcs11Signer(uri, pin=secret), uri.chain
    elif reference.startswith(COMMAND_SCHEME):
        import shlex

        from .external_signers import CommandSigner

        public, _, line = reference.removeprefix(COMMAND_SCHEME).partition(":")
        try:
            command = shlex.split(line)
        except ValueError as error:
            reason = str(error)
            raise KeyFileError(
                f"{COMMAND_SCHEME}{public}: command {line!r}: {reason[:1].lower()}{reason[1:]}"
            ) from None
        if not command:
            raise KeyFileError(
                f"{COMMAND_SCHEME}{public}: no command; write {COMMAND_SCHEME}PUBLIC.pem:PROGRAM ARGUMENTS"
            )
        signer, chain = CommandSigner(command, load_public_key(public)), _chain_beside(public)
    else:
        signer, chain = load_private_key(reference, passphrase=secret), _chain_beside(reference)
    if chain is None:
        return signer
    from .certificates import load_chain

    return CertifiedSigner(signer, load_chain(chain, signer.public_key))


def chain_file_of(key_file: str) -> str:
    """Return where the certificates of a key file are looked for: NAME.crt.pem."""
    return key_file.removesuffix(".pub.pem").removesuffix(".pem") + ".crt.pem"


def _chain_beside(key_file: str) -> str | None:
    path = chain_file_of(key_file)
    return path if os.path.exists(path) else None
