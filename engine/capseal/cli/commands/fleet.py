"""capseal fleet: the same jobs on this machine's threads or on a Dask cluster, over folders and buckets."""

from typing import Annotated, Any

from ..framework import options
from ..framework.arguments import Group, argument, at_least, between, option
from ..framework.passphrases import Passphrases
from .fleet_stores import rewrap, scrub
from .fleet_work import MIB, Work, watched

Sealed = Annotated[
    str,
    argument(
        "BUNDLE", help="A sealed bundle: a path or URL, or the URL of a folder of parts (file://, s3://, gs://, az://)."
    ),
]


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
    with work.engine() as engine, watched("Sealing") as watch:
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
            part_bytes=part_mib * MIB,
            claims=claims,
            state=state,
            overwrite=force,
            dry_run=work.dry_run,
            watch=watch,
        )
    work.told(sealed.report)


def verify(bundle: Sealed, *, demands: options.Demands, work: Work) -> None:
    """Check a sealed bundle, every byte of it. Needs no secret."""
    with work.engine() as engine, watched("Verifying") as watch:
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
    with work.engine() as engine, watched("Unsealing") as watch:
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
