"""What publishers do: the seal first, then the payloads in any pieces and order, then publish; or withdraw."""

import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ...constants import DIGEST_BYTES, SEGMENT_BYTES
from ...errors import RejectedError
from ...format.tree import segment_count
from ...http import shapes
from ...http.problems import CONTENT_LENGTH, CONTENT_RANGE, NO_INDEX, SHORT_BODY
from ...http.shapes import ArrivingDescription, PayloadDescription, ReleaseDescription, Span, UploadDescription
from .._clients import MemoryShare, client_of
from .._problems import Problem, busy, rejected, too_large
from .._ranges import parse_content_range
from .._tokens import Right, Token
from ..catalogue.arriving import ArrivingPayload, Upload
from ..catalogue.receiving import Receiver
from ..storage.stored_runs import StoredRun
from .context import (
    check_token,
    mount_of,
    named_attachment,
    named_release,
    no_attachment,
    publishing_state,
    server_state,
)


async def begin_upload(request: Request) -> Response:
    """POST /v1/uploads, body: the seal. Answers with what is still missing of the payload."""
    check_token(request, Right.PUBLISH)
    _check_length(request, "seal", server_state(request).limits.seal_bytes)
    publishing = publishing_state(request)
    with publishing.memory.share(client_of(request.scope.get("client"))) as share:
        verified = await publishing.catalogue.seals.arriving(request.stream(), share.add)
        check_token(request, Right.PUBLISH, app=verified.statement.app)
        begun = await publishing.catalogue.begin(verified, client=client_of(request.scope.get("client")))
    if isinstance(begun, ReleaseDescription):
        return _published(request, begun, 200)
    upload, mount = _described(begun), mount_of(request)
    return answer(upload.to_json(mount), 201, {"Location": upload.links(mount)["self"]})


async def get_upload(request: Request) -> Response:
    """GET /v1/uploads/ID: what is still missing."""
    upload = await _named_upload(request)
    await publishing_state(request).catalogue.uploads.look_up(upload)
    return answer(_described(upload).to_json(mount_of(request)), 200)


async def put_payload(request: Request) -> Response:
    """PUT /v1/uploads/ID/payload, body: the payload or, with Content-Range, a run of its segments."""
    upload = await _named_upload(request)
    return await _receive(request, upload, upload.payload)


async def put_attachment(request: Request) -> Response:
    """PUT /v1/uploads/ID/attachments/NAME, body: as for the payload; its index must be there."""
    upload = await _named_upload(request)
    return await _receive(request, upload, _named_companion(request, upload))


async def put_attachment_index(request: Request) -> Response:
    """PUT /v1/uploads/ID/attachments/NAME/index, body: 32 bytes for each segment of the attachment."""
    publishing = publishing_state(request)
    upload = await _named_upload(request)
    arriving = _named_companion(request, upload)
    with publishing.memory.share(client_of(request.scope.get("client"))) as share:
        entries = await whole_body(request, "index", DIGEST_BYTES * segment_count(arriving.signed.size), share)
        try:
            await publishing.catalogue.put_index(upload, arriving, entries)
        except RejectedError as error:
            raise await _rejected(request, upload, error) from error
    return answer(_described(upload).to_json(mount_of(request)), 200)


async def _receive(request: Request, upload: Upload, arriving: ArrivingPayload) -> Response:
    """Take segments of one of an upload's payloads, store what verifies, and answer with what is still missing."""
    state, publishing = server_state(request), publishing_state(request)
    if arriving.index is None:
        raise Problem(NO_INDEX, "send the index before the segments")
    start, stop = _announced_span(request, arriving.signed.size)
    receiving = publishing.catalogue.receiving
    if receiving >= state.limits.uploads:
        raise busy(f"{receiving} requests are sending payload, at most {state.limits.uploads} may at once")

    async def put(run: StoredRun, data: memoryview) -> None:
        await publishing.catalogue.put_run(upload, arriving, run, data)

    publishing.catalogue.receiving += 1
    state.metrics.uploading.inc()
    try:
        async with Receiver(arriving.index, put, publishing.buffers, start=start, stop=stop) as receiver:
            try:
                await receiver.receive(request.stream())
            finally:
                state.metrics.received.inc(receiver.received - start)
        if receiver.received < stop:
            raise Problem(SHORT_BODY, f"body of {receiver.received - start} bytes, {stop - start} were announced")
    except RejectedError as error:
        raise await _rejected(request, upload, error, received=receiver.received) from error
    finally:
        publishing.catalogue.receiving -= 1
        state.metrics.uploading.dec()
    return answer(_described(upload).to_json(mount_of(request)), 200)


async def publish(request: Request) -> Response:
    """POST /v1/uploads/ID: publish what was uploaded. The same again answers the same."""
    token = check_token(request, Right.PUBLISH)
    state, catalogue = server_state(request), publishing_state(request).catalogue
    id = request.path_params["id"]
    check_token(request, Right.PUBLISH, app=await catalogue.app_of_upload(id))
    release, is_new = await catalogue.publish(id)
    if not is_new:
        return _published(request, release, 200)
    state.metrics.releases.inc()
    signers = [one[:16] for one in release.signers]
    state.log.info("published", extra={"members": {**_told(release, token), "signers": signers}})
    return _published(request, release, 201)


