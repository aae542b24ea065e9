"""update_routes(): Capgo's update endpoint; what a server that answers the plugin loads, and no other."""

import asyncio
import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import FormatError
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


class Settings(Protocol):
    """How the plugin is answered (CapgoUpdates)."""

    @property
    def default_channel(self) -> str: ...
    @property
    def public_url(self) -> str | None: ...
    @property
    def statistics(self) -> str | None: ...
    @property
    def statistics_days(self) -> int: ...
    @property
    def channels(self) -> "CapgoChannels | None": ...

    def default_of(self, asked: UpdateRequest) -> str:
        """Return the channel of a device that names none."""


class _SignedReleases(SignedReleases, Protocol):
    """What the server offers to extensions (capseal.server.Extension)."""

    async def attachment(self, app: str, channel: str, sequence: int, name: str) -> bytes: ...


def update_routes(settings: Settings, releases: _SignedReleases, registry: CollectorRegistry) -> Sequence[Route]:
    """Return the endpoint. settings: how the plugin is answered."""
    answers = Counter("capseal_capgo_updates", "Answers to Capgo's plugin.", ("answer",), registry=registry)
    deltas = DeltaAnswers(releases)
    # Apart from each other, so that whoever sends large lists keeps nobody from asking for updates.
    bodies, lists = Bodies(MAX_BODIES_BYTES), Bodies(2 * MAX_SIZE_REQUEST_BYTES)
    measuring = asyncio.Lock()

    async def updates(request: Request) -> Response:
        """POST /v1/capgo/updates: a release or a refusal, both with status 200."""
        async with bodies.body(request, MAX_REQUEST_BYTES) as body:
            answered = await _answer(settings, request, body, releases, deltas)
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
    if settings.channels is not None:
        here.append(_channel_route(settings.channels, settings.default_channel, bodies))
    if settings.statistics is not None:
        from ._counts import EventCounts  # here, since few servers have it: SQLite comes with it
        from ._statistics import statistics_routes

        here += statistics_routes(
            EventCounts(settings.statistics, keep_days=settings.statistics_days), registry, bodies
        )
    return here


async def _answer(
    settings: Settings, request: Request, body: bytes, releases: _SignedReleases, deltas: DeltaAnswers
) -> "_Answered":
    """Raises TransferError where the storage failed."""
    try:
        asked = UpdateRequest.parse(body)
    except FormatError as error:
        return _Answered(bad_request(error))
    channel = asked.channel or settings.default_of(asked)
    base = (settings.public_url or str(request.base_url)).rstrip("/")
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
