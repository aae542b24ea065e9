"""An HTTP server on loopback that answers as a test says: hostile, broken, or a proxy that means well."""

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Request:
    """One request as it came, and the ways to answer it."""

    method: str
    path: str
    headers: Any
    handler: BaseHTTPRequestHandler = field(repr=False)

    def body(self) -> bytes:
        """Read and return what came with it."""
        return self.handler.rfile.read(int(self.headers.get("content-length") or 0))

    def answer(self, body: bytes = b"", *, status: int = 200, **headers: str) -> None:
        """Answer with a body and headers (`content_type` for Content-Type)."""
        self.begin(status, content_length=str(len(body)), **headers)
        self.handler.wfile.write(body)

    def begin(self, status: int, **headers: str) -> None:
        """Send status and headers; the body is the caller's."""
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def endless(self, chunk: bytes, **headers: str) -> int:
        """Send a chunk until the peer goes, and return how many bytes it took."""
        self.begin(200, transfer_encoding="chunked", **headers)
        sent = 0
        with contextlib.suppress(OSError):
            while True:
                self.handler.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                sent += len(chunk)
        self.handler.close_connection = True
        return sent

    def passed_on(self, port: int, *, without: tuple[str, ...] = ()) -> tuple[int, dict[str, str], bytes]:
        """Ask the server at that port for the same, but for some headers, and return its answer."""
        sent = {name: value for name, value in self.headers.items() if name.lower() not in ("host", *without)}
        upstream = http.client.HTTPConnection("127.0.0.1", port)
        with contextlib.closing(upstream):
            upstream.request(self.method, self.path, self.body() or None, sent)
            answer = upstream.getresponse()
            left_out = ("content-length", "connection", "transfer-encoding", "accept-ranges")
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in left_out}
            return answer.status, headers, answer.read()


@dataclass
class Scripted:
    """A server that is running. seen: what was asked of it."""

    url: str
    seen: list[Request]


Act = Callable[[Request], object]


def answering(body: bytes = b"", **headers: Any) -> Act:
    """Return what gives every request the same answer."""

    def act(request: Request) -> None:
        request.body()
        request.answer(body, **headers)

    return act


@contextlib.contextmanager
def scripted(act: Act) -> Iterator[Scripted]:
    """Serve what `act` does with each request until the block is left."""
    seen: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _act(self) -> None:
            seen.append(Request(self.command, self.path, self.headers, self))
            try:
                act(seen[-1])
            except OSError:
                self.close_connection = True

        do_GET = do_PUT = do_POST = do_DELETE = _act

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield Scripted(f"http://127.0.0.1:{server.server_address[1]}", seen)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
