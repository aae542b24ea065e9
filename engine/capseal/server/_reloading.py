"""What a running server reads again when it is told to, and how a bad file changes nothing."""

import asyncio
import logging
import os
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from ..errors import CapsealError, KeyFileError
from ..io.source import check_rereadable
from ._logs import told

_SLOW_S = 10.0
"""A reload that takes longer is told of: something that it reads does not answer."""


_NO_PEM = "no certificate in PEM is in the first, or no key in the second"


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
            raise KeyFileError(
                f"{certificate}, {key}: not a usable certificate and key: {error.reason or _NO_PEM}"
            ) from error
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"{certificate} or {key}") from error
        return context

    def out_of_date(self) -> dict[str, str] | None:
        """Return from when until when the certificate is valid, in UTC, where that is not now, or None."""
        try:
            certificate = x509.load_pem_x509_certificate(Path(self._files[0]).read_bytes())
            first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        except (OSError, ValueError):  # OpenSSL read more of it than this does, or it was replaced just now
            return None
        if first <= datetime.now(UTC) <= last:
            return None
        return {
            "file": self._files[0],
            "valid_from": f"{first:%Y-%m-%dT%H:%M:%SZ}",
            "until": f"{last:%Y-%m-%dT%H:%M:%SZ}",
        }

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
        self._tell_dates()
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
                self._tell_dates()

    def _tell_dates(self) -> None:
        """Warn of a certificate that clients refuse; it is used all the same: the clock here may be wrong."""
        dates = None if self._pair is None else self._pair.out_of_date()
        if dates is not None:
            self._log.warning("the TLS certificate is not valid now", extra={"members": dates})

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
