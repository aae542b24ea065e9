"""Web views read what is public from any origin, or from those that are named; nothing else is theirs."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPResponse
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from capseal import TrustStore, UsageError
from capseal.server import create_app
from capseal.server._route_table import RouteTable
from capseal.server.storage.objects import Storage
from support.browser import chromium
from support.server_fixtures import BundleMaker
from support.serving import TOKEN, Bundle, Live, live_server

PAGE = "https://app.example.com"
PUBLIC = ["/v1/apps", "{channel}/latest", "{channel}/releases", "{release}", "{release}/seal", "{release}/payload"]
EXPOSED = {"accept-ranges", "content-length", "content-range", "etag"}


def filled(path: str, live: Live) -> str:
    release = live.release_url(7)
    return path.format(release=release, channel=release.removesuffix("/releases/7"))


def asks(live: Live, path: str, method: str, headers: str = "range, if-none-match") -> httpx.Response:
    """Send what a browser sends before a request that is not simple."""
    asked = {"Origin": PAGE, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return live.client.options(path, headers=asked)


@pytest.fixture(scope="module")
def narrowed(tmp_path_factory: pytest.TempPathFactory, trust: TrustStore, bundle: Bundle) -> Iterator[Live]:
    """A server that one page may read from."""
    place = str(tmp_path_factory.mktemp("store"))
    with live_server(place, trust, token=TOKEN, cors_origins=["https://App.example.com", "http://[::1]:80"]) as live:
        live.client.headers["Authorization"] = f"Bearer {TOKEN}"
        live.publish(bundle).raise_for_status()
        yield live


@pytest.mark.parametrize("path", PUBLIC)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_everything_public_is_read_from_any_origin(published: Live, path: str, method: str) -> None:
    answer = published.client.request(method, filled(path, published), headers={"Origin": PAGE})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert set(answer.headers["access-control-expose-headers"].lower().split(", ")) > EXPOSED
    assert "vary" not in answer.headers  # a cache keeps one answer for all
    assert "access-control-allow-credentials" not in answer.headers
    asked = asks(published, filled(path, published), method)
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, "*")
    assert asked.headers["access-control-allow-methods"] == "GET, HEAD"
    assert {"range", "if-none-match"} < set(asked.headers["access-control-allow-headers"].lower().split(", "))


def test_the_route_of_a_request_is_the_one_for_its_method_whatever_another_application_noted() -> None:
    async def answer(request: Request) -> Response:
        return Response()

    read, withdraw, outer = (Route("/{name}", answer, methods=[method]) for method in ("GET", "DELETE", "DELETE"))
    table = RouteTable([read, withdraw])
    for method, expected in (("GET", read), ("DELETE", withdraw), ("PUT", read)):
        for noted in ({}, {"route": outer}):
            assert table.route_of({"type": "http", "method": method, "path": "/x", **noted}) is expected
    assert table.route_of({"type": "http", "method": "DELETE", "path": "/x/y", "route": outer}) is None
    assert table.route_of({"type": "http", "method": "DELETE", "path": "/x", "route": read}) is read  # as it was taken


def test_a_page_can_read_why_there_is_nothing(published: Live) -> None:
    for path in (published.release_url(8), published.release_url(7).replace("production", "beta"), "/v1/apps/-/x"):
        answer = published.client.get(path, headers={"Origin": PAGE})
        assert answer.status_code == 404
        assert answer.headers["access-control-allow-origin"] == "*"
    answer = published.client.get(published.release_url(7) + "/payload", headers={"Range": "bytes=99999999-"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (416, "*")


def tells_all(answer: httpx.Response) -> bool:
    """Whether every page may read an answer, and no cache keeps it."""
    may_read, exposed = (answer.headers.get(f"access-control-{name}") for name in ("allow-origin", "expose-headers"))
    return (
        may_read == "*" and set(exposed.lower().split(", ")) > EXPOSED and "no-store" in answer.headers["cache-control"]
    )


UNROUTED = [
    "/v1/apps/",
    "/v1/apps/x/channels/y/latest/",
    "/v1",
    "//v1/apps",
    "/v1/uploads/",
    "/favicon.ico",
    "/%2e%2e/x",
]


@pytest.mark.parametrize("path", UNROUTED)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PATCH"])
def test_where_no_route_is_every_page_may_read_that_and_nothing_is_kept(
    published: Live, method: str, path: str
) -> None:
    answer = published.client.request(method, path, headers={"Origin": PAGE})
    assert answer.status_code == 404  # and never a redirect to what may be there
    assert tells_all(answer)
    assert asks(published, path, "GET").headers["access-control-allow-origin"] == "*"


def test_a_narrowed_server_tells_nobody_else_that_no_route_is_there(narrowed: Live) -> None:
    named, other = (
        narrowed.client.get("/v1/apps/", headers={"Origin": origin}) for origin in (PAGE, "https://evil.test")
    )
    assert named.headers["access-control-allow-origin"] == PAGE
    assert "access-control-allow-origin" not in other.headers
    assert [one.headers["vary"] for one in (named, other)] == ["Origin"] * 2


def test_a_method_that_a_public_path_has_not_is_refused_readably(published: Live) -> None:
    answer = published.client.put(published.release_url(7), headers={"Origin": PAGE})
    assert (answer.status_code, tells_all(answer)) == (405, True)


@pytest.mark.parametrize(("path", "may_read"), [("/v1/apps", True), ("/", False)])
def test_a_bug_is_told_to_who_may_read_the_rest(
    store: Path, trust: TrustStore, monkeypatch: pytest.MonkeyPatch, path: str, may_read: bool
) -> None:
    async def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError("a bug")

    with live_server(str(store), trust) as live:
        monkeypatch.setattr(live.app.state.server.releases, "channels", broken)
        answer = live.client.get(path, headers={"X-Request-Id": "told-by-client"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "told-by-client")
    assert ("access-control-allow-origin" in answer.headers) == may_read
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("request_head", ["GET\r\n\r\n", "GET / HTTP/1.1\r\nX: " + "a" * 40_000 + "\r\n\r\n"])
def test_what_cannot_be_read_is_refused_readably_and_not_kept(published: Live, request_head: str) -> None:
    with socket.create_connection(("127.0.0.1", published.port), timeout=10) as connection:
        connection.sendall(request_head.encode())
        connection.shutdown(socket.SHUT_WR)
        answer = HTTPResponse(connection)
        answer.begin()
    assert answer.status == 400
    assert tells_all(httpx.Response(400, headers=answer.getheaders()))


def test_what_there_is_no_room_for_is_refused_readably_and_not_kept(store: Path, trust: TrustStore) -> None:
    with live_server(str(store), trust) as live:
        live.server.config.limit_concurrency = 0
        answer = live.client.get("/v1/apps")
        live.server.config.limit_concurrency = None
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:capseal:problem:busy")
    assert tells_all(answer) and answer.headers["retry-after"]


def test_every_answer_says_what_caches_may_do_with_it(narrowed: Live, bundle: Bundle, sealed: BundleMaker) -> None:
    def answered(method: str, path: str, **keywords: Any) -> httpx.Response:
        answer = narrowed.client.request(method, path, **keywords)
        assert answer.headers.get("cache-control"), (method, path, answer.status_code)
        return answer

    upload = answered("POST", "/v1/uploads", content=sealed(sequence=8).seal).json()["links"]
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"):
        for path in ("/", "/livez", "/readyz", "/metrics", *UNROUTED, *PUBLIC[:3], "{release}/attachments/x/index"):
            answered(method, filled(path, narrowed))
        for path in (*upload.values(), "/v1/uploads", f"/v1/uploads/{'0' * 64}", narrowed.release_url(99)):
            answered(method, path)
    seal = narrowed.release_url(7) + "/seal"
    assert answered("GET", seal, headers={"If-None-Match": answered("GET", seal).headers["etag"]}).status_code == 304
    assert answered("GET", seal, headers={"If-Match": '"x"'}).status_code == 412


def test_what_was_asked_for_without_an_origin_may_be_kept_for_every_origin(published: Live) -> None:
    answer = published.client.get(published.release_url(7))
    assert answer.headers["access-control-allow-origin"] == "*"
    bare = published.client.options(published.release_url(7))
    assert (bare.status_code, bare.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert "access-control-allow-origin" not in bare.headers


def test_a_narrowed_server_is_read_from_the_origins_that_are_named(narrowed: Live) -> None:
    for path in PUBLIC:
        named, other, none = (
            narrowed.client.get(filled(path, narrowed), headers=headers)
            for headers in ({"Origin": PAGE}, {"Origin": "https://app.example.com.evil.test"}, {})
        )
        assert [one.headers["vary"] for one in (named, other, none)] == ["Origin"] * 3
        assert named.headers["access-control-allow-origin"] == PAGE
        assert "access-control-allow-origin" not in other.headers
        assert "access-control-allow-origin" not in none.headers
        assert asks(narrowed, filled(path, narrowed), "GET").headers["access-control-allow-origin"] == PAGE
        refused = narrowed.client.options(
            filled(path, narrowed), headers={"Origin": "null", "Access-Control-Request-Method": "GET"}
        )
        assert not [name for name in refused.headers if name.startswith("access-control")]


def test_no_page_of_another_origin_may_publish_withdraw_or_show_a_token(published: Live, narrowed: Live) -> None:
    upload = "/v1/uploads/" + "0" * 64
    for live in (published, narrowed):
        for path, method in (
            (live.release_url(7), "DELETE"),
            ("/v1/uploads", "POST"),
            (upload, "GET"),
            (upload, "POST"),
            (upload, "DELETE"),
            (upload + "/payload", "PUT"),
            (upload + "/attachments/x", "PUT"),
            (upload + "/attachments/x/index", "PUT"),
            ("/metrics", "GET"),
            ("/", "GET"),
        ):
            headers = {"Origin": PAGE, "Authorization": "Bearer wrong-wrong-wrong-wrong"}
            for answer in (asks(live, path, method), live.client.request(method, path, headers=headers)):
                assert not [name for name in answer.headers if name.startswith("access-control")], (path, method)
        allowed = asks(live, live.release_url(7), "GET", "authorization").headers["access-control-allow-headers"]
        assert "authorization" not in allowed.lower()


@pytest.mark.parametrize("origin", ["*", "null", "app.example.com", "https://a.test/", "https://a.test/x", "https://"])
def test_what_is_no_origin_is_refused_at_the_start(store: Path, trust: TrustStore, origin: str) -> None:
    with pytest.raises(UsageError, match="is not an origin such as"):
        create_app(Storage.open(str(store)), trust, cors_origins=[origin])


READER = """<!doctype html><pre id=out>nothing</pre><script type=module>
const release = new URLSearchParams(location.search).get("release");
const out = {};
const told = async (name, url, init) => {
  try {
    const answer = await fetch(url, init);
    const body = new Uint8Array(await answer.arrayBuffer());
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
    out[name] = {
      status: answer.status, size: body.length, sha256: [...digest].map(b => b.toString(16).padStart(2, "0")).join(""),
      range: answer.headers.get("content-range"), etag: answer.headers.get("etag"),
      ranges: answer.headers.get("accept-ranges"), length: answer.headers.get("content-length"),
    };
  } catch (error) { out[name] = String(error); }
};
await told("latest", release.replace(/releases.*/, "latest"));
await told("part", release + "/payload", {headers: {Range: "bytes=100-70099"}});
await told("head", release + "/payload", {method: "HEAD"});
await told("seal", release + "/seal");
await told("same", release + "/seal", {headers: {"If-None-Match": out.seal.etag ?? "none"}});
await told("gone", release + "9");
await told("withdraw", release, {method: "DELETE"});
await told("token", release, {headers: {Authorization: "Bearer x"}});
await told("publish", new URL("/v1/uploads", release), {method: "POST", body: "x"});
await told("status", new URL("/", release));
document.getElementById("out").textContent = JSON.stringify(out);
</script>"""


@contextmanager
def page(folder: Path) -> Iterator[str]:
    """Serve the page above, from an origin of its own."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    (folder / "index.html").write_text(READER)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join(10)


