"""The server that cannot read or forge: stores and serves sealed bundles, verifying every byte (extra `server`).

Names are imported when they are first used: who takes the application loads no web server with it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..http.token import load_token

if TYPE_CHECKING:
    from .app import create_app
    from .limits import Limits
    from .routes.updates import CapgoUpdates
    from .run import log_as_json, make_server
    from .storage.objects import Storage

_HOMES = {
    "app": ("create_app",),
    "limits": ("Limits",),
    "routes.updates": ("CapgoUpdates",),
    "run": ("log_as_json", "make_server"),
    "storage.objects": ("Storage",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["CapgoUpdates", "Limits", "Storage", "create_app", "load_token", "log_as_json", "make_server"]


def __getattr__(name: str) -> Any:
    try:
        home = _HOME_OF[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value
