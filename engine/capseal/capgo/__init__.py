"""Capgo's own wire format, for apps that are in the field already (docs/capgo.md).

All foreign naming stops here. What the format cannot give is not added: a ciphertext is not
authenticated, and nothing prevents a rollback; sealed bundles do both.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._attaching import (
        CUSTOM_MEMBER,
        FILES_MEMBER,
        Attached,
        AttachedFiles,
        attach,
        attach_files,
        attached,
        attached_files,
    )
    from ._beside import beside_release
    from ._capacitor import CAPACITOR_CONFIGS, CapacitorConfig
    from ._cbc import InsecureFormatWarning, decrypt, decrypt_v1, encrypt, verify
    from ._channels import AppChannels, DefaultChannel
    from ._channels import CapgoChannels as Channels
    from ._conversion import to_capgo, to_sealed
    from ._day_counts import MAX_EXPORT_BYTES, DayCount, exported_counts, parse_counts, sum_counts
    from ._endpoint import CapgoRelease as Release
    from ._endpoint import UpdateRequest, answer, back_to_builtin, bad_request
    from ._importing import check_app_key, left_to_do, record_of
    from ._keys import CapgoPrivateKey as PrivateKey
    from ._keys import CapgoPublicKey as PublicKey
    from ._keys import load_private_key, load_public_key
    from ._manifest import CapgoManifest as Manifest
    from ._manifest import ManifestEntry
    from ._offer import OFFER_MEMBER, offered
    from ._offer import CapgoOffer as Offer
    from ._pack import CapgoFiles as Files
    from ._pack import PackedFile
    from ._packing import encrypt_with_files
    from ._serving import CapgoUpdates
    from ._single_files import write_manifest
    from ._statistics_page import statistics_page
    from ._wire import CapgoBundle as Bundle
    from ._wire import ChecksumVersion, SessionKey

_HOMES = {
    "_attaching": (
        "CUSTOM_MEMBER",
        "FILES_MEMBER",
        "Attached",
        "AttachedFiles",
        "attach",
        "attach_files",
        "attached",
        "attached_files",
    ),
    "_beside": ("beside_release",),
    "_capacitor": ("CAPACITOR_CONFIGS", "CapacitorConfig"),
    "_channels": ("AppChannels", "Channels", "DefaultChannel"),
    "_cbc": ("InsecureFormatWarning", "decrypt", "decrypt_v1", "encrypt", "verify"),
    "_conversion": ("to_capgo", "to_sealed"),
    "_day_counts": ("MAX_EXPORT_BYTES", "DayCount", "exported_counts", "parse_counts", "sum_counts"),
    "_endpoint": ("Release", "UpdateRequest", "answer", "back_to_builtin", "bad_request"),
    "_importing": ("check_app_key", "left_to_do", "record_of"),
    "_keys": ("PrivateKey", "PublicKey", "load_private_key", "load_public_key"),
    "_manifest": ("Manifest", "ManifestEntry"),
    "_offer": ("OFFER_MEMBER", "Offer", "offered"),
    "_pack": ("Files", "PackedFile"),
    "_packing": ("encrypt_with_files",),
    "_serving": ("CapgoUpdates",),
    "_single_files": ("write_manifest",),
    "_statistics_page": ("statistics_page",),
    "_wire": ("Bundle", "ChecksumVersion", "SessionKey"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_NAMES_AT_HOME = {
    name: f"Capgo{name}"
    for name in ("Bundle", "Channels", "Files", "Manifest", "Offer", "PrivateKey", "PublicKey", "Release")
}
"""What names are called in their homes, where capseal has another idea of the same name."""

__all__ = [
    "CAPACITOR_CONFIGS",
    "CUSTOM_MEMBER",
    "FILES_MEMBER",
    "MAX_EXPORT_BYTES",
    "OFFER_MEMBER",
    "AppChannels",
    "Attached",
    "AttachedFiles",
    "Bundle",
    "CapacitorConfig",
    "CapgoUpdates",
    "Channels",
    "ChecksumVersion",
    "DayCount",
    "DefaultChannel",
    "Files",
    "InsecureFormatWarning",
    "Manifest",
    "ManifestEntry",
    "Offer",
    "PackedFile",
    "PrivateKey",
    "PublicKey",
    "Release",
    "SessionKey",
    "UpdateRequest",
    "answer",
    "attach",
    "attach_files",
    "attached",
    "attached_files",
    "back_to_builtin",
    "bad_request",
    "beside_release",
    "check_app_key",
    "decrypt",
    "decrypt_v1",
    "encrypt",
    "encrypt_with_files",
    "exported_counts",
    "left_to_do",
    "load_private_key",
    "load_public_key",
    "offered",
    "parse_counts",
    "record_of",
    "statistics_page",
    "sum_counts",
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
    value = getattr(import_module(f".{home}", __name__), _NAMES_AT_HOME.get(name, name))
    globals()[name] = value
    return value
