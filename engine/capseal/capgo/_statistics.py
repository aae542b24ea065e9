"""What Capgo's plugin reports, counted; a page with charts, and the same as JSON (docs/capgo.md, Statistics)."""

import asyncio
import sqlite3
from collections.abc import Sequence

from prometheus_client import CollectorRegistry
from prometheus_client import Counter as Metric
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import FormatError
from ._counts import EventCounts
from ._day_counts import DayCount, exported_counts
from ._events import MAX_EVENTS_BYTES, parse_events
from ._http import Bodies, json_answer
from ._statistics_page import statistics_page

PATH = "/v1/capgo/stats"
# No script, no outside resource: the page needs nothing but its own inline style.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def statistics_routes(counts: EventCounts, registry: CollectorRegistry, bodies: Bodies) -> Sequence[Route]:
    """Return where the plugin reports, and where people and machines see what was counted."""
    events = Metric("capseal_capgo_events", "Events that Capgo's plugin reported.", ("action",), registry=registry)

    async def report(request: Request) -> Response:
        """POST /v1/capgo/stats: 200 once they are counted, 400 what never will be, 503 what may be sent again."""
        try:
            async with bodies.body(request, MAX_EVENTS_BYTES) as body:
                found = parse_events(body)
        except FormatError as error:
            return json_answer({"error": "invalid_json_body", "message": str(error)}, status=400)
        try:
            await counts.add(found)
        except sqlite3.Error as error:
            return json_answer(
                {"error": "stats_unavailable", "message": f"events cannot be written: {error}"}, status=503
            )
        for kind, number in found.items():
            events.labels(kind.action).inc(number)
        return json_answer({"status": "ok"})

    reading = asyncio.Lock()

    async def by_day(request: Request) -> list[DayCount]:
        """Return the counts for who may read metrics, one after the other: there may be many to look through."""
        request.app.state.check_metrics_right(request)
        async with reading:
            return await asyncio.to_thread(counts.by_day)

    async def export(request: Request) -> Response:
        """GET /v1/capgo/stats.json: what was counted, by day."""
        try:
            days = await by_day(request)
        except sqlite3.Error as error:
            return _unreadable(error)
        return await asyncio.to_thread(lambda: json_answer(exported_counts(days)))

    async def page(request: Request) -> Response:
        """GET /v1/capgo/stats: installs, failures by reason, and versions, as charts."""
        headers = {"Cache-Control": "no-store", "Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
        try:
            days = await by_day(request)
        except sqlite3.Error as error:
            return _unreadable(error)
        return Response(await asyncio.to_thread(lambda: statistics_page(days)), 200, headers, "text/html")

    return [
        Route(PATH, report, methods=["POST"]),
        Route(PATH, page, methods=["GET"]),
        Route(f"{PATH}.json", export, methods=["GET"]),
    ]


def _unreadable(error: sqlite3.Error) -> Response:
    return json_answer({"error": "stats_unavailable", "message": f"counts cannot be read: {error}"}, status=503)
