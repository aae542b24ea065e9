"""serve(): the application on uvicorn, with TLS, limits, logs and a graceful end."""

import logging
import os
import signal
import ssl
import sys
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from ..errors import KeyFileError
from ._app import LOGGER
from ._http_limits import limited_protocol
from ._limits import DEFAULT_LIMITS, ServerLimits
from ._logs import log_to


class _Server(uvicorn.Server):
    """uvicorn, which goes on ignoring what the process was started to ignore, such as SIGINT in a background job."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ignores_sigint = signal.getsignal(signal.SIGINT) is signal.SIG_IGN

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not (sig == signal.SIGINT and self._ignores_sigint):
            super().handle_exit(sig, frame)


def make_server(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    limits: ServerLimits = DEFAULT_LIMITS,
    certificate: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
) -> uvicorn.Server:
    """Return a uvicorn server for the application; its run() serves until SIGTERM or SIGINT.

    A SIGINT that the process was started to ignore stays ignored. certificate, key: PEM files; with
    them TLS 1.2 or later is spoken, and nothing else. After a signal
    no connection is accepted and transfers have limits.shutdown_s to end. Raises OSError,
    KeyFileError where certificate and key cannot be used.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=limited_protocol(limits),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=int(limits.keep_alive_s),
        timeout_graceful_shutdown=int(limits.shutdown_s),
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    try:
        config.load()
    except ssl.SSLError as error:
        raise KeyFileError(f"{certificate}, {key}: not a usable certificate and key: {error.reason}") from error
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return _Server(config)


def log_as_json(level: int = logging.INFO) -> None:
    """Send the server's logs, and uvicorn's, to standard error as JSON lines."""
    handler = log_to(sys.stderr)
    for name in (LOGGER, "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level)
