"""serve(): the application on uvicorn, with TLS, limits, logs and a graceful end."""

import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import KeyFileError
from ._app import LOGGER
from ._http_limits import limited_protocol
from ._limits import DEFAULT_LIMITS, ServerLimits
from ._logs import log_to

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Server(uvicorn.Server):
    """uvicorn, which ends decently on SIGHUP, too, and says why it did not start.

    What the process was started to ignore, such as SIGINT in a background job, it goes on ignoring.
    """

    def __init__(self, config: uvicorn.Config, starting: "_Starting") -> None:
        super().__init__(config)
        self._starting = starting
        self._ignored = {number for number in _ENDING if signal.getsignal(number) is signal.SIG_IGN}

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes, which is then raised again. Raises OSError, and what the application does."""
        with self._ended_by_signals():
            try:
                super().run(sockets)
            except SystemExit as error:
                if self._starting.failure is not None:
                    raise self._starting.failure from None
                place = f"{self.config.host} port {self.config.port}"
                raise OSError(f"cannot listen on {place}; the log above says why") from error

    @contextmanager
    def _ended_by_signals(self) -> Iterator[None]:
        """Let no signal unwind the event loop.

        uvicorn does that for SIGINT and SIGTERM, from the moment that the loop runs. An exception out of a handler
        would end up in whatever callback is just running.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [number for number in _ENDING if number not in self._ignored]
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._captured_signals:
            signal.raise_signal(self._captured_signals[0])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig not in self._ignored:
            super().handle_exit(sig, frame)


class _Starting:
    """ASGI middleware that keeps what the application raised in place of starting."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.failure: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            if scope["type"] == "lifespan":
                self.failure = error
            raise


def make_server(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    limits: ServerLimits = DEFAULT_LIMITS,
    certificate: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
) -> uvicorn.Server:
    """Return a uvicorn server for the application; its run() serves until SIGTERM, SIGINT or SIGHUP.

    Those that the process was started to ignore stay ignored. run() raises what the application raised in place
    of starting, and OSError where it cannot listen. certificate, key: PEM files; with
    them TLS 1.2 or later is spoken, and nothing else. After a signal
    no connection is accepted and transfers have limits.shutdown_s to end. Raises OSError,
    KeyFileError where certificate and key cannot be used.
    """
    starting = _Starting(app)
    config = uvicorn.Config(
        starting,
        host=host,
        port=port,
        http=limited_protocol(limits),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.connections + 1,  # refuses from there on; LimitedProtocol makes room before
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
    return _Server(config, starting)


def log_as_json(level: int = logging.INFO) -> None:
    """Send the server's logs, and uvicorn's, to standard error as JSON lines."""
    handler = log_to(sys.stderr)
    for name in (LOGGER, "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level)
