"""capseal serve: a server of bundles."""

import gc
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

from ...errors import UsageError
from ..framework import exit_codes, options
from ..framework.arguments import argument, at_least, between, flag, option
from ..framework.extras import need

if TYPE_CHECKING:
    from uvicorn import Server


def serve(
    store: Annotated[str, argument("STORE", help="A folder, or an s3://, gs:// or az:// URL.")],
    trust: options.Trust = None,
    host: Annotated[str, option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, option("--port", metavar="N", type=between(0, 65535), help="Where to listen.")] = 8417,
    verify_reads: Annotated[bool, flag("--verify-reads", help="Check every segment on its way out, too.")] = False,
    token_file: options.TokenFile = None,
    certificate: Annotated[
        str | None, option("--tls-certificate", metavar="FILE", help="PEM; with --tls-key, speak TLS only.")
    ] = None,
    key: Annotated[str | None, option("--tls-key", metavar="FILE", help="PEM.")] = None,
    role: options.ExpectRole = options.RoleName.PRODUCTION,
    max_bundle: Annotated[
        int | None, option("--max-bundle", metavar="BYTES", type=at_least(1), help="Largest bundle; default: 64 GiB.")
    ] = None,
    behind_proxy: Annotated[
        bool, flag("--behind-proxy", help="All clients have a proxy's address: the proxy limits what each may take.")
    ] = False,
    cors_origin: Annotated[
        list[str] | None,
        option(
            "--cors-origin",
            metavar="URL",
            repeatable=True,
            help="Let pages of this origin only read what is public, not those of all; repeatable.",
        ),
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
    """Serve bundles, and take new ones from trusted signers. Needs no secret key. Ends on SIGTERM and SIGHUP."""
    if not capgo and (default_channel or public_url):
        raise UsageError("--default-channel and --public-url are for --capgo")
    if (certificate is None) != (key is None):
        raise UsageError("--tls-certificate and --tls-key are given together")
    need("server")
    from ...format.strictjson import Role
    from ...server import CapgoUpdates, Limits, Storage, create_app, load_token, log_as_json, make_server

    limits = Limits() if max_bundle is None else Limits(bundle_bytes=max_bundle)
    if behind_proxy:
        limits = limits.behind_proxy()
    token = None if token_file is None else load_token(token_file)
    config = options.find_config()
    trusted = options.load_trust(trust or config.trust)
    channel = options.chosen_channel(default_channel, config)
    updates = [CapgoUpdates(default_channel=channel, public_url=public_url)] if capgo else []
    with closing(Storage.open(store)) as storage:
        app = create_app(
            storage,
            trusted,
            token=token,
            verify_reads=verify_reads,
            role=Role(role.value),
            limits=limits,
            cors_origins=cors_origin,
            extensions=updates,
        )
        server = make_server(app, host=host, port=port, limits=limits, certificate=certificate, key=key)
        log_as_json()
        # All that was imported stays: no collection need look at it while transfers wait.
        gc.freeze()
        _run(server)
    if not server.started:
        raise OSError(f"cannot serve {store}; the log above says why")


def _run(server: "Server") -> None:
    try:
        server.run()
    except exit_codes.Interrupted:  # uvicorn finished or aborted what was under way, then raised the signal again
        return


COMMANDS = {"serve": serve}
