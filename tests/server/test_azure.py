"""Servers over a real Azure wire: Azurite, whose 186 MB keep it out of the default run.

`python -m pytest -m soak tests/server/test_azure.py` fetches it from npm by its lock, and takes a minute.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from obstore.store import AzureStore

from capseal import TrustStore
from capseal.client import Connection, fetch, publish
from capseal.server import Limits
from support.azure import azure_server
from support.server_fixtures import BundleMaker
from support.serving import APP, TOKEN, Bundle, Live, collect, live_server

pytestmark = pytest.mark.soak

CONTAINER = "bundles"
WITH_TOKEN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """How to reach an Azure with one container."""
    with azure_server(tmp_path_factory.mktemp("azure") / "data", CONTAINER) as environment:
        yield environment


@pytest.fixture
def place(azure: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The URL of a place of its own in the container."""
    for name, value in azure.items():
        monkeypatch.setenv(name, value)
    return f"az://{CONTAINER}/{request.node.name}"


def objects(place: str) -> list[str]:
    """Return the objects of releases and payloads, without the marks at the ends of their names."""
    names = sorted(meta["path"] for page in AzureStore.from_url(place).list() for meta in page)
    kept = [name for name in names if name.startswith(("payloads/", "releases/"))]
    return [re.sub("[/-][0-9a-f]{16}(?=/r|/s|$)", "", name) for name in kept]


def uploaded(live: Live, bundle: Bundle) -> str:
    """Send all of a bundle, and return where it is published."""
    links = live.begin(bundle.seal, headers=WITH_TOKEN).json()["links"]
    live.client.put(links["payload"], content=bundle.payload, headers=WITH_TOKEN).raise_for_status()
    return links["self"]


def test_publish_fetch_withdraw_and_collect_over_azure(
    place: str, tmp_path: Path, trust: TrustStore, bundle: Bundle
) -> None:
    (tmp_path / "file").write_bytes(bundle.seal + bundle.payload)
    release = f"releases/{APP}/production/0000000000000007"
    with live_server(place, trust, verify_reads=True, token=TOKEN) as live:
        with Connection(live.url, token=TOKEN) as one:
            publish(tmp_path / "file", one)
        runs = [f"payloads/{bundle.digest}/0000000000-16", f"payloads/{bundle.digest}/0000000016-05"]
        assert objects(place) == [*runs, f"{release}/release.json", f"{release}/seal"]
    with live_server(place, trust, verify_reads=True, token=TOKEN) as live, Connection(live.url) as one:
        got = fetch(one, app=APP, channel="production", folder=tmp_path, trust=trust)
        assert Path(got.payload).read_bytes() == bundle.payload
        live.client.delete(live.release_url(7), headers=WITH_TOKEN).raise_for_status()
    collect(place, trust)
    assert objects(place) == [f"{release}/release.json"]


def test_of_servers_that_publish_at_once_one_wins_each_sequence(
    place: str, trust: TrustStore, sealed: BundleMaker
) -> None:
    with live_server(place, trust, token=TOKEN) as first, live_server(place, trust, token=TOKEN) as second:
        for sequence in range(1, 9):
            bundles = [sealed(sequence=sequence, content=content) for content in (b"one", b"two")]
            ways = [(live, uploaded(live, one)) for live, one in zip((first, second), bundles, strict=True)]
            with ThreadPoolExecutor(2) as pool:
                posted = [pool.submit(live.client.post, path, headers=WITH_TOKEN) for live, path in ways]
            statuses = [one.result().status_code for one in posted]
            assert sorted(statuses) == [201, 409]
            winner = bundles[statuses.index(201)]
            for live in (first, second):
                assert live.client.get(live.release_url(sequence) + "/payload").content == winner.payload


def test_a_rollback_is_refused_by_a_server_that_has_not_seen_the_newer_release(
    place: str, trust: TrustStore, sealed: BundleMaker
) -> None:
    older, newer = sealed(sequence=3), sealed(sequence=4)
    at_once: Any = {"token": TOKEN, "limits": Limits(pointer_age_s=0)}
    with live_server(place, trust, **at_once) as first, live_server(place, trust, **at_once) as second:
        late = uploaded(second, older)
        assert first.client.post(uploaded(first, newer), headers=WITH_TOKEN).status_code == 201
        refused = second.client.post(late, headers=WITH_TOKEN)
        assert (refused.status_code, refused.json()["error"]) == (409, "RollbackError")
        first.client.delete(first.release_url(4), headers=WITH_TOKEN).raise_for_status()
        assert second.client.get(second.release_url(4) + "/payload").status_code == 410
