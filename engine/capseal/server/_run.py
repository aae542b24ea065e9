"""serve(): the application on uvicorn, with TLS, limits, logs and a graceful end."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import cast

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import CapsealError
from ._app import LOGGER, metrics_of
from ._forwarded import Forwarded, TrustedProxies
from ._http_limits import limited_protocol
from ._limits import DEFAULT_LIMITS, ServerLimits
from ._logs import LogFormat, log_to
from ._refusals import Refusals
from ._reloading import CertificatePair, Reloading
from ._terminal import Terminal
from ._workers import not_listening

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Server(uvicorn.Server):
    """uvicorn, which reloads or ends decently on SIGHUP, too, and says why it did not start.

    What the process was started to ignore, such as SIGINT in a background job, it goes on ignoring.
    """

    def __init__(self, config: uvicorn.Config, starting: "_Starting", reloading: Reloading | None) -> None:
        super().__init__(config)
        self._starting = starting
        self._reloading = reloading
        self._ignored = {number for number in _ENDING if signal.getsignal(number) is signal.SIG_IGN}
        self._terminal = Terminal()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes, which is then raised again. Raises OSError, and what the application does."""
        with self._ended_by_signals():
            try:
                super().run(sockets)
            except SystemExit as error:
                if self._starting.failure is not None:
                    raise self._starting.failure from None
                raise not_listening(self.config.host, self.config.port, error.__context__) from error

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
        if sig in self._ignored:
            return
        if sig == signal.SIGHUP and self._reloading is not None and not self._terminal.is_closed:
            self._reloading.ask()
        else:
            super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._reloading is not None:
            self._reloading.begin()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._reloading is not None:
            self._reloading.end()
        await super().shutdown(sockets)


class _Starting:
    """ASGI middleware that keeps what the application raised in place of starting.

    What a traceback would add nothing to, such as a bucket that does not exist, is left to whoever asked for the start.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.failure: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        failed: list[Message] = []

        async def send_later(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                failed.append(message)
            else:
                await send(message)

        try:
            await self._app(scope, receive, send_later)
        except Exception as error:
            self.failure = error
            for message in failed:
                # The message is the traceback, which uvicorn logs.
                told = isinstance(error, CapsealError | OSError)
                await send({"type": message["type"]} if told else message)
            raise


def make_server(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    limits: ServerLimits = DEFAULT_LIMITS,
    certificate: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
    trusted_proxies: Iterable[str] = (),
    reload: Callable[[], None] | None = None,
) -> uvicorn.Server:
    """Return a uvicorn server for the application; its run() serves until SIGTERM, SIGINT or SIGHUP.

    Those that the process was started to ignore stay ignored. run() raises what the application raised in place
    of starting, and OSError where it cannot listen. certificate, key: PEM files; with
    them TLS 1.2 or later is spoken, and nothing else. trusted_proxies: networks whose X-Forwarded-For, -Proto and -Host
    are believed. reload: what SIGHUP does in place of ending, in a thread, besides
    reading the certificate again; where it raises a CapsealError or OSError, all stays as it was. After a signal
    no connection is accepted and transfers have limits.shutdown_s to end. Raises OSError, UsageError,
    KeyFileError where certificate and key cannot be used.
    """
    starting = _Starting(app)
    proxies = TrustedProxies(trusted_proxies)
    metrics = metrics_of(app)
    refusals = Refusals(logging.getLogger(LOGGER), _nowhere if metrics is None else metrics.no_room)
    config = uvicorn.Config(
        Forwarded(starting, proxies, most_per_client=limits.connections_per_client, refusals=refusals),
        host=host,
        port=port,
        http=limited_protocol(limits, proxies, refusals),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.connections + 1,  # refuses from there on; LimitedProtocol makes room before
        timeout_keep_alive=cast(int, limits.keep_alive_s),  # asyncio takes any number of seconds
        timeout_graceful_shutdown=cast(int, limits.shutdown_s),
    )
    config.load()
    pair = None if certificate is None or key is None else CertificatePair(certificate, key)
    config.ssl = None if pair is None else pair.context
    return _Server(config, starting, None if reload is None else Reloading(reload, pair, logging.getLogger(LOGGER)))


def _nowhere(limit: str) -> None:
    """Leave a refusal uncounted: the application has no metrics of ours."""


def log_as_json(level: int = logging.INFO) -> None:
    """Send the server's logs, and uvicorn's, to standard error as JSON lines."""
    log_to_stderr(LogFormat.JSON, level)


def log_to_stderr(format: LogFormat = LogFormat.AUTO, level: int = logging.INFO) -> None:
    """Send the server's logs, and uvicorn's, to standard error: for people where that is a terminal, or JSON lines."""
    handler = log_to(sys.stderr, format)
    for name in (LOGGER, "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level)
