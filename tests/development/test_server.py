"""The development server: a folder, sealed at every change, that only development builds accept."""

import asyncio
import contextlib
import io
import json
import os
import shutil
import socket
import threading
import time
import zipfile
from datetime import UTC, datetime

import httpx
import pytest

import capseal
from capseal import (
    Expect,
    NotForUsError,
    Role,
    SignatureError,
    SourceChangedError,
    TamperedError,
    TransferError,
    TrustStore,
    UsageError,
)
from capseal.archive.folder_zip import FolderZip
from capseal.client import Connection, fetch, publish
from capseal.constants import SEGMENT_BYTES
from capseal.development import FolderBundle, create_app
from capseal.development._app import LIMITS
from capseal.development._releases import FolderReleases
from capseal.server import make_server

APP = "com.example.game"
DEVELOPMENT = Expect(app=APP, role=Role.DEVELOPMENT)


@pytest.fixture
def web(tmp_path):
    folder = tmp_path / "www"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("first")
    (folder / "assets" / "big.bin").write_bytes(os.urandom(3 * SEGMENT_BYTES))
    return folder


def make_bundle(folder, signer, recipient, *, sequence):
    return FolderBundle.make(
        str(folder),
        signer=signer,
        recipients=[recipient.public_key],
        app=APP,
        channel="development",
        sequence=sequence,
        version="1",
        created=datetime.now(UTC),
    )


@pytest.fixture
def bundle(web, development_signer, recipient):
    return make_bundle(web, development_signer, recipient, sequence=7)


# --- the bundle that is nowhere


def test_what_is_read_is_what_was_sealed(bundle, web, development_trust, recipient):
    size = bundle.seal.statement.payload.size
    payload = bytes(bundle.read(0, size))
    assert len(payload) == size
    output = io.BytesIO()
    seal = bundle.seal.encode()
    capseal.unseal(
        io.BytesIO(payload), output, identity=recipient, trust=development_trust, expect=DEVELOPMENT, seal=seal
    )
    archive = FolderZip(str(web))
    assert output.getvalue() == archive.peek(0, archive.size)


def test_any_part_can_be_read_alone(bundle):
    size = bundle.seal.statement.payload.size
    whole = bytes(bundle.read(0, size))
    edges = {0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 2 * SEGMENT_BYTES, size - 1, size, size + 9}
    for start in edges:
        for stop in edges:
            if start <= stop:
                assert bytes(bundle.read(start, stop - start)) == whole[start:stop]


def test_a_file_that_changed_is_noticed_before_anything_is_encrypted_again(bundle, web):
    path = web / "assets" / "big.bin"
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)
    with pytest.raises(SourceChangedError, match=r"big\.bin: changed since it was read first"):
        bundle.read(0, 100)


def test_a_change_that_hides_its_time_does_not_pass_the_index(bundle, web, development_trust):
    path = web / "assets" / "big.bin"
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    payload = io.BytesIO(bytes(bundle.read(0, bundle.seal.statement.payload.size)))
    with pytest.raises(TamperedError):
        capseal.verify(payload, trust=development_trust, expect=DEVELOPMENT, seal=bundle.seal.encode())


def test_the_server_sends_no_segment_of_a_file_that_changed(bundle, web, development_trust):
    releases = FolderReleases(development_trust)
    release = releases.show(bundle)
    payload = asyncio.run(releases.payload(release, None))

    async def read():
        return b"".join([bytes(chunk) async for chunk in payload.chunks(0, release.payload.size)])

    assert asyncio.run(read()) == bytes(bundle.read(0, release.payload.size))
    path = web / "assets" / "big.bin"
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(TamperedError):
        asyncio.run(read())


def test_only_the_last_bundle_of_a_folder_can_be_read(bundle, web, development_trust, development_signer, recipient):
    releases = FolderReleases(development_trust)
    first = releases.show(bundle)
    second = releases.show(make_bundle(web, development_signer, recipient, sequence=8))
    assert asyncio.run(releases.latest(first.app_channel)) == second
    shown = asyncio.run(releases.releases(first.app_channel, below=None, most=9))
    assert [one.withdrawn is None for one in shown] == [True, False]
    with pytest.raises(TransferError, match="no longer current"):
        asyncio.run(releases.payload(first, None))


