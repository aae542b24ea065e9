"""The other end of a capseal server: publish, fetch, and releases as sources (extra `client`)."""

from .connection import Connection
from .fetching import Fetched, fetch
from .publishing import publish, withdraw
from .remote import RangeSource, open_release

__all__ = ["Connection", "Fetched", "RangeSource", "fetch", "open_release", "publish", "withdraw"]
