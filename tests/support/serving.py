"""A live capseal server on loopback, in a thread, for the tests that need a real wire."""

import asyncio
import contextlib
import io
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

import capseal
from capseal import Detached, Role, Seal
from capseal.constants import SEGMENT_BYTES
from capseal.server import Limits, Storage, create_app, make_server
from capseal.server.catalogue.catalogue import Catalogue

APP = "com.example.game"
CHANNEL = "production"
TOKEN = "0123456789abcdef-token"


@dataclass(frozen=True)
class Bundle:
    """A detached sealed bundle in memory."""

    seal: bytes
    payload: bytes
    parsed: Seal

    @property
    def digest(self) -> str:
        return self.parsed.statement.payload.digest.hex()


def make_bundle(folder: Path, signer: Any, recipient: Any, *, content: bytes, sequence: int, **keywords: Any) -> Bundle:
    """Seal content; the files stay in the folder as `SEQUENCE.seal` and `SEQUENCE.payload`."""
    seal_path, payload_path = folder / f"{sequence}.seal", folder / f"{sequence}.payload"
    settings: dict[str, Any] = {"app": APP, "channel": CHANNEL, "version": f"1.0.{sequence}", "name": "dist.zip"}
    settings["unpackable"] = False  # any content will do
    parsed = capseal.seal(
        io.BytesIO(content),
        Detached(seal_path, payload_path),
        signer=signer,
        recipients=[recipient.public_key],
        sequence=sequence,
        jobs=1,
        overwrite=True,
        **settings | keywords,
    )
    return Bundle(seal_path.read_bytes(), payload_path.read_bytes(), parsed)


def some_bytes(segments: float) -> bytes:
    """Return random content whose payload takes about so many segments."""
    return os.urandom(int(segments * SEGMENT_BYTES))


@dataclass
class Live:
    """A server that is running. url: where; server: uvicorn's."""

    url: str
    server: uvicorn.Server
    app: Any
    client: httpx.Client

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def begin(self, seal: bytes, **keywords: Any) -> httpx.Response:
        return self.client.post("/v1/uploads", content=seal, **keywords)

    def publish(self, bundle: Bundle) -> httpx.Response:
        begun = self.begin(bundle.seal)
        begun.raise_for_status()
        links = begun.json()["links"]
        self.client.put(links["payload"], content=bundle.payload).raise_for_status()
        return self.client.post(links["self"])

    def release_url(self, sequence: int, *, app: str = APP, channel: str = CHANNEL) -> str:
        return f"/v1/apps/{app}/channels/{channel}/releases/{sequence}"


@contextlib.contextmanager
def running(server: uvicorn.Server, *, scheme: str = "http") -> Iterator[httpx.Client]:
    """Run a server in a thread until the block is left; yield a client of it."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive() and time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    try:
        # A connection that was idle is not used again just when the server may be closing it.
        limits = httpx.Limits(keepalive_expiry=1)
        with httpx.Client(base_url=f"{scheme}://127.0.0.1:{port}", timeout=30, verify=False, limits=limits) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


_OF_SERVERS = ("certificate", "key", "trusted_proxies", "reload")


@contextlib.contextmanager
def live_server(place: str, trust: Any, *, limits: Limits = Limits(), **keywords: Any) -> Iterator[Live]:
    """Serve a storage until the block is left."""
    of_server = {name: keywords.pop(name) for name in _OF_SERVERS if name in keywords}
    app = create_app(Storage.open(place), trust, limits=limits, **keywords)
    server = make_server(app, host="127.0.0.1", port=0, limits=limits, **of_server)
    with running(server, scheme="https" if "certificate" in of_server else "http") as client:
        yield Live(str(client.base_url).rstrip("/"), server, app, client)


def collect(place: str | Path, trust: Any, *, limits: Limits = Limits()) -> None:
    """Collect from a store that nobody uses: what nobody needs is condemned, and then deleted."""

    async def collect_twice() -> None:
        storage = Storage.open(str(place))
        log = logging.getLogger("capseal.server")
        catalogue = Catalogue(storage, trust, role=Role.PRODUCTION, limits=limits, log=log, verify_reads=False)
        for _ in range(2):
            assert await catalogue.collect(grace_s=0) is not None

    asyncio.run(collect_twice())


def payload_file(store: Path, digest: str, name: str) -> Path:
    """Return the one file of a payload whose name begins so: `0000000000-16`, `index`."""
    (found,) = (store / "payloads" / digest).glob(f"{name}-*")
    return found


def kept_files(folder: Path) -> list[str]:
    """Return the files of a store, but those that are in every one, and channels' pointers."""
    names = listed_files(folder)
    return [
        name for name in names if name not in ("store.json", "collector/lease") and not name.startswith("channels/")
    ]


def listed_files(folder: Path) -> list[str]:
    """Return the files below a folder, relative, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
