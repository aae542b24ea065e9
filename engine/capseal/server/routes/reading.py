"""What devices ask for: latest, releases, seals, and payloads and attachments by range."""

import asyncio
import json
import re
import secrets
from collections.abc import Sequence
from functools import cache
from typing import TypeGuard

from starlette.requests import Request
from starlette.responses import Response

from ...errors import FormatError
from ...format.requires import check_platform, check_version
from ...http import paths
from ...http.answers import IMMUTABLE, JSON_TYPE, PAYLOAD_TYPE, REVALIDATE, SEAL_TYPE
from ...http.problems import NAME, NO_RELEASE, PAGE, WITHDRAWN
from ...http.ranges import precondition
from ...http.shapes import AppChannel, PayloadDescription, ReleaseDescription, Span
from .._outlet import PIECE
from .._problems import Problem
from .._ranges import wanted_spans
from .._release_store import Chunks, FittingStore, Pieces, ReadablePayload, ReleaseStore, SendablePayload
from .._several import each
from ._descriptions import encoded, etag_of
from ._payload_response import PayloadResponse
from .context import (
    mount_of,
    named_attachment,
    named_channel,
    named_release,
    no_attachment,
    page_after,
    parse_sequence,
    server_state,
)

PAGE_ITEMS = 100
MAX_PAGE_ITEMS = 1000
"""Of a list, in one answer."""
_SLICE = re.compile(r"(?P<start>0|[1-9][0-9]{0,18})-(?P<stop>[1-9][0-9]{0,18})")
"""One spelling of each: what lies between would keep every other one for itself."""


def _json(request: Request, body: bytes) -> Response:
    """Answer with JSON that is revalidated by its digest."""
    return document(request, body, etag_of(body), JSON_TYPE, REVALIDATE)


def _described(request: Request, release: ReleaseDescription) -> Response:
    """Answer with a release."""
    _, body, etag = server_state(request).descriptions.of(release, mount_of(request))
    return document(request, body, etag, JSON_TYPE, REVALIDATE)


async def _page(request: Request, name: str, releases: Sequence[ReleaseDescription], following: str | None) -> bytes:
    """Return a page of releases as JSON. following: where the others are."""
    mount = mount_of(request)

    def encode() -> bytes:
        # One by one: the encoder lets go of the interpreter's lock only in between.
        items = b", ".join(encoded(release, mount) for release in releases)
        rest = b"" if following is None else b', "next": ' + json.dumps(following).encode()
        return b'{"%s": [%s]%s}' % (name.encode(), items, rest)

    return await asyncio.to_thread(encode)


def document(request: Request, body: bytes, etag: str, media_type: str, caching: str) -> Response:
    """Answer with a document that is as it is as long as its ETag is."""
    headers = {"ETag": etag, "Cache-Control": caching}
    status = precondition(request.headers, etag)
    if status is not None:
        return _conditional(status, headers)
    return Response(body, 200, headers, media_type)


def _conditional(status: int, headers: dict[str, str]) -> Response:
    """Answer 304, or 412, which is nothing to be kept."""
    return Response(None, status, headers if status == 304 else {**headers, "Cache-Control": "no-store"})


async def list_apps(request: Request) -> Response:
    """GET /v1/apps: apps and channels with their latest releases, page by page."""
    store = server_state(request).releases
    most = _page_size(request)
    channels = await store.channels(after=page_after(request), most=most + 1)
    latest = [release for release in await each(channels[:most], store.latest) if release]
    following = None
    if len(channels) > most:
        following = f"{mount_of(request)}{paths.APPS}?limit={most}&after={'/'.join(channels[most - 1])}"
    return _json(request, await _page(request, "latest", latest, following))


async def list_releases(request: Request) -> Response:
    """GET .../releases: those of one app and channel, newest first, withdrawn ones too, page by page."""
    of = named_channel(request)
    most, below = _page_size(request), request.query_params.get("below")
    below_sequence = None if below is None else parse_sequence(below)
    releases = await server_state(request).releases.releases(of, below=below_sequence, most=most + 1)
    if not releases and below is None:
        raise _no_release(of)
    following = None
    if len(releases) > most:
        here = mount_of(request) + paths.filled(paths.RELEASES, app=of.app, channel=of.channel)
        following = f"{here}?limit={most}&below={releases[most - 1].sequence}"
    return _json(request, await _page(request, "releases", releases[:most], following))


