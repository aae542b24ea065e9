"""capseal: ship huge app updates that nobody on the way can read or alter.

Seal and open: `seal`, `verify`, `unseal`, `open` (random access), `inspect`, `Verifier` (bytes as they arrive),
`split` and `join` (seal and payload apart), `rewrap` (other recipients), `cosign`; they return a `Seal` or what was
`Verified`.
Keys: `PrivateKey`, `PublicKey`, `load_private_key`, `load_public_key`; elsewhere: `CommandSigner`, `Pkcs11Signer`,
`CertifiedSigner` with its `Chain`, or anything that is a `Signer` or an `Identity`.
Trust: `load_trust`, `TrustStore` of `TrustedKey` and `TrustedCertificate`; `Expect`: what is demanded besides.
What is signed: `Statement`, `Role`, `Requires`, `Attachment`, `Companion`, in an `Envelope`.
Outputs and inputs: `Detached`, `CompanionSource`, `describe_companion`, `unseal_companion`, `SealedFile`.
On a device: `DeviceStore`. Errors: all that is raised on purpose is a `CapsealError`, or an OSError of the system's.

Rooms of their own: `capseal.client`, `capseal.server`, `capseal.device`, `capseal.embedding`, `capseal.development`,
`capseal.capgo`, `capseal.delta`. Names are imported when they are first used, so that importing capseal costs nothing.
"""

import os
import sys
from _thread import get_ident
from importlib import _bootstrap, import_module

# typing itself would take five times as long to import as all of this module, and contextlib as long.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._version import __version__
    from .bundle.companions import describe_companion, unseal_companion
    from .bundle.detach import join, split
    from .bundle.push_verifier import Verifier
    from .bundle.reader import SealedFile, open
    from .bundle.reading_order import Verified
    from .bundle.reseal import cosign, rewrap
    from .bundle.seal import CompanionSource, seal
    from .bundle.unseal import unseal
    from .bundle.verify import inspect, verify
    from .crypto.keys import Identity, PrivateKey, PublicKey, Signer, load_private_key, load_public_key
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
        StaleError,
        TamperedError,
        TransferError,
        TruncatedError,
        UsageError,
    )
    from .format.dsse import Envelope
    from .format.requires import Requires
    from .format.seal import Seal
    from .format.statement import Attachment, Companion, Statement
    from .format.strictjson import Role
    from .io.sink import Detached
    from .trust.certificates import Chain
    from .trust.expect import Expect
    from .trust.external_signers import CommandSigner, Pkcs11Signer
    from .trust.signers import CertifiedSigner
    from .trust.store import TrustedCertificate, TrustedKey, TrustStore, load_trust

if sys.platform == "win32":
    raise ImportError("capseal runs on Linux and macOS; on Windows it runs in WSL (it needs POSIX locks and renames)")

_HOMES = {
    "_version": ("__version__",),
    "trust.expect": ("Expect",),
    "bundle.reading_order": ("Verified",),
    "trust.certificates": ("Chain",),
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
        "StaleError",
        "TamperedError",
        "TransferError",
        "TruncatedError",
        "UsageError",
    ),
    "trust.external_signers": ("CommandSigner", "Pkcs11Signer"),
    "crypto.keys": ("Identity", "PrivateKey", "PublicKey", "Signer", "load_private_key", "load_public_key"),
    "bundle.detach": ("join", "split"),
    "bundle.push_verifier": ("Verifier",),
    "bundle.reader": ("SealedFile", "open"),
    "bundle.reseal": ("cosign", "rewrap"),
    "bundle.companions": ("describe_companion", "unseal_companion"),
    "bundle.seal": ("CompanionSource", "seal"),
    "format.dsse": ("Envelope",),
    "format.seal": ("Seal",),
    "trust.signers": ("CertifiedSigner",),
    "io.sink": ("Detached",),
    "format.requires": ("Requires",),
    "format.statement": ("Attachment", "Companion", "Statement"),
    "format.strictjson": ("Role",),
    "trust.store": ("TrustStore", "TrustedCertificate", "TrustedKey", "load_trust"),
    "bundle.unseal": ("unseal",),
    "bundle.verify": ("inspect", "verify"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Attachment",
    "CapsealError",
    "CertifiedSigner",
    "Chain",
    "CommandSigner",
    "Companion",
    "CompanionSource",
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
    "Requires",
    "Role",
    "RollbackError",
    "Seal",
    "SealedFile",
    "SignatureError",
    "Signer",
    "SourceChangedError",
    "StaleError",
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
    "describe_companion",
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
    "unseal_companion",
    "verify",
]


def __getattr__(name: str) -> "Any":
    try:
        home = _HOME_OF[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    module = f"{__name__}.{home}"
    _first_uses.append(module)
    try:
        value = getattr(import_module(module), name)
    finally:
        _first_uses.remove(module)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


_first_uses: list[str] = []
"""The modules that threads are importing for the sake of a name here."""


def _finish_imports() -> None:
    """Wait until no other thread is in the middle of importing a module of ours.

    A child of fork() gets a copy of the lock of such a module, held for ever by a thread that it has not got, and hangs
    when it wants the module, too. CPython does nothing about that; and here, the first use of a name is an import.
    """
    # While a module is only looked for, nothing but its lock tells of it, and CPython alone knows its locks.
    locks = getattr(_bootstrap, "_module_locks", {})
    held = [name for name, lock in tuple(locks.items()) if getattr(lock(), "owner", None) not in (None, get_ident())]
    ours = [name for name in (*held, *tuple(sys.modules)) if name.partition(".")[0] in (__name__, "numpy")]
    for module in (*_first_uses, *ours):
        try:  # noqa: SIM105 - contextlib is not imported
            import_module(module)  # waits for whoever is at it, unless that one waits for us
        except ImportError:  # which is told to whoever imports it
            pass


os.register_at_fork(before=_finish_imports)