async def give_up_upload(request: Request) -> Response:
    """DELETE /v1/uploads/ID: forget it, and what was stored of it."""
    await publishing_state(request).catalogue.give_up(await _named_upload(request))
    return Response(None, 204, {"Cache-Control": "no-store"})


async def withdraw(request: Request) -> Response:
    """DELETE .../releases/SEQUENCE: take a release back. Only with a token: no signature speaks for this."""
    token = check_token(request, Right.WITHDRAW, app=request.path_params["app"])
    state = server_state(request)
    release = await named_release(request)
    if release.withdrawn is None:
        release, is_new = await publishing_state(request).catalogue.withdraw(release)
        if is_new:
            state.metrics.releases.dec()
            state.log.info("withdrawn", extra={"members": _told(release, token)})
    return answer(release.to_json(mount_of(request)), 200)


async def _named_upload(request: Request) -> Upload:
    """Return the upload of a path. Raises Problem 404, TransferError, and what check_token() does."""
    check_token(request, Right.PUBLISH)
    upload = await publishing_state(request).catalogue.uploads.find(request.path_params["id"])
    check_token(request, Right.PUBLISH, app=upload.verified.statement.app)
    return upload


def _named_companion(request: Request, upload: Upload) -> ArrivingPayload:
    name = named_attachment(request)
    if name not in upload.companions:
        raise no_attachment(name, "the seal of this upload")
    return upload.companions[name]


def _announced_span(request: Request, size: int) -> Span:
    """Return which bytes of a payload of that size a request is about to send. Raises Problem."""
    header = request.headers.get("content-range")
    start, stop = (0, size) if header is None else parse_content_range(header, size)
    if start % SEGMENT_BYTES or (stop % SEGMENT_BYTES and stop != size):
        raise Problem(CONTENT_RANGE, f"bytes {start} to {stop} are not whole segments of {SEGMENT_BYTES} bytes")
    length = _content_length(request)
    if length is not None and length != stop - start:
        raise Problem(CONTENT_LENGTH, f"body of {length} bytes, the range has {stop - start}")
    return start, stop


def _content_length(request: Request) -> int | None:
    header = request.headers.get("content-length", "")
    return int(header) if header.isascii() and header.isdigit() and len(header) < 20 else None


def _check_length(request: Request, what: str, most: int) -> None:
    """Raise Problem 413 where more is announced than may come."""
    length = _content_length(request)
    if length is not None and length > most:
        raise too_large(what, length, most)


async def whole_body(request: Request, what: str, most: int, share: MemoryShare) -> bytes:
    """Return a body of at most so many bytes. Raises Problem 413, 503."""
    _check_length(request, what, most)
    body = bytearray()
    stream: AsyncIterator[bytes] = request.stream()
    async for chunk in stream:
        share.add(len(chunk))
        body += chunk
        if len(body) > most:
            raise too_large(what, len(body), most)
    return bytes(body)


def _told(release: ReleaseDescription, token: Token | None) -> dict[str, Any]:
    """Return what the log says of a release, and of whose token changed it."""
    members = {"app": release.app, "channel": release.channel, "sequence": release.sequence}
    return members if token is None else {**members, "token": token.name}


def _described(upload: Upload) -> UploadDescription:
    statement = upload.verified.statement
    return UploadDescription(
        id=upload.id,
        app=statement.app,
        channel=statement.channel,
        sequence=statement.sequence,
        payload=_described_payload(upload.payload),
        missing=_missing(upload.payload),
        attachments={
            name: ArrivingDescription(_described_payload(one), one.index is None, _missing(one))
            for name, one in upload.companions.items()
        },
    )


def _described_payload(arriving: ArrivingPayload) -> PayloadDescription:
    return PayloadDescription(arriving.signed.size, arriving.digest)


def _missing(arriving: ArrivingPayload) -> tuple[Span, ...]:
    """Return the spans of bytes that are not there yet."""
    size = arriving.signed.size
    return tuple((first * SEGMENT_BYTES, min(stop * SEGMENT_BYTES, size)) for first, stop in arriving.missing)


def _published(request: Request, release: ReleaseDescription, status: int) -> Response:
    mount = mount_of(request)
    return answer(shapes.published_to_json(release, mount), status, {"Location": release.links(mount)["self"]})


def answer(value: object, status: int, headers: dict[str, str] | None = None) -> Response:
    """Answer a publisher with JSON that nobody keeps."""
    caching = {"Cache-Control": "no-store, no-transform"}
    return Response(json.dumps(value), status, {**caching, **(headers or {})}, "application/json")


async def _rejected(request: Request, upload: Upload, error: RejectedError, **members: Any) -> Problem:
    """Give up an upload of which something differs from what is signed, and return the answer."""
    state = server_state(request)
    await publishing_state(request).catalogue.give_up(upload)
    state.metrics.rejected.labels(type(error).__name__).inc()
    state.log.warning("upload rejected", extra={"members": {"upload": upload.id, "error": str(error)}})
    return rejected(error, **members)
