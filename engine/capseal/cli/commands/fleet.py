"""capseal fleet: the same jobs on this machine's threads or on a Dask cluster, over folders and buckets."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from ...errors import UsageError
from ..framework import console, exit_codes, options, progress, titles
from ..framework.arguments import Group, argument, at_least, between, flag, option, together
from ..framework.extras import need
from ..framework.passphrases import Passphrases

if TYPE_CHECKING:
    from ...fleet import Engine, Finding, Progress, Report, Rewrapped, Watch
    from ...project.config import Config

_MIB = 1024 * 1024

Sealed = Annotated[
    str,
    argument(
        "BUNDLE", help="A sealed bundle: a path or URL, or the URL of a folder of parts (file://, s3://, gs://, az://)."
    ),
]


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
        return self.task_mib * _MIB

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
def _watched(label: str) -> "Iterator[Watch]":
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


def seal(
    source: Annotated[str, argument("SRC", help="A file, or the URL of an object (s3://, gs://, az://).")],
    destination: Annotated[
        str, argument("DST", help="A path: one attached bundle; the URL of a folder: parts, and the seal last.")
    ],
    version: Annotated[str, option("--version", metavar="TEXT", help="The version, for people.")],
    signer: options.Signers = None,
    signer_command: options.SignerCommand = None,
    recipient: options.Recipients = None,
    app: Annotated[str | None, option("--app", metavar="ID", help="What it is for, e.g. com.example.game.")] = None,
    sequence: Annotated[
        int | None, option("--sequence", metavar="N", type=at_least(1), help="The version, for machines.")
    ] = None,
    channel: Annotated[str | None, option("--channel", metavar="NAME", help="Default: production.")] = None,
    role: Annotated[
        options.RoleName | None, option("--role", type=options.RoleName, help="What the bundle is meant for.")
    ] = None,
    *,
    requirements: options.Requirements,
    content_type: Annotated[
        str | None, option("--content-type", metavar="TYPE", help="application/octet-stream: not unpacked by devices.")
    ] = None,
    part_mib: Annotated[
        int, option("--part-mib", metavar="MIB", type=between(1, 64), help="Size of a part; default: 8.")
    ] = 8,
    claims: Annotated[
        str | None,
        option(
            "--claims",
            metavar="URL",
            help="Where parts are claimed, trusted with the plaintext; default: beside the source.",
        ),
    ] = None,
    state: Annotated[
        str | None,
        option(
            "--state",
            metavar="FILE",
            help="Keep the key here until the job has ended, so that the same command goes on where it was killed.",
            writes=True,
        ),
    ] = None,
    force: options.Force = False,
    work: Work,
    passphrases: Passphrases,
) -> None:
    """Encrypt and sign a bundle. Workers get the payload's key alone; the signing keys stay here."""
    from datetime import UTC, datetime

    from ... import fleet
    from ...bundle.plan import OPEN_ENCRYPTION, OPEN_PAYLOAD
    from ...constants import ANY_MEDIA_TYPE, ZIP_MEDIA_TYPE
    from ...format.statement import Content, Statement

    config = options.find_config()
    created = datetime.now(UTC).replace(microsecond=0)
    name = source.rstrip("/").rpartition("/")[2]
    with work.engine() as engine, _watched("Sealing") as watch:
        signers = options.load_signers(signer or config.signers, passphrases, command=signer_command)
        statement = Statement(
            app=options.chosen_app(app, config),
            version=version,
            sequence=int(created.timestamp()) if sequence is None else sequence,
            channel=options.chosen_channel(channel, config),
            role=options.chosen_role(role, signers, config),
            created=created,
            content=Content(
                name, content_type or (ZIP_MEDIA_TYPE if name.lower().endswith(".zip") else ANY_MEDIA_TYPE), 0
            ),
            payload=OPEN_PAYLOAD,
            encryption=OPEN_ENCRYPTION,
            requires=requirements.required(),
        )
        sealed = fleet.seal(
            source,
            destination,
            statement=statement,
            signers=signers,
            recipients=options.load_recipients(recipient or config.recipients),
            engine=engine,
            task_bytes=work.task_bytes,
            part_bytes=part_mib * _MIB,
            claims=claims,
            state=state,
            overwrite=force,
            dry_run=work.dry_run,
            watch=watch,
        )
    work.told(sealed.report)