def _page_size(request: Request) -> int:
    """Return how many items a page is to have. Raises Problem 400."""
    text = request.query_params.get("limit", str(PAGE_ITEMS))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_PAGE_ITEMS):
        raise Problem(PAGE, f"limit {text[:40]!r} is not a number from 1 to {MAX_PAGE_ITEMS}")
    return int(text)


async def get_latest(request: Request) -> Response:
    """GET .../latest: of what the head names, or else of all, the latest that fits `native` and `platform`."""
    of = named_channel(request)
    store = server_state(request).releases
    native, platform = _told_app(request)
    if _is_fitting(store):
        release = await store.latest_fitting(of, native=native, platform=platform)
    else:
        release = await _latest_fitting(store, of, native, platform)
    if release is None:
        raise _no_release(of)
    return _described(request, release)


def _told_app(request: Request) -> tuple[str | None, str | None]:
    """Return the version and platform that a client says its app has. Raises Problem 400."""
    if not request.scope["query_string"]:
        return None, None
    native, platform = request.query_params.get("native"), request.query_params.get("platform")
    try:
        if native is not None:
            check_version(native, "native")
        if platform is not None:
            check_platform(platform, "platform")
    except FormatError as error:
        raise Problem(NAME, str(error)) from error
    return native, platform


async def _latest_fitting(
    store: ReleaseStore, of: AppChannel, native: str | None, platform: str | None
) -> ReleaseDescription | None:
    latest = await store.latest(of)
    page: Sequence[ReleaseDescription] = [] if latest is None else [latest]
    while page:
        for one in page:
            if one.withdrawn is None and (
                one.requires is None or one.requires.misfit(native=native, platform=platform) is None
            ):
                return one
        page = await store.releases(of, below=page[-1].sequence, most=PAGE_ITEMS)
    return None


async def get_release(request: Request) -> Response:
    """GET .../releases/SEQUENCE."""
    return _described(request, await named_release(request))


async def get_seal(request: Request) -> Response:
    """GET .../releases/SEQUENCE/seal: the seal's bytes. They are asked for again: a seal can be made anew."""
    release = await _readable(request)
    etag = f'"{release.seal_digest}"'
    unchanged = precondition(request.headers, etag)
    if unchanged is not None or request.method == "HEAD":
        headers = {"ETag": etag, "Cache-Control": REVALIDATE}
        if unchanged is not None:
            return _conditional(unchanged, headers)
        return Response(None, 200, {**headers, "Content-Length": str(release.seal_bytes)}, SEAL_TYPE)
    return document(request, await server_state(request).releases.seal(release), etag, SEAL_TYPE, REVALIDATE)


async def get_payload(request: Request) -> Response:
    """GET .../releases/SEQUENCE/payload: all of it, one range or several."""
    release = await _readable(request)
    return await _send(request, release, release.payload, None)


async def get_attachment(request: Request) -> Response:
    """GET .../releases/SEQUENCE/attachments/NAME: in every way as the payload."""
    release = await _readable(request)
    name = named_attachment(request)
    return await _send(request, release, _attachment(release, name), name)


async def get_slice(request: Request) -> Response:
    """GET .../releases/SEQUENCE/slices/NAME/START-STOP: those bytes of an attachment, in every way as a whole one."""
    release = await _readable(request)
    name = named_attachment(request)
    described = _attachment(release, name)
    match = _SLICE.fullmatch(request.path_params["span"])
    start, stop = (int(match["start"]), int(match["stop"])) if match else (0, 0)
    if not start < stop <= described.size:
        raise no_attachment(f"{name} with bytes {request.path_params['span'][:40]}", f"release {release.sequence}")
    return await _send(request, release, described, name, within=(start, stop))


async def get_attachment_index(request: Request) -> Response:
    """GET .../releases/SEQUENCE/indexes/NAME: 32 bytes for each segment, which give the signed digest."""
    release = await _readable(request)
    name = named_attachment(request)
    etag = f'"index-{_attachment(release, name).digest}"'
    index = await server_state(request).releases.attachment_index(release, name)
    return document(request, index, etag, PAYLOAD_TYPE, IMMUTABLE)


