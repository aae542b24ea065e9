"""The keys that a project's configuration names: which of them are files, and their public halves."""

from collections.abc import Sequence

from ..crypto.keys import PublicKey, load_public_key
from ..errors import CapsealError
from ..trust.signers import COMMAND_SCHEME, PKCS11_SCHEME
from .config import Config


def signer_files(signers: Sequence[str]) -> list[str]:
    """Return the signers that are files."""
    return [path for path in signers if not path.startswith((PKCS11_SCHEME, COMMAND_SCHEME))]


def key_files(config: Config) -> list[str]:
    """Return the signing keys that are files."""
    return signer_files((*config.signers, *config.development_signers))


def public_of(path: str) -> PublicKey | None:
    """Return the public half that lies beside a private key, None where none does that can be used."""
    try:
        return load_public_key(sibling(path, ".pub.pem"))
    except (CapsealError, OSError):
        return None


def sibling(path: str, ending: str) -> str:
    """Return the path of what lies beside a key under its name."""
    return path.removesuffix(".pub.pem").removesuffix(".pem") + ending
