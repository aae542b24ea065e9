"""The server that cannot read or forge: stores and serves sealed bundles, verifying every byte (extra `server`).

Names are imported when they are first used: who takes the application loads no web server with it.
ReleaseStore is what create_reading_app() serves from; Extension is what create_app() can be given.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..http.token import load_token

if TYPE_CHECKING:
    from ..capgo import CapgoUpdates
    from ._app import create_app, create_reading_app, replace_trust
    from ._extensions import Extension
    from ._limits import ServerLimits as Limits
    from ._logs import LogFormat
    from ._release_store import Chunks, ReadablePayload, ReleaseStore
    from ._run import log_as_json, log_to_stderr, make_server
    from ._tokens import Right, Token, load_tokens, parse_tokens
    from ._workers import share_work
    from .catalogue.exporting import Exported, check_apart, export_store
    from .catalogue.pruning import Pruned, prune_store
    from .catalogue.retention import Retention
    from .storage.objects import Storage

_HOMES = {
    "_app": ("create_app", "create_reading_app", "replace_trust"),
    "_extensions": ("Extension",),
    "_limits": ("Limits",),
    "_logs": ("LogFormat",),
    "_release_store": ("Chunks", "ReadablePayload", "ReleaseStore"),
    "_run": ("log_as_json", "log_to_stderr", "make_server"),
    "_tokens": ("Right", "Token", "load_tokens", "parse_tokens"),
    "_workers": ("share_work",),
    "catalogue.exporting": ("Exported", "check_apart", "export_store"),
    "catalogue.pruning": ("Pruned", "prune_store"),
    "catalogue.retention": ("Retention",),
    "storage.objects": ("Storage",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CapgoUpdates",
    "Chunks",
    "Exported",
    "Extension",
    "Limits",
    "LogFormat",
    "Pruned",
    "ReadablePayload",
    "ReleaseStore",
    "Retention",
    "Right",
    "Storage",
    "Token",
    "check_apart",
    "create_app",
    "create_reading_app",
    "export_store",
    "load_token",
    "load_tokens",
    "log_as_json",
    "log_to_stderr",
    "make_server",
    "parse_tokens",
    "prune_store",
    "replace_trust",
    "share_work",
]


def __getattr__(name: str) -> Any:
    if name == "CapgoUpdates":  # the one extension of ours, which the server knows by its name only
        value: Any = import_module("..capgo", __name__).CapgoUpdates
    elif name in _HOME_OF:
        value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value
