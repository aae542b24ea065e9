"""capseal: ship huge app updates that nobody on the way can read or alter.

Names are imported when they are first used, so that importing capseal costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .acceptance import Expect, Verified
    from .certificates import Chain
    from .device import DeviceStore
    from .errors import (
        CapsealError,
        FormatError,
        KeyFileError,
        NotForUsError,
        RejectedError,
        RollbackError,
        SignatureError,
        SourceChangedError,
        TamperedError,
        TransferError,
        TruncatedError,
        UsageError,
    )
    from .external_signers import CommandSigner, Pkcs11Signer
    from .keys import Identity, PrivateKey, PublicKey, Signer, load_private_key, load_public_key
    from .parts import join, split
    from .reader import SealedFile, open
    from .resealing import cosign, rewrap
    from .sealing import seal
    from .seals import Envelope, Seal
    from .signers import CertifiedSigner
    from .sink import Detached
    from .statement import Attachment, Statement
    from .trust import Role, TrustedCertificate, TrustedKey, TrustStore, load_trust
    from .unsealing import unseal
    from .verifying import Verifier, inspect, verify

_HOMES = {
    "acceptance": ("Expect", "Verified"),
    "certificates": ("Chain",),
    "device": ("DeviceStore",),
    "errors": (
        "CapsealError",
        "FormatError",
        "KeyFileError",
        "NotForUsError",
        "RejectedError",
        "RollbackError",
        "SignatureError",
        "SourceChangedError",
        "TamperedError",
        "TransferError",
        "TruncatedError",
        "UsageError",
    ),
    "external_signers": ("CommandSigner", "Pkcs11Signer"),
    "keys": ("Identity", "PrivateKey", "PublicKey", "Signer", "load_private_key", "load_public_key"),
    "parts": ("join", "split"),
    "reader": ("SealedFile", "open"),
    "resealing": ("cosign", "rewrap"),
    "sealing": ("seal",),
    "seals": ("Envelope", "Seal"),
    "signers": ("CertifiedSigner",),
    "sink": ("Detached",),
    "statement": ("Attachment", "Statement"),
    "trust": ("Role", "TrustStore", "TrustedCertificate", "TrustedKey", "load_trust"),
    "unsealing": ("unseal",),
    "verifying": ("Verifier", "inspect", "verify"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Attachment",
    "CapsealError",
    "CertifiedSigner",
    "Chain",
    "CommandSigner",
    "Detached",
    "DeviceStore",
    "Envelope",
    "Expect",
    "FormatError",
    "Identity",
    "KeyFileError",
    "NotForUsError",
    "Pkcs11Signer",
    "PrivateKey",
    "PublicKey",
    "RejectedError",
    "Role",
    "RollbackError",
    "Seal",
    "SealedFile",
    "SignatureError",
    "Signer",
    "SourceChangedError",
    "Statement",
    "TamperedError",
    "TransferError",
    "TruncatedError",
    "TrustStore",
    "TrustedCertificate",
    "TrustedKey",
    "UsageError",
    "Verified",
    "Verifier",
    "__version__",
    "cosign",
    "inspect",
    "join",
    "load_private_key",
    "load_public_key",
    "load_trust",
    "open",
    "rewrap",
    "seal",
    "split",
    "unseal",
    "verify",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOME_OF[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value
