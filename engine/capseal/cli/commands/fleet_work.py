"""Who works for the commands of capseal fleet, and how it is told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NamedTuple

from ...errors import UsageError
from ..framework import console, options, progress, titles
from ..framework.arguments import between, flag, option, together
from ..framework.extras import need

if TYPE_CHECKING:
    from ...fleet import Engine, Progress, Report, Watch

MIB = 1024 * 1024


@together
class Work(NamedTuple):
    """Who works, and how it is told."""

    cluster: Annotated[
        str | None,
        option("--cluster", metavar="ADDRESS", help="A Dask scheduler, tls://HOST:8786; default: this machine."),
    ] = None
    tls_ca: Annotated[str | None, option("--tls-ca", metavar="FILE", help="PEM: who vouches for the cluster.")] = None
    tls_cert: Annotated[str | None, option("--tls-cert", metavar="FILE", help="PEM: our certificate for it.")] = None
    tls_key: Annotated[str | None, option("--tls-key", metavar="FILE", help="PEM: the key of --tls-cert.")] = None
    task_mib: Annotated[
        int, option("--task-mib", metavar="MIB", type=between(1, 32768), help="Size of a task; default: 256.")
    ] = 256
    jobs: options.Jobs = None
    dry_run: Annotated[bool, flag("--dry-run", help="Look at everything, and do nothing.")] = False

    @property
    def task_bytes(self) -> int:
        """Size of a task."""
        return self.task_mib * MIB

    @contextmanager
    def engine(self) -> "Iterator[Engine]":
        """Give who works. Raises UsageError, KeyFileError, TransferError."""
        need("fleet")
        from ... import fleet

        files = (self.tls_ca, self.tls_cert, self.tls_key)
        if self.cluster is None:
            if any(files):
                raise UsageError("--tls-ca, --tls-cert and --tls-key are for --cluster")
            with fleet.threads(self.jobs) as engine:
                yield engine
            return
        if self.jobs is not None:
            raise UsageError("--jobs is for this machine's threads; a cluster's workers have their own")
        if any(files) and not all(files):
            raise UsageError("--tls-ca, --tls-cert and --tls-key are given together")
        ca, certificate, key = files
        tls = fleet.TlsFiles(ca, certificate, key) if ca and certificate and key else None
        with fleet.dask(self.cluster, tls=tls) as engine:
            yield engine

    def told(self, report: "Report") -> None:
        """Print what was done."""
        for warning in report.warnings:
            console.complain(f"warning: {warning}")
        console.answer(report.to_json())
        what = "would be read in" if report.dry_run else "in"
        retried = f", {report.retried} done again" if report.retried else ""
        took = "" if report.dry_run else f", {report.seconds:.1f} s"
        console.say(
            f"{report.place}: {titles.sized(report.bytes)} {what} {titles.counted(report.tasks, 'task')} "
            f"on {report.engine}{retried}{took}"
        )


@contextmanager
def watched(label: str) -> "Iterator[Watch]":
    """Give a Watch that moves a bar, where one can be shown."""
    from ...fleet import Watch

    with progress.transferred(label) as bar:
        yield Watch(report=_moving(**bar) if bar else None)


def _moving(expecting: Callable[[int], None], progress: Callable[[int], None]) -> "Callable[[Progress], None]":
    before = 0

    def move(now: "Progress") -> None:
        nonlocal before
        if now.bytes is not None:
            expecting(now.bytes)
        progress(now.done_bytes - before)
        before = now.done_bytes

    return move
