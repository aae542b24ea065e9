"""create_app() inside of another application: it starts with its first request, and is the same server then."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from capseal import TransferError, TrustStore
from capseal.client import Connection, fetch, publish
from capseal.server import Storage, create_app
from capseal.server._starting import Once
from support.capgo_pair import Pair
from support.server_fixtures import BundleMaker
from support.serving import APP, CHANNEL, Bundle, live_server


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """Run any ASGI application on uvicorn, as others configure it; yield its URL."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive() and time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


def in_starlette(**apps: Any) -> Starlette:
    return Starlette(routes=[Mount(f"/{name}", app) for name, app in apps.items()])


def in_fastapi(**apps: Any) -> FastAPI:
    outer = FastAPI()
    for name, app in apps.items():
        outer.mount(f"/{name}", app)
    return outer


@pytest.fixture(params=[in_starlette, in_fastapi])
def mounted(request: pytest.FixtureRequest) -> Any:
    """Return mounted(name=app, ...) -> an application that has them all."""
    return request.param


def send(url: str, bundle: Bundle, folder: Path) -> Any:
    (folder / "b.sealed").write_bytes(bundle.seal + bundle.payload)
    with Connection(url) as server:
        return publish(folder / "b.sealed", server)


def test_a_mounted_server_shows_what_its_store_holds_and_takes_no_rollback(
    mounted: Any, store: Path, tmp_path: Path, trust: TrustStore, bundle: Bundle, sealed: BundleMaker
) -> None:
    with live_server(str(store), trust) as live:
        live.publish(bundle).raise_for_status()
    older, newer = sealed(sequence=6), sealed(sequence=8, content=b"newer")
    storage = Storage.open(str(store))
    with contextlib.closing(storage), served(mounted(bundles=create_app(storage, trust))) as url:
        with httpx.Client(base_url=f"{url}/bundles") as client:
            refused = client.post("/v1/uploads", content=older.seal)  # the very first request
            assert (refused.status_code, refused.json()["error"]) == (409, "RollbackError")
            latest = client.get(f"/v1/apps/{APP}/channels/{CHANNEL}/latest")
            assert latest.json()["sequence"] == 7
        assert send(f"{url}/bundles", newer, tmp_path)["sequence"] == 8
        with Connection(f"{url}/bundles") as server:
            got = fetch(server, app=APP, channel=CHANNEL, folder=tmp_path, trust=trust)
        assert Path(got.payload).read_bytes() == newer.payload


def test_two_are_mounted_at_once_each_with_a_store_of_its_own(
    mounted: Any, tmp_path: Path, trust: TrustStore, sealed: BundleMaker
) -> None:
    one, two = Storage.open(str(tmp_path / "one")), Storage.open(str(tmp_path / "two"))
    apps = {"one": create_app(one, trust), "two": create_app(two, trust)}
    with contextlib.closing(one), contextlib.closing(two), served(mounted(**apps)) as url:
        for name, sequence in (("one", 5), ("two", 3)):
            send(f"{url}/{name}", sealed(sequence=sequence), tmp_path)
        with httpx.Client(base_url=url) as client:
            for name, sequence in (("one", 5), ("two", 3)):
                assert client.get(f"/{name}/v1/apps").json()["latest"][0]["sequence"] == sequence
                assert f"{APP}" in client.get(f"/{name}/").text
                text = client.get(f"/{name}/metrics").text
                assert "capseal_releases 1.0" in text
                assert 'route="/v1/apps"' in text


