"""A device store follows updates of its trust store from servers that lie, keeps them, and replays them at start."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from capseal import (
    FormatError,
    NotForUsError,
    PrivateKey,
    RejectedError,
    RollbackError,
    SignatureError,
    TrustedKey,
    TrustStore,
)
from capseal.constants import MAX_INTEGER
from capseal.device import DeviceStore
from capseal.trust.key_sets import HeadPolicy, KeySet, Restart
from capseal.trust.updates import cosign_update, make_update
from support.device_world import EPOCH, World, sequence_of
from support.serving import live_server

LATER = EPOCH + timedelta(days=3000)
FAR = datetime(9999, 12, 31, tzinfo=EPOCH.tzinfo)


@dataclass
class Publisher:
    """Who holds the keys: a root of three, two of which must sign, and what devices were built with."""

    world: World
    roots: tuple[PrivateKey, ...]
    head: PrivateKey
    store: TrustStore = field(init=False)
    updates: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = TrustStore(
            (TrustedKey(self.world.signer.public_key),),
            root=KeySet.of(*(key.public_key for key in self.roots), threshold=2),
            heads=HeadPolicy(86400, LATER, KeySet.of(self.head.public_key)),
            created=EPOCH,
        )

    def update(self, *, by: tuple[PrivateKey, ...] | None = None, **changes: Any) -> bytes:
        """Return the next update, which is in force for this publisher from now on."""
        new = replace(self.store, version=self.store.version + 1, **changes)
        update = make_update(self.store, new, signers=by or self.roots[:2])
        self.store = new
        self.updates[new.version] = update
        return update

    def device(self, root: Path, builtin: TrustStore, **keywords: Any) -> DeviceStore:
        return self.world.store(root, trust=builtin, **keywords)

    def put_on(self, device: DeviceStore, bundle: bytes) -> int:
        """Install, activate, start and confirm; return the sequence of what runs."""
        device.install(io.BytesIO(bundle))
        device.activate()
        device.boot()
        device.confirm()
        return sequence_of(device.boot(verify=True))


@pytest.fixture
def publisher(
    world: World, roots: tuple[PrivateKey, PrivateKey, PrivateKey], head_signer: PrivateKey
) -> Iterator[Publisher]:
    yield Publisher(world, roots, head_signer)


def _only(key: PrivateKey) -> tuple[TrustedKey, ...]:
    return (TrustedKey(key.public_key),)


def test_a_stolen_release_key_is_rotated_out_and_cannot_come_back(
    publisher: Publisher, tmp_path: Path, signer2: PrivateKey
) -> None:
    builtin, thief = publisher.store, publisher.world.signer
    device = publisher.device(tmp_path / "device", builtin)
    publisher.put_on(device, publisher.world.seal(1))
    publisher.update(keys=_only(signer2))
    # Every second device has the thief's update first: it makes no difference.
    forged = replace(builtin, version=2, keys=_only(thief), created=LATER)
    with pytest.raises(SignatureError, match="update of trust store version 1, whose root: signed by 0 of its 3 keys"):
        device.follow({2: make_update(builtin, forged, signers=[thief])}.get)
    assert device.trust() == builtin
    assert device.follow(publisher.updates.get) == publisher.store
    with pytest.raises(SignatureError, match="which no trusted key matches"):
        device.install(io.BytesIO(publisher.world.seal(2)))
    assert publisher.put_on(device, publisher.world.seal(3, signer=signer2)) == 3
    # Kept: the app starts anew with what it was built with.
    again = publisher.device(tmp_path / "device", builtin)
    assert again.trust() == publisher.store
    assert sequence_of(again.boot(verify=True)) == 3


def test_what_a_stolen_release_key_did_with_the_highest_sequence_ends_with_a_restart(
    publisher: Publisher, tmp_path: Path, signer2: PrivateKey
) -> None:
    builtin, world = publisher.store, publisher.world
    device = publisher.device(tmp_path / "device", builtin, builtin_sequence=2)
    publisher.put_on(device, world.seal(MAX_INTEGER, created=FAR))
    publisher.update(keys=_only(signer2))
    device.follow(publisher.updates.get)
    honest = world.seal(7, signer=signer2, created=EPOCH + timedelta(days=2))
    with pytest.raises(RollbackError, match=f"sequence 7 is not above {MAX_INTEGER}"):
        device.install(io.BytesIO(honest))
    publisher.update(restart=Restart(5, EPOCH + timedelta(days=1)))
    device.follow(publisher.updates.get)
    assert device.status().floor == 5
    device.install(io.BytesIO(honest))
    assert device.status().staged is not None  # above where the store restarted, and not dropped a second time
    assert publisher.put_on(device, honest) == 7
    # Once: the floor has risen again, and no start and no later update that says the same lowers it.
    publisher.update(created=LATER)
    for again in (device, publisher.device(tmp_path / "device", builtin, builtin_sequence=2)):
        again.follow(publisher.updates.get)
        assert again.status().floor == 7
        with pytest.raises(RollbackError):
            again.install(io.BytesIO(world.seal(6, signer=signer2)))
    # Never below what the app was built with.
    publisher.update(restart=Restart(0, EPOCH))
    device.follow(publisher.updates.get)
    assert device.status().floor == 2
    built_so = replace(builtin, restart=Restart(0, EPOCH))
    assert publisher.device(tmp_path / "other", built_so, builtin_sequence=2).status().floor == 2


def test_one_of_three_root_keys_is_lost_and_replaced_by_the_others(
    publisher: Publisher, tmp_path: Path, recipient: PrivateKey
) -> None:
    builtin, (lost, *left) = publisher.store, publisher.roots
    device = publisher.device(tmp_path / "device", builtin)
    rooted = KeySet.of(*(key.public_key for key in (*left, recipient)), threshold=2)
    publisher.update(by=tuple(left), root=rooted)
    assert device.follow(publisher.updates.get).root == rooted
    # Whoever finds the lost one has one of none.
    stolen = replace(publisher.store, version=3, keys=_only(lost))
    with pytest.raises(SignatureError, match="version 2, whose root: signed by 1 of its 3 keys, the threshold is 2"):
        device.follow({3: make_update(publisher.store, stolen, signers=[lost, left[0]])}.get)


def test_a_root_that_is_stolen_in_part_changes_nothing(publisher: Publisher, tmp_path: Path) -> None:
    builtin, thief = publisher.store, publisher.roots[0]
    device = publisher.device(tmp_path / "device", builtin)
    taken = replace(builtin, version=2, root=KeySet.of(thief.public_key))
    for signers in ([thief], [thief, publisher.world.signer, publisher.head]):
        with pytest.raises(SignatureError, match="signed by 1 of its 3 keys, the threshold is 2"):
            device.follow({2: make_update(builtin, taken, signers=signers)}.get)
    assert device.trust() == builtin


def test_updates_that_are_skipped_forked_or_replayed_are_refused(
    publisher: Publisher, tmp_path: Path, signer2: PrivateKey, recipient: PrivateKey
) -> None:
    builtin = publisher.store
    device = publisher.device(tmp_path / "device", builtin)
    second = publisher.update(keys=(*builtin.keys, *_only(signer2)))
    third = publisher.update(keys=_only(signer2))
    with pytest.raises(NotForUsError, match="update to version 3 is for trust store"):  # skipped
        device.follow({2: third}.get)
    device.follow({2: second}.get)
    with pytest.raises(RollbackError, match="brings version 2 of the trust store, version 2 is here"):  # replayed
        device.follow({3: second}.get)
    forked = replace(builtin, version=2, keys=_only(recipient))
    after = make_update(forked, replace(forked, version=3, created=LATER), signers=publisher.roots[:2])
    with pytest.raises(NotForUsError, match="update to version 3 is for trust store"):  # of another history
        device.follow({3: after}.get)
    assert device.follow(publisher.updates.get).version == 3
    with pytest.raises(FormatError):
        device.follow(lambda version: b"{}")
    assert device.trust() == publisher.store


def test_what_was_followed_before_an_update_that_is_refused_stays(publisher: Publisher, tmp_path: Path) -> None:
    device = publisher.device(tmp_path / "device", publisher.store)
    second = publisher.update(created=LATER)
    with pytest.raises(RejectedError):
        device.follow({2: second, 3: second}.get)
    assert device.trust().version == 2


def test_a_new_build_with_another_root_wins_over_what_was_kept(
    publisher: Publisher, tmp_path: Path, recipient: PrivateKey
) -> None:
    builtin = publisher.store
    device = publisher.device(tmp_path / "device", builtin)
    publisher.update(created=LATER)
    device.follow(publisher.updates.get)
    other = replace(builtin, root=KeySet.of(recipient.public_key))
    rebuilt = publisher.device(tmp_path / "device", other)
    assert rebuilt.trust() == other
    follows = replace(other, version=2, created=LATER)
    update = make_update(other, follows, signers=[recipient])
    assert rebuilt.follow({2: update}.get) == follows
    assert publisher.device(tmp_path / "device", other).trust() == follows
    # The old build, put back, has nothing that fits it, and begins anew.
    assert publisher.device(tmp_path / "device", builtin).trust() == builtin


def test_a_new_build_of_the_same_version_with_another_root_wins(
    publisher: Publisher, tmp_path: Path, recipient: PrivateKey
) -> None:
    builtin = publisher.store
    device = publisher.device(tmp_path / "device", builtin)
    publisher.update(created=LATER)
    device.follow(publisher.updates.get)
    other = replace(builtin, version=2, root=KeySet.of(recipient.public_key))
    rebuilt = publisher.device(tmp_path / "device", other)
    rebuilt.boot()
    rebuilt.follow({3: make_update(other, replace(other, version=3), signers=[recipient])}.get)
    # What was kept of the other history is gone: the state has what fits this build, and nothing else.
    assert len(json.loads((tmp_path / "device" / "state.json").read_bytes())["trust"]["updates"]) == 1
    assert publisher.device(tmp_path / "device", other).trust().version == 3


def test_a_new_build_with_a_later_store_goes_on_from_there(publisher: Publisher, tmp_path: Path) -> None:
    builtin = publisher.store
    device = publisher.device(tmp_path / "device", builtin)
    publisher.update(created=LATER)
    third = publisher.update(created=EPOCH)
    stores = {3: publisher.store}
    publisher.update(created=LATER)
    device.follow(lambda version: publisher.updates.get(version) if version < 4 else None)
    rebuilt = publisher.device(tmp_path / "device", stores[3])
    assert rebuilt.trust().version == 3
    assert rebuilt.follow(publisher.updates.get) == publisher.store
    assert publisher.device(tmp_path / "device", builtin).trust() == publisher.store
    assert third == publisher.updates[3]


def test_an_older_build_that_is_put_back_keeps_the_updates_that_fit_it(publisher: Publisher, tmp_path: Path) -> None:
    builtin = publisher.store
    for version in range(2, 7):
        publisher.update(created=EPOCH + timedelta(days=version))
        if version == 3:
            third = publisher.store
        if version == 5:
            later = publisher.store
    device = publisher.device(tmp_path / "device", builtin)
    device.follow(lambda version: publisher.updates.get(version) if version < 4 else None)
    assert publisher.device(tmp_path / "device", later).follow(publisher.updates.get) == publisher.store
    # Updates 2, 3 and 6 are kept, and 4 and 5 came with the build.
    device = publisher.device(tmp_path / "device", builtin)
    assert device.trust() == third
    assert device.follow(publisher.updates.get) == publisher.store
    assert publisher.device(tmp_path / "device", later).trust() == publisher.store


def test_a_device_that_was_away_for_a_year_follows_every_update(publisher: Publisher, tmp_path: Path) -> None:
    device = publisher.device(tmp_path / "device", publisher.store)
    for days in range(12):
        publisher.update(created=EPOCH + timedelta(days=days))
    assert device.follow(publisher.updates.get) == publisher.store


def test_a_state_file_with_a_damaged_update_goes_by_the_built_in_store(publisher: Publisher, tmp_path: Path) -> None:
    builtin = publisher.store
    device = publisher.device(tmp_path / "device", builtin)
    publisher.update(created=LATER)
    device.follow(publisher.updates.get)
    file = tmp_path / "device" / "state.json"
    data = file.read_bytes()
    at = data.index(b'"updates":["') + 400
    file.write_bytes(data[:at] + (b"A" if data[at : at + 1] != b"A" else b"B") + data[at + 1 :])
    assert publisher.device(tmp_path / "device", builtin).trust() == builtin


def test_a_store_without_a_root_asks_for_no_update(publisher: Publisher, world: World, tmp_path: Path) -> None:
    def asked(version: int) -> bytes | None:
        raise AssertionError(version)

    device = publisher.device(tmp_path / "device", world.trust)
    assert device.follow(asked) == world.trust


def test_updates_come_from_a_server_that_keeps_them_all(
    publisher: Publisher, tmp_path: Path, signer2: PrivateKey
) -> None:
    builtin = publisher.store
    publisher.update(keys=(*builtin.keys, *_only(signer2)))
    publisher.update(keys=_only(signer2))
    with live_server("memory://", builtin) as live:
        for version, update in publisher.updates.items():
            live.client.put(f"/v1/apps/com.example.game/trust/{version}", content=update).raise_for_status()
        device = publisher.device(tmp_path / "device", builtin)
        assert device.follow(str(live.client.base_url)) == publisher.store


def test_a_cosigned_update_is_the_same_update(publisher: Publisher, tmp_path: Path) -> None:
    device = publisher.device(tmp_path / "device", publisher.store)
    one = publisher.update(by=publisher.roots[:1], created=LATER)
    with pytest.raises(SignatureError, match="signed by 1 of its 3 keys"):
        device.follow({2: one}.get)
    assert device.follow({2: cosign_update(one, publisher.roots[2])}.get) == publisher.store
