"""CapgoUpdates: Capgo's update endpoint as an extension of the server (docs/capgo.md, Serving the plugin)."""

import asyncio
import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import FormatError, UsageError
from ..format.strictjson import check_name
from ._attaching import attached_files
from ._choosing import SignedReleases, chosen_release
from ._deltas import DeltaAnswers
from ._endpoint import (
    BUILTIN,
    MAX_REQUEST_BYTES,
    MAX_SIZE_REQUEST_BYTES,
    UpdateRequest,
    bad_request,
    manifest_size,
)
from ._http import Bodies, json_answer

if TYPE_CHECKING:
    from ._channels import CapgoChannels

PATH = "/v1/capgo/updates"
CHANNELS_PATH = "/v1/capgo/channel_self"
MAX_BODIES_BYTES = 32 * 1024 * 1024
"""Of the bodies in memory at once."""


class _SignedReleases(SignedReleases, Protocol):
    """What the server offers to extensions (capseal.server.Extension)."""

    async def attachment(self, app: str, channel: str, sequence: int, name: str) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CapgoUpdates:
    """How Capgo's plugin is answered.

    default_channel: for apps that name none. public_url: what URLs of files begin with, where the server
    is not reached under the name that requests carry: behind a proxy or a CDN. statistics: a file to count in what
    devices report, None: they are not asked to; statistics_days: for how long. channels: which devices may choose,
    None: they are not answered. Raises UsageError.
    """

    default_channel: str = "production"
    public_url: str | None = None
    statistics: str | None = None
    statistics_days: int = 90
    channels: "CapgoChannels | None" = None

    def __post_init__(self) -> None:
        try:
            check_name(self.default_channel, "default channel")
        except FormatError as error:
            raise UsageError(str(error)) from None
        if self.public_url is not None and not _is_base(self.public_url):
            raise UsageError(f"{self.public_url[:200]!r} is not an http:// or https:// URL that paths can be added to")
        if self.statistics_days < 1:
            raise UsageError(f"statistics are kept for {self.statistics_days} days, at least 1 is needed")

    def routes(self, releases: _SignedReleases, registry: CollectorRegistry) -> Sequence[Route]:
        """Return the endpoint."""
        answers = Counter("capseal_capgo_updates", "Answers to Capgo's plugin.", ("answer",), registry=registry)
        deltas = DeltaAnswers(releases)
        # Apart from each other, so that whoever sends large lists keeps nobody from asking for updates.
        bodies, lists = Bodies(MAX_BODIES_BYTES), Bodies(2 * MAX_SIZE_REQUEST_BYTES)
        measuring = asyncio.Lock()

        async def updates(request: Request) -> Response:
            """POST /v1/capgo/updates: a release or a refusal, both with status 200."""
            async with bodies.body(request, MAX_REQUEST_BYTES) as body:
                answered = await self._answer(request, body, releases, deltas)
            found = answered.found
            what = "builtin" if found.get("version") == BUILTIN else "files" if answered.packed else "update"
            answers.labels(found.get("error", what)).inc()
            return await _response(request, answered)

        async def sizes(request: Request) -> Response:
            """POST /v1/capgo/updates/manifest_size: what the files of a manifest have in bytes."""
            async with lists.body(request, MAX_SIZE_REQUEST_BYTES) as body, measuring:
                try:
                    return await asyncio.to_thread(lambda: json_answer(manifest_size(body)))
                except FormatError as error:
                    return json_answer(bad_request(error), status=400)

        # With a slash at its end, as some write it into an app, it would be another path.
        here = [Route(path, updates, methods=["POST"]) for path in (PATH, f"{PATH}/")]
        here.append(Route(f"{PATH}/manifest_size", sizes, methods=["POST"]))
        if self.channels is not None:
            here.append(_channel_route(self.channels, self.default_channel, bodies))
        if self.statistics is not None:
            from ._counts import EventCounts  # here, since few servers have it: SQLite comes with it
            from ._statistics import statistics_routes

            here += statistics_routes(EventCounts(self.statistics, keep_days=self.statistics_days), registry, bodies)
        return here

    def _default(self, asked: UpdateRequest) -> str:
        return self.default_channel if self.channels is None else self.channels.default(asked, self.default_channel)

    async def _answer(
        self, request: Request, body: bytes, releases: _SignedReleases, deltas: DeltaAnswers
    ) -> "_Answered":
        """Raises TransferError where the storage failed."""
        try:
            asked = UpdateRequest.parse(body)
        except FormatError as error:
            return _Answered(bad_request(error))
        channel = asked.channel or self._default(asked)
        base = (self.public_url or str(request.base_url)).rstrip("/")
        chosen = await chosen_release(asked, channel, releases, base)
        if chosen.statement is None or chosen.release is None or "url" not in chosen.found:
            return _Answered(chosen.found)
        files = attached_files(chosen.statement)
        if files is None or not asked.reads_manifests:
            return _Answered(chosen.found)
        packed = await deltas.packed(
            chosen.found,
            chosen.statement,
            files,
            chosen.release.bundle,
            version=asked.checksum_version,
            pack_url=base + chosen.paths[files.pack.name],
        )
        return _Answered(chosen.found, packed)


def _channel_route(channels: "CapgoChannels", otherwise: str, bodies: Bodies) -> Route:
    """Return where a device asks for channels. otherwise: the channel where no default fits."""
    from ._channels import parse_choice

    async def channel_self(request: Request) -> Response:
        """GET, POST, PUT /v1/capgo/channel_self: what a device may choose, its choice, and where it is."""
        try:
            if request.method in ("GET", "HEAD"):
                asked = UpdateRequest.of(dict(request.query_params))
                return json_answer(channels.listed(asked, otherwise))
            async with bodies.body(request, MAX_REQUEST_BYTES) as body:
                asked, channel = parse_choice(body)
        except FormatError as error:
            return json_answer(bad_request(error))
        if request.method == "PUT":
            return json_answer(channels.got(asked, otherwise))
        return json_answer(channels.chosen(asked, channel, otherwise))

    return Route(CHANNELS_PATH, channel_self, methods=["GET", "POST", "PUT"])


@dataclass(frozen=True, slots=True)
class _Answered:
    """An answer. packed: the same with the list of files, as gzip."""

    found: dict[str, Any]
    packed: bytes | None = None


async def _response(request: Request, answered: _Answered) -> Response:
    if answered.packed is None:
        return json_answer(answered.found)
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    if _takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(answered.packed, 200, {**headers, "Content-Encoding": "gzip"}, "application/json")
    return Response(await asyncio.to_thread(gzip.decompress, answered.packed), 200, headers, "application/json")


def _takes_gzip(header: str) -> bool:
    """Whether a client takes gzip (RFC 9110, 12.5.3)."""
    codings = dict(one.lower().replace(" ", "").partition(";")[::2] for one in header.split(","))
    quality = codings.get("gzip", codings.get("*"))
    return quality is not None and not re.fullmatch(r"q=0(\.0*)?", quality)


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
