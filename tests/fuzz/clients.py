"""A client and a server that says what it likes: fetch and publish against altered answers."""

import gzip
import json
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

import httpx

from capseal import Expect, client
from capseal.client import _fetching, _parallel
from capseal.http.shapes import ReleaseDescription, UploadDescription
from support.independent_reader import Rejected, verify
from vectors.making import dump

from .bundles import modules
from .corpus import Reader
from .honest import APP, CHANNEL, Inline, bundles, honest_answers
from .mutating import NUMBERS, mutate_bytes, mutate_json, often
from .places import scratch
from .running import Disagreement, Target

_ENDLESS_BYTES = 4 * 1024 * 1024  # more than any answer may have; a client must stop long before


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. endless: the body goes on for ever."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    endless: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked for, which bundle it is about, and the answers by method and last part of the path.

    altered: of a payload, whose honest answer depends on what was asked for.
    """

    act: str
    bundle: int
    answers: dict[str, Answer]
    altered: tuple[int, bytes] | None = None


def _draw(r: Random) -> Case:
    number = 3 if often(r, 0.003) else r.choice((0, 0, 1, 2))
    size = len(bundles()[number].payload)
    act = "fetch" if often(r, 0.6) else r.choice(("publish", "publish", "withdraw"))
    honest = dict(honest_answers(number))
    again = honest.pop("POST uploads again")
    if often(r, 0.2):
        honest["POST uploads"] = again
    elif often(r, 0.4):
        begun = json.loads(honest["POST uploads"])
        begun["missing"] = r.choice(([[0, size]], [], [[0, 1]], [[size - 1, size]], [[0, 1], [2, 3]]))
        honest["POST uploads"] = dump(begun)
    names = {
        "fetch": ["GET latest", "GET seal", "GET payload"],
        "publish": ["POST uploads", "PUT", "POST id"],
        "withdraw": ["DELETE release"],
    }[act]
    odd = set(r.sample(names, min(len(names), r.choice((0, 1, 1, 1, 2)))))
    answers = {name: _answer(r, name, honest.get(name, b""), odd=name in odd) for name in names}
    altered = None
    if "GET payload" in odd and often(r, 0.5):
        altered = (r.randrange(size), r.randbytes(r.choice((1, 1, 8))))
    return Case(act, number, answers, altered)


def _answer(r: Random, name: str, body: bytes, *, odd: bool) -> Answer:
    is_json = name not in ("GET seal", "GET payload")
    headers = [("Content-Type", "application/json" if is_json else "application/octet-stream")]
    status = 206 if name == "GET payload" else 201 if name == "POST uploads" else 200
    if not odd:
        return Answer(status, tuple(headers), body)
    match r.randrange(8):
        case 0 | 1 if is_json:
            body = mutate_json(r, json.loads(body))
        case 2:
            status = r.choice((200, 204, 206, 301, 302, 400, 401, 404, 409, 416, 422, 429, 500, 503, 299))
            headers = [("Content-Type", r.choice(("application/problem+json", "text/html")))]
            headers.append(
                ("Location", r.choice(("https://elsewhere.test/", "http://a.test:99999/", "//", "\x7f", "x" * 5000)))
            )
            body = mutate_json(r, _problem(r))
        case 3:
            body = mutate_bytes(r, body)
        case 4:
            return _encoded(r, status, headers, body)
        case 5:
            kinds = ("Content-Length", "Content-Range", "Content-Type", "Retry-After", "Transfer-Encoding")
            values = (
                "0",
                "-1",
                "99999999999999999999",
                "bytes 0-0/1",
                "bytes */5",
                "é",
                "chunked",
                "application/problem+json",
            )
            headers.append((r.choice(kinds), r.choice(values)))
        case 6:
            body = b""
        case 7:
            return Answer(status, tuple(headers), body or b"[", endless=True)
    return Answer(status, tuple(headers), body)


def _encoded(r: Random, status: int, headers: list[tuple[str, str]], body: bytes) -> Answer:
    """Return an answer with a Content-Encoding, which nobody asked for; some of them are bombs."""
    encoding, pack = r.choice(tuple(_PACKED.items()))
    packed = _bomb(encoding) if often(r, 0.3) else pack(body)
    return Answer(
        status, (*headers, ("Content-Encoding", encoding)), mutate_bytes(r, packed) if often(r, 0.4) else packed
    )


def _twice(body: bytes) -> bytes:
    return gzip.compress(gzip.compress(body))


_PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": bytes,
    "gzip, gzip": _twice,
}


@cache
def _bomb(encoding: str) -> bytes:
    return _PACKED[encoding](bytes(_ENDLESS_BYTES))


def _problem(r: Random) -> dict[str, Any]:
    kinds = ("FormatError", "SignatureError", "TamperedError", "TruncatedError", "NotForUsError", "RollbackError", "x")
    return {
        "type": r.choice(("urn:capseal:problem:no-upload", "about:blank", "urn:capseal:problem:rejected")),
        "title": "t", "status": 400, "detail": "d", "error": r.choice(kinds), "expected": r.choice(NUMBERS),
        "actual": 1, "floor": 3, "sequence": 2, "segment": 0, "offset": 12,
    }  # fmt: skip


class _Server:
    """Answers as the case says, and notes what it was sent."""

    def __init__(self) -> None:
        self.case = Case("", 0, {})
        self.sent: list[tuple[str, int, bytes]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        bundle = bundles()[self.case.bundle]
        last = request.url.path.rpartition("/")[2]
        known = {"latest", "seal", "payload", "uploads"}
        name = f"{request.method} {last if last in known else 'id' if 'uploads' in request.url.path else 'release'}"
        name = "PUT" if request.method == "PUT" else name
        answer = self.case.answers.get(name)
        if request.url.host != "a.test" or answer is None:
            raise Disagreement(f"asks for what it should not: {name} {request.url.host}")
        headers, body = list(answer.headers), answer.body
        if name == "PUT" and last != "index":
            start = int(request.headers["content-range"].removeprefix("bytes ").partition("-")[0])
            self.sent.append((last, start, request.read()))
        if name == "GET payload":
            first, _, last_byte = request.headers["range"].removeprefix("bytes=").partition("-")
            piece = bytearray(bundle.payload)
            if self.case.altered is not None:
                at, data = self.case.altered
                piece[at : at + len(data)] = data
            body = bytes(piece[int(first) : int(last_byte) + 1]) + body
            headers.insert(0, ("Content-Range", f"bytes {first}-{last_byte}/{len(bundle.payload)}"))
        content: Any = self._endless(body) if answer.endless else iter([body])
        encoded = [(key.encode(), value.encode("utf-8")) for key, value in headers]
        return httpx.Response(answer.status, headers=encoded, stream=_Stream(content))

    def _endless(self, body: bytes) -> Iterator[bytes]:
        sent = 0
        while sent < 64 * _ENDLESS_BYTES:
            yield (body * (65536 // len(body) + 1))[:65536]
            sent += 65536
        raise Disagreement(f"takes {sent} bytes of an answer")


class _Stream(httpx.SyncByteStream):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks


@cache
def _connection() -> tuple[_Server, client.Connection]:
    server = _Server()
    return server, client.Connection("http://a.test", token="t" * 20, attempts=1, transport=httpx.MockTransport(server))


def check_client(case: Case) -> None:
    """Fetch, publish or withdraw; what was fetched is what the independent reader accepts, what was sent is right."""
    server, connection = _connection()
    server.case, server.sent = case, []
    bundle = bundles()[case.bundle]
    folder = scratch() / "fetched"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if case.act == "fetch":
        trust, expect = Reader().store, Expect()
        found = client.fetch(connection, app=APP, channel=CHANNEL, folder=folder, trust=trust, expect=expect, jobs=1)
        seal, payload = (open(path, "rb").read() for path in (found.seal, found.payload))
        try:
            statement, _ = verify(seal + payload, Reader().pems, app=APP, channel=CHANNEL, seal_bytes=len(seal))
        except Rejected as error:
            raise Disagreement(f"the independent reader refuses what was fetched: {error}") from None
        if statement["sequence"] != found.verified.statement.sequence:
            raise Disagreement("another sequence than the independent reader's")
    elif case.act == "publish":
        path = folder / "bundle"
        path.write_bytes(bundle.seal + bundle.payload)
        companions = {}
        if bundle.beside is not None:
            companions[bundle.beside[0]] = folder / "companion"
            companions[bundle.beside[0]].write_bytes(bundle.beside[2])
        client.publish(path, connection, jobs=1, companions=companions)
        for name, start, piece in server.sent:
            whole = bundle.payload if name == "payload" or bundle.beside is None else bundle.beside[2]
            if piece != whole[start : start + len(piece)]:
                raise Disagreement(f"sent other bytes than those of {name} at {start}")
    else:
        client.withdraw(connection, app=APP, channel=CHANNEL, sequence=142)


def client_target() -> Target:
    """What a server answers."""
    _parallel.ThreadPoolExecutor = Inline  # type: ignore[misc]
    return Target(
        name="client",
        oracle="the independent reader accepts what was fetched; what is sent is the payload; nobody else is asked",
        modules=modules("client.*", "http.shapes", "http.problems", "io.resumable"),
        make=_draw,
        run=check_client,
        gates={
            "release": (ReleaseDescription, "from_json"),
            "upload": (UploadDescription, "from_json"),
            "seal": (_fetching, "accept_detached"),
            "payload": (_fetching._Unfinished, "write"),
        },
    )
