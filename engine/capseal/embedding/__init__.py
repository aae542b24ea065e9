"""Building blocks for a server of your own, whatever its framework: verified uploads, streams and ranges.

Each comes twice: for asyncio (any ASGI framework, aiohttp) and for plain threads (WSGI). They hold no
secret, pass a segment on only after it matched the signed index, and raise at the first one that does
not. The asynchronous ones hash in worker threads and hand those at most 1 MiB at once, so that the
event loop is never held for longer than a copy of that takes.

Names are imported when they are first used: the server takes the streams and loads no middleware with them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._aiohttp import AIOHTTP_UPLOAD, aiohttp_uploads
    from ._answers import AsyncRangeAnswer, RangeAnswer, answer_range, answer_range_async
    from ._asgi import AsgiUploads
    from ._bundle_file import BundleFile, Replacement, StoredBundle
    from ._streams import RUN_BYTES, AsyncVerifiedStream, Chunk, VerifiedStream, accept
    from ._uploads import UPLOAD, Upload, UploadLimits, UploadRefusedError
    from ._verified_reads import AsyncRead, Read, read_verified, read_verified_async
    from ._wsgi import WsgiUploads

_HOMES = {
    "_aiohttp": ("AIOHTTP_UPLOAD", "aiohttp_uploads"),
    "_answers": ("AsyncRangeAnswer", "RangeAnswer", "answer_range", "answer_range_async"),
    "_asgi": ("AsgiUploads",),
    "_bundle_file": ("BundleFile", "Replacement", "StoredBundle"),
    "_streams": ("RUN_BYTES", "AsyncVerifiedStream", "Chunk", "VerifiedStream", "accept"),
    "_uploads": ("UPLOAD", "Upload", "UploadLimits", "UploadRefusedError"),
    "_verified_reads": ("AsyncRead", "Read", "read_verified", "read_verified_async"),
    "_wsgi": ("WsgiUploads",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AIOHTTP_UPLOAD",
    "RUN_BYTES",
    "UPLOAD",
    "AsgiUploads",
    "AsyncRangeAnswer",
    "AsyncRead",
    "AsyncVerifiedStream",
    "BundleFile",
    "Chunk",
    "RangeAnswer",
    "Read",
    "Replacement",
    "StoredBundle",
    "Upload",
    "UploadLimits",
    "UploadRefusedError",
    "VerifiedStream",
    "WsgiUploads",
    "accept",
    "aiohttp_uploads",
    "answer_range",
    "answer_range_async",
    "read_verified",
    "read_verified_async",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value
