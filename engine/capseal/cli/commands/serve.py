"""capseal serve: a server of bundles."""

import gc
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

from ...errors import UsageError
from ..framework import exit_codes, options
from ..framework.arguments import argument, option, without_json
from ..framework.extras import need
from .serve_settings import CONFIG_VARIABLE, TOKENS_VARIABLE, Settings

if TYPE_CHECKING:
    from uvicorn import Server

    from ...capgo import Channels
    from ...server import Token
    from ...trust.store import TrustStore

_MOST_CHANNELS_BYTES = 1024 * 1024


@without_json("its log is JSON, a line for each request, and `/v1` tells the rest")
def serve(
    store: Annotated[str, argument("STORE", help="A folder, or an s3://, gs:// or az:// URL.")],
    config: Annotated[
        str | None,
        option("--config", metavar="FILE", env=CONFIG_VARIABLE, help="TOML: a table [server] with these settings."),
    ] = None,
    *,
    settings: Settings,
) -> None:
    """Serve bundles, and take new ones from trusted signers. Needs no secret key. Ends on SIGTERM; SIGHUP: read trust,
    tokens and certificate again.
    """
    said = settings.over(config)
    of_capgo = ("default_channel", "public_url", "capgo_channels", "capgo_statistics")
    if not said["capgo"] and any(said[name] for name in of_capgo):
        named = ", ".join(f"--{name.replace('_', '-')}" for name in of_capgo)
        raise UsageError(f"{named} are for --capgo")
    if (said["tls_certificate"] is None) != (said["tls_key"] is None):
        raise UsageError("--tls-certificate and --tls-key are given together")
    if said["behind_proxy"] and said["trusted_proxy"]:
        raise UsageError("--behind-proxy believes no proxy, --trusted-proxy some: give one of them")
    need("server")
    from dataclasses import fields

    from ...format.strictjson import Role
    from ...io.source import check_rereadable
    from ...server import (
        CapgoUpdates,
        Limits,
        LogFormat,
        Retention,
        Storage,
        create_app,
        log_to_stderr,
        make_server,
        replace_trust,
        share_work,
    )

    limits = Limits(**{field.name: said[field.name] for field in fields(Limits)})
    if said["behind_proxy"]:
        limits = limits.behind_proxy()
    trusted, token, tokens = _admitted(said)
    channel = options.chosen_channel(said["default_channel"], options.find_config())
    updates = []
    if said["capgo"]:
        capgo = CapgoUpdates(
            default_channel=channel,
            public_url=said["public_url"],
            statistics=said["capgo_statistics"],
            statistics_days=said["capgo_statistics_days"],
            channels=_capgo_channels(said["capgo_channels"]),
        )
        updates = [capgo]
    share = None
    if said["workers"] > 1:
        log_to_stderr(LogFormat(said["log_format"].value))
        share = share_work(said["host"], said["port"], workers=said["workers"])
        if share is None:
            return
        if _hangup_came():  # since this was read: the worker follows one that had gone by other files
            trusted, token, tokens = _admitted(said)
    # Where others worked before there is a store, unless it is not mounted any more.
    with closing(Storage.open(store, may_be_new=share is None or not share.is_successor)) as storage:
        app = create_app(
            storage,
            trusted,
            token=token,
            tokens=tokens,
            verify_reads=said["verify_reads"],
            role=Role(said["role"].value),
            limits=limits,
            cors_origins=said["cors_origin"],
            extensions=updates,
            retention=Retention(keep=said["keep"], keep_days=said["keep_days"]),
        )

        def reload() -> None:
            files = _trust_file(said), said["token_file"], said["tokens"]
            check_rereadable(file for file in files if file is not None)
            trusted, token, tokens = _admitted(said)
            replace_trust(app, trusted, token=token, tokens=tokens)

        server = make_server(
            app,
            host=said["host"],
            port=said["port"],
            limits=limits,
            certificate=said["tls_certificate"],
            key=said["tls_key"],
            trusted_proxies=said["trusted_proxy"] or (),
            reload=reload,
        )
        log_to_stderr(LogFormat(said["log_format"].value))
        _hand_hangups_to(server)
        pause_briefly()
        _run(server, None if share is None else share.listener)
    if not server.started:
        raise OSError(f"cannot serve {store}; the log above says why")


def pause_briefly() -> None:
    """Have the interpreter hold up the event loop for as short as it can, in a process that serves from now on.

    Every thread waits while garbage is looked for. What is here stays for good; what comes is looked at often, but all
    of it seldom: that takes 8 ms, of the 20,000 objects that a busy server keeps, to find some ten of each second that
    nothing else let go of. A command that ends soon looks as good as never, which for a server would make long pauses.
    """
    gc.freeze()
    gc.set_threshold(700, 10, 1000)  # the interpreter's own, but for the last, which is 10


def _admitted(said: Mapping[str, Any]) -> "tuple[TrustStore, str | None, list[Token]]":
    """Return whom the server trusts, as the files say now. Raises UsageError, KeyFileError, OSError."""
    from ...server import load_token, load_tokens, parse_tokens

    trusted = options.load_trust(_trust_file(said))
    token = None if said["token_file"] is None else load_token(said["token_file"])
    tokens = [] if said["tokens"] is None else load_tokens(said["tokens"], variables=os.environ)
    text = os.environ.get(TOKENS_VARIABLE)
    if text is not None:
        tokens += parse_tokens(os.fsencode(text), where=TOKENS_VARIABLE, variables=os.environ)
    return trusted, token, tokens


def _trust_file(said: Mapping[str, Any]) -> str | None:
    found: str | None = said["trust"] or options.find_config().trust
    return found


def _hangup_came() -> bool:
    handler = signal.getsignal(signal.SIGHUP)
    return isinstance(handler, exit_codes.Hangups) and handler.came


def _hand_hangups_to(server: "Server") -> None:
    """Let a server have SIGHUP before it runs, and one that came since its files were read."""
    early = signal.getsignal(signal.SIGHUP)
    if isinstance(early, exit_codes.Hangups):  # else whoever started us wants it ignored
        signal.signal(signal.SIGHUP, server.handle_exit)
        if early.came:
            server.handle_exit(signal.SIGHUP, None)


def _run(server: "Server", listener: socket.socket | None) -> None:
    try:
        server.run(None if listener is None else [listener])
    except exit_codes.Interrupted:  # uvicorn finished or aborted what was under way, then raised the signal again
        return


def _capgo_channels(path: str | None) -> "Channels | None":
    if path is None:
        return None
    from ... import capgo

    with open(path, "rb") as file:
        return capgo.Channels.parse(file.read(_MOST_CHANNELS_BYTES), path)


COMMANDS = {"serve": serve}
