"""The same server over a real S3 wire: moto's server (PyPI `moto[server]`), a process of its own."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from obstore.store import S3Store

from capseal import TrustStore
from capseal.client import Connection, fetch, publish
from capseal.constants import SEGMENT_BYTES
from capseal.server import CapgoUpdates
from support.capgo_pair import Pair
from support.s3 import point_at, s3_server
from support.serving import APP, TOKEN, Bundle, Live, collect, live_server

BUCKET = "bundles"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The endpoint of an S3 server with one bucket."""
    with s3_server(BUCKET) as url:
        yield url


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The URL of a place of its own in the bucket; how to reach it stands in the environment, as for any S3 tool."""
    point_at(s3, monkeypatch)
    return f"s3://{BUCKET}/{request.node.name}"


def objects(place: str) -> list[str]:
    """Return the objects of releases and payloads, without the marks at the ends of their names."""
    store = S3Store.from_url(place)
    names = sorted(meta["path"] for page in store.list() for meta in page)
    kept = [name for name in names if name.startswith(("payloads/", "releases/"))]
    return [re.sub("[/-][0-9a-f]{16}(?=/r|/s|$)", "", name) for name in kept]


def test_publish_and_fetch_over_s3(bucket: str, tmp_path: Path, trust: TrustStore, bundle: Bundle) -> None:
    (tmp_path / "file").write_bytes(bundle.seal + bundle.payload)
    with live_server(bucket, trust, verify_reads=True, token=TOKEN) as live:
        with Connection(live.url, token=TOKEN) as one:
            publish(tmp_path / "file", one)
        assert objects(bucket) == [
            f"payloads/{bundle.digest}/0000000000-16",
            f"payloads/{bundle.digest}/0000000016-05",
            f"releases/{APP}/production/0000000000000007/release.json",
            f"releases/{APP}/production/0000000000000007/seal",
        ]
    with live_server(bucket, trust, verify_reads=True, token=TOKEN) as live, Connection(live.url) as one:
        got = fetch(one, app=APP, channel="production", folder=tmp_path, trust=trust)
        assert Path(got.payload).read_bytes() == bundle.payload
        spans = live.client.get(live.release_url(7) + "/payload", headers={"Range": "bytes=0-9,9000000-9000009"})
        assert spans.status_code == 206
        live.client.delete(live.release_url(7), headers={"Authorization": f"Bearer {TOKEN}"}).raise_for_status()
    collect(bucket, trust)
    assert objects(bucket) == [f"releases/{APP}/production/0000000000000007/release.json"]


def test_a_capgo_file_is_kept_in_a_bucket_too(bucket: str, trust: TrustStore, pair: Pair) -> None:
    with live_server(bucket, trust, extensions=[CapgoUpdates()], verify_reads=True, token=TOKEN) as live:
        with Connection(live.url, token=TOKEN) as one:
            publish(pair.folder / "game.sealed", one, companions={"game.capgo": pair.folder / "game.capgo"})
        kept = [name for name in objects(bucket) if pair.digest in name]
        assert [name.rpartition("/")[2] for name in kept] == ["0000000000-16", "0000000016-03", "index"]
    with live_server(bucket, trust, extensions=[CapgoUpdates()], verify_reads=True, token=TOKEN) as live:
        url = live.release_url(7)
        assert live.client.get(url + "/attachments/game.capgo").content == pair.ciphertext
        live.client.delete(url, headers={"Authorization": f"Bearer {TOKEN}"}).raise_for_status()
    collect(bucket, trust)
    assert objects(bucket) == [f"releases/{APP}/production/0000000000000007/release.json"]


def test_a_bad_segment_leaves_nothing_in_the_bucket(bucket: str, trust: TrustStore, bundle: Bundle) -> None:
    bad = bytearray(bundle.payload)
    bad[18 * SEGMENT_BYTES] ^= 1
    with live_server(bucket, trust) as live:
        links = live.begin(bundle.seal).json()["links"]
        assert live.client.put(links["payload"], content=bytes(bad)).json()["segment"] == 18
    collect(bucket, trust)
    assert objects(bucket) == []


def test_rot_in_the_bucket_is_never_delivered(bucket: str, trust: TrustStore, bundle: Bundle) -> None:
    with live_server(bucket, trust, verify_reads=True) as live:
        live.publish(bundle).raise_for_status()
        part = bytearray(bundle.payload[: 16 * SEGMENT_BYTES])
        part[5 * SEGMENT_BYTES] ^= 1
        store = S3Store.from_url(bucket)
        (name,) = (meta["path"] for page in store.list() for meta in page if "0000000000-16" in meta["path"])
        store.put(name, bytes(part))
        good = {"Range": f"bytes=0-{5 * SEGMENT_BYTES - 1}"}
        bad = {"Range": f"bytes={5 * SEGMENT_BYTES}-{6 * SEGMENT_BYTES}"}
        url = live.release_url(7) + "/payload"
        assert live.client.get(url, headers=good).content == bundle.payload[: 5 * SEGMENT_BYTES]
        assert live.client.get(url, headers=bad).status_code == 503


def test_a_bucket_that_does_not_answer_is_a_503_and_a_log_line(bucket: str, trust: TrustStore, bundle: Bundle) -> None:
    with live_server(bucket, trust) as live:
        live.publish(bundle).raise_for_status()
        live.app.state.publishing.catalogue.storage._store = S3Store.from_url(
            bucket, endpoint="http://127.0.0.1:9", retry_config={"max_retries": 0}
        )
        for path in ("/seal", "/payload"):
            answer = live.client.get(live.release_url(7) + path)
            assert answer.status_code == 503
            assert "127.0.0.1" not in answer.text


def test_another_process_that_published_first_wins(bucket: str, trust: TrustStore, bundle: Bundle) -> None:
    def upload(live: Live) -> str:
        links = live.begin(bundle.seal).json()["links"]
        live.client.put(links["payload"], content=bundle.payload).raise_for_status()
        return links["self"]

    with live_server(bucket, trust) as first, live_server(bucket, trust) as second:
        paths = [upload(live) for live in (first, second)]
        assert first.client.post(paths[0]).status_code == 201
        assert second.client.post(paths[1]).status_code == 200  # it is published: by whom does not matter
        for one in (first, second):
            assert one.client.get(one.release_url(7) + "/payload").content == bundle.payload
