"""Every example of docs/server.md on a server that its framework is deployed with, good and bad clients at once."""

import asyncio
import contextlib
import gc
import importlib.util
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import waitress.server
from aiohttp import web
from django.conf import settings
from django.urls import clear_url_caches
from werkzeug.serving import make_server

import capseal
from capseal import TrustStore
from capseal.constants import SEGMENT_BYTES
from capseal.embedding import UploadLimits
from support.places import ROOT
from support.server_fixtures import BundleMaker
from support.serving import Bundle, some_bytes


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # where Django looks for its URLs
    spec.loader.exec_module(module)
    if settings.configured:  # by another example, in one process
        settings.ROOT_URLCONF = name
    clear_url_caches()
    return module


@contextlib.contextmanager
def on_uvicorn(app: Any) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@contextlib.contextmanager
def on_uvicorn_for_django(app: Any) -> Iterator[str]:
    """Django leaves it to the garbage collector to close what it had read of a request that ends by an exception."""
    with on_uvicorn(app) as url:
        yield url
    gc.collect()


@contextlib.contextmanager
def on_werkzeug(app: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)
    server.server_close()


@contextlib.contextmanager
def on_waitress(app: Any) -> Iterator[str]:
    # In memory: the files that it keeps what is on its way in, it leaves to the collector at its end.
    buffers = {"inbuf_overflow": 2**30, "outbuf_overflow": 2**30}
    server = waitress.server.create_server(app, host="127.0.0.1", port=0, threads=12, **buffers)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.task_dispatcher.shutdown()
    server.trigger.pull_trigger(lambda: waitress.wasyncore.close_all(server._map))  # in its own thread
    thread.join(10)


@contextlib.contextmanager
def on_aiohttp(app: web.Application) -> Iterator[str]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def wait(what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, loop).result(10)

    runner = web.AppRunner(app)
    wait(runner.setup())
    site = web.TCPSite(runner, "127.0.0.1", 0)
    wait(site.start())
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    wait(runner.cleanup())

    async def end_the_rest() -> None:  # of connections that broke off
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    wait(end_the_rest())
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


EXAMPLES = pytest.mark.parametrize(
    ("name", "serve"),
    [
        ("starlette_app", on_uvicorn),
        ("fastapi_app", on_uvicorn),
        ("flask_app", on_werkzeug),
        ("flask_app", on_waitress),
        ("django_app", on_waitress),
        pytest.param(
            *("django_asgi_app", on_uvicorn_for_django),
            marks=pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning"),
        ),
        ("aiohttp_app", on_aiohttp),
    ],
)


def whole(bundle: Bundle) -> bytes:
    return bundle.seal + bundle.payload


def tampered(bundle: Bundle, segment: int) -> bytes:
    bad = bytearray(whole(bundle))
    bad[len(bundle.seal) + segment * SEGMENT_BYTES] ^= 1
    return bytes(bad)


@EXAMPLES
def test_the_example_takes_good_bundles_only_and_serves_verified_ranges(
    name: str, serve: Callable[[Any], Any], tmp_path: Path, bundle: Bundle, sealed: BundleMaker, trust: TrustStore
) -> None:
    older = sealed(sequence=6)
    etag = f'"{bundle.digest}"'
    size = len(bundle.payload)
    with serve(load(name).make_app(tmp_path, trust)) as url, httpx.Client(base_url=url, timeout=30) as client:
        assert client.get("/payload").status_code == 404
        refused = client.put("/bundle", content=tampered(bundle, 5))
        assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
        assert "segment 5 at byte" in refused.json()["detail"]
        assert not (tmp_path / "bundle.sealed").exists()
        assert client.put("/bundle", content=whole(bundle)).json() == {"version": "1.0.7"}
        assert (tmp_path / "bundle.sealed").read_bytes() == whole(bundle)
        for old in (older, bundle):
            refused = client.put("/bundle", content=whole(old))
            assert (refused.status_code, refused.json()["error"]) == (409, "RollbackError")
            assert "is not above 7" in refused.text
        part = client.get("/payload", headers={"Range": "bytes=1000-2999999"})
        assert (part.status_code, part.content) == (206, bundle.payload[1000:3000000])
        assert part.headers["content-range"] == f"bytes 1000-2999999/{size}"
        assert client.get("/payload", headers={"Range": f"bytes={size}-"}).status_code == 416
        head = client.head("/payload")
        assert (head.status_code, head.headers["content-length"], head.headers["etag"]) == (200, str(size), etag)
        assert client.get("/payload", headers={"If-None-Match": etag}).status_code == 304
        changed = client.get("/payload", headers={"Range": "bytes=0-9", "If-Range": '"older"'})
        assert (changed.status_code, changed.content) == (200, bundle.payload)
    assert sorted(path.name for path in tmp_path.glob("*bundle*")) == [
        "bundle.sealed",
        "bundle.sealed.floor",
        "bundle.sealed.lock",
    ]


