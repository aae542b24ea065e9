"""A store as a tree of files: read from any web server as from a capseal server, and at every moment whole."""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import zipfile
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from obstore.store import MemoryStore

import capseal
from capseal import DeviceStore, PrivateKey, TransferError, TrustStore, UsageError
from capseal.bundle.companions import describe_companion
from capseal.client import Connection, fetch, open_release
from capseal.embedding import accept
from capseal.format.tree import index_entries
from capseal.io import durable
from capseal.server import Retention, Storage, export_store, prune_store
from capseal.server.catalogue._founding import check_layout
from capseal.server.catalogue.resealing import OtherSeal, Resealing
from support.browser import open_page
from support.command import run as run_command
from support.front import static_nginx
from support.s3 import point_at, s3_server
from support.server_fixtures import BundleMaker
from support.serving import APP, CHANNEL, Bundle, listed_files, live_server, make_bundle, payload_file, some_bytes
from support.store_steps import OF, publish, server_on
from support.tools import require_tool
from support.web_reader import WEB, environment

CHANNEL_PATH = f"v1/apps/{APP}/channels/{CHANNEL}"
LATEST = f"{CHANNEL_PATH}/latest"
LOG = logging.getLogger("capseal.server")
PACK = "files.pack"


def release_path(sequence: int, leaf: str, *, channel: str = CHANNEL) -> str:
    return f"v1/apps/{APP}/channels/{channel}/releases/{sequence}/{leaf}"


async def export(storage: Storage, target: Storage, *, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> Any:
    return await export_store(storage, target, now=now, log=LOG, most_seal_bytes=8 * 1024**2)


def export_now(store: Path, target: Path | str) -> Any:
    return asyncio.run(export(Storage.open(str(store), may_be_new=False), Storage.open(str(target))))


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in listed_files(folder)}


# --- read from web servers that know nothing of capseal


