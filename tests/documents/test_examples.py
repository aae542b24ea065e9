"""Every example of docs/server.md, run on the server that its framework is deployed with."""

import asyncio
import contextlib
import importlib.util
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from aiohttp import web
from werkzeug.serving import make_server

import capseal
from capseal import TrustStore
from capseal.constants import SEGMENT_BYTES
from support.places import ROOT
from support.server_fixtures import BundleMaker
from support.serving import Bundle, some_bytes


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
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
def on_werkzeug(app: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)
    server.server_close()


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
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


EXAMPLES = pytest.mark.parametrize(
    ("name", "serve"),
    [
        ("starlette_app", on_uvicorn),
        ("fastapi_app", on_uvicorn),
        ("flask_app", on_werkzeug),
        ("aiohttp_app", on_aiohttp),
    ],
)


@EXAMPLES
def test_the_example_takes_good_bundles_only_and_serves_verified_ranges(
    name: str, serve: Callable[[Any], Any], tmp_path: Path, bundle: Bundle, sealed: BundleMaker, trust: TrustStore
) -> None:
    attached = bundle.seal + bundle.payload
    bad = bytearray(attached)
    bad[len(bundle.seal) + 5 * SEGMENT_BYTES] ^= 1
    older = sealed(sequence=6)
    app = load(name).make_app(tmp_path, trust)
    with serve(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        assert client.get("/payload/0-1").status_code == 404
        refused = client.put("/bundle", content=bytes(bad))
        assert refused.status_code == 422
        assert "segment 5 at byte" in refused.text
        assert not (tmp_path / "bundle.sealed").exists()
        assert client.put("/bundle", content=attached).json() == {"version": "1.0.7"}
        assert (tmp_path / "bundle.sealed").read_bytes() == attached
        assert client.get("/payload/1000-3000000").content == bundle.payload[1000:3000000]
        assert client.get(f"/payload/0-{len(bundle.payload) + 1}").status_code == 416
        for old in (older.seal + older.payload, attached):
            refused = client.put("/bundle", content=old)
            assert refused.status_code == 422
            assert "is not above 7" in refused.text
        assert client.get(f"/payload/0-{len(bundle.payload)}").content == bundle.payload
    assert sorted(path.name for path in tmp_path.glob("*bundle*")) == ["bundle.sealed", "bundle.sealed.lock"]


@EXAMPLES
def test_uploads_at_once_leave_the_newest_bundle_whole(
    name: str, serve: Callable[[Any], Any], tmp_path: Path, sealed: BundleMaker, trust: TrustStore
) -> None:
    bundles = {sequence: sealed(sequence=sequence, content=some_bytes(2.5)) for sequence in range(1, 7)}
    begun = threading.Barrier(len(bundles))
    folder = tmp_path / "served"
    folder.mkdir()

    def pieces(data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), 200_000):
            if at == 800_000:
                begun.wait(30)  # by now the first segment of each is written
            yield data[at : at + 200_000]

    def put(sequence: int) -> int:
        data = bundles[sequence].seal + bundles[sequence].payload
        return httpx.put(f"{url}/bundle", content=pieces(data), timeout=60).status_code

    with serve(load(name).make_app(folder, trust)) as url, ThreadPoolExecutor(len(bundles)) as pool:
        statuses = dict(zip(bundles, pool.map(put, bundles), strict=True))
        assert statuses[6] == 200
        assert set(statuses.values()) <= {200, 422}
        verified = capseal.verify(folder / "bundle.sealed", trust=trust)
        assert verified.statement.sequence == 6
        payload = bundles[6].payload
        assert httpx.get(f"{url}/payload/0-{len(payload)}").content == payload
    assert sorted(path.name for path in folder.iterdir()) == ["bundle.sealed", "bundle.sealed.lock"]


def test_the_page_shows_the_examples_as_they_are() -> None:
    page = (ROOT / "docs" / "server.md").read_text()
    for path in sorted((ROOT / "examples").glob("*_app.py")):
        assert path.read_text() in page, f"{path.name} differs from what docs/server.md shows"
