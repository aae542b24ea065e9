"""capseal publish, fetch and withdraw: the way to a server of bundles, and from it."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Annotated, Any

from ...errors import UsageError
from ..framework import console, options, progress, servers
from ..framework.arguments import Choice, argument, at_least, between, option
from ..framework.extras import need
from ..framework.passphrases import Passphrases

App = Annotated[str | None, option("--app", metavar="ID", help="The app; default: capseal.toml's.")]
Channel = Annotated[str | None, option("--channel", metavar="NAME", help="Default: production.")]


class HeadChoice(Choice):
    """How `fetch` uses heads, named here so that --help need not import the library."""

    REQUIRED = "required"
    USED = "used"
    IGNORED = "ignored"


Transfers = Annotated[int, option("-j", "--jobs", metavar="N", type=between(1, 64), help="Transfers at once.")]


def _named_file(text: str) -> tuple[str, str]:
    name, separator, file = text.partition("=")
    if not name or not separator or not file:
        raise UsageError(f"--attachment: {text!r} is not NAME=FILE")
    return name, file


def publish(
    bundle: Annotated[
        str,
        argument(
            "BUNDLE",
            help="A sealed bundle; a payload with --seal; or the URL of parts that lie in the server's store.",
        ),
    ],
    server: servers.Url = None,
    seal: options.Seal = None,
    attachment: Annotated[
        list[str] | None,
        option(
            "--attachment",
            metavar="NAME=FILE",
            repeatable=True,
            help="An attachment of the seal, where it is not beside the bundle under its name.",
        ),
    ] = None,
    token_file: servers.TokenFile = None,
    head: options.SendHead = True,
    share: options.Share = None,
    jobs: Transfers = 4,
    *,
    passphrases: Passphrases,
) -> None:
    """Upload a sealed bundle and make it the latest of its app and channel. Goes on where it was interrupted."""
    need("client")
    import io

    from ... import client
    from ...bundle.verify import inspect
    from ...project.log import load_pending

    stored = _stored_seal(bundle, seal, attachment)
    files = dict(map(_named_file, attachment or ()))
    config = options.find_config()
    url = servers.chosen_server(server, config)
    with servers.connect(url, token_file) as connection, progress.transferred("Publishing") as bar:
        if stored is not None:
            release = client.publish_stored(stored, connection)
        else:
            release = client.publish(
                bundle, connection, seal=options.seal_of(bundle, seal), companions=files, jobs=jobs, **bar
            )
    console.say(f"published {_told(release)}")
    logged, sent = False, None
    if config.log is not None and load_pending(config.log) is not None:
        from ...project.release import log_published

        digest = release["seal"]["digest"]["sha256"]
        logged = log_published(config.log, digest, trust=options.load_trust(config.trust))
        if logged:
            console.say(f"logged in {config.log}, where its entry was pending")
    from . import head_sending

    sent = None
    statement = inspect(options.seal_of(bundle, seal) or bundle if stored is None else io.BytesIO(stored))[1]
    with servers.connect(url, token_file) as connection:
        if head:
            sent = head_sending.send_after_publishing(
                config, connection, passphrases, statement, log=config.log, share=share
            )
        devices = head_sending.told_of_devices(config, connection, statement, sent)
    number = None if sent is None else sent.head.number
    console.answer({"release": release, "logged": logged, "head": number})
    if head:
        head_sending.tell_after_publishing(sent, config, statement)
    if devices is not None:
        console.say(f"next: {devices}")


def _stored_seal(bundle: str, seal: str | None, attachment: list[str] | None) -> bytes | None:
    """Return the seal of parts that lie in a store, or None where a bundle is a file. Raises UsageError."""
    if "://" not in bundle:
        return None
    if seal is not None or attachment:
        raise UsageError(f"{bundle}: a folder of parts has its seal, and no attachments")
    need("fleet")
    from ...fleet import seal_of_parts

    return seal_of_parts(bundle)


def fetch(
    output: Annotated[
        str, option("-o", "--output", metavar="DIR", help="The folder that it goes to; made if missing.")
    ],
    server: servers.Url = None,
    trust: options.Trust = None,
    app: App = None,
    channel: Channel = None,
    sequence: Annotated[
        int | None, option("--sequence", metavar="N", type=at_least(1), help="Not the latest, but this one.")
    ] = None,
    min_sequence: options.MinSequence = None,
    role: options.ExpectRole = options.RoleName.PRODUCTION,
    native: options.ExpectNative = None,
    platform: options.ExpectPlatform = None,
    head: Annotated[
        HeadChoice,
        option(
            "--head",
            type=HeadChoice,
            help="What a head has to say: 'required', nothing but what a fresh one names; 'used', the same where there "
            "is one, else it is told that there is none; 'ignored'. Default: used.",
        ),
    ] = HeadChoice.USED,
    attachment: Annotated[
        list[str] | None,
        option("--attachment", metavar="NAME", repeatable=True, help="Fetch this attachment of the seal, too."),
    ] = None,
    base: Annotated[
        list[str] | None,
        option(
            "--base",
            metavar="OLD",
            repeatable=True,
            help="Rebuild the payload by a recipe from this folder, zip or sealed bundle, with a recipient's key (-i).",
        ),
    ] = None,
    identity: options.Identities = None,
    jobs: Transfers = 4,
    *,
    passphrases: Passphrases,
) -> None:
    """Fetch a release, verified segment by segment. Goes on with what is on disk already."""
    need("client")
    from datetime import UTC, datetime

    from ... import client
    from ...io.durable import make_folders

    config = options.find_config()
    app, channel = options.chosen_app(app, config), options.chosen_channel(channel, config)
    store = options.load_trust(trust or config.trust)
    expect = options.expectation(
        app=app, channel=channel, min_sequence=min_sequence, role=role, native=native, platform=platform
    )
    with ExitStack() as stack:
        rebuilder = None
        if base:
            need("delta")
            from ..framework.bases import Rebuilder

            keys = options.load_identities(identity or config.identities, passphrases)
            rebuilder = Rebuilder(base, keys, store, stack)
        connection = stack.enter_context(servers.connect(servers.chosen_server(server, config)))
        said = client.follow_head(
            connection,
            app=app,
            channel=channel,
            trust=store,
            expect=expect,
            use=client.HeadUse(head.value),
            now=datetime.now(UTC),
            sequence=sequence,
        )
        if said.uncertain is not None:
            console.complain(f"warning: {said.uncertain}; whether something newer is withheld, nobody can say")
        make_folders(output)
        bar = stack.enter_context(progress.transferred("Fetching"))
        got = client.fetch(
            connection,
            app=app,
            channel=channel,
            folder=output,
            trust=store,
            expect=said.expect,
            sequence=said.sequence,
            companions=attachment or (),
            rebuild=rebuilder,
            jobs=jobs,
            **bar,
        )
    for line in () if rebuilder is None else rebuilder.told:
        console.note(line)
    files = {"seal": got.seal, "payload": got.payload, "attachments": dict(got.companions)}
    console.answer({"statement": got.verified.statement.to_json(), **files})
    console.say(got.seal)
    console.say(got.payload)
    for path in got.companions.values():
        console.say(path)


def withdraw(
    sequence: Annotated[int, option("--sequence", metavar="N", type=at_least(1), help="Which release.")],
    server: servers.Url = None,
    token_file: servers.TokenFile = None,
    app: App = None,
    channel: Channel = None,
) -> None:
    """Take a release back. Its sequence is never used again; devices that have it keep it."""
    need("client")
    from ... import client
    from . import head_sending

    config = options.find_config()
    app, channel = options.chosen_app(app, config), options.chosen_channel(channel, config)
    with servers.connect(servers.chosen_server(server, config), token_file) as connection:
        before = client.find_release(connection, app=app, channel=channel, sequence=sequence)
        release = client.withdraw(connection, app=app, channel=channel, sequence=sequence)
        still = head_sending.told_of_withdrawal(connection, app=app, channel=channel, sequence=sequence)
    if still is not None:
        console.complain(f"warning: {still}")
    console.answer({"release": release})
    if before is not None and before["withdrawn"]:
        console.say(f"nothing to do: {_told(release)} was withdrawn at {before['withdrawn']}")
    else:
        console.say(f"withdrew {_told(release)}")


def _told(release: Mapping[str, Any]) -> str:
    return f"{release['app']} {release['version']} on {release['channel']}, sequence {release['sequence']}"


COMMANDS = {"publish": publish, "fetch": fetch, "withdraw": withdraw}
