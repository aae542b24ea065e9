"""Every route of the server: what is public, which is read by web views too, and what is not."""

from collections.abc import Callable
from typing import Any

from starlette.routing import BaseRoute, Route

from ..http import paths
from ._cors import METHODS
from .routes import heads, publishing, reading, status, trust

# What is asked for most comes first: each that stands before the one that is taken costs every request some time.
_PUBLIC: tuple[tuple[str, Callable[..., Any]], ...] = (
    (paths.RELEASE_PAYLOAD, reading.get_payload),
    (paths.LATEST, reading.get_latest),
    (paths.CHANNEL_HEAD, heads.get_head),
    (paths.RELEASE_SEAL, reading.get_seal),
    (paths.APPS, reading.list_apps),
    (paths.RELEASES, reading.list_releases),
    (paths.RELEASE, reading.get_release),
    (paths.RELEASE_ATTACHMENT, reading.get_attachment),
    (paths.RELEASE_ATTACHMENT_INDEX, reading.get_attachment_index),
    (paths.RELEASE_INDEX_BELOW, reading.get_attachment_index),
    (paths.RELEASE_SLICE, reading.get_slice),
    (paths.CHANNEL_RECALL, heads.get_recall),
    (paths.TRUST_UPDATE, trust.get_update),
)


def public_routes() -> list[BaseRoute]:
    """Return the routes of everybody, and of pages of other origins."""
    return [Route(path, answer, methods=[*METHODS, "OPTIONS"]) for path, answer in _PUBLIC]


def status_routes() -> list[BaseRoute]:
    """Return the routes of whoever looks after the server."""
    return [
        Route(paths.STATUS, status.page),
        Route(paths.HEALTH, status.livez),
        Route(paths.LIVE, status.livez),
        Route(paths.READY, status.readyz),
        Route(paths.METRICS, status.metrics),
    ]


def publishing_routes() -> list[BaseRoute]:
    """Return the routes of publishers, which no page of another origin may use."""
    return [
        Route(paths.RELEASE, publishing.withdraw, methods=["DELETE"]),
        Route(paths.CHANNEL_HEAD, heads.put_head, methods=["PUT"]),
        Route(paths.CHANNEL_RECALL, heads.put_recall, methods=["PUT"]),
        Route(paths.TRUST_UPDATE, trust.put_update, methods=["PUT"]),
        Route(paths.UPLOADS, publishing.begin_upload, methods=["POST"]),
        Route(paths.UPLOAD, publishing.get_upload),
        Route(paths.UPLOAD, publishing.publish, methods=["POST"]),
        Route(paths.UPLOAD, publishing.give_up_upload, methods=["DELETE"]),
        Route(paths.UPLOAD_PAYLOAD, publishing.put_payload, methods=["PUT"]),
        Route(paths.UPLOAD_ATTACHMENT, publishing.put_attachment, methods=["PUT"]),
        Route(paths.UPLOAD_ATTACHMENT_INDEX, publishing.put_attachment_index, methods=["PUT"]),
    ]