def verify(bundle: Sealed, *, demands: options.Demands, work: Work) -> None:
    """Check a sealed bundle, every byte of it. Needs no secret."""
    with work.engine() as engine, _watched("Verifying") as watch:
        from ... import fleet

        opened = fleet.verify(bundle, engine=engine, watch=watch, **_settings(demands, work))
    work.told(opened.report)


def unseal(
    bundle: Sealed,
    destination: Annotated[str, argument("DST", help="Where to write: a path, the same one for every worker.")],
    identity: options.Identities = None,
    *,
    demands: options.Demands,
    force: options.Force = False,
    work: Work,
    passphrases: Passphrases,
) -> None:
    """Check and decrypt a sealed bundle. The output appears only if everything checked out."""
    with work.engine() as engine, _watched("Unsealing") as watch:
        from ... import fleet

        opened = fleet.unseal(
            bundle,
            destination,
            identity=options.load_identities(identity or options.find_config().identities, passphrases),
            engine=engine,
            overwrite=force,
            watch=watch,
            **_settings(demands, work),
        )
    work.told(opened.report)


def scrub(
    store: Annotated[str, argument("STORE", help="A folder, or an s3://, gs:// or az:// URL, as for 'serve'.")],
    trust: options.Trust = None,
    role: options.ExpectRole = options.RoleName.PRODUCTION,
    state: Annotated[
        str | None,
        option(
            "--state",
            metavar="URL",
            help="Keep here when each release was found whole; outside of STORE.",
            writes=True,
        ),
    ] = None,
    again_after: Annotated[
        int | None,
        option(
            "--again-after",
            metavar="DAYS",
            type=at_least(1),
            help="With --state: only list what was read within so many days.",
        ),
    ] = None,
    grace_days: Annotated[
        int,
        option(
            "--grace", metavar="DAYS", type=at_least(0), help="So old is what counts as needed by nobody; default: 7."
        ),
    ] = 7,
    max_mib_per_s: Annotated[
        int | None, option("--max-mib-per-s", metavar="MIB", type=at_least(1), help="Read no faster than that.")
    ] = None,
    *,
    work: Work,
) -> int:
    """Check a server's store, each release and companion against its signed index; list all that is wrong.

    Changes nothing; servers may use the store meanwhile. Exit code 1 where something is wrong.
    """
    if again_after is not None and state is None:
        raise UsageError("--again-after needs --state, where it stands when each release was read")
    with work.engine() as engine, _watched("Scrubbing") as watch:
        from datetime import timedelta

        from ... import fleet
        from ...format.strictjson import Role

        watch.bytes_per_s = None if max_mib_per_s is None else max_mib_per_s * _MIB
        scrubbed = fleet.scrub(
            store,
            trust=options.load_trust(trust or options.find_config().trust),
            engine=engine,
            role=Role(role.value),
            state=state,
            again_after=None if again_after is None else timedelta(days=again_after),
            grace=timedelta(days=grace_days),
            task_bytes=work.task_bytes,
            dry_run=work.dry_run,
            watch=watch,
        )
    console.answer(scrubbed.to_json())
    _tell(scrubbed.findings)
    releases = titles.counted(scrubbed.releases, "release")
    console.say(f"{store}: {releases}, {scrubbed.checked} read, {titles.counted(len(scrubbed.findings), 'finding')}")
    return exit_codes.REJECTED if scrubbed.findings else exit_codes.DONE


