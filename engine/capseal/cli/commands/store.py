"""capseal store: what is done to a server's store beside its servers."""

from collections.abc import Mapping
from typing import Annotated, Any

from ...errors import UsageError
from ..framework import console, exit_codes, options, progress
from ..framework.arguments import Group, argument, at_least, flag, option
from ..framework.coroutines import run_coroutine
from ..framework.extras import need
from ..framework.titles import counted, sized


def export(
    store: options.Store,
    target: Annotated[
        str, argument("DEST", help="A folder, or an s3://, gs:// or az:// URL, that a web server or CDN gives out.")
    ],
) -> int:
    """Make DEST say what STORE says, as files that 'fetch', devices and web views read as they read a server.

    Again after each publishing or withdrawing, by cron or the publisher: only what changed is written.
    """
    need("server")
    import logging
    from contextlib import closing
    from datetime import UTC, datetime

    from ...server import Limits, Storage, check_apart, export_store

    check_apart(store, target)
    with closing(Storage.open(store, may_be_new=False)) as storage, closing(Storage.open(target)) as place:
        log, most, now = logging.getLogger("capseal.server"), Limits().seal_bytes, datetime.now(UTC)
        with progress.counted("Exporting releases") as bar:
            exported = run_coroutine(
                lambda: export_store(storage, place, now=now, log=log, most_seal_bytes=most, **bar)
            )
    added = [release.to_json() for release in exported.added]
    removed = [{"app": of.app, "channel": of.channel, "sequence": number} for of, number in exported.removed]
    console.answer(
        {
            "added": added,
            "removed": removed,
            "documents": exported.documents,
            "failed": exported.failed,
            "warnings": exported.warnings,
        }
    )
    for release in added:
        console.say(f"added {_line(release)}")
    for name in exported.documents:
        console.say(f"wrote {name}")
    for of, number in exported.removed:
        console.say(f"took away {of.app} (sequence {number}, {of.channel})")
    console.say(f"{target}: {counted(len(added), 'release')} added, {len(exported.removed)} taken away")
    for text in exported.warnings:
        console.complain(f"warning: {text}")
    for text in exported.failed:
        console.complain(f"not exported: {text}")
    return exit_codes.ENVIRONMENT if exported.failed else exit_codes.DONE


def prune(
    store: options.Store,
    keep: Annotated[
        int | None,
        option("--keep", metavar="N", type=at_least(1), help="Keep the newest N releases of each app and channel."),
    ] = None,
    keep_days: Annotated[
        int | None,
        option(
            "--keep-days",
            metavar="DAYS",
            type=at_least(1),
            help="Keep what was published within so many days; with --keep, what either of them keeps.",
        ),
    ] = None,
    dry_run: Annotated[bool, flag("--dry-run", help="Change nothing, only show what would go.")] = False,
) -> int:
    """Let go of old releases, never of the latest. Servers may use the store meanwhile, and collect the bytes later."""
    if keep is None and keep_days is None:
        raise UsageError("say what stays: --keep N, --keep-days DAYS, or both")
    need("server")
    import logging
    from contextlib import closing
    from datetime import UTC, datetime

    from ...server import LogFormat, Retention, Storage, log_to_stderr, prune_store

    log_to_stderr(LogFormat.AUTO)
    retention = Retention(keep=keep, keep_days=keep_days)
    with closing(Storage.open(store, may_be_new=False)) as storage:
        now = datetime.now(UTC)
        log = logging.getLogger("capseal.server")
        with progress.counted("Looking at channels") as bar:
            pruned = run_coroutine(lambda: prune_store(storage, retention, now=now, log=log, dry_run=dry_run, **bar))
    releases = [release.to_json() for release in pruned.releases]
    console.answer(
        {
            "dry_run": dry_run,
            "releases": releases,
            "damaged": [{"app": of.app, "channel": of.channel} for of in pruned.damaged],
        }
    )
    for release in releases:
        console.say(_line(release))
    count = counted(len(releases), "release")
    console.say(f"{count} would go, nothing was changed" if dry_run else f"{count} let go of")
    for of in pruned.damaged:
        console.complain(
            f"{of.app} on {of.channel}: nothing goes, since a record cannot be read; the log above says which"
        )
    return exit_codes.ENVIRONMENT if pruned.damaged else exit_codes.DONE


def _line(release: Mapping[str, Any]) -> str:
    what = "withdrawn" if release["withdrawn"] else sized(release["payload"]["size"])
    return (
        f"{release['app']} {release['version']} (sequence {release['sequence']}, {release['channel']}), "
        f"published {release['published']}, {what}"
    )


COMMANDS = {
    "store": Group(
        help="What is done to a server's store beside its servers.", commands={"export": export, "prune": prune}
    )
}
