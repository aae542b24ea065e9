"""Heads and recalls: what devices ask for before they install, and what signers put in place of the last one."""

import hashlib

from starlette.requests import Request
from starlette.responses import Response

from ...constants import MAX_ENVELOPE_BYTES
from ...errors import FormatError
from ...format.strictjson import check_fingerprint
from ...http.answers import HEAD_TYPE, RECALL_TYPE, REVALIDATE
from ...http.limits import MAX_RESTORED
from ...http.problems import NAME, NO_HEAD, PAGE
from ...http.shapes import AppChannel
from .._clients import client_of
from .._problems import Problem
from .._release_store import HeadStore
from .._tokens import Right
from .context import check_token, named_channel, parse_sequence, publishing_state, server_state
from .publishing import answer, whole_body
from .reading import document


async def get_head(request: Request) -> Response:
    """GET .../head: the channel's head, which caches ask for again each time: an older one would hold devices back."""
    of = named_channel(request)
    store = server_state(request).releases
    head = await store.head(of) if isinstance(store, HeadStore) else None
    if head is None:
        raise Problem(NO_HEAD, f"no head of app {of.app} on channel {of.channel}")
    return document(request, head, f'"{hashlib.sha256(head).hexdigest()}"', HEAD_TYPE, REVALIDATE)


async def get_recall(request: Request) -> Response:
    """GET .../recalls/DIGEST: a recall that a head names. Asked for again: it may have been signed anew."""
    of, digest = named_channel(request), _named_recall(request)
    store = server_state(request).releases
    recall = await store.recall(of, digest) if isinstance(store, HeadStore) else None
    if recall is None:
        raise Problem(NO_HEAD, f"no recall {digest[:16]} of app {of.app} on channel {of.channel}")
    return document(request, recall, f'"{hashlib.sha256(recall).hexdigest()}"', RECALL_TYPE, REVALIDATE)


async def put_head(request: Request) -> Response:
    """PUT .../head, body: the head after the one that is here, else 409.

    `restore`: withdrawals that it may drop; `over`: digest of the head that is here, where it is not the one before.
    """
    of = named_channel(request)
    token = check_token(request, Right.PUBLISH, app=of.app)
    texts = request.query_params.getlist("restore")
    if len(texts) > MAX_RESTORED:
        raise Problem(PAGE, f"{len(texts)} withdrawals to drop, at most {MAX_RESTORED} at once")
    restored = [parse_sequence(text) for text in texts]
    data = await _body(request, "head")
    heads = publishing_state(request).catalogue.heads
    signed, is_new = await heads.put_head(of, data, restored=restored, over=request.query_params.get("over"))
    head = signed.head
    if is_new:
        members = {**_of(of), "epoch": head.epoch, "number": head.number, "expires": head.to_json()["expires"]}
        server_state(request).log.info("head", extra={"members": members | ({"token": token.name} if token else {})})
    return answer({"epoch": head.epoch, "number": head.number, "digest": signed.digest}, 201 if is_new else 200)


async def put_recall(request: Request) -> Response:
    """PUT .../recalls/DIGEST, body: a recall, which counts once a head names it."""
    of, digest = named_channel(request), _named_recall(request)
    token = check_token(request, Right.PUBLISH, app=of.app)
    data = await _body(request, "recall")
    is_new = await publishing_state(request).catalogue.heads.put_recall(of, digest, data)
    if is_new:
        members = {**_of(of), "digest": digest, **({"token": token.name} if token else {})}
        server_state(request).log.info("recall", extra={"members": members})
    return answer({"digest": digest}, 201 if is_new else 200)


async def _body(request: Request, what: str) -> bytes:
    with publishing_state(request).memory.share(client_of(request.scope.get("client"))) as share:
        return await whole_body(request, what, MAX_ENVELOPE_BYTES, share)


def _named_recall(request: Request) -> str:
    try:
        return check_fingerprint(request.path_params["digest"], "recall")
    except FormatError as error:
        raise Problem(NAME, str(error)) from error


def _of(of: AppChannel) -> dict[str, object]:
    return {"app": of.app, "channel": of.channel}
