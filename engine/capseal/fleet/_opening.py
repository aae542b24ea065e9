"""Verifying and unsealing by a fleet, with the verdict of capseal.verify() and the bytes of capseal.unseal()."""

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from ..bundle.reading_order import Verified
from ..constants import SEGMENT_BYTES
from ..crypto.keys import Identity
from ..errors import UsageError
from ..io import drafts
from ..trust.expect import Expect
from ..trust.store import TrustStore
from . import _places as places
from ._engines import Engine
from ._jobs import Report, Task, Watch, results
from ._outputs import FileUnderWay
from ._payloads import FleetBundle, open_fleet_bundle
from ._plan import MAX_TASK_SEGMENTS, TASK_SEGMENTS, Span, segments_of
from ._work import UnsealWork, unseal_span, verify_span


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle that a fleet verified, unless it was a dry run: then its seal alone was."""

    verified: Verified
    report: Report


def verify(
    place: str,
    *,
    trust: TrustStore,
    engine: Engine,
    expect: Expect = Expect(),
    task_bytes: int = TASK_SEGMENTS * SEGMENT_BYTES,
    dry_run: bool = False,
    watch: Watch | None = None,
) -> Opened:
    """Check a sealed bundle, every byte of it, and return what it says.

    place: a path or URL of an attached bundle, or the URL of a folder of parts. Raises RejectedError, UsageError,
    TransferError, OSError.
    """
    watch = watch or Watch()
    bundle = open_fleet_bundle(place, trust=trust, expect=expect)
    todo = _tasks(bundle, task_bytes, watch)
    if dry_run:
        return Opened(bundle.verified, Report.planned("verify", engine, todo, place=place))
    with closing(results(engine, verify_span, todo, watch=watch)) as done:
        for _ in done:
            pass
    return Opened(bundle.verified, Report.of("verify", engine, watch, place=place))


def unseal(
    place: str,
    destination: str,
    *,
    identity: Identity | Sequence[Identity],
    trust: TrustStore,
    engine: Engine,
    expect: Expect = Expect(),
    task_bytes: int = TASK_SEGMENTS * SEGMENT_BYTES,
    overwrite: bool = False,
    dry_run: bool = False,
    watch: Watch | None = None,
) -> Opened:
    """Check a sealed bundle and write its plaintext, which appears only when everything checked out.

    place: as for verify(). destination: a path, the same one for every worker. Raises as verify() does.
    """
    watch = watch or Watch()
    if not places.is_local(destination):
        raise UsageError(f"{destination}: plaintext is written to a path, not to a URL")
    bundle = open_fleet_bundle(place, trust=trust, expect=expect)
    todo = _tasks(bundle, task_bytes, watch)
    if dry_run:
        return Opened(bundle.verified, Report.planned("unseal", engine, todo, place=destination))
    key, header = bundle.open_key(identity)
    path = os.path.realpath(destination) if overwrite else destination
    with drafts.Draft(path, overwrite=overwrite) as draft:
        output = FileUnderWay(os.path.abspath(draft.part), 0, bundle.work.part_segments)
        work = UnsealWork(bundle.work, output, header.encode(), key)
        opening = [replace(task, arguments=(work, *task.arguments[1:])) for task in todo]
        with closing(results(engine, unseal_span, opening, watch=watch)) as done:
            for _ in done:
                pass
        drafts.commit_all([draft])
    return Opened(bundle.verified, Report.of("unseal", engine, watch, place=destination))


def _tasks(bundle: FleetBundle, task_bytes: int, watch: Watch) -> list[Task[Span]]:
    watch.progress = replace(watch.progress, bytes=bundle.verified.statement.payload.size)
    return [*bundle.tasks(segments_of(task_bytes, least=1, most=MAX_TASK_SEGMENTS, what="task"))]
