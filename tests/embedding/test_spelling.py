"""However a request is spelled: what could reach the route of uploads is verified, or refused before that."""

import asyncio
import contextlib
import io
import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from aiohttp import StreamReader, web
from aiohttp.test_utils import TestClient, TestServer
from fastapi import FastAPI, Request
from flask import Flask, request
from starlette.applications import Starlette
from starlette.routing import Mount

from capseal import RejectedError, TrustStore, UsageError
from capseal.embedding import AIOHTTP_UPLOAD, AsgiUploads, WsgiUploads, aiohttp_uploads
from support.serving import Bundle

EVIL = b"signed by nobody"

Ask = Callable[..., tuple[int, str, bytes | None]]


def ask_asgi(
    method: str, path: str, body: bytes = EVIL, /, *, length: str | None = None, root: str = "", **keywords: Any
) -> tuple[int, str, bytes | None]:
    """Return the status, the problem and what the application read, or None where it was not asked."""
    seen: list[bytes] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(b"")
        with contextlib.suppress(RejectedError):
            seen.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [] if length == "" else [(b"content-length", (length or str(len(body))).encode())]
    scope = {"type": "http", "method": method, "path": path, "root_path": root, "headers": headers}
    asyncio.run(AsgiUploads(app, **keywords)(scope, receive, send))
    return sent[0]["status"], problem_in(sent[1]["body"]), b"".join(seen) if seen else None


def ask_wsgi(
    method: str, path: str, body: bytes = EVIL, /, *, length: str | None = None, root: str = "", **keywords: Any
) -> tuple[int, str, bytes | None]:
    """ask_asgi() for WSGI."""
    seen: list[bytes] = []
    started: list[int] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(b"")
        with contextlib.suppress(RejectedError):
            seen.append(environ["wsgi.input"].read())
        start_response("201 Created", [])
        return [b"{}"]

    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": root,
        "PATH_INFO": path.removeprefix(root).encode().decode("latin-1"),
        "CONTENT_LENGTH": str(len(body)) if length is None else length,
        "wsgi.input": io.BytesIO(body),
    }
    answered = b"".join(WsgiUploads(app, **keywords)(environ, lambda status, headers: started.append(int(status[:3]))))
    return started[0], problem_in(answered), b"".join(seen) if seen else None


def problem_in(body: bytes) -> str:
    return json.loads(body).get("type", "none").removeprefix("urn:capseal:problem:")


