"""Good bundles, and a server in this process that takes them: what altered requests and answers are made from."""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from obstore.store import MemoryStore

from capseal.server import CapgoUpdates, Limits, Storage, create_app
from vectors.making import dump

from .corpus import SEAL_TYPE, Reader, enveloped, large_starts, sealed, signed, starts
from .running import Disagreement

APP, CHANNEL = "com.example.game", "production"
TOKEN = "fuzz-token"
RELEASES = f"/v1/apps/{APP}/channels/{CHANNEL}/releases"
LIMITS = Limits(open_uploads=4, uploads=2)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A good bundle for the readers of the fast keys. beside: name, index and stored bytes of its companion."""

    seal: bytes
    payload: bytes
    statement: dict[str, Any]
    beside: tuple[str, bytes, bytes] | None

    @property
    def upload(self) -> str:
        """Where a server takes it."""
        return f"/v1/uploads/{hashlib.sha256(self.seal).hexdigest()}"


@cache
def bundles() -> tuple[Sealed, ...]:
    """Return a bundle of one block, one of two, one with a companion, and one of three segments."""
    found = []
    wanted = ((5, False, starts()), (4041, False, starts()), (5, True, starts()), (1_049_544, False, large_starts()))
    for size, has_companion, pool in wanted:
        start = next(
            one
            for one in pool
            if len(one.content) == size
            and (one.beside is not None) == has_companion
            and ("attachments" in json.loads(one.statement)) == has_companion
            and (one.reader.channel, one.reader.role) == (None, "production")
        )
        body = dump(json.loads(start.statement))
        envelope = dump(enveloped(SEAL_TYPE, body, signed(SEAL_TYPE, body, ("signer",))))
        found.append(Sealed(sealed(envelope, start.index), start.payload, json.loads(body), start.beside))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. pieces: of the body, as they arrive; ends: whether it comes to its end."""

    method: str
    path: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    pieces: tuple[bytes, ...]
    ends: bool = True


def request(method: str, path: str, body: bytes = b"") -> Request:
    """Return an honest request by a publisher."""
    headers = [(b"host", b"a.test"), (b"authorization", f"Bearer {TOKEN}".encode())]
    if method in ("POST", "PUT"):
        headers.append((b"content-length", str(len(body)).encode()))
    return Request(method, path.encode(), tuple(headers), (body,))


def publishing(bundle: Sealed) -> list[Request]:
    """Return what an honest publisher asks for, in order."""
    steps = [request("POST", "/v1/uploads", bundle.seal), request("PUT", f"{bundle.upload}/payload", bundle.payload)]
    if bundle.beside is not None:
        name, index, stored = bundle.beside
        steps.append(request("PUT", f"{bundle.upload}/attachments/{name}/index", index))
        steps.append(request("PUT", f"{bundle.upload}/attachments/{name}", stored))
    return [*steps, request("POST", bundle.upload)]


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(frozen=True, slots=True)
class Server:
    """A new server that runs, and its storage."""

    app: Any
    store: MemoryStore

    def stored(self) -> list[tuple[str, int]]:
        """Return names and sizes of all that is stored."""
        return sorted((one["path"], one["size"]) for page in self.store.list() for one in page)

    async def ask(self, asked: Request) -> Answered:
        """Return what is answered."""
        messages: list[Any] = [
            {"type": "http.request", "body": piece, "more_body": i + 1 < len(asked.pieces) or not asked.ends}
            for i, piece in enumerate(asked.pieces)
        ]
        sent: list[Any] = []

        async def receive() -> Any:
            if not messages and asked.ends:
                await asyncio.Event().wait()  # stays, and waits for the answer
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        path, _, query = asked.path.partition(b"?")
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": asked.method,
            "scheme": "http", "path": path.decode("utf-8", "replace"), "raw_path": path, "query_string": query,
            "root_path": "", "headers": list(asked.headers), "client": ("127.0.0.1", 1), "server": ("a.test", 80),
            "extensions": {},
        }  # fmt: skip
        await self.app(scope, receive, send)
        heads = [message for message in sent if message["type"] == "http.response.start"]
        if len(heads) != 1:
            raise Disagreement(f"{len(heads)} answers to one request")
        body = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
        return Answered(heads[0]["status"], dict(heads[0]["headers"]), body)


@asynccontextmanager
async def new_server(*, has_token: bool = True, holding: Sequence[tuple[str, bytes]] = ()) -> AsyncIterator[Server]:
    """Run a new server on a storage in memory. holding: names and bytes of what is stored already."""
    logging.getLogger("capseal.server").disabled = True
    store = MemoryStore()
    for path, data in holding:
        store.put(path, data)
    app = create_app(
        Storage(store),
        Reader().store,
        token=TOKEN if has_token else None,
        limits=LIMITS,
        extensions=[CapgoUpdates()],
        verify_reads=True,
    )
    async with app.router.lifespan_context(app):
        yield Server(app, store)


class Inline(ThreadPoolExecutor):
    """No threads: on a busy machine, to wait for one takes longer than what it does."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **keywords))
        except BaseException as error:  # noqa: BLE001 - whoever waits for it gets it
            future.set_exception(error)
        return future


@cache
def loop() -> asyncio.AbstractEventLoop:
    """Return the loop of this process."""
    made = asyncio.new_event_loop()
    made.set_default_executor(Inline())
    return made


@cache
def honest_answers(number: int) -> dict[str, bytes]:
    """Return what a server answers while a bundle is published, fetched and withdrawn: bodies by method and path.

    Of a path, the name that stands in client.Case: its last part, and `id` or `release` where that is a number.
    """

    async def found() -> dict[str, bytes]:
        bundle = bundles()[number]
        answers = {}
        async with new_server() as server:
            begin, *send, publish = publishing(bundle)
            answers["POST uploads"] = (await server.ask(begin)).body
            for one in send:
                answers["PUT"] = (await server.ask(one)).body
            answers["POST id"] = (await server.ask(publish)).body
            answers["POST uploads again"] = (await server.ask(begin)).body
            place = RELEASES.removesuffix("/releases")
            answers["GET latest"] = (await server.ask(request("GET", f"{place}/latest"))).body
            answers["GET seal"] = (await server.ask(request("GET", f"{RELEASES}/142/seal"))).body
            answers["DELETE release"] = (await server.ask(request("DELETE", f"{RELEASES}/142"))).body
        return answers

    return loop().run_until_complete(found())


@cache
def stored_release(number: int) -> tuple[tuple[str, bytes], ...]:
    """Return what a server has stored once an honest publisher was there: names and bytes."""

    async def found() -> tuple[tuple[str, bytes], ...]:
        async with new_server() as server:
            for one in publishing(bundles()[number]):
                answered = await server.ask(one)
                if answered.status >= 300:
                    raise Disagreement(f"an honest publisher is refused: {answered.status} {answered.body!r}")
            return tuple((path, bytes(server.store.get(path).bytes())) for path, _ in server.stored())

    return loop().run_until_complete(found())


def honest_record() -> bytes:
    """Return the record of a release with a companion, as the server keeps it."""
    [record] = [data for path, data in stored_release(2) if path.endswith("/release.json")]
    return record
