"""statistics_page(): what was counted, as a page with charts and without a script."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from ._day_counts import DayCount, date_of
from ._events import FAILURES, INSTALLED

if TYPE_CHECKING:
    from jinja2 import Template

_SHOWN_DAYS = 30
_SHOWN_ROWS = 12
_SHOWN_APPS = 50


class _Bar(NamedTuple):
    """One line of a chart. share: of the longest one, in percent."""

    name: str
    events: int
    share: float


def statistics_page(days: Sequence[DayCount]) -> str:
    """Return the page, with the apps of the most events. days: in order, as sum_counts() returns them."""
    events: Counter[str] = Counter()
    for one in days:
        events[one.app] += one.events
    apps = []
    for app in sorted(name for name, _ in events.most_common(_SHOWN_APPS)):
        recent = [one for one in days if one.app == app]
        recent = [one for one in recent if one.day > recent[-1].day - _SHOWN_DAYS]
        installed = [one for one in recent if one.action == INSTALLED]
        first, last = recent[0].day, recent[-1].day
        by_day: Counter[str] = Counter({date_of(day): 0 for day in range(first, last + 1)})
        versions: dict[str, Counter[str]] = {}
        for one in installed:
            by_day[date_of(one.day)] += one.events
            versions.setdefault(date_of(one.day), Counter())[one.version] += one.events
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
