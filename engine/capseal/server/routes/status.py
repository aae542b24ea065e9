"""For people and for monitoring: the status page, /livez, /readyz and /metrics."""

import asyncio
from functools import cache
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from ...http import paths
from .._tokens import Right
from .context import PublishingState, check_token, mount_of, page_after, server_state

if TYPE_CHECKING:
    from jinja2 import Template

_CHANNELS = 50
_RELEASES = 20
"""On one page; of each channel."""

# No script, no outside resource: the page needs nothing but its own inline style.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


async def page(request: Request) -> Response:
    """GET /: apps, channels and their newest releases, page by page."""
    releases = server_state(request).releases
    named = await releases.channels(after=page_after(request), most=_CHANNELS + 1)
    channels = []
    for of in named[:_CHANNELS]:
        shown = await releases.releases(of, below=None, most=_RELEASES + 1)
        latest = await releases.latest(of)
        all_of_them = mount_of(request) + paths.filled(paths.RELEASES, app=of.app, channel=of.channel)
        more = all_of_them if len(shown) > _RELEASES else None
        channels.append({"of": of, "releases": shown[:_RELEASES], "latest": latest and latest.sequence, "more": more})
    after = "/".join(named[_CHANNELS - 1]) if len(named) > _CHANNELS else None
    publishing: PublishingState | None = getattr(request.app.state, "publishing", None)
    uploads = [] if publishing is None else [one.verified.statement for one in publishing.catalogue.uploads.known()]
    body = await asyncio.to_thread(lambda: _template().render(channels=channels, uploads=uploads, after=after))
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return Response(body, 200, headers, "text/html")


async def livez(request: Request) -> Response:
    """GET /livez, /healthz: 200 from the moment that storage was read, whatever became of it since."""
    return Response("ok\n", 200, {"Cache-Control": "no-store"}, "text/plain")


async def readyz(request: Request) -> Response:
    """GET /readyz: 200 where the storage answers in time, 503 where it does not."""
    await server_state(request).readiness.check()
    return Response("ok\n", 200, {"Cache-Control": "no-store"}, "text/plain")


async def metrics(request: Request) -> Response:
    """GET /metrics: for Prometheus. Where tokens have names, for one that may read them."""
    check_token(request, Right.METRICS)
    own = server_state(request).metrics
    return Response(await asyncio.to_thread(own.text), 200, {"Cache-Control": "no-store"}, own.content_type)


@cache
def _template() -> "Template":
    import jinja2  # only when somebody looks at the page

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("capseal.server.routes", ""), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["bytes"] = readable_bytes
    return environment.get_template("status.html")


def readable_bytes(size: int) -> str:
    """Return a size for people: `4.0 GiB`."""
    value, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"
