"""A TCP proxy that misbehaves on purpose: cuts connections, slows them down, flips a byte."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """What to do, and what was done.

    cuts: bytes that each of the next connections may pass back before it is cut; rate: bytes per second
    of a connection; flip_after: number of the byte to alter in what a connection passes back. uplink: bytes per
    second of all connections together on their way to the target; up_cuts: as cuts, for that way.
    silent: while it is set, nothing is passed back.
    """

    target: int
    cuts: list[int] = field(default_factory=list)
    rate: float | None = None
    flip_after: int | None = None
    uplink: float | None = None
    up_cuts: list[int] = field(default_factory=list)
    silent: threading.Event = field(default_factory=threading.Event)
    passed_up: int = 0
    connections: int = 0
    passed_back: int = 0
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    _clock_s: float = 0.0
    _sharing: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.uplink is not None:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)  # a line holds little

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            budget = self.cuts.pop(0) if self.cuts else None
            up_budget = self.up_cuts.pop(0) if self.up_cuts else None
            threading.Thread(target=self._serve, args=(client, budget, up_budget), daemon=True).start()

    def _serve(self, client: socket.socket, budget: int | None, up_budget: int | None) -> None:
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            up = threading.Thread(target=self._copy_up, args=(client, server, up_budget), daemon=True)
            up.start()
            self._copy_back(server, client, budget)
            for one in (client, server):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            up.join(5)

    def _copy_up(self, client: socket.socket, server: socket.socket, budget: int | None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := client.recv(65536 if self.uplink is None else 8192):
                if budget is not None:
                    data = data[: budget - passed]
                if self.uplink is not None:
                    with self._sharing:  # whose turn it is, passes; so nobody gets more than a share
                        now_s = time.monotonic()
                        self._clock_s = max(self._clock_s, now_s) + len(data) / self.uplink
                        wait_s = self._clock_s - now_s
                    time.sleep(wait_s)
                server.sendall(data)
                passed += len(data)
                self.passed_up += len(data)
                if passed == budget:
                    break
        for one in (client, server) if budget is not None and passed == budget else ():
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _copy_back(self, origin: socket.socket, to: socket.socket, budget: int | None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := origin.recv(65536):
                if budget is not None and passed + len(data) > budget:
                    to.sendall(data[: max(0, budget - passed)])
                    self.passed_back += budget - passed
                    return
                if self.flip_after is not None and budget is None and passed <= self.flip_after < passed + len(data):
                    changed = bytearray(data)
                    changed[self.flip_after - passed] ^= 1
                    data = bytes(changed)
                while self.silent.is_set():
                    time.sleep(0.02)
                to.sendall(data)
                passed += len(data)
                self.passed_back += len(data)
                if self.rate is not None:
                    time.sleep(len(data) / self.rate)


@contextlib.contextmanager
def proxy(target: int, **keywords: object) -> Iterator[Proxy]:
    """Run a proxy to a port on loopback."""
    one = Proxy(target, **keywords)
    thread = threading.Thread(target=one.run, daemon=True)
    thread.start()
    try:
        yield one
    finally:
        one.listener.shutdown(socket.SHUT_RDWR)
        one.listener.close()
        thread.join(5)
