"""Releases as JSON: made once for as long as a release is what it was, since nearly all ask for the same few."""

import hashlib
import json
from typing import NamedTuple

from ...http.shapes import ReleaseDescription
from .._kept import Kept

_KEPT_BYTES = 2 * 1024 * 1024


class Description(NamedTuple):
    """A release as it is answered with. etag: of the body."""

    release: ReleaseDescription
    body: bytes
    etag: str


class Descriptions:
    """Those that were asked for last."""

    def __init__(self) -> None:
        self._kept: Kept[tuple[str, str, int, str], Description] = Kept(_KEPT_BYTES)

    def of(self, release: ReleaseDescription, mount: str) -> Description:
        """Return how a release is described. mount: what paths of the server begin with, as in a URL."""
        key = release.app, release.channel, release.sequence, mount
        kept = self._kept.get(key)
        # The very same, which nobody can change: to compare all that it says would take as long as to write it.
        if kept is None or kept.release is not release:
            body = encoded(release, mount)
            kept = Description(release, body, etag_of(body))
            self._kept.put(key, kept, weight=len(body))
        return kept


def encoded(release: ReleaseDescription, mount: str) -> bytes:
    """Return a release as JSON. mount: as of Descriptions.of()."""
    return json.dumps(release.to_json(mount)).encode()


def etag_of(body: bytes) -> str:
    """Return the ETag of what is revalidated by its digest."""
    return f'"{hashlib.sha256(body).hexdigest()}"'
