"""The other end of a capseal server: publish, fetch, and releases as sources (extra `client`)."""

from ..http.token import load_token
from ..trust.heads import HeadUse
from ._connection import Connection, NotNextError
from ._current import Said, follow_head
from ._fetching import Fetched, fetch
from ._heads import channel_head, fetch_head, fetch_recall, put_head, put_recall
from ._publishing import find_release, listed_releases, publish, publish_stored, withdraw
from ._remote import FoundRelease, PayloadStream, RangeSource, find_seal, follow_latest, open_release, stream_release
from ._trust_updates import fetch_update, put_update, trust_updates

__all__ = [
    "Connection",
    "Fetched",
    "FoundRelease",
    "HeadUse",
    "NotNextError",
    "PayloadStream",
    "RangeSource",
    "Said",
    "channel_head",
    "fetch",
    "fetch_head",
    "fetch_recall",
    "fetch_update",
    "find_release",
    "find_seal",
    "follow_head",
    "follow_latest",
    "listed_releases",
    "load_token",
    "open_release",
    "publish",
    "publish_stored",
    "put_head",
    "put_recall",
    "put_update",
    "stream_release",
    "trust_updates",
    "withdraw",
]
