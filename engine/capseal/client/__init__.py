"""The other end of a capseal server: publish, fetch, and releases as sources (extra `client`)."""

from .connection import Connection
from .fetching import Fetched, fetch
from .publishing import publish, withdraw
from .remote import PayloadStream, RangeSource, open_release
from .token import load_token

__all__ = [
    "Connection",
    "Fetched",
    "PayloadStream",
    "RangeSource",
    "fetch",
    "load_token",
    "open_release",
    "publish",
    "withdraw",
]
