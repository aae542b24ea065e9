"""CapgoUpdates: Capgo's update endpoint as an extension of the server (docs/capgo.md, Serving the plugin)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import FormatError, UsageError
from ..format.statement import Statement
from ..format.strictjson import check_name
from ._attaching import attached
from ._endpoint import (
    BUILTIN,
    MAX_REQUEST_BYTES,
    CapgoRelease,
    UpdateRequest,
    answer,
    back_to_builtin,
    bad_request,
    refusal,
)

PATH = "/v1/capgo/updates"


class _SignedReleases(Protocol):
    """What the server offers to extensions (capseal.server.Extension)."""

    async def latest_signed(self, app: str, channel: str) -> tuple[Statement, Mapping[str, str]] | None: ...

    async def all_withdrawn(self, app: str, channel: str) -> bool: ...


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

    def routes(self, releases: _SignedReleases, registry: CollectorRegistry) -> Sequence[Route]:
        """Return the endpoint."""
        answers = Counter("capseal_capgo_updates", "Answers to Capgo's plugin.", ("answer",), registry=registry)

        async def updates(request: Request) -> Response:
            """POST /v1/capgo/updates: a release or a refusal, both with status 200."""
            found = await self._answer(request, releases)
            back = "builtin" if found.get("version") == BUILTIN else "update"
            answers.labels(found.get("error", back)).inc()
            return Response(json.dumps(found), 200, {"Cache-Control": "no-store"}, "application/json")

        # With a slash at its end, as some write it into an app, it would be another path.
        return [Route(path, updates, methods=["POST"]) for path in (PATH, f"{PATH}/")]

    async def _answer(self, request: Request, releases: _SignedReleases) -> dict[str, Any]:
        """Raises TransferError where the storage failed."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_REQUEST_BYTES:
                break  # more than any request may have, which is what the parser says
        try:
            asked = UpdateRequest.parse(bytes(body))
        except FormatError as error:
            return bad_request(error)
        channel = asked.channel or self.default_channel
        latest = await releases.latest_signed(asked.app, channel)
        if latest is None:
            if await releases.all_withdrawn(asked.app, channel):
                return back_to_builtin(asked)
            return answer(asked, None)
        statement, paths = latest
        try:
            found = attached(statement)
        except FormatError as error:
            return refusal("no_bundle", f"what the latest release says of its Capgo file cannot be read: {error}")
        if found is None:
            return refusal("no_bundle", "the latest release has no Capgo file")
        base = self.public_url or str(request.base_url)
        url = base.rstrip("/") + paths[found.companion.name]
        return answer(asked, CapgoRelease(version=statement.version, url=url, bundle=found.bundle))


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
