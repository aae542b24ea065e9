"""The ASGI application: routes, middleware, and what lives as long as it does."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from typing import Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from ..errors import RejectedError, TransferError
from ..format.strictjson import Role
from ..http.problems import BUG
from ..trust.store import TrustStore
from . import _problems as problems
from . import _request_ids
from ._clients import MemoryBudget
from ._cors import CorsPolicy, PublicCors, checked_origins
from ._extensions import Extension
from ._limits import DEFAULT_LIMITS, ServerLimits
from ._logs import told
from ._metrics import Metrics
from ._observed import Observed
from ._problems import Problem
from ._readiness import Readiness, always
from ._release_store import ReleaseStore
from ._route_table import RouteTable
from ._routes import public_routes, publishing_routes, status_routes
from ._slow_clients import SlowClientGuard
from ._starting import Once, StartedBefore
from ._tokens import Right, Token, Tokens
from .catalogue.catalogue import Catalogue
from .catalogue.receiving import RunBuffers
from .catalogue.retention import KEEP_ALL, Retention
from .routes.context import Admission, PublishingState, ServerState, check_token, server_state
from .storage.layout import PARTS, PAYLOADS
from .storage.objects import Storage
from .storage.pace import Pace

LOGGER = "capseal.server"

_FIRST_COLLECTION_S = 60.0
"""Within which it comes after a start: a server that is started anew every hour collects, too."""


def create_app(
    storage: Storage,
    trust: TrustStore,
    *,
    token: str | None = None,
    tokens: Sequence[Token] = (),
    verify_reads: bool = False,
    role: Role = Role.PRODUCTION,
    limits: ServerLimits = DEFAULT_LIMITS,
    cors_origins: Sequence[str] | None = None,
    extensions: Sequence[Extension] = (),
    retention: Retention = KEEP_ALL,
) -> Starlette:
    """Return the server as an ASGI application.

    Mounted in another application, which sends it no lifespan, it starts with the first request and ends with the
    process; `app.router.lifespan_context(app)` in the other's lifespan starts and ends it in time.

    storage: closed when it ends; other servers may use the same place. trust: whose bundles are accepted.
    token: what publishers must show besides a trusted signature; withdrawing needs one. tokens: named ones, with
    rights; where there are any, all but reading takes one. verify_reads:
    check every segment against the signed index on its way out. role: DEVELOPMENT accepts what only a
    development key signed. cors_origins: whose pages may read what is public, such as `https://app.example.com`;
    None: everybody's. extensions: answer under paths of their own, such as CapgoUpdates. retention: which releases
    stay; what goes is taken out before each collection. Raises UsageError for what is no origin.
    """
    log = logging.getLogger(LOGGER)
    catalogue = Catalogue(
        storage, trust, role=role, limits=limits, log=log, verify_reads=verify_reads, retention=retention
    )
    admission = Admission(_all_tokens(token, tokens))
    state = ServerState(
        releases=catalogue,
        admission=admission,
        readiness=Readiness(storage.probe),
        limits=limits,
        metrics=Metrics(),
        log=log,
    )

    storage.pace = Pace(limits.storage_s, state.metrics.storage_answered, state.metrics.writable.set)
    state.metrics.stored.set_function(lambda: storage.bytes_in.get(PAYLOADS, 0) + storage.bytes_in.get(PARTS, 0))

    async def load_and_collect() -> asyncio.Task[None]:
        if not await catalogue.check_layout():
            log.info("made a new store", extra={"members": {"place": storage.place}})
        return asyncio.create_task(_collect_now_and_then(catalogue, state, limits))

    start = Once(load_and_collect)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        with closing(storage):
            collecting = await start()
            yield
            collecting.cancel()
            with suppress(asyncio.CancelledError):
                await collecting

    extended = [route for one in extensions for route in one.routes(catalogue, state.metrics.registry)]
    started = Middleware(StartedBefore, start=start, log=log)
    app = _assembled(state, [*publishing_routes(), *extended], cors_origins, lifespan, started)
    app.state.publishing = PublishingState(
        catalogue=catalogue,
        buffers=RunBuffers(limits.uploads),
        memory=MemoryBudget(
            max(limits.seal_memory_bytes, limits.seal_bytes),
            max(limits.seal_memory_per_client_bytes, limits.seal_bytes),
        ),
    )
    return app


def replace_trust(app: Starlette, trust: TrustStore, *, token: str | None = None, tokens: Sequence[Token] = ()) -> None:
    """Let an application of create_app() go by another trust store and other tokens from now on, from any thread.

    What is under way ends as it began. Raises KeyFileError, and changes nothing then.
    """
    replaced = _all_tokens(token, tokens)
    publishing: PublishingState = app.state.publishing
    publishing.catalogue.trusted.replace(trust)
    state: ServerState = app.state.server
    state.admission.tokens = replaced


def metrics_of(app: ASGIApp) -> Metrics | None:
    """Return the metrics of an application of create_app() or create_reading_app(), or None of any other."""
    state = getattr(app.state, "server", None) if isinstance(app, Starlette) else None
    return state.metrics if isinstance(state, ServerState) else None


def _all_tokens(token: str | None, tokens: Sequence[Token]) -> Tokens:
    single = Tokens.single(token)
    return single.and_named(tokens) if tokens else single


def create_reading_app(
    releases: ReleaseStore, *, limits: ServerLimits = DEFAULT_LIMITS, cors_origins: Sequence[str] | None = None
) -> Starlette:
    """Return the reading half of the server as an ASGI application, for releases that are not in a Storage.

    What the store yields is sent as it is: it checks every segment itself. cors_origins: as for create_app().
    """
    log = logging.getLogger(LOGGER)
    state = ServerState(
        releases=releases,
        admission=Admission(),
        readiness=Readiness(always),
        limits=limits,
        metrics=Metrics(),
        log=log,
    )
    return _assembled(state, [], cors_origins, None)


def _assembled(
    state: ServerState,
    more: Sequence[BaseRoute],
    cors_origins: Sequence[str] | None,
    lifespan: Callable[[Starlette], Any] | None,
    *inner: Middleware,
) -> Starlette:
    """Return an application with the routes of readers, and more, which no page of another origin may use."""
    own = [*status_routes(), *more]
    routes = [*public_routes(), *own]
    table = RouteTable(routes)
    cors = CorsPolicy(table, own, checked_origins(cors_origins))
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[
            Middleware(Observed, state=state, routes=table),
            Middleware(PublicCors, policy=cors),
            *inner,
            Middleware(SlowClientGuard, limits=state.limits),
        ],
        exception_handlers=_exception_handlers(),
    )
    app.router.redirect_slashes = False  # one path, one answer
    app.state.server = state
    app.state.check_metrics_right = partial(check_token, right=Right.METRICS)
    app.state.cors = cors
    app.state.log = state.log
    return app


def _exception_handlers() -> Mapping[Any, Callable[[Request, Exception], Any]]:
    return {
        Problem: cast(Any, problems.on_problem),
        RejectedError: cast(Any, _on_rejected),
        TransferError: cast(Any, problems.on_transfer_error),
        HTTPException: cast(Any, problems.on_http_exception),
        ClientDisconnect: cast(Any, _on_disconnect),
        500: cast(Any, _on_bug),
    }


async def _on_rejected(request: Request, error: RejectedError) -> Response:
    state = server_state(request)
    state.metrics.rejected.labels(type(error).__name__).inc()
    state.log.warning("rejected", extra={"members": {"path": request.url.path[:200], "error": str(error)}})
    return problems.rejected(error).response()


async def _on_disconnect(request: Request, error: ClientDisconnect) -> Response:
    return Response(None, 400, {"Cache-Control": "no-store"})  # nobody is there to read it; for the log


async def _on_bug(request: Request, error: Exception) -> Response:
    # Starlette answers this outside of all middleware.
    cors: CorsPolicy = request.app.state.cors
    headers = {**cors.answer_to(request.scope), "X-Request-Id": _request_ids.current.get() or ""}
    return Problem(BUG, "this is a bug; see the server's log", headers=headers).response()


async def _collect_now_and_then(catalogue: Catalogue, state: ServerState, limits: ServerLimits) -> None:
    pause_s = random.uniform(0, min(_FIRST_COLLECTION_S, limits.collect_interval_s))  # noqa: S311 - nothing secret
    while True:
        try:
            state.metrics.releases.set(await catalogue.count())
            await asyncio.sleep(pause_s)
            await catalogue.collect()
        except TransferError as error:
            state.log.error("collecting failed", extra={"members": {"error": told(error)}})
        # By chance, so that servers that were started together do not all come at once.
        pause_s = limits.collect_interval_s * random.uniform(0.5, 1.5)  # noqa: S311 - nothing secret
