"""capseal dev: serve a folder to development builds, sealed anew at every change."""

import os
import socket
from typing import Annotated

from ...errors import UsageError
from ..framework import console, exit_codes, options
from ..framework.arguments import argument, between, flag, option, without_json
from ..framework.extras import need
from ..framework.passphrases import Passphrases


@without_json("it runs until it is stopped; what it serves, `/v1` tells as JSON")
def dev(
    source: Annotated[str | None, argument("WEBDIR", help="The folder; default: 'web' in capseal.toml.")] = None,
    signer: options.OtherSigners = None,
    recipient: options.Recipients = None,
    trust: Annotated[
        str | None,
        option("--trust", metavar="FILE", help="Who may vouch in development builds; default: capseal.toml's."),
    ] = None,
    app: Annotated[str | None, option("--app", metavar="ID", help="What it is for, e.g. com.example.game.")] = None,
    channel: Annotated[str, option("--channel", metavar="NAME", help="The channel to serve.")] = "development",
    host: Annotated[
        str, option("--host", metavar="ADDRESS", help="Where to listen; 0.0.0.0: everywhere, so that phones reach it.")
    ] = "127.0.0.1",
    port: Annotated[int, option("--port", metavar="N", type=between(0, 65535), help="Where to listen.")] = 8418,
    qr: Annotated[bool, flag("--qr", opposite="--no-qr", help="Print the address as a QR code.")] = True,
    *,
    passphrases: Passphrases,
) -> None:
    """Watch a folder, seal it with the development key at every change, and serve it. Production builds refuse it."""
    need("dev-server")
    config = options.find_config()
    source, app = source or config.web, app or config.app
    if source is None or app is None:
        raise UsageError("no folder or no app: give WEBDIR and --app ID, or make a project with 'capseal init'")
    if not os.path.isdir(source):
        raise UsageError(f"{source}: not a folder")
    from ...development import LIMITS, create_app
    from ...server import make_server

    application = create_app(
        source,
        signer=options.load_one_signer(signer or config.development_signers, passphrases),
        recipients=options.load_recipients(recipient or config.recipients),
        app=app,
        trust=options.load_trust(trust or config.development_trust),
        channel=channel,
    )
    server = make_server(application, host=host, port=port, limits=LIMITS)
    _log_in_lines()
    with socket.create_server((host, port)) as listener:
        _tell(_address(host, listener.getsockname()[1]), app, channel, qr=qr)
        try:
            server.run(sockets=[listener])
        except exit_codes.Interrupted:  # uvicorn ended what was under way, then raised the signal again
            return


def _tell(url: str, app: str, channel: str, *, qr: bool) -> None:
    console.print_line(f"{url}  serves {app}, channel {channel}")
    console.say(f"{url}/v1/events  tells when there is something new")
    if qr:
        import io

        import segno

        drawn = io.StringIO()
        segno.make(url, error="m").terminal(drawn, compact=True, border=2)
        console.write(drawn.getvalue())


def _address(host: str, port: int) -> str:
    """Return the URL that devices can use; for a server that listens everywhere, that of the default route."""
    if host == "0.0.0.0":  # noqa: S104 - compared, not bound
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))  # a documentation address: nothing is sent, only a route is chosen
                host = probe.getsockname()[0]
            except OSError:
                host = "127.0.0.1"
    return f"http://{host}:{port}"


def _log_in_lines() -> None:
    import logging

    from ...development import LOGGER

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger(LOGGER)
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


COMMANDS = {"dev": dev}
