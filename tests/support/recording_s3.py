"""An S3 server of a few methods, which notes every byte that is sent to it: of refused requests, and of broken ones."""

import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

_PIECE_BYTES = 1 << 20


class Sent(NamedTuple):
    """What came of an object's bytes in one request: perhaps not all of them. size: bytes; digest: their SHA-256."""

    key: str
    size: int
    digest: bytes


@dataclass
class Recorder:
    """What was sent, and a folder with what was accepted. url: of the server.

    stored: keys, in the order in which they were accepted; listed: how many were when it was last asked for a list.
    """

    folder: Path
    url: str = ""
    sent: list[Sent] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    listed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def bucket(self) -> str:
        """The URL of a bucket that no other server has: a process keeps what it opened, by that."""
        return f"s3://bucket-{urlsplit(self.url).port}"

    def objects(self) -> dict[str, Path]:
        """Return what is stored, by key."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and not path.name.endswith(".new"))
        return {str(path.relative_to(self.folder)): path for path in files}


@contextlib.contextmanager
def recording_s3(folder: Path) -> Iterator[Recorder]:
    """Run it in threads of this process."""
    recorder = Recorder(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        @property
        def _key(self) -> str:
            return unquote(urlsplit(self.path).path).strip("/")

        def do_PUT(self) -> None:
            left = int(self.headers["Content-Length"])
            hasher = hashlib.sha256()
            path = recorder.folder / self._key
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{path.name}.{threading.get_ident()}.new")
            size = 0
            try:
                with draft.open("wb") as file:
                    while left and (piece := self.rfile.read(min(left, _PIECE_BYTES))):
                        hasher.update(piece)
                        file.write(piece)
                        size, left = size + len(piece), left - len(piece)
            finally:
                with recorder.lock:
                    recorder.sent.append(Sent(self._key, size, hasher.digest()))
            try:
                if left:
                    self.close_connection = True
                    return
                if self.headers.get("If-None-Match") == "*":
                    os.link(draft, path)
                else:
                    os.replace(draft, path)
                recorder.stored.append(self._key)
            except FileExistsError:
                self._answer(412)
            else:
                self._answer(200, ETag=f'"{hasher.hexdigest()}"')
            finally:
                draft.unlink(missing_ok=True)

        def do_GET(self) -> None:
            if "list-type" in (query := parse_qs(urlsplit(self.path).query)):
                self._list(query.get("prefix", [""])[0])
                return
            try:
                with (recorder.folder / self._key).open("rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    start, stop = 0, size
                    if asked := self.headers.get("Range"):
                        first, _, last = asked.removeprefix("bytes=").partition("-")
                        start, stop = int(first), min(size, int(last) + 1) if last else size
                    body = os.pread(file.fileno(), stop - start, start) if self.command == "GET" else b""
            except (FileNotFoundError, IsADirectoryError):
                self._answer(404)
                return
            told = {"ETag": f'"{size}"', "Last_Modified": formatdate(usegmt=True)}
            if self.command == "HEAD":
                self.send_response(200)
                for name, value in told.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(size))
                self.end_headers()
            elif asked:
                self._answer(206, body, Content_Range=f"bytes {start}-{stop - 1}/{size}", **told)
            else:
                self._answer(200, body, **told)

        do_HEAD = do_GET

        def do_POST(self) -> None:
            keys = re.findall("<Key>([^<]*)</Key>", self.rfile.read(int(self.headers["Content-Length"])).decode())
            for key in keys:
                (recorder.folder / self._key / key).unlink(missing_ok=True)
            deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
            self._answer(200, f"<DeleteResult>{deleted}</DeleteResult>".encode(), Content_Type="application/xml")

        def _list(self, prefix: str) -> None:
            bucket = self._key
            recorder.listed = len(recorder.stored)
            found = "".join(
                f"<Contents><Key>{key.removeprefix(f'{bucket}/')}</Key><Size>{path.stat().st_size}</Size>"
                "<LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>x</ETag></Contents>"
                for key, path in recorder.objects().items()
                if key.startswith(f"{bucket}/{prefix}")
            )
            body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
            self._answer(200, body.encode(), Content_Type="application/xml")

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Clients are killed."""

    server = Server(("127.0.0.1", 0), Handler)
    recorder.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
