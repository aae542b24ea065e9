"""Which spellings of a method and a path could reach one route, whatever framework takes them apart.

Routers differ in what they forgive: Starlette a line feed at the end, WSGI frameworks a missing slash at the
beginning, others small letters of a method, doubled slashes, a slash at the end, a prefix of their own. What only
some forgive is no request here; what any takes for an upload is one.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from itertools import islice

_METHOD = re.compile(r"[!-`{-~]+")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SLASHES = re.compile("/+")
_SHOWN = 80
_MOST_PREFIXES = 16


def fault_in(method: str, path: str) -> str | None:
    """Return what is wrong with how a request is spelled, or None. path: decoded, as text."""
    if not _METHOD.fullmatch(method):
        return f"method {method[:_SHOWN]!r} is not spelled in capital letters"
    if path and not path.startswith("/"):
        return f"path {path[:_SHOWN]!r} does not begin with a slash"
    if _UNSEEN.search(path):
        return f"path {path[:_SHOWN]!r} has a control character or a line end"
    if path != path.rstrip():
        return f"path {path[:_SHOWN]!r} ends in white space"
    return None


def plain(path: str) -> str:
    """Return a path with single slashes, and none at its end."""
    return _SLASHES.sub("/", path).rstrip("/") or "/"


def spellings(paths: Iterable[str]) -> Iterator[str]:
    """Yield what a route may know paths as: plain, without dot segments, and below every prefix of theirs.

    A prefix is what an application takes away itself, behind the middleware's back: `root_path`, a mount, a script
    name. Nobody's has more than 16 segments.
    """
    for path in paths:
        whole = plain(path)
        for one in dict.fromkeys((whole, posixpath.normpath(whole))):
            for slash in islice(_SLASHES.finditer(one), _MOST_PREFIXES):
                yield one[slash.start() :]
