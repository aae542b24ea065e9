"""What devices ask for: latest, releases, seals, and payloads by range."""

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ...embedding import RUN_BYTES, read_verified, read_verified_async
from ...errors import RejectedError, TransferError
from ...format.signed_index import SignedIndex
from ...http.problems import NO_CAPGO, NO_RELEASE, WITHDRAWN
from ...http.shapes import PayloadDescription, ReleaseDescription, Span
from ..catalogue.uploads import StoredPayload
from ..problems import Problem, unavailable
from ..ranges import precondition, wanted_spans
from ..storage.objects import Storage
from ..storage.records import Place, Release
from ..storage.stored_runs import Part, pieces
from .context import app_state, named_place, named_release

IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"

PAYLOAD_TYPE = "application/octet-stream"
SEAL_TYPE = "application/vnd.capseal.seal.v1"

_SLICE_BYTES = 256 * 1024
"""What is given to a socket at once: the kernel's copy of it is what holds the event loop longest."""


def described(release: Release) -> ReleaseDescription:
    """Return a release as clients see it."""
    return ReleaseDescription(
        app=release.app,
        channel=release.channel,
        sequence=release.sequence,
        version=release.version,
        created=release.created,
        published=release.published,
        withdrawn=release.withdrawn,
        content_name=release.content_name,
        content_bytes=release.content_bytes,
        payload=PayloadDescription(release.payload_bytes, release.payload_digest),
        capgo=None if release.capgo is None else PayloadDescription(release.capgo.size, release.capgo.digest),
        seal_bytes=release.seal_bytes,
        seal_digest=release.seal_digest,
        signers=release.signers,
    )


def _json(request: Request, value: object) -> Response:
    """Answer with JSON that is revalidated by its digest."""
    body = json.dumps(value).encode()
    return _document(request, body, f'"{hashlib.sha256(body).hexdigest()}"', "application/json", REVALIDATE)


def _document(request: Request, body: bytes, etag: str, media_type: str, caching: str) -> Response:
    headers = {"ETag": etag, "Cache-Control": caching}
    status = precondition(request.headers, etag)
    if status is not None:
        return Response(None, status, headers)
    return Response(body, 200, headers, media_type)


async def list_apps(request: Request) -> Response:
    """GET /v1/apps: every app and channel with its latest release."""
    catalogue = app_state(request).catalogue
    latest = [release for place in catalogue.places() if (release := catalogue.latest(place))]
    return _json(request, {"latest": [described(release).to_json() for release in latest]})


async def list_releases(request: Request) -> Response:
    """GET .../releases: all of one app and channel, newest first, withdrawn ones too."""
    place = named_place(request)
    releases = app_state(request).catalogue.releases(place)
    if not releases:
        raise _no_release(place)
    return _json(request, {"releases": [described(release).to_json() for release in releases]})


async def get_latest(request: Request) -> Response:
    """GET .../latest: the release with the highest sequence."""
    place = named_place(request)
    release = app_state(request).catalogue.latest(place)
    if release is None:
        raise _no_release(place)
    return _json(request, described(release).to_json())


async def get_release(request: Request) -> Response:
    """GET .../releases/SEQUENCE."""
    return _json(request, described(named_release(request)).to_json())


async def get_seal(request: Request) -> Response:
    """GET .../releases/SEQUENCE/seal: the seal's bytes."""
    release = _readable(request)
    etag = f'"{release.seal_digest}"'
    unchanged = precondition(request.headers, etag)
    if unchanged is not None or request.method == "HEAD":
        headers = {"ETag": etag, "Cache-Control": IMMUTABLE}
        if unchanged is None:
            headers["Content-Length"] = str(release.seal_bytes)
        return Response(None, unchanged or 200, headers, SEAL_TYPE)
    body = await app_state(request).catalogue.seal(release)
    return _document(request, body, etag, SEAL_TYPE, IMMUTABLE)


async def get_payload(request: Request) -> Response:
    """GET .../releases/SEQUENCE/payload: all of it, one range or several."""
    catalogue = app_state(request).catalogue
    release = _readable(request)

    async def index() -> SignedIndex:
        return (await catalogue.verified(release)).index

    return await _send(request, release.payload, index)


async def get_capgo(request: Request) -> Response:
    """GET .../releases/SEQUENCE/capgo: the Capgo file beside the bundle, as the payload."""
    catalogue = app_state(request).catalogue
    release = _readable(request)
    if release.capgo is None:
        raise Problem(NO_CAPGO, f"release {release.sequence} was published without one")
    return await _send(request, release.capgo, lambda: catalogue.capgo_index(release))


async def _send(request: Request, stored: StoredPayload, index: Callable[[], Awaitable[SignedIndex]]) -> Response:
    """Answer with a stored payload. index: returns what to check it against, where reads are verified."""
    state = app_state(request)
    size, etag = stored.size, f'"{stored.digest}"'
    headers = {"ETag": etag, "Cache-Control": IMMUTABLE, "Accept-Ranges": "bytes"}
    unchanged = precondition(request.headers, etag)
    if unchanged is not None:
        return Response(None, unchanged, headers)
    if request.method == "HEAD":
        return Response(None, 200, {**headers, "Content-Length": str(size)}, PAYLOAD_TYPE)
    spans = wanted_spans(request.headers, size, etag, most=state.limits.ranges)
    payload = PayloadReader(state.catalogue.storage, stored, await index() if state.verify_reads else None)
    if spans is None:
        chunks = payload.chunks(0, size)
        length, status = size, 200
        headers["Content-Type"] = PAYLOAD_TYPE
    elif len(spans) == 1:
        ((start, stop),) = spans
        chunks = payload.chunks(start, stop)
        length, status = stop - start, 206
        headers |= {"Content-Type": PAYLOAD_TYPE, "Content-Range": f"bytes {start}-{stop - 1}/{size}"}
    else:
        boundary = secrets.token_hex(16)
        heads = [_part_head(boundary, span, size) for span in spans]
        tail = f"\r\n--{boundary}--\r\n".encode()
        chunks = _multipart(payload, spans, heads, tail)
        length = sum(len(head) + stop - start for head, (start, stop) in zip(heads, spans, strict=True)) + len(tail)
        status = 206
        headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    headers["Content-Length"] = str(length)
    return PayloadResponse(chunks, status, headers)


