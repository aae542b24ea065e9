"""Capgo's own wire format, for apps that are in the field already (docs/capgo.md).

All foreign naming stops here. What the format cannot give is not added: a ciphertext is not
authenticated, and nothing prevents a rollback; sealed bundles do both.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._attaching import CUSTOM_MEMBER, Attached, attach, attached
    from ._converting import to_capgo, to_sealed
    from ._deltas import write_manifest
    from ._keys import PrivateKey, PublicKey, load_private_key, load_public_key
    from ._manifest import Manifest, ManifestEntry
    from ._streaming import InsecureFormatWarning, decrypt, decrypt_v1, encrypt, verify
    from ._wire import Bundle, ChecksumVersion, SessionKey
    from .endpoint import Release, UpdateRequest, answer, bad_request

_HOMES = {
    "_attaching": ("CUSTOM_MEMBER", "Attached", "attach", "attached"),
    "_converting": ("to_capgo", "to_sealed"),
    "_deltas": ("write_manifest",),
    "endpoint": ("Release", "UpdateRequest", "answer", "bad_request"),
    "_keys": ("PrivateKey", "PublicKey", "load_private_key", "load_public_key"),
    "_manifest": ("Manifest", "ManifestEntry"),
    "_streaming": ("InsecureFormatWarning", "decrypt", "decrypt_v1", "encrypt", "verify"),
    "_wire": ("Bundle", "ChecksumVersion", "SessionKey"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CUSTOM_MEMBER",
    "Attached",
    "Bundle",
    "ChecksumVersion",
    "InsecureFormatWarning",
    "Manifest",
    "ManifestEntry",
    "PrivateKey",
    "PublicKey",
    "Release",
    "SessionKey",
    "UpdateRequest",
    "answer",
    "attach",
    "attached",
    "bad_request",
    "decrypt",
    "decrypt_v1",
    "encrypt",
    "load_private_key",
    "load_public_key",
    "to_capgo",
    "to_sealed",
    "verify",
    "write_manifest",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOME_OF[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value