@pytest.fixture(params=[ask_asgi, ask_wsgi])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Both middlewares."""
    return request.param


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/bundle\n"),
        ("PUT", "/bundle\r"),
        ("PUT", "/bundle\x00"),
        ("PUT", "/bun\x7fdle"),
        ("PUT", "/bundle\x9f"),
        ("PUT", "/bundle\u2028"),
        ("PUT", "/bundle "),
        ("PUT", "/bundle\u3000"),
        ("PUT", "bundle"),
        ("put", "/bundle"),
        ("PuT", "/bundle"),
        ("PO\u017fT", "/bundle"),
        ("PUT ", "/bundle"),
        ("", "/bundle"),
    ],
)
@pytest.mark.parametrize("rule", ["/bundle", re.compile("/bundle.*"), None, "/other"])
def test_what_only_some_frameworks_forgive_never_reaches_the_application(
    ask: Ask, trust: TrustStore, method: str, path: str, rule: Any
) -> None:
    assert ask(method, path, trust=trust, path=rule) == (400, "spelling", None)


@pytest.mark.parametrize("rule", ["/bundle", "/bundle/", re.compile("/bundl[e]"), None])
@pytest.mark.parametrize(
    "path",
    [
        "/bundle",
        "//bundle",
        "/bundle/",
        "///bundle//",
        "/./bundle",
        "/x/../bundle",
        "/api/bundle",
        "/api/v1/bundle",
    ],
)
def test_every_spelling_of_a_path_of_uploads_is_an_upload_whatever_the_method(
    ask: Ask, trust: TrustStore, rule: Any, path: str
) -> None:
    for method in ("PUT", "PATCH", "DELETE", "GET", "X-STORE"):
        assert ask(method, path, trust=trust, path=rule) == (400, "format", b"")


@pytest.mark.parametrize(("root", "path"), [("/b", "/bundle"), ("/api", "/api/bundle"), ("/api/", "/api/bundle")])
def test_a_root_path_ends_where_a_segment_does(trust: TrustStore, root: str, path: str) -> None:
    assert ask_asgi("PUT", path, root=root, trust=trust, path="/bundle") == (400, "format", b"")


def test_the_root_of_what_is_mounted_can_be_the_path_of_uploads(ask: Ask, trust: TrustStore) -> None:
    for path in ("/sub", "/sub/"):
        assert ask("PUT", path, root="/sub", trust=trust, path="/") == (400, "format", b"")
    assert ask("PUT", "/other", trust=trust, path="/") == (201, "none", EVIL)


def test_a_path_of_uploads_may_have_any_letters(ask: Ask, trust: TrustStore) -> None:
    assert ask("PUT", "/b\u00fcndel", trust=trust, path="/b\u00fcndel") == (400, "format", b"")
    assert ask("PUT", "/\u5305", trust=trust, path=re.compile("/.")) == (400, "format", b"")


def test_methods_may_be_given_in_small_letters(ask: Ask, trust: TrustStore) -> None:
    assert ask("PUT", "/bundle", b"", trust=trust, methods=["put"])[:2] == (422, "truncated")
    assert ask("POST", "/bundle", b"", trust=trust, methods=["put"]) == (201, "none", b"")


def test_a_body_that_nobody_announced_is_seen_by_nobody(ask: Ask, trust: TrustStore) -> None:
    for length in ("", "0"):
        assert ask("GET", "/bundle", length=length, trust=trust, path="/bundle") == (201, "none", b"")
    assert ask("GET", "/other", trust=trust, path="/bundle") == (201, "none", EVIL)


@pytest.mark.parametrize("length", ["13, 13", "+13", " 13", "1_3", "-1", "\u00b2", "0x10", "9" * 5000, "x"])
def test_a_size_that_is_none_is_refused(ask: Ask, trust: TrustStore, length: str) -> None:
    assert ask("PUT", "/bundle", length=length, trust=trust) == (400, "content-length", None)
    assert ask("PATCH", "/bundle", length=length, trust=trust, methods=["PUT"]) == (400, "content-length", None)


@pytest.mark.parametrize("maker", [AsgiUploads, WsgiUploads])
def test_a_path_that_no_request_has_is_the_callers_mistake(maker: Any, trust: TrustStore) -> None:
    with pytest.raises(UsageError, match="does not begin with a slash"):
        maker(None, trust=trust, path="bundle")


async def status_of(app: Any, method: str, path: str, *, root: str) -> int:
    transport = httpx.ASGITransport(app, root_path=root)
    async with httpx.AsyncClient(transport=transport, base_url="http://x", follow_redirects=True) as client:
        return (await client.request(method, path, content=EVIL)).status_code


def test_starlettes_and_fastapis_routes_see_no_other_spelling(trust: TrustStore) -> None:
    seen: list[bytes] = []
    bare, inside = FastAPI(), FastAPI()
    for app in (bare, inside):

        @app.api_route("/bundle", methods=["PUT", "PATCH"])
        async def store(request: Request) -> None:
            seen.append(await request.body())

    inside.add_middleware(AsgiUploads, path="/bundle", trust=trust)
    mounting = Starlette(routes=[Mount("/api", bare), Mount("/b", bare), Mount("/", bare)])
    for app in (
        inside,
        AsgiUploads(bare, path="/bundle", trust=trust),
        AsgiUploads(mounting, path="/bundle", trust=trust),
    ):
        for root in ("", "/api", "/b"):
            for path in ("/bundle", "/bundle%0A", "/bundle/", "/api/bundle", "/b/bundle", "/api/api/bundle"):
                for method in ("PUT", "PATCH"):
                    assert asyncio.run(status_of(app, method, path, root=root)) in (400, 404), (root, path)
    assert seen == []


def test_flasks_routes_see_no_other_spelling(trust: TrustStore) -> None:
    seen: list[bytes] = []
    app = Flask("uploads")

    @app.route("/bundle", methods=["PUT", "PATCH"])
    def store() -> str:
        seen.append(request.get_data())
        return ""

    verifying = WsgiUploads(app.wsgi_app, path="/bundle", trust=trust)
    for method in ("PUT", "put", "PATCH"):
        for path in ("/bundle", "bundle", "//bundle", "/bundle\n"):
            environ = {
                "REQUEST_METHOD": method,
                "PATH_INFO": path,
                "CONTENT_LENGTH": str(len(EVIL)),
                "wsgi.input": io.BytesIO(EVIL),
                "wsgi.errors": io.StringIO(),
                "wsgi.url_scheme": "http",
                "SERVER_NAME": "x",
                "SERVER_PORT": "80",
            }
            started: list[str] = []
            b"".join(verifying(environ, lambda status, headers, *_: started.append(status)))
            assert started[-1].startswith("4"), (method, path)
    assert seen == []


WAYS: dict[str, Callable[[web.Request], Any]] = {
    "read": lambda request: request.read(),
    "content.read": lambda request: request.content.read(),
    "content.readany": lambda request: request.content.readany(),
    "content.readchunk": lambda request: request.content.readchunk(),
    "content.readline": lambda request: request.content.readline(),
    "clone": lambda request: request.clone(method="POST").read(),
    "text": lambda request: request.text(),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_aiohttp_handler_that_reads_the_request_itself_sees_verified_bytes_only(
    bundle: Bundle, trust: TrustStore, way: str
) -> None:
    seen: list[Any] = []
    whole = bundle.seal + bundle.payload

    async def store(request: web.Request) -> web.Response:
        assert isinstance(request.content, StreamReader)
        seen.append(await WAYS[way](request))
        return web.Response(status=201)

    @web.middleware
    async def looks(request: web.Request, handler: Any) -> web.StreamResponse:
        assert request.content is not None  # which aiohttp remembers
        return await handler(request)

    async def run() -> None:
        app = web.Application(middlewares=[looks, aiohttp_uploads(trust=trust)], client_max_size=1 << 30)
        app.router.add_put("/bundle", store)
        async with TestClient(TestServer(app)) as client:
            answer = await client.put("/bundle", data=EVIL + b"\n")
            assert (answer.status, problem_in(await answer.read())) == (400, "format")
            assert seen == []
            if way in ("read", "content.read", "clone"):
                assert (await client.put("/bundle", data=io.BytesIO(whole))).status == 201
                assert seen == [whole]

    asyncio.run(run())


def test_an_aiohttp_upload_that_was_refused_never_looks_like_one_that_ended(bundle: Bundle, trust: TrustStore) -> None:
    raised: list[str] = []

    async def store(request: web.Request) -> web.Response:
        for _ in range(3):
            for what in (request[AIOHTTP_UPLOAD], request.content.iter_any()):
                with contextlib.suppress(StopAsyncIteration):
                    try:
                        while True:
                            await anext(what.__aiter__())
                    except RejectedError as error:
                        raised.append(type(error).__name__)
        return web.Response(status=201)

    async def run() -> None:
        app = web.Application(middlewares=[aiohttp_uploads(trust=trust)])
        app.router.add_put("/bundle", store)
        async with TestClient(TestServer(app)) as client:
            answer = await client.put("/bundle", data=io.BytesIO(bundle.seal + bundle.payload[:-1]))
            assert answer.status == 422

    asyncio.run(run())
    assert raised == ["TruncatedError"] * 6


def test_an_aiohttp_body_that_was_read_before_is_no_upload(bundle: Bundle, trust: TrustStore) -> None:
    @web.middleware
    async def reads(request: web.Request, handler: Any) -> web.StreamResponse:
        await request.read()
        return await handler(request)

    async def store(request: web.Request) -> web.Response:
        raise AssertionError(await request.read())

    async def run() -> None:
        app = web.Application(middlewares=[reads, aiohttp_uploads(trust=trust)], client_max_size=1 << 30)
        app.router.add_put("/bundle", store)
        async with TestClient(TestServer(app)) as client:
            assert (await client.put("/bundle", data=io.BytesIO(bundle.seal + bundle.payload))).status == 500

    asyncio.run(run())
