"""What Capgo's plugin reports, counted; a page with charts, and the same as JSON (docs/capgo.md, Statistics)."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client import Counter as Metric
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import FormatError
from ._counts import DAY_S, DayCount, EventCounts
from ._events import FAILURES, INSTALLED, MAX_EVENTS_BYTES, parse_events
from ._http import body_of, json_answer

if TYPE_CHECKING:
    from jinja2 import Template

PATH = "/v1/capgo/stats"
_SHOWN_DAYS = 30
_SHOWN_ROWS = 12
# No script, no outside resource: the page needs nothing but its own inline style.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def statistics_routes(counts: EventCounts, registry: CollectorRegistry) -> Sequence[Route]:
    """Return where the plugin reports, and where people and machines see what was counted."""
    events = Metric("capseal_capgo_events", "Events that Capgo's plugin reported.", ("action",), registry=registry)

    async def report(request: Request) -> Response:
        """POST /v1/capgo/stats: 200 once they are counted, 400 what never will be, 503 what may be sent again."""
        try:
            found = parse_events(await body_of(request, MAX_EVENTS_BYTES))
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

    async def exported(request: Request) -> Response:
        """GET /v1/capgo/stats.json: what was counted, by day."""
        try:
            days = await asyncio.to_thread(counts.by_day)
        except sqlite3.Error as error:
            return json_answer({"error": "stats_unavailable", "message": f"counts cannot be read: {error}"}, status=503)
        return json_answer({"counts": [one._replace(day=_date(one.day))._asdict() for one in days]})  # type: ignore[arg-type]

    async def page(request: Request) -> Response:
        """GET /v1/capgo/stats: installs, failures by reason, and versions, as charts."""
        headers = {"Cache-Control": "no-store", "Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
        try:
            body = await asyncio.to_thread(lambda: _page(counts.by_day()))
        except sqlite3.Error as error:
            return json_answer({"error": "stats_unavailable", "message": f"counts cannot be read: {error}"}, status=503)
        return Response(body, 200, headers, "text/html")

    return [
        Route(PATH, report, methods=["POST"]),
        Route(PATH, page, methods=["GET"]),
        Route(f"{PATH}.json", exported, methods=["GET"]),
    ]


class _Bar(NamedTuple):
    """One line of a chart. share: of the longest one, in percent."""

    name: str
    events: int
    share: float


def _page(days: Sequence[DayCount]) -> str:
    apps = []
    for app in sorted({one.app for one in days}):
        recent = [one for one in days if one.app == app]
        recent = [one for one in recent if one.day > recent[-1].day - _SHOWN_DAYS]
        installed = [one for one in recent if one.action == INSTALLED]
        first, last = recent[0].day, recent[-1].day
        by_day: Counter[str] = Counter({_date(day): 0 for day in range(first, last + 1)})
        versions: dict[str, Counter[str]] = {}
        for one in installed:
            by_day[_date(one.day)] += one.events
            versions.setdefault(_date(one.day), Counter())[one.version] += one.events
        failures: Counter[str] = Counter()
        for one in recent:
            if one.action in FAILURES:
                failures[one.action] += one.events
        apps.append(
            {
                "name": app,
                "installs": _bars(sorted(by_day.items())),
                "failures": _bars(failures.most_common(_SHOWN_ROWS)),
                "versions": [(day, _bars(counted.most_common(4))) for day, counted in sorted(versions.items())],
            }
        )
    return _template().render(apps=apps, days=_SHOWN_DAYS)


def _bars(rows: Sequence[tuple[str, int]]) -> list[_Bar]:
    most = max((events for _, events in rows), default=0) or 1
    return [_Bar(name, events, round(100 * events / most, 1)) for name, events in rows]


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_S, UTC).strftime("%Y-%m-%d")


@cache
def _template() -> "Template":
    from jinja2 import Environment

    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(_HTML)


_HTML = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Statistics</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
  table { border-collapse: collapse; width: 100%; }
  td { padding: .1em .6em .1em 0; white-space: nowrap; }
  td.bar { width: 100%; }
  svg { display: block; width: 100%; height: 1em; }
  .installs { fill: #2563eb; } .failures { fill: #dc2626; } .versions { fill: #059669; }
</style>
{% macro chart(rows, kind) %}
<table>
{% for row in rows %}
<tr><td>{{ row.name }}<td>{{ row.events }}<td class="bar">
<svg aria-hidden="true"><rect class="{{ kind }}" width="{{ row.share }}%" height="100%"/></svg>
{% endfor %}
</table>
{% endmacro %}
<h1>Statistics</h1>
<p>What devices reported in the last {{ days }} days on which any did. Nothing of this is authenticated.</p>
{% for app in apps %}
<h2>{{ app.name }}</h2>
<h3>Installs by day</h3>
{{ chart(app.installs, "installs") }}
<h3>Failures by reason</h3>
{% if app.failures %}{{ chart(app.failures, "failures") }}{% else %}<p>None.{% endif %}
<h3>Versions by day</h3>
{% for day, rows in app.versions %}
<h4>{{ day }}</h4>
{{ chart(rows, "versions") }}
{% endfor %}
{% else %}
<p>Nothing yet.
{% endfor %}
"""
