"""capseal fleet scrub and rewrap: what stands in a server's store, all of it checked or sealed for others."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from ...errors import UsageError
from ..framework import console, exit_codes, options, titles
from ..framework.arguments import at_least, option
from ..framework.extras import need
from ..framework.passphrases import Passphrases
from .fleet_work import MIB, Work, watched

if TYPE_CHECKING:
    from ...fleet import Finding, Rewrapped
    from ...project.config import Config


def scrub(
    store: options.Store,
    trust: Annotated[
        list[str] | None,
        option(
            "--trust",
            metavar="FILE",
            repeatable=True,
            help="Whose seals count: the present store, then those of the past by which some were published.",
        ),
    ] = None,
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
    with work.engine() as engine, watched("Scrubbing") as watch:
        from datetime import timedelta

        from ... import fleet
        from ...format.strictjson import Role

        present, *past = options.load_trusts(trust, options.find_config().trust)
        watch.bytes_per_s = None if max_mib_per_s is None else max_mib_per_s * MIB
        scrubbed = fleet.scrub(
            store,
            trust=present,
            past=past,
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
    store: options.Store,
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
    with work.engine() as engine, watched("Rewrapping") as watch:
        from datetime import UTC, datetime

        from ... import fleet
        from ...format.strictjson import Role
        from ...project.seal_log import replacing_seals

        selected = [fleet.Selection.parse(text) for text in select]
        stores = options.load_trusts(trust, config.trust)
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
