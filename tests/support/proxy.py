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
    of a connection; flip_after: number of the byte to alter in what a connection passes back.
    """

    target: int
    cuts: list[int] = field(default_factory=list)
    rate: float | None = None
    flip_after: int | None = None
    connections: int = 0
    passed_back: int = 0
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

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
            threading.Thread(target=self._serve, args=(client, budget), daemon=True).start()

    def _serve(self, client: socket.socket, budget: int | None) -> None:
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            up = threading.Thread(target=self._copy, args=(client, server, None), daemon=True)
            up.start()
            self.passed_back += self._copy(server, client, budget)
            for one in (client, server):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            up.join(5)

    def _copy(self, origin: socket.socket, to: socket.socket, budget: int | None) -> int:
        passed = 0
        with contextlib.suppress(OSError):
            while data := origin.recv(65536):
                if budget is not None and passed + len(data) > budget:
                    to.sendall(data[: max(0, budget - passed)])
                    return budget
                if self.flip_after is not None and budget is None and passed <= self.flip_after < passed + len(data):
                    changed = bytearray(data)
                    changed[self.flip_after - passed] ^= 1
                    data = bytes(changed)
                to.sendall(data)
                passed += len(data)
                if self.rate is not None:
                    time.sleep(len(data) / self.rate)
        return passed


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