def rewrap(
    store: Annotated[str, argument("STORE", help="A folder, or an s3://, gs:// or az:// URL, as for 'serve'.")],
    select: Annotated[
        list[str] | None,
        option(
            "--select",
            metavar="WHICH",
            repeatable=True,
            help="APP, APP@CHANNEL, APP@CHANNEL:SEQUENCE or APP@CHANNEL:FIRST-LAST; repeatable.",
        ),
    ] = None,
    identity: options.Identities = None,
    signer: options.Signers = None,
    signer_command: options.SignerCommand = None,
    recipient: options.Recipients = None,
    trust: Annotated[
        list[str] | None,
        option(
            "--trust",
            metavar="FILE",
            repeatable=True,
            help="Whose seals count: the present store, then those of the past that the log goes by.",
        ),
    ] = None,
    log: Annotated[
        str | None,
        option("--log", metavar="FILE", help="The release log: only what it holds is signed anew.", writes=True),
    ] = None,
    role: options.ExpectRole = options.RoleName.PRODUCTION,
    *,
    work: Work,
    passphrases: Passphrases,
) -> int:
    """Seal what a server's store has for other recipients; devices open both, whoever has lost a key only the old one.

    Each release is the old one or the new one; run it again where it was killed. Exit code 1 where some had to stay.
    """
    config = options.find_config()
    path = log or config.log
    if not select:
        raise UsageError("say which: --select APP, APP@CHANNEL or APP@CHANNEL:FIRST-LAST")
    if path is None:
        raise UsageError("no log: give --log FILE, or set 'log' in capseal.toml; only what it holds is signed anew")
    need("fleet")
    need("server")
    with work.engine() as engine, _watched("Rewrapping") as watch:
        from datetime import UTC, datetime

        from ... import fleet
        from ...format.strictjson import Role
        from ...project.seal_log import replacing_seals

        selected = [fleet.Selection.parse(text) for text in select]
        stores = [options.load_trust(one) for one in trust or (config.trust,)]
        signers = options.load_signers(signer or config.signers, passphrases, command=signer_command)
        with replacing_seals(path, trust=stores, signer=signers[0], clock=lambda: datetime.now(UTC)) as seal_log:
            done = fleet.rewrap(
                store,
                select=selected,
                identity=options.load_identities(identity or config.identities, passphrases),
                recipients=options.load_recipients(recipient or config.recipients),
                signers=signers,
                log=seal_log,
                trust=stores[0],
                engine=engine,
                role=Role(role.value),
                task_bytes=work.task_bytes,
                dry_run=work.dry_run,
                watch=watch,
            )
    console.answer(done.to_json())
    _tell(done.findings)
    releases = titles.counted(len(done.findings), "release") + " left as they are" if done.findings else ""
    would = " would be read, nothing was changed" if work.dry_run else ""
    console.say(
        f"{store}: {titles.counted(done.renewed, 'release')} rewrapped, {done.already} were already"
        f"{', ' + releases if releases else ''}"
        f"{f'; {titles.sized(done.report.bytes)}{would}' if would else ''}"
    )
    _say_recipients(done, config)
    return exit_codes.REJECTED if done.findings else exit_codes.DONE


def _tell(findings: "Iterable[Finding]") -> None:
    for finding in findings:
        console.say(f"{finding.kind}: {finding.path}: {finding.text}")


def _say_recipients(done: "Rewrapped", config: "Config") -> None:
    """Say whom new seals are for that old ones were not for, and whom not any more; warn of the project's own."""
    for what, counts in (("added", done.added), ("dropped", done.dropped)):
        for fingerprint, seals in sorted(counts.items()):
            console.say(f"recipient {fingerprint[:16]}: {what}, {titles.counted(seals, 'seal')}")
    if not done.dropped:
        return
    for path in config.recipients:
        if os.path.exists(path):
            for key in options.load_recipients([path]):
                if key.fingerprint in done.dropped:
                    lost = "is in 'recipients' in capseal.toml, and new seals are not for it: name it with -r, too"
                    console.complain(f"warning: {path}: {lost}")


def _settings(demands: options.Demands, work: Work) -> dict[str, Any]:
    config = options.find_config()
    return {
        "trust": demands.trusted(config),
        "expect": demands.expected(config),
        "task_bytes": work.task_bytes,
        "dry_run": work.dry_run,
    }


COMMANDS = {
    "fleet": Group(
        help="Large jobs on threads or a Dask cluster, over folders and buckets (docs/fleet.md).",
        commands={"seal": seal, "verify": verify, "unseal": unseal, "scrub": scrub, "rewrap": rewrap},
    )
}
