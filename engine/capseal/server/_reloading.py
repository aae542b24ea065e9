"""What a running server reads again when it is told to, and how a bad file changes nothing."""

import asyncio
import logging
import os
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..errors import CapsealError, KeyFileError
from ..io.source import check_rereadable
from ._logs import told

_SLOW_S = 10.0
"""A reload that takes longer is told of: something that it reads does not answer."""


class CertificatePair:
    """A certificate and its key, as they were last read.

    context: what a server listens with; every new connection has the pair that is in force when it begins.
    """

    def __init__(self, certificate: str | os.PathLike[str], key: str | os.PathLike[str]) -> None:
        """certificate, key: PEM files. Raises OSError, KeyFileError."""
        self._files = (os.fspath(certificate), os.fspath(key))
        self.context = self.load()
        self._current = self.context
        # A context that is in use cannot be given another pair in one step: the certificate would come first.
        self.context.sni_callback = self._choose

    def load_again(self) -> ssl.SSLContext:
        """Return the pair as it would be used now. Raises OSError, UsageError, KeyFileError."""
        check_rereadable(self._files)
        return self.load()

    def load(self) -> ssl.SSLContext:
        """Read the pair and return it as it would be used. Raises OSError, KeyFileError."""
        certificate, key = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(certificate, key)
        except ssl.SSLError as error:
            raise KeyFileError(f"{certificate}, {key}: not a usable certificate and key: {error.reason}") from error
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"{certificate} or {key}") from error
        return context

    def use(self, context: ssl.SSLContext) -> None:
        """Let new connections have what load() returned."""
        self._current = context

    def _choose(self, connection: Any, name: str | None, listening: ssl.SSLContext) -> None:
        connection.context = self._current


class Reloading:
    """Reads again what may change, all of it or nothing, while a server runs."""

    def __init__(self, reload: Callable[[], None], pair: CertificatePair | None, log: logging.Logger) -> None:
        """reload: reads everything else, and puts it in force only once all was read."""
        self._reload = reload
        self._pair = pair
        self._log = log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Have it done soon, from a handler of signals; before the server has started, it is done then."""
        if self._loop is None:
            self._asked.set()
        else:
            self._loop.call_soon_threadsafe(self._asked.set)

    def begin(self) -> None:
        """Do it whenever it is asked for, from now on."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._whenever_asked())

    def end(self) -> None:
        """Do it no more."""
        if self._task is not None:
            self._task.cancel()

    async def _whenever_asked(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self._read_in_a_thread()
            except (CapsealError, OSError) as error:
                self._log.error("not reloaded, all stays as it was", extra={"members": {"error": told(error)}})
            else:
                self._log.info("reloaded")

    async def _read_in_a_thread(self) -> None:
        """Read again in a thread that the process does not wait for at its end: a file may never answer."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def settle(error: BaseException | None) -> None:
            if done.cancelled():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        def read() -> None:
            failure: BaseException | None = None
            try:
                self._read_again()
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                failure = error
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, failure)

        threading.Thread(target=read, name="reload", daemon=True).start()
        if not (await asyncio.wait([done], timeout=_SLOW_S))[0]:
            self._log.error("reloading takes long, all stays as it was until every file was read")
        await done

    def _read_again(self) -> None:
        context = None if self._pair is None else self._pair.load_again()
        self._reload()
        if self._pair is not None and context is not None:
            self._pair.use(context)