def test_every_link_of_a_mounted_server_leads_to_it(
    tmp_path: Path, store: Path, trust: TrustStore, pair: Pair, sealed: BundleMaker
) -> None:
    storage = Storage.open(str(store))
    inner = create_app(storage, trust)
    outer = Starlette(routes=[Mount("/a b", Starlette(routes=[Mount("/bundles", inner)]))])
    with contextlib.closing(storage), served(outer) as url, httpx.Client(base_url=url) as client:

        def followed(links: Any) -> list[int]:
            return [client.get(link).status_code for link in links]

        at = "/a%20b/bundles"
        begun = client.post(f"{at}/v1/uploads", content=pair.bundle.seal)
        upload = begun.json()
        (companion,) = upload["attachments"].values()
        assert begun.headers["location"] == upload["links"]["self"]
        assert client.put(companion["index_link"], content=pair.index).status_code == 200
        assert client.put(companion["link"], content=pair.ciphertext).status_code == 200
        assert client.put(upload["links"]["payload"], content=pair.bundle.payload).status_code == 200
        published = client.post(upload["links"]["self"])
        release = published.json()["release"]
        assert published.headers["location"] == release["links"]["self"]
        assert (
            followed([*release["links"].values(), *(one["link"] for one in release["attachments"].values())])
            == [200] * 4
        )
        assert client.get(release["links"]["self"]).json() == release
        send(f"{url}{at}", sealed(sequence=9), tmp_path)
        send(f"{url}{at}", sealed(sequence=3, channel="beta"), tmp_path)
        for page in (f"{at}/v1/apps?limit=1", f"{at}/v1/apps/{APP}/channels/{CHANNEL}/releases?limit=1"):
            first = client.get(page).json()
            second = client.get(first["next"]).json()
            shown = [one["links"]["self"] for part in (first, second) for one in next(iter(part.values()))]
            assert len(set(shown)) == 2 and followed(shown) == [200, 200]


def test_many_first_requests_at_once_start_it_once(
    store: Path, trust: TrustStore, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with live_server(str(store), trust) as live:
        live.publish(bundle).raise_for_status()
    from capseal.server.catalogue.catalogue import Catalogue

    loads = 0
    load = Catalogue.check_layout

    async def counted(catalogue: Catalogue) -> None:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.1)
        await load(catalogue)

    monkeypatch.setattr(Catalogue, "check_layout", counted)
    storage = Storage.open(str(store))

    async def ask() -> list[int]:
        app = in_starlette(bundles=create_app(storage, trust))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test/bundles") as client:
            answers = await asyncio.gather(*(client.get("/v1/apps") for _ in range(20)))
        return [len(one.json()["latest"]) for one in answers]

    with contextlib.closing(storage):
        assert asyncio.run(ask()) == [1] * 20
    assert loads == 1


def test_a_store_that_does_not_answer_at_first_is_asked_again(
    store: Path, trust: TrustStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage.open(str(store))
    see, fails = storage.see, [True]

    async def failing(path: str, **keywords: Any) -> Any:
        if fails:
            fails.clear()
            raise TransferError("storage: no answer")
        return await see(path, **keywords)

    monkeypatch.setattr(storage, "see", failing)

    async def ask() -> list[int]:
        transport = httpx.ASGITransport(in_starlette(bundles=create_app(storage, trust)))
        async with httpx.AsyncClient(transport=transport, base_url="http://test/bundles") as client:
            return [(await client.get("/v1/apps")).status_code for _ in range(2)]

    with contextlib.closing(storage):
        assert asyncio.run(ask()) == [503, 200]


def test_a_start_goes_on_when_who_asked_first_goes_away() -> None:
    async def run() -> int:
        begun, may_end = asyncio.Event(), asyncio.Event()

        async def start() -> int:
            begun.set()
            await may_end.wait()
            return 7

        once = Once(start)
        first = asyncio.create_task(once())
        await begun.wait()
        second = asyncio.create_task(once())
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        may_end.set()
        return await second

    assert asyncio.run(run()) == 7


def test_the_outer_application_can_give_it_its_lifespan(store: Path, trust: TrustStore) -> None:
    bundles = create_app(Storage.open(str(store)), trust)

    @contextlib.asynccontextmanager
    async def lifespan(outer: Starlette) -> AsyncIterator[None]:
        async with bundles.router.lifespan_context(bundles):
            yield

    with served(Starlette(routes=[Mount("/bundles", bundles)], lifespan=lifespan)) as url:
        assert httpx.get(f"{url}/bundles/v1/apps").json() == {"latest": []}
    Storage.open(str(store)).close()  # it was closed: the folder is free
