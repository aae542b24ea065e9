"""capseal serve, publish, fetch and withdraw: a server of bundles, and the way to and from it."""

import gc
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

from ...errors import UsageError
from ...project import config
from ..framework import console, options, progress
from ..framework import exit_codes as exits
from ..framework.arguments import argument, at_least, between, flag, option

if TYPE_CHECKING:
    from uvicorn import Server

    from ...client import Connection

Url = Annotated[str, argument("URL", help="The server, e.g. https://bundles.example.com.")]
App = Annotated[str | None, option("--app", metavar="ID", help="The app; default: capseal.toml's.")]
Channel = Annotated[str | None, option("--channel", metavar="NAME", help="Default: production.")]
TokenFile = Annotated[
    str | None, option("--token-file", metavar="FILE", help="The publishers' bearer token, one line.")
]
Transfers = Annotated[int, option("-j", "--jobs", metavar="N", type=between(1, 64), help="Transfers at once.")]


_MODULES = {
    "client": ("httpx", "tenacity"),
    "server": ("httptools", "httpx", "jinja2", "obstore", "prometheus_client", "starlette", "uvicorn"),
}


def serve(
    store: Annotated[str, argument("STORE", help="A folder, or an s3://, gs:// or az:// URL.")],
    trust: options.Trust = None,
    host: Annotated[str, option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, option("--port", metavar="N", type=between(0, 65535), help="Where to listen.")] = 8417,
    verify_reads: Annotated[bool, flag("--verify-reads", help="Check every segment on its way out, too.")] = False,
    token_file: TokenFile = None,
    certificate: Annotated[
        str | None, option("--tls-certificate", metavar="FILE", help="PEM; with --tls-key, speak TLS only.")
    ] = None,
    key: Annotated[str | None, option("--tls-key", metavar="FILE", help="PEM.")] = None,
    role: options.ExpectRole = options.RoleName.PRODUCTION,
    max_bundle: Annotated[
        int | None, option("--max-bundle", metavar="BYTES", type=at_least(1), help="Largest payload; default: 64 GiB.")
    ] = None,
    capgo: Annotated[bool, flag("--capgo", help="Answer Capgo's plugin, too, at /v1/capgo/updates.")] = False,
    default_channel: Annotated[
        str | None,
        option(
            "--default-channel",
            metavar="NAME",
            help="For Capgo plugins that name none; default: capseal.toml's, or production.",
        ),
    ] = None,
    public_url: Annotated[
        str | None,
        option("--public-url", metavar="URL", help="Where Capgo plugins reach this server; default: as they asked."),
    ] = None,
) -> None:
    """Serve bundles, and take new ones from trusted signers. Needs no secret key. Ends on SIGTERM."""
    if not capgo and (default_channel or public_url):
        raise UsageError("--default-channel and --public-url are for --capgo")
    if (certificate is None) != (key is None):
        raise UsageError("--tls-certificate and --tls-key are given together")
    _need("server")
    from ...server import CapgoUpdates, Limits, Storage, create_app, load_token, log_as_json, make_server
    from ...trust.store import Role

    limits = Limits() if max_bundle is None else Limits(bundle_bytes=max_bundle)
    token = None if token_file is None else load_token(token_file)
    settings = config.find()
    trusted = options.load_trust(trust or settings.trust)
    channel = default_channel or settings.channel or "production"
    updates = CapgoUpdates(default_channel=channel, public_url=public_url) if capgo else None
    with closing(Storage.open(store)) as storage:
        app = create_app(
            storage,
            trusted,
            token=token,
            verify_reads=verify_reads,
            role=Role(role.value),
            limits=limits,
            capgo=updates,
        )
        server = make_server(app, host=host, port=port, limits=limits, certificate=certificate, key=key)
        log_as_json()
        # All that was imported stays: no collection need look at it while transfers wait.
        gc.freeze()
        _run(server, f"{host} port {port}")
    if not server.started:
        raise OSError(f"cannot serve {store}; the log above says why")


