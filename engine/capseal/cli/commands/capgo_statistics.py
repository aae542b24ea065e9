"""capseal capgo statistics: what several servers counted of what Capgo's plugin reports, together."""

from collections import Counter
from functools import partial
from typing import Annotated

from ...errors import UsageError
from ..framework import console, options, progress
from ..framework.arguments import argument, option
from ..framework.extras import need
from ..framework.titles import counted

_EXPORT = "/v1/capgo/stats.json"


def statistics(
    urls: Annotated[list[str], argument("URL...", repeatable=True, help="Servers with --capgo-statistics.")],
    output: Annotated[
        str | None,
        option("-o", "--output", metavar="FILE.html", help="Write a page with charts.", writes=True),
    ] = None,
    token_file: Annotated[
        str | None, option("--token-file", metavar="FILE", help="A token that may read metrics, one line.")
    ] = None,
    force: options.Force = False,
) -> None:
    """Sum what servers counted, and show it: in lines, as a page, or as the JSON that they export."""
    need("client")
    if output is not None:
        need("server")
    from ... import capgo
    from ...client import Connection, load_token

    if len(set(urls)) != len(urls):
        raise UsageError("a server is named twice: its events would count twice")
    token = None if token_file is None else load_token(token_file)
    servers = []
    with progress.counted("Asking servers") as bar:
        if bar:
            bar["expecting"](len(urls))
        for url in urls:
            with Connection(url, token=token) as connection:
                export = partial(connection.ask, "GET", _EXPORT, capgo.parse_counts, most=capgo.MAX_EXPORT_BYTES)
                servers.append(connection.in_time(export, "statistics"))
            if bar:
                bar["progress"](1)
    counts = capgo.sum_counts(servers)
    if output is not None:
        from ...io.sink import FileSink

        with FileSink(output, overwrite=force) as file:
            file.write_at(0, capgo.statistics_page(counts).encode("utf-8"))
            file.commit()
    console.answer(capgo.exported_counts(counts))
    events: Counter[tuple[str, str, str]] = Counter()
    for one in counts:
        events[one.app, one.action, one.version] += one.events
    for (app, action, version), number in sorted(events.items()):
        console.print_line(f"{app} {version} {action}: {counted(number, 'event')}")
