"""The server that cannot read or forge: stores and serves sealed bundles, verifying every byte (extra `server`)."""

from .app import create_app
from .limits import Limits
from .run import load_token, make_server
from .storage import Storage

__all__ = ["Limits", "Storage", "create_app", "load_token", "make_server"]
