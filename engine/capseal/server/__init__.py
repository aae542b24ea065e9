"""The server that cannot read or forge: stores and serves sealed bundles, verifying every byte (extra `server`)."""

from ..http.token import load_token
from .app import create_app
from .limits import Limits
from .routes.updates import CapgoUpdates
from .run import log_as_json, make_server
from .storage.objects import Storage

__all__ = ["CapgoUpdates", "Limits", "Storage", "create_app", "load_token", "log_as_json", "make_server"]