def shown_by_browser(profile: Path, url: str) -> dict[str, dict[str, object] | str]:
    dom = chromium(profile, "--dump-dom", url, budget_ms=20_000)
    found = re.search(r"<pre id=\"out\">(.*?)</pre>", dom, re.DOTALL)
    assert found, dom
    return json.loads(found[1])


def test_a_page_of_another_origin_reads_in_a_browser_and_does_nothing_else(
    tmp_path: Path, published: Live, bundle: Bundle
) -> None:
    import hashlib

    (tmp_path / "www").mkdir()
    release = published.url + published.release_url(7)
    with page(tmp_path / "www") as origin:
        out = shown_by_browser(tmp_path / "profile", f"{origin}/?release={release}")
    part = bundle.payload[100:70_100]
    assert out["part"] == {
        "status": 206,
        "size": 70_000,
        "sha256": hashlib.sha256(part).hexdigest(),
        "range": f"bytes 100-70099/{len(bundle.payload)}",
        "etag": f'"{bundle.digest}"',
        "ranges": "bytes",
        "length": "70000",
    }
    statuses = {name: one["status"] for name, one in out.items() if isinstance(one, dict)}
    assert statuses == {"latest": 200, "part": 206, "head": 200, "seal": 200, "same": 304, "gone": 404}
    assert isinstance(out["head"], dict) and out["head"]["length"] == str(len(bundle.payload))
    for refused in ("withdraw", "token", "publish", "status"):
        assert out[refused] == "TypeError: Failed to fetch", refused


def test_a_browser_keeps_a_page_that_is_not_named_from_reading(tmp_path: Path, narrowed: Live) -> None:
    (tmp_path / "www").mkdir()
    with page(tmp_path / "www") as origin:
        out = shown_by_browser(tmp_path / "profile", f"{origin}/?release={narrowed.url + narrowed.release_url(7)}")
    assert set(map(str, out.values())) == {"TypeError: Failed to fetch"}