def _attachment(release: ReleaseDescription, name: str) -> PayloadDescription:
    if name not in release.attachments:
        raise no_attachment(name, f"release {release.sequence}")
    return release.attachments[name]


async def _send(
    request: Request,
    release: ReleaseDescription,
    described: PayloadDescription,
    attachment: str | None,
    *,
    within: Span | None = None,
) -> Response:
    """Answer with a release's payload, or its attachment of that name. within: with that part of it alone."""
    state = server_state(request)
    size, etag, base = described.size, f'"{described.digest}"', 0
    if within is not None:
        base, size = within[0], within[1] - within[0]
        etag = f'"{described.digest}-{within[0]}-{within[1]}"'
    headers = {"ETag": etag, "Cache-Control": IMMUTABLE, "Accept-Ranges": "bytes"}
    unchanged = precondition(request.headers, etag)
    if unchanged is not None:
        return _conditional(unchanged, headers)
    if request.method == "HEAD":
        return Response(None, 200, {**headers, "Content-Length": str(size)}, PAYLOAD_TYPE)
    spans = wanted_spans(request.headers, size, etag, most=state.limits.ranges)
    payload = await state.releases.payload(release, attachment)
    chunks: Pieces
    if spans is None:
        chunks = _pieces(request, payload, base, base + size)
        length, status = size, 200
        headers["Content-Type"] = PAYLOAD_TYPE
    elif len(spans) == 1:
        ((start, stop),) = spans
        chunks = _pieces(request, payload, base + start, base + stop)
        length, status = stop - start, 206
        headers |= {"Content-Type": PAYLOAD_TYPE, "Content-Range": f"bytes {start}-{stop - 1}/{size}"}
    else:
        boundary = secrets.token_hex(16)
        heads = [_range_head(boundary, span, size) for span in spans]
        tail = f"\r\n--{boundary}--\r\n".encode()
        chunks = _multipart(payload, [(base + start, base + stop) for start, stop in spans], heads, tail)
        length = sum(len(head) + stop - start for head, (start, stop) in zip(heads, spans, strict=True)) + len(tail)
        status = 206
        headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    return PayloadResponse(chunks, status, headers, length=length)


def _pieces(request: Request, payload: ReadablePayload, start: int, stop: int) -> Pieces:
    """Return what makes bytes [start, stop): files as they are, where the connection can send them."""
    if PIECE in request.scope.get("extensions", {}) and _is_sendable(payload):
        return payload.pieces(start, stop)
    return payload.chunks(start, stop)


def _is_sendable(payload: ReadablePayload) -> TypeGuard[SendablePayload]:
    return _has_all_of(SendablePayload, type(payload))


def _is_fitting(store: ReleaseStore) -> TypeGuard[FittingStore]:
    return _has_all_of(FittingStore, type(store))


@cache
def _has_all_of(protocol: type, kind: type) -> bool:
    """Return whether a class has what a protocol wants: to find out takes longer than to send a block."""
    return issubclass(kind, protocol)


def _range_head(boundary: str, span: Span, size: int) -> bytes:
    start, stop = span
    return (
        f"\r\n--{boundary}\r\nContent-Type: {PAYLOAD_TYPE}\r\nContent-Range: bytes {start}-{stop - 1}/{size}\r\n\r\n"
    ).encode()


async def _multipart(payload: ReadablePayload, spans: Sequence[Span], heads: Sequence[bytes], tail: bytes) -> Chunks:
    for (start, stop), head in zip(spans, heads, strict=True):
        # The head goes out with bytes that were read, so that a failing read is noticed before anything is sent.
        before = head
        async for chunk in payload.chunks(start, stop):
            if before:
                yield before
                before = b""
            yield chunk
    yield tail


async def _readable(request: Request) -> ReleaseDescription:
    release = await named_release(request)
    if release.withdrawn is not None:
        raise Problem(WITHDRAWN, f"sequence {release.sequence} was withdrawn at {release.withdrawn}")
    return release


def _no_release(of: AppChannel) -> Problem:
    return Problem(NO_RELEASE, f"no release of app {of.app} on channel {of.channel}")
