"""The server keeps every update of the trust store, only what hangs together with its own, and goes by it at once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from capseal import PrivateKey, TrustedKey, TrustStore
from capseal.constants import MAX_INTEGER
from capseal.io import durable
from capseal.server.catalogue import _trusted
from capseal.trust.key_sets import KeySet, Restart
from capseal.trust.updates import make_update
from support.company import NOW
from support.server_fixtures import BundleMaker
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


def test_whence_the_present_store_came_is_not_for_a_token_to_say(
    history: tuple[list[TrustStore], dict[int, bytes]], signer2: PrivateKey
) -> None:
    stores, updates = history
    elsewhere = replace(stores[0], root=KeySet.of(signer2.public_key))
    with live_server("memory://", stores[2]) as live:  # version 3
        for version in (3, 2):  # of the store in force, and of one that an update that is here leads from
            before = replace(elsewhere, version=version - 1)
            forged = make_update(before, stores[version - 1], signers=[signer2])
            refused = _put(live, version, forged)
            assert refused.status_code == 403
            assert refused.json()["type"] == "urn:capseal:problem:signature"
            assert _put(live, version, updates[version]).status_code == 201
        assert [_get(live, version).content for version in (2, 3)] == [updates[2], updates[3]]


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


def test_an_update_is_on_disk_when_it_is_acknowledged_and_again_when_it_was_here(
    history: tuple[list[TrustStore], dict[int, bytes]], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores, updates = history
    sync_path = durable.sync_path
    synced: set[str] = set()

    def noted(path: str, *arguments: Any) -> None:
        sync_path(path, *arguments)
        synced.add(path)

    monkeypatch.setattr(durable, "sync_path", noted)
    file = store / "trust" / APP / f"{2:016d}"
    with live_server(str(store), stores[0]) as live:
        for status in (201, 200):
            synced.clear()
            assert _put(live, 2, updates[2]).status_code == status
            assert {str(file), *map(str, list(file.parents)[:3])} <= synced


def test_what_a_power_cut_left_of_updates_is_replaced(
    history: tuple[list[TrustStore], dict[int, bytes]], store: Path
) -> None:
    stores, updates = history
    with live_server(str(store), stores[2]) as live:
        for version in (3, 2):
            assert _put(live, version, updates[version]).status_code == 201
        for version, left in ((2, b""), (3, updates[3][:100])):
            (store / "trust" / APP / f"{version:016d}").write_bytes(left)
        for version in (3, 2):
            assert _put(live, version, updates[version]).status_code == 201
            assert _get(live, version).content == updates[version]


def test_updates_take_a_token(history: tuple[list[TrustStore], dict[int, bytes]]) -> None:
    stores, updates = history
    with live_server("memory://", stores[0], token="secret-secret-secret") as live:
        bare = httpx.put(f"{live.client.base_url}/v1/apps/{APP}/trust/2", content=updates[2])
        assert bare.status_code == 401


@pytest.fixture
def rotation(
    signer: PrivateKey, signer2: PrivateKey, roots: tuple[PrivateKey, PrivateKey, PrivateKey]
) -> tuple[TrustStore, dict[int, bytes]]:
    """A store, and the updates by which the second release key takes the place of the first."""
    root = roots[0]
    first = TrustStore((TrustedKey(signer.public_key),), root=KeySet.of(root.public_key), created=NOW)
    both = replace(first, keys=(*first.keys, TrustedKey(signer2.public_key)), version=2)
    last = replace(both, keys=both.keys[1:], version=3)
    return first, {
        2: make_update(first, both, signers=[root]),
        3: make_update(both, last, signers=[root]),
    }


def _restarting(rotation: tuple[TrustStore, dict[int, bytes]], root: PrivateKey, restart: Restart) -> bytes:
    last = _trusted.read_update(rotation[1][3])[1]
    return make_update(last, replace(last, version=4, restart=restart), signers=[root])


def test_every_server_on_a_store_goes_by_an_update_as_soon_as_it_is_published(
    rotation: tuple[TrustStore, dict[int, bytes]], store: Path, sealed: BundleMaker, signer2: PrivateKey
) -> None:
    first, updates = rotation
    with live_server(str(store), first) as one, live_server(str(store), first) as other:
        one.publish(sealed(sequence=1)).raise_for_status()
        assert other.begin(sealed(sequence=2, by=signer2).seal).status_code == 403
        for version, update in updates.items():
            assert _put(one, version, update).json() == {"version": version, "in_force": version}
        for live in (one, other):
            refused = live.begin(sealed(sequence=2).seal)
            assert (refused.status_code, refused.json()["type"]) == (403, "urn:capseal:problem:signature")
        one.publish(sealed(sequence=2, by=signer2)).raise_for_status()
        other.publish(sealed(sequence=3, by=signer2)).raise_for_status()
    with live_server(str(store), first, verify_reads=True) as anew:
        assert anew.client.get(f"{anew.release_url(3)}/payload").status_code == 200
        anew.publish(sealed(sequence=4, by=signer2)).raise_for_status()


def test_an_upload_that_began_before_an_update_is_judged_by_it(
    rotation: tuple[TrustStore, dict[int, bytes]], store: Path, sealed: BundleMaker
) -> None:
    first, updates = rotation
    small = sealed(sequence=1)
    with live_server(str(store), first) as one, live_server(str(store), first) as other:
        links = one.begin(small.seal).json()["links"]
        one.client.put(links["payload"], content=small.payload).raise_for_status()
        for version, update in updates.items():
            assert _put(other, version, update).status_code == 201
        assert one.client.post(links["self"]).status_code == 403


def test_an_update_of_one_app_changes_nothing_for_another(
    rotation: tuple[TrustStore, dict[int, bytes]], sealed: BundleMaker, signer2: PrivateKey
) -> None:
    first, updates = rotation
    with live_server("memory://", first) as live:
        for version, update in updates.items():
            assert _put(live, version, update).status_code == 201
        live.publish(sealed(sequence=1, app="com.example.other")).raise_for_status()
        assert live.begin(sealed(sequence=1, by=signer2, app="com.example.other").seal).status_code == 403


def test_an_update_in_the_storage_that_no_root_signed_is_not_followed(
    rotation: tuple[TrustStore, dict[int, bytes]], store: Path, sealed: BundleMaker, signer: PrivateKey
) -> None:
    first, _ = rotation
    forged = replace(first, version=2, threshold=1, created=NOW + timedelta(days=1))
    folder = store / "trust" / APP
    with live_server(str(store), first) as live:
        folder.mkdir(parents=True)
        (folder / f"{2:016d}").write_bytes(make_update(first, forged, signers=[signer]))
        live.publish(sealed(sequence=1)).raise_for_status()
        assert live.app.state.publishing.catalogue.trusted.of(APP) == first


def test_a_reload_while_updates_are_looked_for_counts(
    rotation: tuple[TrustStore, dict[int, bytes]], trust: TrustStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with live_server("memory://", rotation[0]) as live:
        trusted = live.app.state.publishing.catalogue.trusted

        async def none_and_a_reload(app: str, version: int) -> None:
            trusted.replace(trust)

        monkeypatch.setattr(trusted, "update", none_and_a_reload)
        assert asyncio.run(trusted.follow(APP)) is trust


def test_what_a_stolen_release_key_did_with_the_highest_sequence_ends_on_servers_too(
    rotation: tuple[TrustStore, dict[int, bytes]],
    store: Path,
    sealed: BundleMaker,
    signer2: PrivateKey,
    roots: tuple[PrivateKey, PrivateKey, PrivateKey],
) -> None:
    first, updates = rotation
    far = datetime(9999, 12, 31, tzinfo=UTC)
    mended = sealed(sequence=8, by=signer2)
    # A permit opens a way to what is younger than all that was taken: by the thief's own time, nothing would be.
    permitted = sealed(sequence=5, by=signer2, allow_downgrade_to=4, created=datetime(9000, 1, 1, tzinfo=UTC))
    with live_server(str(store), first) as one, live_server(str(store), first) as other:
        one.publish(sealed(sequence=7)).raise_for_status()
        one.publish(sealed(sequence=MAX_INTEGER, created=far)).raise_for_status()
        for version, update in updates.items():
            assert _put(one, version, update).status_code == 201
        refused = other.begin(mended.seal)
        assert (refused.status_code, refused.json()["floor"]) == (409, MAX_INTEGER)
        restart = Restart(6, NOW + timedelta(days=8))
        assert _put(one, 4, _restarting(rotation, roots[0], restart)).status_code == 201
        other.publish(mended).raise_for_status()
        assert other.begin(permitted.seal).status_code == 201
        other.publish(permitted).raise_for_status()
        one.publish(sealed(sequence=9, by=signer2)).raise_for_status()


def test_a_restart_counts_once_on_every_server_of_a_store(
    rotation: tuple[TrustStore, dict[int, bytes]],
    store: Path,
    sealed: BundleMaker,
    signer2: PrivateKey,
    roots: tuple[PrivateKey, PrivateKey, PrivateKey],
) -> None:
    first, updates = rotation
    with live_server(str(store), first) as one:
        one.publish(sealed(sequence=1)).raise_for_status()
        one.publish(sealed(sequence=MAX_INTEGER)).raise_for_status()
        for version, update in (*updates.items(), (4, _restarting(rotation, roots[0], Restart(1, NOW)))):
            assert _put(one, version, update).status_code == 201
        one.publish(sealed(sequence=9, by=signer2)).raise_for_status()
        assert one.begin(sealed(sequence=5, by=signer2).seal).json().get("floor") == 9
    with live_server(str(store), first) as anew:
        assert anew.begin(sealed(sequence=5, by=signer2).seal).json().get("floor") == 9
        anew.publish(sealed(sequence=10, by=signer2)).raise_for_status()
