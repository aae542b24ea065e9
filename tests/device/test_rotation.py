"""A rotation as devices in the field live through it: old key, overlap, new key, old key refused."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

import capseal
from capseal import PrivateKey, SignatureError, TrustedKey, TrustStore, load_trust
from capseal.trust.key_sets import KeySet
from capseal.trust.updates import follow, make_update
from support.device_world import EPOCH, World, sequence_of

ROOT = PrivateKey.generate(3072)


def _rooted(world: World) -> TrustStore:
    return replace(world.trust, root=KeySet.of(ROOT.public_key), created=EPOCH)


class Device:
    """A device whose app keeps its trust store in a file, and follows the updates that it is given."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._root = folder / "device"
        self._trust = folder / "trust.json"
        _rooted(world).save(self._trust)

    @property
    def trust(self) -> TrustStore:
        return load_trust(self._trust)

    def follow(self, *updates: bytes) -> None:
        self._trust.write_bytes(follow(self.trust, updates).to_json())

    def update(self, bundle: bytes) -> None:
        """Install, activate, start and confirm."""
        store = self._world.store(self._root, trust=self.trust)
        store.install(io.BytesIO(bundle))
        store.activate()
        store.boot()
        store.confirm()

    def runs(self) -> int:
        """Start anew, with everything checked; return the sequence of what runs."""
        return sequence_of(self._world.store(self._root, trust=self.trust).boot(verify=True))


@pytest.fixture
def updates(world: World, signer2: PrivateKey) -> list[bytes]:
    """From the old key to both, and from both to the new one."""
    old, new = TrustedKey(world.signer.public_key), TrustedKey(signer2.public_key)
    first = _rooted(world)
    second = replace(first, keys=(old, new), version=2)
    third = replace(second, keys=(new,), version=3)
    return [make_update(first, second, signers=[ROOT]), make_update(second, third, signers=[ROOT])]


def test_devices_follow_a_rotation_without_a_new_build(
    world: World, tmp_path: Path, signer2: PrivateKey, updates: list[bytes]
) -> None:
    device = Device(world, tmp_path)
    # The old key.
    device.update(world.seal(1))
    with pytest.raises(SignatureError, match="which no trusted key matches"):
        device.update(world.seal(2, signer=signer2))
    assert device.runs() == 1
    # The overlap: what both signed is accepted before the update and after it.
    device.update(world.seal(2, signer=[world.signer, signer2]))
    device.follow(updates[0])
    assert device.runs() == 2
    device.update(world.seal(3, signer=[world.signer, signer2]))
    # The new key.
    device.follow(*updates)
    assert device.trust.version == 3
    assert device.runs() == 3
    device.update(world.seal(4, signer=signer2))
    # The old key is refused, and whoever has it cannot bring it back.
    with pytest.raises(SignatureError, match="which no trusted key matches"):
        device.update(world.seal(5))
    back = replace(_rooted(world), version=4)
    with pytest.raises(SignatureError, match="update of trust store version 3, whose root: signed by 0 of its 1 keys"):
        device.follow(make_update(device.trust, back, signers=[world.signer]))
    assert device.runs() == 4


def test_a_device_that_slept_through_the_rotation_catches_up(
    world: World, tmp_path: Path, signer2: PrivateKey, updates: list[bytes]
) -> None:
    device = Device(world, tmp_path)
    device.update(world.seal(1))
    device.follow(*updates)
    device.update(world.seal(9, signer=signer2))
    assert device.runs() == 9


def test_a_bundle_that_only_the_old_key_signed_does_not_run_once_that_key_is_gone(
    world: World, tmp_path: Path, updates: list[bytes]
) -> None:
    device = Device(world, tmp_path)
    device.update(world.seal(1))
    device.follow(*updates)
    assert device.runs() == 0  # the built-in one: so let both sign during the overlap


def test_a_cosigned_bundle_runs_through_the_whole_rotation(
    world: World, tmp_path: Path, signer2: PrivateKey, updates: list[bytes]
) -> None:
    device = Device(world, tmp_path)
    both = io.BytesIO()
    capseal.cosign(io.BytesIO(world.seal(1)), both, signer=signer2, trust=world.trust)
    device.update(both.getvalue())
    for update in updates:
        device.follow(update)
        assert device.runs() == 1