def test_the_server_never_shows_a_segment_of_a_file_that_changed_under_its_old_time(
    web, development_signer, recipient, development_trust, monkeypatch
):
    async def unwatched(*_, stop_event, **__):
        await stop_event.wait()
        for change in ():
            yield change

    monkeypatch.setattr("capseal.development._app.awatch", unwatched)
    app = create_app(
        str(web), signer=development_signer, recipients=[recipient.public_key], app=APP, trust=development_trust
    )
    with served(app) as url:
        release = httpx.get(f"{url}/v1/apps/{APP}/channels/development/latest").json()
        assert httpx.get(url + release["links"]["payload"]).status_code == 200
        path = web / "assets" / "big.bin"
        status = path.stat()
        data = bytearray(path.read_bytes())
        data[5] ^= 1
        path.write_bytes(data)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert httpx.get(url + release["links"]["payload"]).status_code == 503


def test_what_the_development_server_seals_is_meant_for_development(bundle, web, signer, recipient, trust):
    assert bundle.seal.statement.role is Role.DEVELOPMENT
    by_production = FolderBundle.make(
        str(web),
        signer=signer,
        recipients=[recipient.public_key],
        app=APP,
        channel="development",
        sequence=7,
        version="1",
        created=datetime.now(UTC),
    )
    payload = io.BytesIO(bytes(by_production.read(0, by_production.seal.statement.payload.size)))
    with pytest.raises(NotForUsError, match="meant for development"):
        capseal.verify(payload, trust=trust, expect=Expect(app=APP), seal=by_production.seal.encode())


def test_an_empty_folder_is_a_bundle(tmp_path, development_signer, recipient):
    (tmp_path / "empty").mkdir()
    made = FolderBundle.make(
        str(tmp_path / "empty"),
        signer=development_signer,
        recipients=[recipient.public_key],
        app=APP,
        channel="development",
        sequence=1,
        version="1",
        created=datetime.now(UTC),
    )
    size = made.seal.statement.payload.size
    assert len(made.read(0, size + 1)) == size


# --- the server


@contextlib.contextmanager
def served(app):
    listener = socket.create_server(("127.0.0.1", 0))
    server = make_server(app, host="127.0.0.1", port=0, limits=LIMITS)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive() and time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()


@pytest.fixture
def dev_url(web, development_signer, recipient, development_trust):
    app = create_app(
        str(web), signer=development_signer, recipients=[recipient.public_key], app=APP, trust=development_trust
    )
    with served(app) as url:
        yield url


def _fetch(url, folder, trust, role):
    folder.mkdir(exist_ok=True)
    with Connection(url) as connection:
        return fetch(connection, app=APP, channel="development", folder=folder, trust=trust, expect=Expect(role=role))


def test_a_development_build_fetches_what_the_folder_holds(dev_url, web, tmp_path, development_trust, recipient):
    got = _fetch(dev_url, tmp_path / "got", development_trust, Role.DEVELOPMENT)
    content = io.BytesIO()
    capseal.unseal(got.payload, content, identity=recipient, trust=development_trust, expect=DEVELOPMENT, seal=got.seal)
    with zipfile.ZipFile(content) as archive:
        assert archive.read("index.html") == b"first"
        assert archive.read("assets/big.bin") == (web / "assets" / "big.bin").read_bytes()


def test_a_production_build_refuses_what_the_development_server_serves(
    dev_url, tmp_path, trust, development_trust, development_signer
):
    # The store of a production build does not know the key.
    with pytest.raises(SignatureError, match="which no trusted key matches"):
        _fetch(dev_url, tmp_path / "got", trust, Role.PRODUCTION)
    # Were the key in it by mistake, its role would still be another.
    with pytest.raises(NotForUsError, match="development key only"):
        _fetch(dev_url, tmp_path / "got", development_trust, Role.PRODUCTION)
    with pytest.raises(SignatureError):
        _fetch(dev_url, tmp_path / "got", trust, Role.DEVELOPMENT)
    assert [name for name in os.listdir(tmp_path / "got") if not name.startswith(".")] == []


def test_a_development_build_accepts_production_bundles_too(seal_bytes, development_trust):
    verified = capseal.verify(io.BytesIO(seal_bytes(b"content")), trust=development_trust, expect=DEVELOPMENT)
    assert verified.signers[0].role is Role.PRODUCTION


