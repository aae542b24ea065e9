"""What waits on a device, is in its trial, or runs, when the trust store in force does not accept it any more."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

import capseal
from capseal import PrivateKey, SignatureError, StaleError, TrustedKey
from capseal.constants import MAX_INTEGER
from capseal.device import DeviceStore
from capseal.errors import NotForUsError, RejectedError
from capseal.trust import head_chain as chain
from capseal.trust.key_sets import Restart
from capseal.trust.store import TrustedCertificate
from support.company import certified_signer
from support.device_world import EPOCH, World, make_world, sequence_of
from support.head_world import DAY, START
from support.hostile_scene import Scene

STAGES = ("staged", "pending", "started", "confirmed")


@dataclass
class Theft:
    """A scene in which one of two release keys is stolen: 1 is by both, 2 by the stolen one alone."""

    scene: Scene
    kept: PrivateKey

    def bring(self, sequence: int, stage: str) -> None:
        """Show a release, and let the device take it up to that stage."""
        self.scene.show(sequence)
        self.scene.device.install(self.scene.server.url)
        for step, after in (("activate", "pending"), ("boot", "started"), ("confirm", "confirmed")):
            if STAGES.index(stage) >= STAGES.index(after):
                getattr(self.scene.device, step)()

    def lose(self, by: str, **changes: object) -> None:
        """Take the stolen key out of the trust store, by an update that is followed or by a new build of the app."""
        keys = (TrustedKey(self.kept.public_key),)
        update = self.scene.update(**{"keys": keys, "created": START} | changes)
        if by == "update":
            self.scene.server.updates[2] = update
            self.scene.device.follow(self.scene.server.url)
        else:
            self.scene.built_with = self.scene.publisher.trust
            self.scene.device = self.scene.built()

    def sign_anew(self, folder: Path, sequence: int) -> None:
        """Let the other key sign the same payload."""
        old = self.scene.publisher.world
        self.scene.publisher.world = make_world(folder, self.kept, old.recipient)
        with old.sealed(sequence).open("rb") as source, (folder / f"{sequence}.sealed").open("wb") as output:
            capseal.cosign(source, output, signer=self.kept, trust=old.trust)


@pytest.fixture(scope="module")
def stolen_world(own_world: World, signer2: PrivateKey, tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make_world(tmp_path_factory.mktemp("stolen"), own_world.signer, own_world.recipient)
    (world.folder / "1.sealed").write_bytes(world.seal(1, signer=[world.signer, signer2]))
    (world.folder / "3.sealed").write_bytes(world.seal(3, signer=signer2))
    for sequence, created in ((MAX_INTEGER, EPOCH), (5, START + 5000 * DAY)):
        (world.folder / f"{sequence}.sealed").write_bytes(world.seal(sequence, created=created))
    return world


@pytest.fixture
def theft(scene: Scene, stolen_world: World, signer: PrivateKey, signer2: PrivateKey) -> Theft:
    publisher = scene.publisher
    publisher.world = stolen_world
    publisher.trust = replace(publisher.trust, keys=(TrustedKey(signer.public_key), TrustedKey(signer2.public_key)))
    publisher.last = None
    scene.built_with, scene.root = publisher.trust, scene.root.with_name("theft")
    scene.device = scene.built()
    scene.show(1)
    assert scene.take() == 1
    return Theft(scene, signer2)


@pytest.mark.parametrize("by", ["update", "new build"])
@pytest.mark.parametrize("stage", STAGES)
def test_what_a_removed_key_alone_signed_neither_goes_on_nor_is_condemned(
    theft: Theft, tmp_path: Path, stage: str, by: str
) -> None:
    scene = theft.scene
    theft.bring(2, stage)
    theft.lose(by)
    device = scene.device
    if stage == "staged":
        with pytest.raises(SignatureError, match="which no trusted key matches"):
            device.activate()
    if stage == "started":
        with pytest.raises(RejectedError, match="which no trusted key matches; it has failed"):
            device.confirm()
    running = device.boot()
    assert sequence_of(running) == 1
    assert sequence_of(device.confirm()) == sequence_of(scene.built().boot()) == 1
    status = device.status()
    assert status.floor == (2 if stage == "confirmed" else 1)
    assert [bundle.sequence for bundle in status.confirmed] == [1]
    assert [failure.by for failure in status.failed] == ([] if stage == "staged" else ["copy"])
    if stage != "confirmed":  # the same payload comes back by another key
        theft.sign_anew(tmp_path / "anew", 2)
        theft.bring(2, "staged")
        assert [checked.problem for checked in scene.device.verify()] == [None, None]
        assert scene.take() == 2


def test_a_rollback_passes_over_what_a_removed_key_signed(theft: Theft) -> None:
    scene = theft.scene
    theft.bring(2, "confirmed")
    theft.bring(3, "confirmed")
    theft.lose("update")
    assert sequence_of(scene.device.rollback()) == 1
    assert [bundle.sequence for bundle in scene.device.status().confirmed] == [1]
    assert {failure.sequence: failure.by for failure in scene.device.status().failed} == {3: "trial", 2: "copy"}


def test_where_no_bundle_has_a_key_left_the_built_in_one_runs(theft: Theft) -> None:
    theft.bring(2, "confirmed")
    theft.kept = theft.scene.publisher.world.recipient
    theft.lose("new build")
    assert sequence_of(theft.scene.device.boot()) == 0
    assert sequence_of(theft.scene.device.boot(verify=True)) == 0


@pytest.mark.parametrize(("by", "sequence"), [("update", MAX_INTEGER), ("new build", 5)], ids=["update", "new build"])
@pytest.mark.parametrize("stage", STAGES[:3])
def test_what_waits_from_before_a_restart_is_neither_started_nor_confirmed(
    theft: Theft, stage: str, by: str, sequence: int
) -> None:
    scene = theft.scene
    theft.bring(sequence, stage)  # of the highest sequence, or of a time far ahead
    # Its key stays: a mistake, and no theft.
    theft.lose(by, keys=scene.publisher.trust.keys, restart=Restart(5, EPOCH + timedelta(days=1)))
    device = scene.device
    assert device.status().staged is None
    if stage == "started":
        with pytest.raises(
            RejectedError, match="where the trust store restarted after it was installed; it has failed"
        ):
            device.confirm()
    assert sequence_of(scene.built().boot()) == 1
    assert device.status().floor == 1
    assert [failure.by for failure in device.status().failed] == ["copy"]


def test_a_started_bundle_from_before_a_restart_ends_with_its_trial(theft: Theft) -> None:
    scene = theft.scene
    theft.bring(MAX_INTEGER, "started")
    theft.lose("update", keys=scene.publisher.trust.keys, restart=Restart(5, EPOCH + timedelta(days=1)))
    content = Path(scene.device.current())
    assert content.is_dir()
    scene.device.prune()
    assert content.is_dir()  # it runs, until
    assert sequence_of(scene.built(boots=3).boot()) == 1
    scene.device.prune()
    assert not content.exists()


def test_what_was_made_and_installed_under_a_certificate_runs_on_after_its_end_whatever_the_clock_says(
    scene: Scene, signer: PrivateKey, signer2: PrivateKey, tmp_path: Path
) -> None:
    publisher = scene.publisher
    certified, root = certified_signer(tmp_path, signer, signer2, start=EPOCH - DAY, end=START + 365 * DAY)
    publisher.world = make_world(tmp_path, certified, publisher.world.recipient)
    publisher.trust = replace(publisher.trust, keys=(), certificates=(TrustedCertificate(root),))
    publisher.last = None
    scene.built_with, scene.root = publisher.trust, scene.root.with_name("certified")
    scene.device = scene.built()
    scene.show(1)
    assert scene.take() == 1
    scene.show(2)
    scene.device.install(scene.server.url)
    for clock in (START + 400 * DAY, START - 3000 * DAY):
        publisher.now = clock
        assert sequence_of(scene.built().boot()) == 1
    scene.server.updates[2] = scene.update(created=START)
    scene.device.follow(scene.server.url)
    scene.device.activate()
    assert sequence_of(scene.device.boot()) == 2
    scene.device.confirm()
    assert scene.device.status().failed == ()


# --- what changes while a bundle arrives


def _changing(device: DeviceStore, url: str, change: Callable[[], object]) -> None:
    """Install, and let something change once bytes of the payload have come."""
    left = [change]

    def progress(count: int) -> None:
        while left:
            left.pop()()

    device.install(url, progress=progress)


def test_a_head_that_expires_while_a_bundle_arrives_stages_nothing(scene: Scene) -> None:
    scene.show(2)

    def expire() -> None:
        scene.publisher.now += 8 * DAY

    with pytest.raises(StaleError, match="head 2 expired"):
        _changing(scene.device, scene.server.url, expire)
    assert scene.device.status().staged is None
    scene.show()
    assert scene.take() == 2


def test_a_later_head_that_comes_while_a_bundle_arrives_says_whether_it_is_staged(scene: Scene) -> None:
    publisher, server, other = scene.publisher, scene.server, scene.built()

    def name_another() -> None:
        server.shown_head = publisher.sign(chain.withdrawing(publisher.head(), [2], instead=[publisher.named(3)]))
        other.refresh(server.url)

    def name_it_again() -> None:
        scene.show(3)
        other.refresh(server.url)

    scene.show(2)
    with pytest.raises(RejectedError, match="withdrawn"):
        _changing(scene.device, server.url, name_another)
    assert scene.device.status().staged is None
    _changing(scene.device, server.url, name_it_again)
    assert sequence_of_staged(scene.device) == 3


def test_a_release_that_a_later_head_does_not_name_any_more_is_not_staged(scene: Scene) -> None:
    publisher, server, other = scene.publisher, scene.server, scene.built()
    scene.show(2)

    def name_another() -> None:
        server.shown_head = publisher.sign(replace(publisher.head(), current=(publisher.named(3),)))
        other.refresh(server.url)

    with pytest.raises(NotForUsError):
        _changing(scene.device, server.url, name_another)
    assert scene.device.status().staged is None


def test_a_key_that_is_removed_while_a_bundle_arrives_stages_nothing(theft: Theft) -> None:
    scene = theft.scene
    scene.show(2)
    other = scene.built()

    def lose() -> None:
        scene.server.updates[2] = scene.update(keys=(TrustedKey(theft.kept.public_key),), created=START)
        scene.show(2)
        other.refresh(scene.server.url)

    with pytest.raises(SignatureError, match="which no trusted key matches"):
        _changing(scene.device, scene.server.url, lose)
    assert scene.device.status().staged is None


def sequence_of_staged(device: DeviceStore) -> int:
    """Return the sequence of what is staged."""
    staged = device.status().staged
    assert staged is not None
    return staged.sequence