@EXAMPLES
def test_of_uploads_at_once_good_and_bad_the_newest_good_one_stays_whole(
    name: str, serve: Callable[[Any], Any], tmp_path: Path, sealed: BundleMaker, trust: TrustStore
) -> None:
    bundles = {sequence: sealed(sequence=sequence, content=some_bytes(2.5)) for sequence in range(1, 10)}
    folder = tmp_path / "served"
    folder.mkdir()
    begun = threading.Barrier(9)

    def pieces(data: bytes, *, pause_s: float = 0) -> Iterator[bytes]:
        for at in range(0, len(data), 200_000):
            if at == 800_000:
                begun.wait(30)  # by now the first segment of each is written
            time.sleep(pause_s)
            yield data[at : at + 200_000]

    def put(data: bytes, **keywords: float) -> int:
        headers = {"Content-Length": str(len(data))}
        return httpx.put(f"{url}/bundle", content=pieces(data, **keywords), headers=headers, timeout=60).status_code

    def break_off(data: bytes) -> None:
        """Announce all of an upload, send half, and go away."""
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
            head = f"PUT /bundle HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
            connection.sendall(head.encode() + data[: len(data) // 2])
            begun.wait(30)

    with serve(load(name).make_app(folder, trust)) as url, ThreadPoolExecutor(9) as pool:
        good = {one: pool.submit(put, whole(bundles[one])) for one in (1, 2, 3, 4)}
        good[6] = pool.submit(put, whole(bundles[6]), pause_s=0.1)
        bad = pool.submit(put, tampered(bundles[7], 2))
        short = pool.submit(put, whole(bundles[8])[:-1])
        long = pool.submit(put, whole(bundles[5]) + b"x")
        broken = pool.submit(break_off, whole(bundles[9]))
        assert good[6].result() == 200
        assert {one.result() for one in good.values()} <= {200, 409}
        assert [one.result() for one in (bad, short, long)] == [422, 422, 422]
        broken.result()
        assert capseal.verify(folder / "bundle.sealed", trust=trust).statement.sequence == 6
        assert httpx.get(f"{url}/payload").content == bundles[6].payload
        names = ["bundle.sealed", "bundle.sealed.floor", "bundle.sealed.lock"]
        deadline = time.monotonic() + 10
        while sorted(path.name for path in folder.iterdir()) != names:  # what was broken off is tidied up
            assert time.monotonic() < deadline, list(folder.iterdir())
            time.sleep(0.05)


@EXAMPLES
def test_what_is_too_large_or_too_slow_is_refused_and_others_are_not_disturbed(
    name: str,
    serve: Callable[[Any], Any],
    tmp_path: Path,
    bundle: Bundle,
    trust: TrustStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    example = load(name)
    maker = next(one for one in ("AsgiUploads", "WsgiUploads", "aiohttp_uploads") if hasattr(example, one))
    limits = UploadLimits(bundle_bytes=len(whole(bundle)), idle_s=1, least_rate=50_000)
    limited = getattr(example, maker)
    monkeypatch.setattr(example, maker, lambda *given, **keywords: limited(*given, **keywords, limits=limits))

    def trickle() -> bytes:
        """Announce an upload, send a little of it again and again, and return what is answered."""
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20) as connection:
            head = f"PUT /bundle HTTP/1.1\r\nHost: x\r\nContent-Length: {len(whole(bundle))}\r\n\r\n"
            connection.sendall(head.encode())
            for at in range(0, 40_000, 1000):
                with contextlib.suppress(OSError):
                    connection.sendall(whole(bundle)[at : at + 1000])
                time.sleep(0.1)
                connection.settimeout(0.01)
                with contextlib.suppress(TimeoutError, OSError):
                    return connection.recv(65536)
            return b""

    with serve(example.make_app(tmp_path, trust)) as url, ThreadPoolExecutor(3) as pool:
        # waitress gives an application nothing before all has come; to drop who is slow is its own business.
        slow = None if serve is on_waitress else pool.submit(trickle)
        large = pool.submit(httpx.put, f"{url}/bundle", content=whole(bundle) + b"x", timeout=30)
        fine = pool.submit(httpx.put, f"{url}/bundle", content=whole(bundle), timeout=30)
        assert fine.result().status_code == 200
        assert (large.result().status_code, large.result().json()["title"]) == (413, "Over a limit of this server")
        if slow is not None:
            assert slow.result().startswith(b"HTTP/1.1 408 ") or slow.result().startswith(b"HTTP/1.0 408 ")


@pytest.mark.parametrize(
    "name", ["starlette_app", "fastapi_app", "flask_app", "django_app", "django_asgi_app", "aiohttp_app"]
)
def test_an_example_names_capseal_in_few_lines(name: str) -> None:
    lines = (ROOT / "examples" / f"{name}.py").read_text().splitlines()
    ours = ("BundleFile(", "bundle.", "AsgiUploads", "WsgiUploads", "aiohttp_uploads", "UPLOAD")
    assert len([line for line in lines if any(one in line for one in ours)]) <= 6


def test_the_page_shows_the_examples_as_they_are() -> None:
    page = (ROOT / "docs" / "server.md").read_text()
    for path in sorted((ROOT / "examples").glob("*_app.py")):
        assert path.read_text() in page, f"{path.name} differs from what docs/server.md shows"


@EXAMPLES
def test_a_refused_upload_leaves_no_traceback_in_the_log(
    name: str,
    serve: Callable[[Any], Any],
    tmp_path: Path,
    bundle: Bundle,
    trust: TrustStore,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serve(load(name).make_app(tmp_path, trust)) as url, httpx.Client(base_url=url, timeout=30) as client:
        assert client.put("/bundle", content=tampered(bundle, 5)).status_code == 422
        assert client.put("/bundle", content=whole(bundle)).status_code == 200
        assert client.put("/bundle", content=whole(bundle)).status_code == 409
        assert client.get("/payload").status_code == 200
    assert not [record for record in caplog.records if record.exc_info]
    assert "Traceback" not in capsys.readouterr().err