@contextlib.contextmanager
def plain_server(folder: Path, root: Path) -> Iterator[str]:
    """Python's, which knows no ranges and lists folders."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


Host = Callable[[Path, Path], AbstractContextManager[str]]
HOSTS = [pytest.param(static_nginx, id="nginx"), pytest.param(plain_server, id="http.server")]


@pytest.fixture(scope="module")
def zipped() -> bytes:
    data = BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("index.html", "<h1>exported</h1>")
        archive.writestr("asset.bin", os.urandom(9 * 1024**2))
    return data.getvalue()


@pytest.fixture(scope="module")
def exported(
    tmp_path_factory: pytest.TempPathFactory,
    trust: TrustStore,
    signer: PrivateKey,
    recipient: PrivateKey,
    zipped: bytes,
) -> tuple[Path, dict[int, Bundle], bytes]:
    """A tree with releases 7 and 8, of which 8 has a companion; and that."""
    folder = tmp_path_factory.mktemp("exported")
    pack = some_bytes(17.2)
    (folder / PACK).write_bytes(pack)
    companions = [describe_companion(folder / PACK, media_type="application/vnd.example.test")]
    bundles = {
        7: make_bundle(folder, signer, recipient, content=some_bytes(1.5), sequence=7),
        8: make_bundle(folder, signer, recipient, content=zipped, sequence=8, companions=companions, unpackable=True),
    }
    with live_server(str(folder / "store"), trust) as live:
        live.publish(bundles[7]).raise_for_status()
        upload = live.begin(bundles[8].seal).raise_for_status().json()
        links = upload["attachments"][PACK]
        index = index_entries(memoryview(pack), whole_payload=True)
        live.client.put(links["index_link"], content=index).raise_for_status()
        live.client.put(links["link"], content=pack).raise_for_status()
        live.publish(bundles[8]).raise_for_status()
        done = run_command("store", "export", "store", "tree", cwd=folder).succeeded()  # beside the server
        assert done.out.decode().splitlines()[-1] == "tree: 2 releases added, 0 taken away"
    return folder / "tree", bundles, pack


@pytest.mark.parametrize("host", HOSTS)
def test_clients_and_devices_read_a_tree_without_being_told(
    host: Host,
    exported: tuple[Path, dict[int, Bundle], bytes],
    tmp_path: Path,
    trust: TrustStore,
    recipient: PrivateKey,
) -> None:
    tree, bundles, pack = exported
    with host(tmp_path, tree) as url:
        with Connection(url, attempts=1) as one:
            newest = fetch(one, app=APP, channel=CHANNEL, folder=tmp_path, trust=trust, companions=[PACK])
            older = fetch(one, app=APP, channel=CHANNEL, folder=tmp_path, trust=trust, sequence=7)
            with pytest.raises(UsageError, match=r"status 404 for /v1/apps/.*/releases/9/seal"):
                fetch(one, app=APP, channel=CHANNEL, folder=tmp_path, trust=trust, sequence=9)
            with pytest.raises(UsageError, match=r"status 404 for /v1/apps/.*/beta/latest"):
                fetch(one, app=APP, channel="beta", folder=tmp_path, trust=trust)
        assert Path(newest.payload).read_bytes() == bundles[8].payload
        assert Path(newest.companions[PACK]).read_bytes() == pack
        assert Path(older.payload).read_bytes() == bundles[7].payload
        with open_release(url, app=APP, channel=CHANNEL, sequence=7, attempts=1) as (seal, payload):
            assert seal == bundles[7].seal
            assert payload.peek(5, 100) == bundles[7].payload[5:105]
        (tmp_path / "builtin").mkdir()
        device = DeviceStore(
            tmp_path / "device", trust=trust, identity=recipient, app=APP, channel=CHANNEL, builtin=tmp_path / "builtin"
        )
        assert device.install(url).sequence == 8
        device.activate()
        assert (Path(device.boot().path) / "index.html").read_text() == "<h1>exported</h1>"


READ_IN_JAVASCRIPT = """
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
const [index, server, trustFile, identityFile, app] = process.argv.slice(1);
const { open, unseal, verify } = await import(index);
const trust = readFileSync(trustFile, "utf8"), identity = readFileSync(identityFile, "utf8");
const latest = `${server}/v1/apps/${app}/channels/production/latest`;
const { links } = await (await fetch(latest)).json();
const payload = new URL(links.payload, server), seal = new URL(links.seal, server), expect = { app };
const { statement } = await verify(payload, { trust, expect, seal });
const plain = createHash("sha256");
for await (const piece of unseal(payload, { trust, expect, identity, seal })) plain.update(piece);
const bundle = await open(payload, { trust, expect, identity, seal });
const part = Buffer.from(await bundle.read(600000, 100)).toString("base64");
console.log(JSON.stringify([statement.sequence, plain.digest("hex"), part]));
"""


@pytest.mark.parametrize("host", HOSTS)
def test_the_web_reader_reads_a_tree(
    host: Host,
    exported: tuple[Path, dict[int, Bundle], bytes],
    zipped: bytes,
    tmp_path: Path,
    trust: TrustStore,
    recipient: PrivateKey,
) -> None:
    trust.save(tmp_path / "trust")
    recipient.save(tmp_path / "identity")
    with host(tmp_path, exported[0]) as url:
        done = subprocess.run(
            [
                *(require_tool("node"), "--input-type=module", "-e", READ_IN_JAVASCRIPT, str(WEB / "src" / "index.js")),
                *(url, str(tmp_path / "trust"), str(tmp_path / "identity"), APP),
            ],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    sequence, digest, part = json.loads(done.stdout)
    assert (sequence, digest) == (8, hashlib.sha256(zipped).hexdigest())
    assert part == b64encode(zipped[600000:600100]).decode()


READ_IN_A_PAGE = """<!doctype html><title>read</title><pre id="out"></pre><script type="module">
const hex = (bytes) => Array.from(new Uint8Array(bytes), (one) => one.toString(16).padStart(2, "0")).join("");
let said;
try {
  const { open, unseal, verify } = await import("/src/index.js");
  const [server, app] = location.hash.slice(1).split(",");
  const [trust, identity] = await Promise.all(["trust", "identity"].map(async (one) => (await fetch(one)).text()));
  const { links } = await (await fetch(`${server}/v1/apps/${app}/channels/production/latest`)).json();
  const payload = new URL(links.payload, server), seal = new URL(links.seal, server), expect = { app };
  const { statement } = await verify(payload, { trust, expect, seal });
  const pieces = [];
  for await (const piece of unseal(payload, { trust, expect, identity, seal })) pieces.push(piece.slice());
  const whole = await new Blob(pieces).arrayBuffer();
  const bundle = await open(payload, { trust, expect, identity, seal });
  const part = await bundle.read(600000, 100);
  said = [statement.sequence, hex(await crypto.subtle.digest("SHA-256", whole)), hex(part)];
} catch (error) {
  said = String(error);
}
await fetch("/said", { method: "POST", body: JSON.stringify(said) });
</script>"""


def test_the_web_reader_reads_a_tree_in_a_page_of_another_origin(
    exported: tuple[Path, dict[int, Bundle], bytes],
    zipped: bytes,
    tmp_path: Path,
    trust: TrustStore,
    recipient: PrivateKey,
) -> None:
    www = tmp_path / "www"
    www.mkdir()
    (www / "src").symlink_to(WEB / "src")
    (www / "index.html").write_text(READ_IN_A_PAGE)
    trust.save(www / "trust")
    recipient.save(www / "identity")
    said: list[Any] = []
    heard = threading.Event()

    class Page(SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            said.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            heard.set()

        def log_message(self, *_: Any) -> None:
            pass

    with (
        static_nginx(tmp_path, exported[0]) as url,
        ThreadingHTTPServer(("127.0.0.1", 0), partial(Page, directory=str(www))) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            page = f"http://localhost:{server.server_port}/#{url},{APP}"
            with open_page(tmp_path / "profile", page):
                assert heard.wait(60)
        finally:
            server.shutdown()
    assert said == [[8, hashlib.sha256(zipped).hexdigest(), zipped[600000:600100].hex()]]


def test_the_recipe_of_nginx_lets_pages_read_and_caches_keep_what_never_changes(
    exported: tuple[Path, dict[int, Bundle], bytes], tmp_path: Path
) -> None:
    with static_nginx(tmp_path, exported[0]) as url, httpx.Client(base_url=url) as client:
        for leaf, caching in (
            (LATEST, "no-cache, no-transform"),
            (release_path(8, "seal"), "no-cache, no-transform"),
            (release_path(8, "payload"), "public, max-age=31536000, immutable, no-transform"),
            (release_path(8, f"attachments/{PACK}"), "public, max-age=31536000, immutable, no-transform"),
            (release_path(8, f"indexes/{PACK}"), "public, max-age=31536000, immutable, no-transform"),
        ):
            answer = client.get(f"/{leaf}", headers={"Range": "bytes=0-9"})
            assert answer.status_code == 206, leaf
            assert answer.headers["cache-control"] == caching
            assert answer.headers["access-control-allow-origin"] == "*"
        for leaf in (release_path(9, "seal"), release_path(9, "payload")):
            missing = client.get(f"/{leaf}")
            assert (missing.status_code, missing.headers["cache-control"]) == (404, "no-store")
            assert missing.headers["access-control-allow-origin"] == "*"  # else a page sees no 404, but a broken line


def test_the_recipe_of_nginx_answers_what_a_browser_asks_before_it_sends_a_condition(
    exported: tuple[Path, dict[int, Bundle], bytes], tmp_path: Path
) -> None:
    asks = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    with static_nginx(tmp_path, exported[0]) as url, httpx.Client(base_url=url) as client:
        for leaf in (LATEST, release_path(8, "payload")):
            answer = client.options(f"/{leaf}", headers={**asks, "Access-Control-Request-Headers": "if-range,range"})
            assert answer.status_code == 204
            assert answer.headers["access-control-allow-origin"] == "*"
            assert {"Range", "If-Range"} <= set(answer.headers["access-control-allow-headers"].split(", "))
            assert "access-control-allow-headers" not in client.get(f"/{leaf}").headers


def test_a_server_has_every_leaf_of_a_tree_under_the_same_path(
    exported: tuple[Path, dict[int, Bundle], bytes], trust: TrustStore
) -> None:
    tree, _, _ = exported
    with live_server(str(tree.parent / "store"), trust) as live:
        leaves = contents(tree)
        assert sorted(name.rpartition("releases/")[2] for name in leaves) == sorted(
            [
                *(LATEST, "7/payload", "7/seal", "8/payload", "8/seal"),
                *(f"8/attachments/{PACK}", f"8/indexes/{PACK}"),
            ]
        )
        for name, data in leaves.items():
            assert live.client.get(f"/{name}").content == data, name


# --- what an export changes, and what it leaves alone


@pytest.fixture
def filled(store: Path, trust: TrustStore, sealed: BundleMaker) -> Callable[..., list[Bundle]]:
    """Return filled(*sequences), which publishes to the store."""

    def filled(*sequences: int, channel: str = CHANNEL) -> list[Bundle]:
        async def fill() -> list[Bundle]:
            server = server_on(Storage.open(str(store)), trust)
            await server.check_layout()
            bundles = [sealed(sequence=one, content=b"%d" % one, channel=channel) for one in sequences]
            for bundle in bundles:
                await publish(server, bundle, trust)
            return bundles

        return asyncio.run(fill())

    return filled


def withdraw(store: Path, trust: TrustStore, *sequences: int) -> None:
    async def withdraw_them() -> None:
        server = server_on(Storage.open(str(store)), trust)
        for sequence in sequences:
            release = await server.release(OF, sequence)
            assert release is not None
            await server.withdraw(release)

    asyncio.run(withdraw_them())


Fill = Callable[..., list[Bundle]]


def test_an_export_again_writes_only_what_changed(filled: Fill, store: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    filled(1, 2)
    assert [one.sequence for one in export_now(store, tree).added] == [2, 1]
    for name in listed_files(tree):
        os.utime(tree / name, (1, 1))
    nothing = export_now(store, tree)
    assert (nothing.added, nothing.removed, nothing.failed) == ([], [], [])
    assert {os.stat(tree / name).st_mtime for name in listed_files(tree)} == {1}
    filled(3)
    assert [one.sequence for one in export_now(store, tree).added] == [3]
    changed = {name for name in listed_files(tree) if os.stat(tree / name).st_mtime != 1}
    assert changed == {LATEST, release_path(3, "seal"), release_path(3, "payload")}


@pytest.mark.parametrize("sequence", [1, 2])
def test_a_release_that_was_sealed_anew_has_its_new_seal_in_the_tree_and_nothing_else_is_written(
    sequence: int,
    filled: Fill,
    store: Path,
    tmp_path: Path,
    signer: PrivateKey,
    trust: TrustStore,
    recipient: PrivateKey,
    other_recipient: PrivateKey,
) -> None:
    bundles = filled(1, 2)
    tree = tmp_path / "tree"
    export_now(store, tree)
    for name in listed_files(tree):
        os.utime(tree / name, (1, 1))
    old = bundles[sequence - 1]
    (tmp_path / "old.seal").write_bytes(old.seal)
    (tmp_path / "old.payload").write_bytes(old.payload)
    new = capseal.rewrap(
        tmp_path / "old.payload",
        tmp_path / "new.seal",
        seal=tmp_path / "old.seal",
        identity=recipient,
        signer=signer,
        recipients=[other_recipient.public_key],
        trust=trust,
    )

    async def reseal() -> None:
        resealing = Resealing(Storage.open(str(store)), log=LOG)
        entry = next(one for one in await resealing.entries(OF) if one.sequence == sequence)
        other = OtherSeal(entry, await resealing.record(OF, entry), new)
        assert await resealing.replace(OF, [other]) == {sequence}

    asyncio.run(reseal())
    data = (tmp_path / "new.seal").read_bytes()
    assert len(data) == len(old.seal)
    done = export_now(store, tree)
    assert ([one.sequence for one in done.added], done.removed, done.failed) == ([sequence], [], [])
    assert (tree / release_path(sequence, "seal")).read_bytes() == data
    latest = json.loads((tree / LATEST).read_bytes())
    assert latest["seal"]["digest"]["sha256"] == hashlib.sha256(data if sequence == 2 else bundles[1].seal).hexdigest()
    changed = {name for name in listed_files(tree) if os.stat(tree / name).st_mtime != 1}
    assert changed == {release_path(sequence, "seal"), *([LATEST] if sequence == 2 else [])}
    assert export_now(store, tree).added == []


def test_what_was_withdrawn_or_let_go_of_leaves_the_tree_and_nothing_else_does(
    filled: Fill, store: Path, tmp_path: Path, trust: TrustStore
) -> None:
    tree = tmp_path / "tree"
    filled(1, 2, 3)
    export_now(store, tree)
    others = ["index.html", f"{CHANNEL_PATH}/notes", release_path(3, "notes"), f"v1/apps/{APP}/channels/other/latest"]
    for name in others:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(b"mine")
    withdraw(store, trust, 3)
    assert export_now(store, tree).removed == [(OF, 3)]
    assert json.loads((tree / LATEST).read_bytes())["sequence"] == 2
    asyncio.run(prune_store(Storage.open(str(store)), Retention(keep=1), now=datetime.now(UTC), log=LOG))
    assert export_now(store, tree).removed == [(OF, 1)]
    withdraw(store, trust, 2)
    assert export_now(store, tree).removed == [(OF, 2)]
    assert contents(tree) == dict.fromkeys(others, b"mine")


def test_what_left_a_tree_stays_gone_after_a_power_cut(
    filled: Fill, store: Path, tmp_path: Path, trust: TrustStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what a power cut in between brings back is whole."""
    tree = tmp_path / "tree"
    filled(1, 2)
    export_now(store, tree)
    on_disk = set(listed_files(tree))
    sync_path = durable.sync_path

    def synced(path: str, *arguments: Any) -> None:
        for sequence in (1, 2):
            if release_path(sequence, "seal") in on_disk:
                assert (tree / release_path(sequence, "payload")).exists()
        assert LATEST not in on_disk or (tree / release_path(2, "seal")).exists()
        sync_path(path, *arguments)
        for name in [name for name in on_disk if Path(path) in (tree / name).parents]:
            if not (Path(path) / (tree / name).relative_to(path).parts[0]).exists():
                on_disk.discard(name)

    monkeypatch.setattr(durable, "sync_path", synced)
    withdraw(store, trust, 1, 2)
    assert export_now(store, tree).removed == [(OF, 2), (OF, 1)]
    assert on_disk == set(listed_files(tree)) == set()