Chunks = AsyncGenerator[bytes | memoryview, None]


class PayloadReader:
    """A payload in storage, read by range; verified on the way out where there is an index to check it against."""

    def __init__(self, storage: Storage, stored: StoredPayload, index: SignedIndex | None) -> None:
        self._storage = storage
        self._stored = stored
        self._index = index

    async def chunks(self, start: int, stop: int) -> Chunks:
        """Yield bytes [start, stop). Raises RejectedError, TransferError: nothing wrong was yielded then."""
        if self._index is None:
            for part, offset, size in pieces(self._stored.parts, start, stop):
                for at in range(0, size, RUN_BYTES):
                    yield await self._read_part(part, offset + at, min(RUN_BYTES, size - at))
        elif self._storage.is_local:
            # Read and hashed by one thread in one go: the bytes are still in its core's cache.
            runs = read_verified(self._index, self._read_now, start, stop)
            while (run := await asyncio.to_thread(next, runs, None)) is not None:
                yield run
        else:
            async for run in read_verified_async(self._index, self._read, start, stop):
                yield run

    async def _read(self, offset: int, size: int) -> bytes | memoryview:
        wanted = pieces(self._stored.parts, offset, offset + size)
        return _joined([await self._read_part(*one) for one in wanted])

    def _read_now(self, offset: int, size: int) -> bytes | memoryview:
        return _joined([self._read_part_now(*one) for one in pieces(self._stored.parts, offset, offset + size)])

    async def _read_part(self, part: Part, offset: int, size: int) -> memoryview:
        path = part.path(self._stored.digest)
        with _whole_part(path):
            return _checked_size(path, offset, size, await self._storage.read(path, offset, size))

    def _read_part_now(self, part: Part, offset: int, size: int) -> memoryview:
        path = part.path(self._stored.digest)
        with _whole_part(path):
            return _checked_size(path, offset, size, self._storage.read_now(path, offset, size))


@contextmanager
def _whole_part(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise TransferError(f"storage: {path} is gone") from error


def _checked_size(path: str, offset: int, size: int, data: memoryview) -> memoryview:
    if len(data) != size:
        raise TransferError(f"storage: {path} ends at byte {offset + len(data)}, {offset + size} are expected")
    return data


def _joined(runs: list[memoryview]) -> bytes | memoryview:
    return runs[0] if len(runs) == 1 else b"".join(runs)


class PayloadResponse(Response):
    """Streams chunks; where they fail half-way, the response is aborted and not one wrong byte is sent."""

    def __init__(self, chunks: Chunks, status: int, headers: dict[str, str]) -> None:
        self._chunks = chunks
        super().__init__(None, status, headers)
        self.raw_headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["app"].state.server
        gone = asyncio.create_task(_disconnected(receive))
        started = False
        try:
            async for chunk in self._chunks:
                if not started:
                    # Only now: where the very first read fails, a proper answer is still possible.
                    await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                    started = True
                for at in range(0, len(chunk), _SLICE_BYTES):
                    piece = chunk[at : at + _SLICE_BYTES]
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    await asyncio.sleep(0)  # a fast client's send never waits: let the others have their turn
                    state.metrics.sent.inc(len(piece))
                    if gone.done():
                        return
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (RejectedError, TransferError) as error:
            state.metrics.aborted.labels(type(error).__name__).inc()
            members = {"path": scope["path"], "error": str(error), "started": started}
            state.log.error("read aborted: the storage is corrupt or failed", extra={"members": members})
            if not started:
                await unavailable("what is stored is not what was published").response()(scope, receive, send)
        except TimeoutError:
            state.log.warning("read aborted: the client takes nothing", extra={"members": {"path": scope["path"]}})
        finally:
            gone.cancel()
            await self._chunks.aclose()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _part_head(boundary: str, span: Span, size: int) -> bytes:
    start, stop = span
    return (
        f"\r\n--{boundary}\r\nContent-Type: {PAYLOAD_TYPE}\r\nContent-Range: bytes {start}-{stop - 1}/{size}\r\n\r\n"
    ).encode()


async def _multipart(payload: PayloadReader, spans: Sequence[Span], heads: Sequence[bytes], tail: bytes) -> Chunks:
    for (start, stop), head in zip(spans, heads, strict=True):
        # The head goes out with bytes that were read, so that a failing read is noticed before anything is sent.
        before = head
        async for chunk in payload.chunks(start, stop):
            if before:
                yield before
                before = b""
            yield chunk
    yield tail


def _readable(request: Request) -> Release:
    release = named_release(request)
    if release.withdrawn is not None:
        raise Problem(WITHDRAWN, f"sequence {release.sequence} was withdrawn at {release.withdrawn}")
    return release


def _no_release(place: Place) -> Problem:
    return Problem(NO_RELEASE, f"no release of app {place[0]} on channel {place[1]}")
