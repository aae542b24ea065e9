"""Updates of the trust store: what devices ask for, version by version, before they ask for a head."""

import hashlib

from starlette.requests import Request
from starlette.responses import Response

from ...constants import MAX_ENVELOPE_BYTES
from ...http.answers import REVALIDATE, UPDATE_TYPE
from ...http.problems import NO_HEAD
from .._clients import client_of
from .._problems import Problem
from .._release_store import TrustUpdateStore
from .._tokens import Right
from .context import check_token, named_app, parse_sequence, publishing_state, server_state
from .publishing import answer, whole_body
from .reading import document


async def get_update(request: Request) -> Response:
    """GET .../trust/VERSION: the update that brings that version of the trust store."""
    app, version = named_app(request), parse_sequence(request.path_params["version"])
    store = server_state(request).releases
    update = await store.trust_update(app, version) if isinstance(store, TrustUpdateStore) else None
    if update is None:
        raise Problem(NO_HEAD, f"no update of app {app} to version {version} of the trust store")
    return document(request, update, f'"{hashlib.sha256(update).hexdigest()}"', UPDATE_TYPE, REVALIDATE)


async def put_update(request: Request) -> Response:
    """PUT .../trust/VERSION, body: an update that hangs together with those that are here."""
    app, version = named_app(request), parse_sequence(request.path_params["version"])
    token = check_token(request, Right.PUBLISH, app=app)
    publishing = publishing_state(request)
    with publishing.memory.share(client_of(request.scope.get("client"))) as share:
        data = await whole_body(request, "update", MAX_ENVELOPE_BYTES, share)
    is_new, trust = await publishing.catalogue.trusted.put(app, version, data)
    if is_new:
        members = {"app": app, "version": version, **({"token": token.name} if token else {})}
        server_state(request).log.info("trust update", extra={"members": members})
    return answer({"version": version, "in_force": trust.version}, 201 if is_new else 200)
