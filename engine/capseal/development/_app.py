"""The ASGI application of the development server: the production server around a folder, and events."""

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Mount, Route
from watchfiles import awatch

from ..crypto.keys import PublicKey, Signer
from ..errors import CapsealError
from ..format.strictjson import Role
from ..server import Limits
from ..server import create_app as create_server
from ..server.catalogue.releases import Catalogue
from ..server.routes.reading import described
from ..server.storage.records import Release
from ..trust.store import TrustStore
from ._bundle import FolderBundle
from ._storage import FolderStorage

LOGGER = "capseal.development"

LIMITS = Limits(shutdown_s=1.0)
"""Nobody waits for a development server to end."""

_HEARTBEAT_S = 15.0


@dataclass
class _Watched:
    """The folder and what was last made of it."""

    folder: str
    signer: Signer
    recipients: Sequence[PublicKey]
    app: str
    channel: str
    storage: FolderStorage
    catalogue: Catalogue
    log: logging.Logger
    publishing: asyncio.Lock = field(default_factory=asyncio.Lock)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    current: Release | None = None

    async def publish(self) -> None:
        """Seal the folder as it is now and publish it in place of what was; a failure is told, and changes nothing."""
        async with self.publishing:
            await self._publish()

    async def _publish(self) -> None:
        created = datetime.now(UTC).replace(microsecond=0)
        before = self.current
        sequence = max(int(created.timestamp()), 0 if before is None else before.sequence + 1)
        try:
            bundle = await asyncio.to_thread(
                FolderBundle.make,
                self.folder,
                signer=self.signer,
                recipients=self.recipients,
                app=self.app,
                channel=self.channel,
                sequence=sequence,
                version=f"dev-{created:%H%M%S}",
                created=created,
            )
            self.storage.show(bundle)
            upload = await self.catalogue.begin(bundle.seal.encode())
            release = upload if isinstance(upload, Release) else await self.catalogue.publish(upload)
        except (CapsealError, OSError) as error:
            # Half a build, say: the next change will come, and with it the next try.
            self.log.warning("not sealed: %s", error)
            return
        if before is not None:
            await self.catalogue.withdraw(before)
        async with self.changed:
            self.current = release
            self.changed.notify_all()
        self.log.info("sealed %s, sequence %d, %d bytes", release.version, release.sequence, release.payload_bytes)

    async def watch(self, stop: asyncio.Event) -> None:
        """Publish at every change of anything in the folder."""
        async for _ in awatch(self.folder, watch_filter=None, stop_event=stop, recursive=True):
            await self.publish()

    async def events(self) -> AsyncIterator[str]:
        """Yield what is current, and then whatever becomes so, as server-sent events."""
        told: Release | None = None
        while True:
            current = await self._newer_than(told)
            if current is None:
                yield ": still here\n\n"
                continue
            told = current
            yield f"event: release\nid: {current.sequence}\ndata: {json.dumps(described(current).to_json())}\n\n"

    async def _newer_than(self, told: Release | None) -> Release | None:
        """Return the current release as soon as it is another one, or None where it stays for a while."""
        async with self.changed:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.changed.wait_for(lambda: self.current is not told), _HEARTBEAT_S)
            return None if self.current is told else self.current


def create_app(
    folder: str,
    *,
    signer: Signer,
    recipients: Sequence[PublicKey],
    app: str,
    trust: TrustStore,
    channel: str = "development",
) -> Starlette:
    """Return the development server of a folder as an ASGI application.

    Serves what the production server serves (docs/server.md), with the folder as the one release, and
    GET /v1/events: server-sent events `release` with what .../latest would answer. Nobody can publish
    to it. signer: a development key that `trust` trusts; production builds refuse what it signs.
    """
    storage = FolderStorage()
    log = logging.getLogger(LOGGER)
    # verify_reads is what keeps a nonce from being used twice (FolderBundle). The token is told to nobody.
    server = create_server(
        storage, trust, token=secrets.token_hex(), verify_reads=True, role=Role.DEVELOPMENT, limits=LIMITS
    )
    watched = _Watched(folder, signer, recipients, app, channel, storage, server.state.server.catalogue, log)

    async def events(request: Request) -> StreamingResponse:
        return StreamingResponse(
            watched.events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with server.router.lifespan_context(server):
            stop = asyncio.Event()
            watching = asyncio.create_task(watched.watch(stop))
            await watched.publish()
            yield
            stop.set()
            await watching

    return Starlette(
        routes=[Route("/v1/events", events), Mount("/", server)],
        lifespan=lifespan,
        # The web view of an app has an origin of its own, such as capacitor://localhost.
        middleware=[Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["GET"])],
    )
