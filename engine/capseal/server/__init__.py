"""The server that cannot read or forge: stores and serves sealed bundles, verifying every byte (extra `server`)."""

from ..client.token import load_token
from .app import create_app
from .limits import Limits
from .run import log_as_json, make_server
from .storage import Storage
from .updates import CapgoUpdates

__all__ = ["CapgoUpdates", "Limits", "Storage", "create_app", "load_token", "log_as_json", "make_server"]