def _run(server: "Server", place: str) -> None:
    try:
        server.run()
    except exits.Interrupted:  # uvicorn finished or aborted what was under way, then raised the signal again
        return
    except SystemExit as error:  # uvicorn could not listen
        raise OSError(f"cannot listen on {place}; the log above says why") from error


def publish(
    bundle: Annotated[str, argument("BUNDLE", help="A sealed bundle, or a payload with --seal.")],
    url: Url,
    seal: options.Seal = None,
    capgo: Annotated[
        str | None, option("--capgo", metavar="FILE", help="The Capgo file that the seal vouches for.")
    ] = None,
    token_file: TokenFile = None,
    jobs: Transfers = 4,
) -> None:
    """Upload a sealed bundle and make it the latest of its app and channel. Goes on where it was interrupted."""
    _need("client")
    from ... import client

    beside = () if capgo is None else (capgo,)
    with _connect(url, token_file) as connection, progress.shown("Publishing", bundle, *beside) as advance:
        release = client.publish(bundle, connection, seal=seal, capgo=capgo, jobs=jobs, progress=advance)
    console.say(
        f"published {release['app']} {release['version']} on {release['channel']}, sequence {release['sequence']}"
    )


def fetch(
    url: Url,
    output: Annotated[str, option("-o", "--output", metavar="DIR", help="An existing folder.")],
    trust: options.Trust = None,
    app: App = None,
    channel: Channel = None,
    sequence: Annotated[
        int | None, option("--sequence", metavar="N", type=at_least(1), help="Not the latest, but this one.")
    ] = None,
    min_sequence: options.MinSequence = None,
    role: options.ExpectRole = options.RoleName.PRODUCTION,
    jobs: Transfers = 4,
) -> None:
    """Fetch a release, verified segment by segment. Goes on with what is on disk already."""
    _need("client")
    from ... import client

    app, channel = _place(app, channel)
    store = options.load_trust(trust or config.find().trust)
    expect = options.expectation(app=app, channel=channel, min_sequence=min_sequence, role=role)
    with _connect(url, None) as connection, progress.shown("Fetching", console.STANDARD) as advance:
        got = client.fetch(
            connection,
            app=app,
            channel=channel,
            folder=output,
            trust=store,
            expect=expect,
            sequence=sequence,
            jobs=jobs,
            progress=advance,
        )
    console.say(got.seal)
    console.say(got.payload)


def withdraw(
    url: Url,
    sequence: Annotated[int, option("--sequence", metavar="N", type=at_least(1), help="Which release.")],
    token_file: TokenFile = None,
    app: App = None,
    channel: Channel = None,
) -> None:
    """Take a release back. Its sequence is never used again; devices that have it keep it."""
    _need("client")
    from ... import client

    app, channel = _place(app, channel)
    with _connect(url, token_file) as connection:
        release = client.withdraw(connection, app=app, channel=channel, sequence=sequence)
    console.say(
        f"withdrew {release['app']} {release['version']} on {release['channel']}, sequence {release['sequence']}"
    )


def _place(app: str | None, channel: str | None) -> tuple[str, str]:
    settings = config.find()
    app = app or settings.app
    if app is None:
        raise UsageError("no app: give --app ID, or make a project with 'capseal init'")
    return app, channel or settings.channel or "production"


def _connect(url: str, token_file: str | None) -> "Connection":
    from ...client import Connection, load_token

    return Connection(url, token=None if token_file is None else load_token(token_file))


def _need(extra: str) -> None:
    """Raise UsageError where the libraries of an extra are not installed."""
    import importlib.util

    for module in _MODULES[extra]:
        if importlib.util.find_spec(module) is None:
            raise UsageError(f"{module} is not installed: pip install 'capseal[{extra}]'")


COMMANDS = {"serve": serve, "publish": publish, "fetch": fetch, "withdraw": withdraw}
