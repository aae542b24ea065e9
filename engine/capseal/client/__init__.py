"""The other end of a capseal server: publish, fetch, and releases as sources (extra `client`)."""

from ..http.token import load_token
from ._connection import Connection
from ._fetching import Fetched, fetch
from ._publishing import find_release, publish, withdraw
from ._remote import FoundRelease, PayloadStream, RangeSource, follow_latest, open_release, stream_release

__all__ = [
    "Connection",
    "Fetched",
    "FoundRelease",
    "PayloadStream",
    "RangeSource",
    "fetch",
    "find_release",
    "follow_latest",
    "load_token",
    "open_release",
    "publish",
    "stream_release",
    "withdraw",
]