def test_a_release_that_the_storage_altered_is_passed_over_and_no_wrong_byte_leaves(
    filled: Fill, store: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    good, bad = filled(1, 2)
    path = payload_file(store, bad.digest, "0000000000-01")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = run_command("store", "export", "store", "tree", cwd=tmp_path)
    done.failed_with(3, "not exported: com.example.game on production, sequence 2: segment 0 ")
    assert contents(tree).keys() == {LATEST, release_path(1, "seal"), release_path(1, "payload")}
    assert json.loads((tree / LATEST).read_bytes())["sequence"] == 1
    assert (tree / release_path(1, "payload")).read_bytes() == good.payload


@pytest.mark.parametrize("which", ["seal", "record", "run"])
def test_a_release_that_the_storage_lost_is_passed_over(which: str, filled: Fill, store: Path, tmp_path: Path) -> None:
    _, lost = filled(1, 2)
    records = next((store / "releases" / APP / CHANNEL / f"{2:016d}").iterdir())
    {
        "seal": records / "seal",
        "record": records / "release.json",
        "run": payload_file(store, lost.digest, "0000000000-01"),
    }[which].unlink()
    done = export_now(store, tmp_path / "tree")
    assert [one.sequence for one in done.added] == [1]
    assert len(done.failed) == 1
    assert json.loads((tmp_path / "tree" / LATEST).read_bytes())["sequence"] == 1


def test_a_tree_of_another_store_or_of_a_later_state_is_left_alone(
    filled: Fill, store: Path, tmp_path: Path, trust: TrustStore, sealed: BundleMaker
) -> None:
    tree = tmp_path / "tree"
    filled(1)
    backup = contents(store)
    filled(2)
    export_now(store, tree)
    before = contents(tree)
    for name in listed_files(store):
        (store / name).unlink()
    for name, data in backup.items():
        (store / name).write_bytes(data)
    with pytest.raises(UsageError, match=r"names sequence 2, which .* does not know"):
        export_now(store, tree)
    filled(2)  # the same sequence, another bundle
    with pytest.raises(UsageError, match=r"names sequence 2, which .* does not know"):
        export_now(store, tree)
    assert contents(tree) == before
    (tree / LATEST).write_bytes(b"<html>")
    with pytest.raises(UsageError, match="is none of an export"):
        export_now(store, tree)


@pytest.mark.parametrize("target", ["store", "store/tree", ".", "link/tree"])
def test_a_store_and_its_tree_are_never_in_one_another(target: str, filled: Fill, store: Path, tmp_path: Path) -> None:
    filled(1)
    before = contents(store)
    (tmp_path / "link").symlink_to(store)
    run_command("store", "export", "store", target, cwd=tmp_path).failed_with(2, "export into a place of its own")
    assert contents(store) == before
    asyncio.run(check_layout(Storage.open(str(tmp_path / "other"))))
    with pytest.raises(UsageError, match="is a store"):
        export_now(store, tmp_path / "other")


def test_a_bucket_says_how_long_each_leaf_may_be_kept(
    store: Path, tmp_path: Path, trust: TrustStore, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with live_server(str(store), trust) as live:
        live.publish(bundle).raise_for_status()
    with s3_server("tree") as url:
        point_at(url, monkeypatch)
        assert [one.sequence for one in export_now(store, "s3://tree/some/prefix").added] == [7]
        assert export_now(store, "s3://tree/some/prefix").added == []
        base = f"{url}/tree/some/prefix"
        leaves = [LATEST, release_path(7, "seal"), release_path(7, "payload")]
        kept = [httpx.get(f"{base}/{leaf}").headers for leaf in leaves]
        assert [one["cache-control"] for one in kept] == [
            *(["no-cache, no-transform"] * 2),
            "public, max-age=31536000, immutable, no-transform",
        ]
        assert [one["content-type"] for one in kept] == [
            *("application/json", "application/vnd.capseal.seal.v1", "application/octet-stream"),
        ]
        with Connection(base) as one:
            got = fetch(one, app=APP, channel=CHANNEL, folder=tmp_path, trust=trust)
        assert Path(got.payload).read_bytes() == bundle.payload
        withdraw(store, trust, 7)
        assert export_now(store, "s3://tree/some/prefix").removed == [(OF, 7)]
        assert httpx.get(f"{base}/{release_path(7, 'payload')}").status_code == 404


# --- killed, and beside others


def test_what_is_withdrawn_while_it_is_exported_is_not_there_at_the_end(
    filled: Fill, store: Path, tmp_path: Path, trust: TrustStore
) -> None:
    filled(1, 2)
    tree = tmp_path / "tree"
    target = Storage.open(str(tree))
    put = target.put_stream

    async def withdrawn_meanwhile(path: str, *arguments: Any, **keywords: Any) -> None:
        await put(path, *arguments, **keywords)
        if path == release_path(2, "seal"):
            server = server_on(Storage.open(str(store)), trust)
            release = await server.release(OF, 2)
            assert release is not None
            await server.withdraw(release)

    target.put_stream = withdrawn_meanwhile  # type: ignore[method-assign]
    asyncio.run(export(Storage.open(str(store)), target))
    assert contents(tree).keys() == {LATEST, release_path(1, "seal"), release_path(1, "payload")}
    assert json.loads((tree / LATEST).read_bytes())["sequence"] == 1


class Killed(BaseException):
    """The end of a process, as far as a store can tell."""


class MortalTarget(Storage):
    """A tree whose export is killed before its so many-th change, or in the middle of it."""

    left: float = float("inf")

    def _step(self) -> None:
        self.left -= 1
        if self.left <= 0:
            raise Killed

    async def put_stream(self, path: str, pieces: AsyncIterator[Any], **keywords: Any) -> None:
        self._step()

        async def broken_off() -> AsyncIterator[Any]:
            async for piece in pieces:
                yield piece[: len(piece) // 2]
                self._step()
                yield piece[len(piece) // 2 :]

        await super().put_stream(path, broken_off(), **keywords)

    async def delete(self, paths: Any) -> None:
        for path in paths:
            self._step()
            await super().delete([path])


class Exports(RuleBasedStateMachine):
    """A store that lives, and two exports of it into one tree, which are killed now and then."""

    made: tuple[Bundle, ...]
    trust: TrustStore

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.memory, self.tree = MemoryStore(), MemoryStore()
        self.server = server_on(Storage(self.memory), self.trust)
        self.ever: set[int] = set()
        self.loop.run_until_complete(self.server.check_layout())

    def run(self, what: Any) -> Any:
        return self.loop.run_until_complete(what)

    @rule(number=st.integers(0, 7))
    def publishes(self, number: int) -> None:
        with contextlib.suppress(Exception):  # a rollback
            self.run(publish(self.server, self.made[number], self.trust))

    @rule(sequence=st.integers(1, 9))
    def withdraws(self, sequence: int) -> None:
        release = self.run(self.server.release(OF, sequence))
        if release is not None:
            self.run(self.server.withdraw(release))

    @rule(keep=st.integers(1, 3))
    def prunes(self, keep: int) -> None:
        self.run(prune_store(Storage(self.memory), Retention(keep=keep), now=datetime.now(UTC), log=LOG))

    @rule(left=st.integers(1, 20))
    def is_exported_until_it_is_killed(self, left: int) -> None:
        target = MortalTarget(self.tree)
        target.left = left
        with contextlib.suppress(Killed):
            self.run(export(Storage(self.memory), target))
        self.run(self.look(whole=False))

    @rule()
    def is_exported(self) -> None:
        done = self.run(export(Storage(self.memory), Storage(self.tree)))
        assert done.failed == []
        self.run(self.look(whole=True))

    @rule(number=st.integers(0, 7), seed=st.integers(0, 99))
    def is_exported_twice_at_once_beside_a_publisher_and_a_withdrawal(self, number: int, seed: int) -> None:
        async def change() -> None:
            chance = random.Random(seed)
            for _ in range(chance.randrange(40)):
                await asyncio.sleep(0)
            with contextlib.suppress(Exception):
                await publish(self.server, self.made[number], self.trust)
            latest = await self.server.latest(OF)
            if latest is not None and chance.randrange(2):
                await self.server.withdraw(latest)

        async def at_once() -> None:
            await asyncio.gather(*(export(Storage(self.memory), Storage(self.tree)) for _ in range(2)), change())

        self.run(at_once())
        self.run(self.look(whole=False))
        self.is_exported()

    async def look(self, *, whole: bool) -> None:
        """See what a client would: a latest release is whole. whole: and the tree says what the store says."""
        tree = Storage(self.tree)
        names = {one.path async for one in tree.list("")}
        by_sequence = {one.parsed.statement.sequence: one for one in self.made}
        if LATEST in names:
            latest = json.loads(await tree.get(LATEST, most=10**6))["sequence"]
            assert {release_path(latest, "seal"), release_path(latest, "payload")} <= names
        for name in names - {LATEST}:
            sequence, leaf = name.split("/")[-2:]
            bundle = by_sequence[int(sequence)]
            assert await tree.get(name, most=10**7) == (bundle.seal if leaf == "seal" else bundle.payload)
            assert leaf == "payload" or release_path(int(sequence), "payload") in names
        if whole:
            listed = [one.sequence for one in (await self.server.channels_read.pointer(OF, fresh=True)).listed()]
            assert names - {LATEST} == {release_path(one, leaf) for one in listed for leaf in ("seal", "payload")}
            expected = await self.server.latest(OF)
            assert (LATEST in names) is (expected is not None)
            if expected is not None:
                assert json.loads(await tree.get(LATEST, most=10**6)) == expected.to_json()

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()


@pytest.mark.parametrize(
    "steps", [pytest.param((12, 12), id="short"), pytest.param((400, 40), id="long", marks=pytest.mark.soak)]
)
def test_killed_at_any_moment_a_tree_leads_nobody_to_what_is_not_whole(
    sealed: BundleMaker, trust: TrustStore, steps: tuple[int, int]
) -> None:
    made = tuple(sealed(sequence=one, content=b"%d" % one * 1000) for one in range(1, 9))
    machine = type("Machine", (Exports,), {"made": made, "trust": trust})
    examples, count = steps
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=count, deadline=None)
    )


EXPORT = """
import asyncio, logging, os, signal, sys
from datetime import UTC, datetime
from capseal.server import Storage, export_store

left = int(sys.argv[3])
target = Storage.open(sys.argv[2])

def step():
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

put, delete = target.put_stream, target.delete

async def mortal_put(path, pieces, **keywords):
    async def counted():
        step()
        async for piece in pieces:
            step()
            yield piece
            step()
    await put(path, counted(), **keywords)

async def mortal_delete(paths):
    for path in paths:
        step()
        await delete([path])

target.put_stream, target.delete = mortal_put, mortal_delete
storage = Storage.open(sys.argv[1], may_be_new=False)
log = logging.getLogger("capseal.server")
asyncio.run(export_store(storage, target, now=datetime.now(UTC), log=log, most_seal_bytes=2**23))
"""


def test_a_process_that_is_killed_leaves_no_half_of_a_file_and_the_next_one_ends_what_it_began(
    store: Path, tmp_path: Path, trust: TrustStore, sealed: BundleMaker
) -> None:
    tree = tmp_path / "tree"
    content = some_bytes(17.5)  # two parts of 8 MiB, and a bit
    first, second = (sealed(sequence=one, content=content[one:]) for one in (1, 2))

    async def seen() -> int | None:
        if not (tree / LATEST).exists():
            return None
        latest: int = json.loads((tree / LATEST).read_bytes())["sequence"]
        bundle = {1: first, 2: second}[latest]
        assert (tree / release_path(latest, "payload")).read_bytes() == bundle.payload
        accept((tree / release_path(latest, "seal")).read_bytes(), trust=trust)
        return latest

    def export_with_kills(steps: list[int]) -> list[int | None]:
        found = []
        for step in steps:
            command = [sys.executable, "-c", EXPORT, str(store), str(tree), str(step)]
            done = subprocess.run(command, timeout=60, check=False)
            assert done.returncode in (0, -signal.SIGKILL)
            found.append(asyncio.run(seen()))
        return found

    with live_server(str(store), trust) as live:
        live.publish(first).raise_for_status()
        assert export_with_kills([1, 2, 6, 22, 10**6])[-1] == 1
        live.publish(second).raise_for_status()
        found = export_with_kills([7, 12, 10**6])
        assert found[0] == 1
        assert found[-1] == 2
    withdraw(store, trust, 2)
    assert export_with_kills([1, 3, 5, 10**6])[-1] == 1
    left = [name for name in listed_files(tree) if "#" in name]
    assert not left  # what killed processes left went when the next one began
    assert not [name for name in listed_files(tree) if "releases/2/" in name]


def test_the_next_export_takes_what_a_killed_one_left_but_not_what_another_may_be_writing(
    filled: Fill, store: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    filled(1)
    command = [sys.executable, "-c", EXPORT, str(store), str(tree), "2"]
    assert subprocess.run(command, timeout=60, check=False).returncode == -signal.SIGKILL

    def halves() -> list[str]:
        return [name for name in listed_files(tree) if "#" in name]

    assert halves() == [release_path(1, "payload#1")]
    mine = [f"{CHANNEL_PATH}/notes#1", "mine#1", release_path(1, "notes#2")]
    for name in mine:
        (tree / name).touch()
    storages = Storage.open(str(store)), Storage.open(str(tree))
    other = os.open(tree, os.O_RDONLY)
    try:
        assert durable.try_share(other)
        asyncio.run(export(*storages, now=datetime.now(UTC) + timedelta(hours=23)))
        assert halves() == sorted([*mine, release_path(1, "payload#1")])
    finally:
        os.close(other)
    asyncio.run(export(*storages, now=datetime.now(UTC)))
    assert halves() == sorted(mine)


@pytest.mark.parametrize("where", ["v1", CHANNEL_PATH, release_path(1, "payload"), f"{CHANNEL_PATH}/releases/9"])
def test_an_export_follows_no_link_in_its_tree(where: str, filled: Fill, store: Path, tmp_path: Path) -> None:
    tree, theirs = tmp_path / "tree", tmp_path / "theirs"
    filled(1)
    theirs.mkdir()
    (theirs / "seal").write_bytes(b"precious")
    (tree / where).parent.mkdir(parents=True)
    (tree / where).symlink_to(theirs)
    with pytest.raises(UsageError, match="is a symbolic link"):
        export_now(store, tree)
    assert contents(theirs) == {"seal": b"precious"}


def test_a_target_that_is_out_of_reach_ends_the_export(filled: Fill, store: Path, tmp_path: Path) -> None:
    filled(1, 2)
    target = Storage.open(str(tmp_path / "tree"))
    tried = []

    async def gone(*arguments: Any, **_: Any) -> None:
        tried.append(arguments)
        raise TransferError("storage: Connection refused")

    target.put_stream = target.probe = gone  # type: ignore[method-assign, assignment]
    with pytest.raises(TransferError, match="refused"):
        asyncio.run(export(Storage.open(str(store)), target))
    assert len(tried) == 2  # one file, and then whether it is there at all
