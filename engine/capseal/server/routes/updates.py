"""Capgo's update endpoint: what the plugin posts, answered with the latest release (docs/capgo.md)."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ... import capgo
from ...capgo.endpoint import MAX_REQUEST_BYTES, refusal
from ...errors import FormatError, UsageError
from ...format.strictjson import check_name
from .context import app_state
from .reading import described

PATH = "/v1/capgo/updates"


@dataclass(frozen=True, slots=True, kw_only=True)
class CapgoUpdates:
    """How Capgo's plugin is answered.

    default_channel: for apps that name none. public_url: what URLs of files begin with, where the server
    is not reached under the name that requests carry: behind a proxy or a CDN. Raises UsageError.
    """

    default_channel: str = "production"
    public_url: str | None = None

    def __post_init__(self) -> None:
        try:
            check_name(self.default_channel, "default channel")
        except FormatError as error:
            raise UsageError(str(error)) from None
        if self.public_url is not None and not _is_base(self.public_url):
            raise UsageError(f"{self.public_url[:200]!r} is not an http:// or https:// URL that paths can be added to")

    def route(self) -> Route:
        """Return the endpoint."""

        async def updates(request: Request) -> Response:
            """POST /v1/capgo/updates: a release or a refusal, both with status 200."""
            found = await self._answer(request)
            app_state(request).metrics.updates.labels(found.get("error", "update")).inc()
            return Response(json.dumps(found), 200, {"Cache-Control": "no-store"}, "application/json")

        return Route(PATH, updates, methods=["POST"])

    async def _answer(self, request: Request) -> dict[str, Any]:
        """Raises TransferError where the storage failed."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_REQUEST_BYTES:
                break  # more than any request may have, which is what the parser says
        try:
            asked = capgo.UpdateRequest.parse(bytes(body))
        except FormatError as error:
            return capgo.bad_request(error)
        catalogue = app_state(request).catalogue
        # Looked up as they are: only names that were checked when a release came are found.
        release = catalogue.latest((asked.app, asked.channel or self.default_channel))
        if release is None:
            return capgo.answer(asked, None)
        found = await catalogue.capgo_of(release)
        if found is None:
            return refusal("no_bundle", "the latest release has no Capgo file")
        # What is signed, not what the record says.
        version = (await catalogue.verified(release)).statement.version
        base = self.public_url or str(request.base_url)
        url = base.rstrip("/") + described(release).links["capgo"]
        return capgo.answer(asked, capgo.Release(version=version, url=url, bundle=found.bundle))


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
