"""Several processes that serve one listening socket, and the one that watches over them.

They share nothing but the socket: what decides is in the store (docs/server.md, Many servers).
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

from ._terminal import Terminal

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SETTLED_S = 5.0
"""Who ends before it is as old has not started; if nobody ever was, nobody will."""
_PAUSE_S = 1.0


class Share(NamedTuple):
    """What a worker has. is_successor: it follows one that worked, so that there is a store already."""

    listener: socket.socket
    is_successor: bool


def not_listening(host: str | None, port: int, error: BaseException | None) -> OSError:
    """Return what to raise where a server cannot listen. error: why; its own text says the place once more."""
    why = str(error)
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        why = os.strerror(error.errno).lower()
    elif isinstance(error, socket.gaierror) and error.strerror:
        why = error.strerror.lower()
    return OSError(f"cannot listen on {host} port {port}: {why}")


def share_work(host: str, port: int, *, workers: int) -> Share | None:
    """Listen, and fork so many workers; return its share in each of them, and None in this process when all ended.

    A worker that dies is followed by another one. SIGTERM, SIGINT and SIGHUP are passed on. Call it before any thread
    is started. Raises OSError where it cannot listen, and where no worker starts.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise not_listening(host, port, error) from error
    with listener:
        watch = _Watch()
        place = "{} port {}".format(*listener.getsockname())
        watch.log.info("listening", extra={"members": {"place": place, "workers": workers}})
        if watch.run(workers):
            return None
        return Share(listener.dup(), watch.settled)


class _Watch:
    """The workers of this process. In a worker, it lets it end with the process that watches over it."""

    def __init__(self) -> None:
        self._began: dict[int, float] = {}
        self._ending = False
        self._hung_up = False
        self._terminal = Terminal()
        self._is_worker = False
        self._alive = os.pipe()
        self.settled = False
        self.log = logging.getLogger("capseal.server")

    def run(self, workers: int) -> bool:
        """Return False at once in each worker, and True in this process when they have ended. Raises OSError."""
        with self._passing_signals_on() as before:
            for _ in range(workers):
                if self._fork(before):
                    return False
            while self._began:
                pid, status = os.wait()
                lived_s = time.monotonic() - self._began.pop(pid)
                self.settled = self.settled or lived_s >= _SETTLED_S
                if self._ending:
                    continue
                code = os.waitstatus_to_exitcode(status)
                if not self.settled and code > 0:
                    self._pass_on(signal.SIGTERM, None)
                    for pid in self._began:  # what they have to say comes before the last line
                        os.waitpid(pid, 0)
                    raise OSError(
                        f"no worker starts: the first one ended with status {code}; the message above says why"
                    )
                self.log.error("worker ended", extra={"members": {"pid": pid, "status": code}})
                time.sleep(_PAUSE_S)
                if not self._ending and self._fork(before):
                    return False
        return True

    def _fork(self, before: dict[int, Any]) -> bool:
        """Return whether this is the new worker."""
        # A signal that comes in between would reach a worker that nobody knows yet, or one that is to pass it on.
        signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
        pid = os.fork()
        if pid:
            self._began[pid] = time.monotonic()
        else:
            self._is_worker = True
            _restore(before)
            if self._hung_up and callable(
                before.get(signal.SIGHUP)
            ):  # what this process read may be no more what its workers go by
                signal.raise_signal(signal.SIGHUP)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        if pid:
            return False
        os.setpgid(0, 0)  # a terminal's Ctrl-C comes once, from who watches
        os.close(self._alive[1])
        threading.Thread(target=_end_with, args=(self._alive[0],), daemon=True).start()
        return True

    @contextmanager
    def _passing_signals_on(self) -> Iterator[dict[int, Any]]:
        passed_on = [number for number in _PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN]
        before: dict[int, Any] = {number: signal.signal(number, self._pass_on) for number in passed_on}
        try:
            yield before
        finally:
            if not self._is_worker:
                _restore(before)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP and self._terminal.is_closed:
            # Each worker would end by itself, and be followed by another one that nobody can see.
            number = signal.SIGTERM
        self._ending = self._ending or number != signal.SIGHUP
        self._hung_up = self._hung_up or number == signal.SIGHUP
        for pid in self._began:
            os.kill(pid, number)


def _restore(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _end_with(alive: int) -> None:
    """End this process decently once nobody holds the other end of a pipe any more."""
    os.read(alive, 1)
    signal.raise_signal(signal.SIGTERM)
