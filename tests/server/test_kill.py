"""kill -9 at any moment: what is listed verifies, what is not listed is collected."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from capseal import CapsealError, PrivateKey, TrustStore, capgo, inspect
from capseal.client import Connection, fetch, publish
from capseal.constants import SEGMENT_BYTES
from capseal.format import tree
from capseal.server import Limits
from support.capgo_pair import Pair, make_pair
from support.server_fixtures import BundleMaker
from support.serving import APP, CHANNEL, Bundle, Live, collect, kept_files, listed_files, live_server, some_bytes

PairMaker = Callable[..., Pair]

SERVE = """
import socket, sys
from capseal import load_trust
from capseal.server import CapgoUpdates, Storage, create_app, make_server
store, trust, fd = sys.argv[1:]
listener = socket.socket(fileno=int(fd))
app = create_app(Storage.open(store), load_trust(trust), extensions=[CapgoUpdates()])
make_server(app, host="127.0.0.1", port=0).run(sockets=[listener])
"""


@contextlib.contextmanager
def killable(store: Path, trust: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server process on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arguments = [str(store), str(trust), str(listener.fileno())]
        process = subprocess.Popen([sys.executable, "-c", SERVE, *arguments], pass_fds=[listener.fileno()])
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    # Our own copy of the listener is closed: with the process, the port is gone.
    try:
        httpx.get(url + "/healthz", timeout=30).raise_for_status()
        yield url, process
    finally:
        process.kill()
        process.wait()


def check_all_listed(url: str, folder: Path, trust: TrustStore) -> set[int]:
    """Fetch and verify every release that is listed; return the sequences."""
    answer = httpx.get(f"{url}/v1/apps/{APP}/channels/{CHANNEL}/releases", timeout=60)
    releases = answer.json()["releases"] if answer.status_code == 200 else []
    with Connection(url) as one:
        for release in releases:
            fetched = fetch(one, app=APP, channel=CHANNEL, folder=folder, trust=trust, sequence=release["sequence"])
            Path(fetched.payload).unlink()
            beside = capgo.attached(fetched.verified.statement)
            if beside is not None:
                got = httpx.get(url + release["attachments"][beside.companion.name]["link"], timeout=60).content
                assert tree.digest(tree.index_entries(memoryview(got)), len(got)) == beside.digest
    return {release["sequence"] for release in releases}


def check_no_orphans(store: Path) -> None:
    """Every stored file belongs to a release or to an upload that can go on."""
    names = kept_files(store)
    records = [json.loads((store / name).read_text()) for name in names if name.endswith("release.json")]
    wanted = {
        f"releases/{APP}/{CHANNEL}/{record['release']['sequence']:016d}/{record['mark']}/{file}"
        for record in records
        for file in ("seal", "release.json")
    }
    for record in records:
        stored = [(record["release"]["payload"], record["runs"])]
        for name, companion in record["release"]["attachments"].items():
            kept = record["attachments"][name]
            stored.append((companion, kept["runs"]))
            wanted.add(f"payloads/{companion['digest']['fsverity-sha256']}/index-{kept['index']}")
        for payload, runs in stored:
            folder = f"payloads/{payload['digest']['fsverity-sha256']}"
            wanted |= {f"{folder}/{first:010d}-{count:02d}-{mark}" for first, count, mark in runs}
    uploads = [name for name in names if name.startswith("uploads/")]
    statements = [inspect(store / name)[1] for name in uploads]
    digests = {statement.payload.digest.hex() for statement in statements}
    digests |= {beside.digest.hex() for statement in statements if (beside := capgo.attached(statement))}
    orphans = [
        name for name in names if name not in wanted and name not in uploads and name.split("/")[1] not in digests
    ]
    assert orphans == []
    assert wanted <= set(names)


def survive_kills(folder: Path, trust: TrustStore, make: PairMaker, kills: int) -> None:
    """Publish bundles with Capgo files, and read, while the server is killed again and again."""
    seed = int(os.environ.get("CAPSEAL_TEST_SEED", "5"))
    chance = random.Random(seed)
    store, out = folder / "store", folder / "out"
    out.mkdir()
    trust.save(folder / "trust")
    sequence, acknowledged = 0, set()
    for _ in range(kills + 1):
        if store.exists():
            collect(store, trust)
            check_no_orphans(store)
        with killable(store, folder / "trust") as (url, process):
            listed = check_all_listed(url, out, trust)
            assert acknowledged <= listed
            acknowledged = listed
            stop = threading.Event()

            def publish_on() -> None:
                nonlocal sequence
                while not stop.is_set():
                    sequence += 1
                    pair = make(sequence=sequence, content=some_bytes(chance.choice([1, 17, 24])))
                    with contextlib.suppress(CapsealError), Connection(url, attempts=1) as one:
                        publish(
                            pair.folder / "game.sealed",
                            one,
                            companions={"game.capgo": pair.folder / "game.capgo"},
                            jobs=2,
                        )
                        acknowledged.add(sequence)

            def read_on() -> None:
                with httpx.Client(base_url=url) as client:
                    while not stop.is_set():
                        with contextlib.suppress(httpx.HTTPError, KeyError, IndexError):
                            link = client.get("/v1/apps").json()["latest"][0]["links"]["payload"]
                            client.get(link)

            threads = [threading.Thread(target=publish_on), threading.Thread(target=read_on)]
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + 60
            while not acknowledged and time.monotonic() < deadline:
                time.sleep(0.01)  # on a busy machine no moment would be late enough for the first one
            time.sleep(chance.uniform(0.05, 0.9))
            process.send_signal(signal.SIGKILL)
            process.wait()
            stop.set()
            for thread in threads:
                thread.join()
    assert acknowledged


@pytest.fixture
def make(tmp_path: Path, capgo_key: capgo.PrivateKey, signer: PrivateKey, recipient: PrivateKey) -> PairMaker:
    """Return make(content=..., sequence=...) -> Pair."""
    return partial(make_pair, tmp_path, capgo_key, signer, recipient)


def test_6_kills_lose_nothing_and_leave_no_orphans(tmp_path: Path, trust: TrustStore, make: PairMaker) -> None:
    survive_kills(tmp_path, trust, make, 6)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_50_kills_lose_nothing_and_leave_no_orphans(tmp_path: Path, trust: TrustStore, make: PairMaker) -> None:
    survive_kills(tmp_path, trust, make, 50)


@pytest.fixture
def stopped(store: Path, trust: TrustStore, bundle: Bundle) -> Path:
    """The store of a server that published `bundle` and stopped."""
    with live_server(str(store), trust) as live:
        live.publish(bundle).raise_for_status()
    return store


def collected(store: Path, trust: TrustStore, *, limits: Limits = Limits()) -> list[str]:
    collect(store, trust, limits=limits)
    return listed_files(store)


@pytest.mark.parametrize(
    "orphan",
    [
        "payloads/" + "ab" * 32 + f"/0000000000-16-{1:016x}",
        "payloads/{digest}/0000000003-02-" + f"{1:016x}",
        "payloads/{digest}/0000000000-16" + f"-{1:016x}#1",
        "releases/" + f"{APP}/{CHANNEL}/{9:016d}/{1:016x}/seal",
        "releases/" + f"{APP}/{CHANNEL}/{9:016d}/{1:016x}/release.json#7",
    ],
)
def test_an_orphan_is_collected(stopped: Path, trust: TrustStore, bundle: Bundle, orphan: str) -> None:
    before = collected(stopped, trust)
    path = stopped / orphan.format(digest=bundle.digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    assert collected(stopped, trust) == before


def test_a_damaged_upload_is_collected(stopped: Path, trust: TrustStore) -> None:
    before = collected(stopped, trust)
    path = stopped / "uploads" / ("cd" * 32) / f"{'ab' * 32}.seal"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no seal")
    assert collected(stopped, trust) == before


def test_a_stale_upload_is_collected_with_its_parts(stopped: Path, trust: TrustStore, sealed: BundleMaker) -> None:
    before = collected(stopped, trust)
    with live_server(str(stopped), trust) as live:
        upload(live, sealed(sequence=8, content=some_bytes(20)))
    assert len(collected(stopped, trust)) == len(before) + 2
    time.sleep(0.05)
    assert collected(stopped, trust, limits=Limits(upload_age_s=0.01)) == before


def test_a_stale_upload_of_which_nothing_came_is_collected(
    stopped: Path, trust: TrustStore, sealed: BundleMaker
) -> None:
    before = collected(stopped, trust)
    with live_server(str(stopped), trust) as live:
        live.begin(sealed(sequence=8).seal).raise_for_status()
    time.sleep(0.05)
    assert collected(stopped, trust, limits=Limits(upload_age_s=0.01)) == before


def upload(live: Live, bundle: Bundle) -> None:
    links = live.begin(bundle.seal).json()["links"]
    headers = {"Content-Range": f"bytes 0-{SEGMENT_BYTES - 1}/{len(bundle.payload)}"}
    live.client.put(links["payload"], content=bundle.payload[:SEGMENT_BYTES], headers=headers).raise_for_status()


def test_an_upload_that_was_published_just_before_the_kill_is_no_longer_listed(
    stopped: Path, trust: TrustStore, bundle: Bundle
) -> None:
    before = collected(stopped, trust)
    (record,) = stopped.glob("releases/*/*/*/*/release.json")
    id = json.loads(record.read_text())["release"]["seal"]["digest"]["sha256"]
    path = stopped / "uploads" / id / f"{'ab' * 32}.seal"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bundle.seal)
    assert collected(stopped, trust) == before
