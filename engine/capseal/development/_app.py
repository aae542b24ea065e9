"""The ASGI application of the development server: the production server around a folder, and events."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Mount, Route
from watchfiles import awatch

from ..archive.stores import check_no_store
from ..crypto.keys import PublicKey, Signer
from ..errors import CapsealError
from ..http.shapes import ReleaseDescription
from ..server import Limits, create_reading_app
from ..trust.store import TrustStore
from ._bundle import FolderBundle
from ._releases import FolderReleases

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
    releases: FolderReleases
    log: logging.Logger
    publishing: asyncio.Lock = field(default_factory=asyncio.Lock)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    current: ReleaseDescription | None = None

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
            release = await asyncio.to_thread(self.releases.show, bundle)
        except (CapsealError, OSError) as error:
            # Half a build, say: the next change will come, and with it the next try.
            self.log.warning("not sealed: %s", error)
            return
        async with self.changed:
            self.current = release
            self.changed.notify_all()
        self.log.info("sealed %s, sequence %d, %d bytes", release.version, release.sequence, release.payload.size)

    async def watch(self, stop: asyncio.Event) -> None:
        """Publish at every change of anything in the folder."""
        async for _ in awatch(self.folder, watch_filter=None, stop_event=stop, recursive=True):
            await self.publish()

    async def events(self, mount: str) -> AsyncIterator[str]:
        """Yield what is current, and then whatever becomes so, as server-sent events. mount: what links begin with."""
        told: ReleaseDescription | None = None
        while True:
            current = await self._newer_than(told)
            if current is None:
                yield ": still here\n\n"
                continue
            told = current
            yield f"event: release\nid: {current.sequence}\ndata: {json.dumps(current.to_json(mount))}\n\n"

    async def _newer_than(self, told: ReleaseDescription | None) -> ReleaseDescription | None:
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

    Serves what the production server does (docs/server.md) to readers, with the folder as the one release, and
    GET /v1/events: server-sent events `release` with what .../latest would answer. Nobody can publish
    to it. signer: a development key that `trust` trusts; production builds refuse what it signs. Raises UsageError
    where the folder is a server's store, OSError.
    """
    check_no_store(folder)
    releases = FolderReleases(trust)
    # The web view of an app has an origin of its own, such as capacitor://localhost.
    for_every_origin = Middleware(CORSMiddleware, allow_origins=["*"])
    server = create_reading_app(releases, limits=LIMITS)
    watched = _Watched(folder, signer, recipients, app, channel, releases, logging.getLogger(LOGGER))

    async def events(request: Request) -> StreamingResponse:
        told = watched.events(quote(request.scope.get("root_path", "")))
        return StreamingResponse(told, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        stop = asyncio.Event()
        watching = asyncio.create_task(watched.watch(stop))
        await watched.publish()
        yield
        stop.set()
        await watching

    return Starlette(
        routes=[Route("/v1/events", events, middleware=[for_every_origin]), Mount("/", server)],
        lifespan=lifespan,
    )
