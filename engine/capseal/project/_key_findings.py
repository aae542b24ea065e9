"""What is wrong with a project's private keys and recipients: where they lie, who may read them, what they are for."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from ..constants import SIGNING_RSA_BITS
from ..crypto.keys import PublicKey, labels, load_public_key, load_public_keys
from ..crypto.pem import as_pem
from ..errors import CapsealError, KeyFileError
from ._capgo_key import is_key_name
from ._findings import Finding, error_at, reason_of, warning_at
from ._named_keys import key_files, public_of, sibling, signer_files
from .config import Config
from .git import is_tracked

_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO
_MAX_KEY_BYTES = 64 * 1024
_PRIVATE_KEY = b"PRIVATE KEY-----"


def private_key_findings(config: Config) -> Iterator[Finding]:
    """Find private keys that are not there, or where they must not be, and what is wrong with what they are for."""
    seen = set()
    roots = set(signer_files(config.root_signers))
    heads = signer_files((*config.head_signers, *config.development_head_signers))
    # In a clone, and in CI, an archive key need not be there.
    archives = [config.archive] if config.archive is not None and os.path.exists(config.archive) else []
    for path in (*key_files(config), *config.identities, *archives, *heads, *signer_files(config.root_signers)):
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
    key = None if path is None else public_of(path)
    if path is None or key is None:
        return
    for signer in (*config.signers, *config.development_signers):
        if public_of(signer) == key:
            yield error_at(
                path, f"opens the whole history, and signs as {signer}", "make a key of its own for the archive"
            )
    if config.recipients and key not in _recipient_keys(config):
        public = sibling(path, ".pub.pem")
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
    public = sibling(path, ".pub.pem")
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


def _root_at_hand(path: str, config: Config) -> Iterator[Finding]:
    """Warn of a root key that whoever takes the release machine takes, too."""
    folder = os.path.dirname(os.path.realpath(path))
    beside = [other for other in signer_files(config.signers) if os.path.dirname(os.path.realpath(other)) == folder]
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
    public = sibling(path, ".pub.pem")
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


def recipient_findings(config: Config) -> Iterator[Finding]:
    """Find recipients that cannot be used, and identities that are none."""
    keys: set[PublicKey] = set()
    for path in config.recipients:
        try:
            keys.update(load_public_keys(path))
        except (CapsealError, OSError) as error:
            yield error_at(path, f"unusable recipients: {reason_of(error, path)}", "name a file of public keys")
    for path in config.identities:
        key = public_of(path)
        if keys and key is not None and key not in keys:
            yield warning_at(
                path,
                "is no recipient: it will open none of the bundles",
                f"add {sibling(path, '.pub.pem')} to recipients",
            )


def _is_below(path: str, folder: str) -> bool:
    folder = os.path.realpath(folder)
    return os.path.commonpath([os.path.realpath(path), folder]) == folder