def test_a_change_is_sealed_and_told(dev_url, web, tmp_path, development_trust):
    with httpx.Client(base_url=dev_url, timeout=30) as client, client.stream("GET", "/v1/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        lines = events.iter_lines()
        first = _next_release(lines)
        (web / "index.html").write_text("second")
        while True:  # the file system may report one change more than once
            second = _next_release(lines)
            assert second["sequence"] > first["sequence"]
            latest = client.get(f"/v1/apps/{APP}/channels/development/latest").json()
            if latest["sequence"] == second["sequence"]:
                break
        assert second["payload"]["digest"] != first["payload"]["digest"]
        assert client.get(first["links"]["payload"]).status_code == 410
    got = _fetch(dev_url, tmp_path / "got", development_trust, Role.DEVELOPMENT)
    assert got.verified.statement.sequence >= second["sequence"]


def _next_release(lines):
    for line in lines:
        if line.startswith("data: "):
            return json.loads(line.removeprefix("data: "))
    raise AssertionError("the events ended")


def test_a_web_view_may_ask_from_its_own_origin(dev_url):
    answer = httpx.get(f"{dev_url}/v1/apps", headers={"Origin": "capacitor://localhost"})
    assert answer.headers["access-control-allow-origin"] == "*"


def test_a_web_view_of_another_origin_may_read_and_nothing_else(dev_url):
    release = httpx.get(f"{dev_url}/v1/apps").json()["latest"][0]["links"]["self"]
    for method, origin in (("GET", "*"), ("POST", None), ("PUT", None), ("DELETE", None)):
        asked = {"Origin": "capacitor://localhost", "Access-Control-Request-Method": method}
        for path in (release, f"{release}/payload", "/v1/uploads"):  # a page may see that nothing can be uploaded
            allowed = httpx.options(dev_url + path, headers=asked).headers.get("access-control-allow-origin")
            assert allowed == origin
    part = httpx.get(f"{dev_url}{release}/payload", headers={"Origin": "capacitor://localhost", "Range": "bytes=0-9"})
    assert part.status_code == 206
    assert "content-range" in part.headers["access-control-expose-headers"].lower()


def test_nobody_can_publish_to_a_development_server(dev_url, tmp_path, development_signer, recipient):
    bundle = tmp_path / "own.sealed"
    capseal.seal(
        io.BytesIO(b"x"), bundle, signer=development_signer, recipients=[recipient.public_key], app=APP, version="1"
    )
    with pytest.raises(capseal.CapsealError), Connection(dev_url, attempts=1) as connection:
        publish(bundle, connection)


def test_no_copy_of_the_folder_is_made(web, development_signer, recipient, development_trust, tmp_path, monkeypatch):
    # A temporary folder that takes no file: whoever spools would fail.
    monkeypatch.setattr("tempfile.tempdir", "/proc/self/nowhere")
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    app = create_app(
        str(web), signer=development_signer, recipients=[recipient.public_key], app=APP, trust=development_trust
    )
    with served(app) as url:
        payload = httpx.get(
            url + httpx.get(f"{url}/v1/apps/{APP}/channels/development/latest").json()["links"]["payload"]
        )
    assert payload.status_code == 200
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_half_a_build_does_not_end_the_server(dev_url, web):
    latest = f"{dev_url}/v1/apps/{APP}/channels/development/latest"
    before = httpx.get(latest).json()["sequence"]
    (web / "link").symlink_to("index.html")  # what cannot be sealed
    time.sleep(0.5)
    assert httpx.get(latest).json()["sequence"] == before
    (web / "link").unlink()
    (web / "index.html").write_text("whole again")
    deadline = time.monotonic() + 30
    while httpx.get(latest).json()["sequence"] == before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    shutil.rmtree(web / "assets")


def test_a_store_that_does_not_trust_the_development_key_is_told_at_the_start(
    web, development_signer, recipient, signer2
):
    trust = TrustStore.of(signer2.public_key)
    app = create_app(str(web), signer=development_signer, recipients=[recipient.public_key], app=APP, trust=trust)
    with served(app) as url:
        assert httpx.get(f"{url}/v1/apps").json() == {"latest": []}


def test_a_server_s_store_is_not_served_as_an_app(web, signer, recipient):
    (web / "store.json").write_bytes(b'{"type":"capseal-store-v2"}')
    with pytest.raises(UsageError, match="a server's store"):
        create_app(
            str(web), signer=signer, recipients=[recipient.public_key], app=APP, trust=TrustStore.of(signer.public_key)
        )
