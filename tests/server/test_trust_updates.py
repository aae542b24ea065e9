"""The server keeps every update of the trust store, and only what hangs together with its own."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from capseal import PrivateKey, TrustedKey, TrustStore
from capseal.trust.key_sets import KeySet
from capseal.trust.updates import make_update
from support.company import NOW
from support.serving import APP, Live, live_server


def _chain(first: TrustStore, root: PrivateKey, count: int) -> tuple[list[TrustStore], dict[int, bytes]]:
    """Return stores from the first one on, and the updates between them by version."""
    stores = [first]
    updates = {}
    for days in range(count):
        old = stores[-1]
        stores.append(replace(old, version=old.version + 1, created=NOW + timedelta(days=days)))
        updates[stores[-1].version] = make_update(old, stores[-1], signers=[root])
    return stores, updates


@pytest.fixture(scope="module")
def history(
    signer: PrivateKey, roots: tuple[PrivateKey, PrivateKey, PrivateKey]
) -> tuple[list[TrustStore], dict[int, bytes]]:
    root = roots[0]
    first = TrustStore((TrustedKey(signer.public_key),), root=KeySet.of(root.public_key), created=NOW)
    return _chain(first, root, 4)


def _put(live: Live, version: int, update: bytes) -> httpx.Response:
    return live.client.put(f"/v1/apps/{APP}/trust/{version}", content=update)


def _get(live: Live, version: int) -> httpx.Response:
    return live.client.get(f"/v1/apps/{APP}/trust/{version}")


def test_updates_stay_and_are_served_as_they_came(
    history: tuple[list[TrustStore], dict[int, bytes]], store: Path
) -> None:
    stores, updates = history
    with live_server(str(store), stores[0]) as live:
        assert _get(live, 2).status_code == 404
        for version, update in updates.items():
            assert _put(live, version, update).status_code == 201
            assert _put(live, version, update).status_code == 200
    with live_server(str(store), stores[0]) as live:
        for version, update in updates.items():
            answer = _get(live, version)
            assert answer.content == update
            assert answer.headers["content-type"] == "application/vnd.capseal.trust-update.v1"
            assert "no-cache" in answer.headers["cache-control"]
        assert _get(live, 6).status_code == 404


@pytest.mark.parametrize(
    ("present", "order"), [(0, (2, 3, 4, 5)), (2, (4, 5, 3, 2)), (2, (3, 2, 4, 5)), (4, (5, 4, 3, 2))]
)
def test_updates_hang_together_with_the_present_store_from_either_end(
    history: tuple[list[TrustStore], dict[int, bytes]], present: int, order: tuple[int, ...]
) -> None:
    stores, updates = history
    with live_server("memory://", stores[present]) as live:
        for version in order:
            assert _put(live, version, updates[version]).status_code == 201


def test_another_history_is_refused_whoever_has_the_token(
    history: tuple[list[TrustStore], dict[int, bytes]], signer2: PrivateKey, signer: PrivateKey
) -> None:
    stores, updates = history
    thief = TrustStore((TrustedKey(signer.public_key),), root=KeySet.of(signer2.public_key), created=NOW)
    _, forged = _chain(thief, signer2, 4)
    with live_server("memory://", stores[2]) as live:  # version 3
        for version in (2, 3, 4, 5):
            assert _put(live, version, forged[version]).status_code == 403
        for version in (3, 2, 4):
            assert _put(live, version, forged[version]).status_code == 403
            _put(live, version, updates[version]).raise_for_status()
        for version in (2, 3, 4, 5):
            assert _put(live, version, forged[version]).status_code in (403, 409)
            assert _put(live, version, updates[2 if version != 2 else 3]).status_code in (403, 409)
        assert [_get(live, version).content for version in (2, 3, 4)] == [updates[version] for version in (2, 3, 4)]


def test_what_is_next_to_nothing_here_is_refused_with_what_to_send_first(
    history: tuple[list[TrustStore], dict[int, bytes]],
) -> None:
    stores, updates = history
    with live_server("memory://", stores[0]) as live:
        answer = _put(live, 4, updates[4])
        assert answer.status_code == 403
        assert "neither of version 1, which is in force here, nor next to an update" in answer.json()["detail"]
        assert _put(live, 3, updates[2]).status_code == 403
        assert _put(live, 2, b"{}").status_code == 400


def test_updates_take_a_token(history: tuple[list[TrustStore], dict[int, bytes]]) -> None:
    stores, updates = history
    with live_server("memory://", stores[0], token="secret-secret-secret") as live:
        bare = httpx.put(f"{live.client.base_url}/v1/apps/{APP}/trust/2", content=updates[2])
        assert bare.status_code == 401
