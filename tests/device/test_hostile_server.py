"""A device store, a server that lies, and one attack after the other: docs/threats.md has the table."""

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from capseal import PrivateKey, TrustedKey
from capseal.constants import MAX_INTEGER
from capseal.errors import (
    NotForUsError,
    RejectedError,
    RollbackError,
    SignatureError,
    StaleError,
    TamperedError,
)
from capseal.format.head import Head, LogReference
from capseal.trust import head_chain as chain
from capseal.trust.key_sets import KeySet, Restart
from capseal.trust.store import TrustedCertificate
from capseal.trust.updates import make_update
from support.company import certified_signer
from support.device_world import make_world, sequence_of
from support.head_world import DAY, HEADS_FOR_OTHERS, START
from support.hostile_scene import Scene

FAR = datetime(9999, 12, 31, tzinfo=START.tzinfo)


# --- updates of the trust store


def test_a_withheld_update_is_noticed_by_the_next_head_and_nothing_new_is_installed(scene: Scene) -> None:
    update = scene.update(created=START)
    scene.show(2)
    scene.refuses(RollbackError, runs=1)  # the head that it has is fresh, and names what it has
    scene.doubts("names version 2 of the trust store, version 1 is here: updates of it are missing, or withheld")
    scene.publisher.now += 8 * DAY
    scene.show(2)
    scene.refuses(NotForUsError, "missing, or withheld", runs=1)
    scene.server.updates[2] = update
    assert scene.take() == 2
    assert scene.device.trust().version == 2
    assert scene.device.status().uncertain is None


def test_an_update_and_all_heads_after_it_withheld_is_a_freeze_which_ends_with_the_last_head(scene: Scene) -> None:
    scene.update(created=START)
    scene.publisher.now += 7 * DAY
    scene.refuses(StaleError, "expired", runs=1)
    scene.doubts("expired")


@pytest.mark.parametrize(
    "attack", ["skipped", "replayed", "of another history", "by other keys", "by part of the root"]
)
def test_an_update_that_is_skipped_forked_replayed_or_forged_is_refused_and_told(
    scene: Scene, signer2: PrivateKey, attack: str
) -> None:
    publisher, server = scene.publisher, scene.server
    first = publisher.trust
    second, third = scene.update(created=START), scene.update(created=START + DAY)
    stolen = replace(first, version=2, keys=(TrustedKey(signer2.public_key),))
    match attack:
        case "skipped":
            server.updates, error, why = {2: third}, NotForUsError, "update to version 3 is for trust store"
        case "replayed":
            server.updates, error, why = {2: second, 3: second}, RollbackError, "update brings version 2"
        case "other history":
            other = make_update(stolen, replace(stolen, version=3), signers=scene.roots[1:])
            server.updates, error, why = {2: second, 3: other}, NotForUsError, "update to version 3 is for trust store"
        case "other keys":
            forged = make_update(first, stolen, signers=[publisher.world.signer, publisher.head_signer, signer2])
            server.updates, error, why = {2: forged}, SignatureError, "signed by 0 of its 3 keys"
        case _:
            forged = make_update(first, stolen, signers=[scene.roots[0], publisher.world.signer])
            server.updates, error, why = {2: forged}, SignatureError, "signed by 1 of its 3 keys, the threshold is 2"
    with pytest.raises(error, match=why):
        scene.device.refresh(server.url)
    version = scene.device.trust().version
    assert version == (2 if 3 in server.updates else 1)
    scene.doubts(why)
    scene.refuses(RejectedError, runs=1)
    scene.doubts(why)
    server.updates = {2: second, 3: third}
    scene.show(2)
    assert scene.take() == 2
    assert scene.device.trust() == publisher.trust
    assert scene.device.status().uncertain is None


def test_of_two_updates_that_a_root_signed_for_one_version_a_head_tells_which_is_the_publishers(scene: Scene) -> None:
    first = scene.publisher.trust
    other = make_update(first, replace(first, version=2, created=START - DAY), signers=scene.roots[:2])
    scene.update(created=START)
    scene.server.updates[2] = other
    scene.publisher.now += 8 * DAY
    scene.show(2)
    scene.refuses(NotForUsError, "head names trust store", runs=1)
    scene.doubts("as version 2, here is")


def test_a_stolen_part_of_the_root_with_every_other_key_brings_no_store_and_no_release(
    scene: Scene, signer2: PrivateKey
) -> None:
    publisher = scene.publisher
    thief = KeySet.of(scene.roots[0].public_key)
    taken = replace(publisher.trust, version=2, root=thief, keys=(TrustedKey(signer2.public_key),))
    signers = [scene.roots[0], publisher.world.signer, publisher.head_signer]
    scene.server.updates[2] = make_update(publisher.trust, taken, signers=signers)
    scene.refuses(RollbackError, runs=1)
    assert scene.device.trust() == scene.built_with
    # The others replace it, and then it is one of none.
    rest = KeySet.of(*(key.public_key for key in (*scene.roots[1:], signer2)), threshold=2)
    scene.server.updates[2] = publisher.update(by=scene.roots[1:], root=rest, created=START)
    scene.show(2)
    assert scene.take() == 2
    assert scene.device.trust().root == rest


def test_a_device_whose_first_update_brings_head_keys_asks_for_each_update_once(scene: Scene) -> None:
    heads = scene.publisher.trust.heads
    scene.publisher.trust = replace(scene.publisher.trust, heads=None)
    built_with = scene.publisher.trust
    scene.server.updates[2] = scene.update(heads=heads, created=START)
    scene.publisher.last = None
    scene.show(2)
    scene.root = scene.root.with_name("first")
    scene.device = scene.built(trust=built_with, head="used")
    scene.server.asked.clear()
    assert scene.take() == 2
    assert [asked for asked in scene.server.asked if asked != "2"] == ["trust 2", "trust 3", "head"]


# --- away, and put back


def test_a_device_that_was_offline_for_a_year_follows_all_updates_and_takes_the_head_of_today(scene: Scene) -> None:
    for version in range(2, 14):
        scene.publisher.now += 30 * DAY
        scene.server.updates[version] = scene.update(created=scene.publisher.now)
        scene.show()
    scene.show(2)
    assert sequence_of(scene.device.boot()) == 1
    assert scene.take() == 2
    assert scene.device.trust().version == 13
    assert scene.device.status().head.number == 14  # type: ignore[union-attr]


def test_a_new_build_with_another_root_and_the_same_head_keys_keeps_what_heads_said(
    scene: Scene, signer2: PrivateKey
) -> None:
    publisher, server = scene.publisher, scene.server
    server.updates[2] = scene.update(created=START)
    server.shown_head = publisher.sign(chain.withdrawing(publisher.head(3), [2]))
    assert scene.take() == 3
    replaced = KeySet.of(*(key.public_key for key in (*scene.roots[1:], signer2)), threshold=2)
    publisher.update(by=scene.roots[1:], root=replaced, created=START)
    scene.built_with = publisher.trust
    assert publisher.trust.heads is not None
    others = replace(publisher.trust.heads, production=KeySet.of(publisher.world.recipient.public_key))
    for anew in (replace(publisher.trust, heads=others), replace(publisher.trust, epoch=2)):
        assert scene.built(trust=anew).status().head is None
    scene.device = scene.built(head="used")
    assert scene.device.trust() == scene.built_with
    # Neither a server without a head nor one with an old head gets a release in that was withdrawn.
    server.latest_sequence, old, server.shown_head = 4, server.shown_head, None
    scene.refuses(StaleError, runs=3)
    server.shown_head = old
    scene.refuses(RejectedError, runs=3)
    scene.show(4)
    assert scene.take() == 4


def test_a_device_put_back_from_a_backup_is_frozen_no_longer_than_its_last_head_lasts(scene: Scene) -> None:
    old_head = scene.server.shown_head
    shutil.copytree(scene.root, scene.root.with_name("backup"), symlinks=True)
    scene.server.updates[2] = scene.update(created=START)
    scene.publisher.now += DAY
    scene.show(2)
    assert scene.take() == 2
    scene.root = scene.root.with_name("backup")
    scene.device = scene.built()
    new_head, scene.server.shown_head = scene.server.shown_head, old_head
    updates, scene.server.updates = scene.server.updates, {}
    scene.refuses(RollbackError, runs=1)
    scene.publisher.now += 6 * DAY
    scene.refuses(StaleError, runs=1)
    scene.server.updates = updates
    scene.refuses(RollbackError, "head names version 1 of the trust store, version 2 is here", runs=1)
    scene.server.shown_head = new_head
    assert scene.take() == 2


# --- fast-forward, and stolen keys


def test_what_a_stolen_head_key_did_to_devices_ends_with_an_update_of_the_store(
    scene: Scene, signer2: PrivateKey
) -> None:
    publisher, heads = scene.publisher, scene.publisher.trust.heads
    assert heads is not None
    honest = publisher.head(3)
    # The highest number, the latest time, the next release withdrawn: it lets in what a release key signed, no more.
    far = replace(honest, number=MAX_INTEGER, issued=heads.until - DAY, expires=heads.until)
    scene.server.shown_head = publisher.sign(replace(far, withdrawn=(3,), current=(publisher.named(2),)))
    assert scene.take() == 2
    scene.server.shown_head = publisher.sign(honest)
    scene.refuses(RollbackError, runs=2)
    scene.doubts(f"comes after head {MAX_INTEGER}")
    publisher.now += DAY
    rotated = replace(heads, production=KeySet.of(signer2.public_key))
    scene.server.updates[2] = scene.update(heads=rotated, created=publisher.now)
    publisher.head_signer = signer2
    scene.show(3)
    assert scene.take() == 3
    head = scene.device.status().head
    assert head is not None
    assert (head.epoch, head.number) == (2, 1)


def test_a_stolen_head_key_moves_no_time_by_which_certificates_are_valid(
    scene: Scene, signer: PrivateKey, signer2: PrivateKey, tmp_path: Path
) -> None:
    publisher = scene.publisher
    certified, root = certified_signer(tmp_path, signer, signer2, start=START - 400 * DAY, end=START + 365 * DAY)
    publisher.world = make_world(tmp_path, certified, publisher.world.recipient)
    publisher.trust = replace(publisher.trust, keys=(), certificates=(TrustedCertificate(root),))
    publisher.last = None
    scene.built_with, scene.root = publisher.trust, scene.root.with_name("certified")
    scene.device = scene.built()
    for sequence in (1, 2):
        publisher.now += DAY
        scene.show(sequence)
        assert scene.take() == sequence
    publisher.now += DAY
    # Its time is after every certificate's end: no device bounds what a head says of that.
    far = {"issued": START + 400 * DAY, "expires": START + 410 * DAY}
    scene.server.shown_head = publisher.sign(replace(publisher.head(3), **far))
    assert _outcome(scene.take) == 3
    assert sequence_of(scene.built().boot(verify=True)) == 3
    digest, recall = publisher.recall(1)
    scene.server.recalls[digest] = recall
    scene.server.shown_head = publisher.sign(replace(chain.with_recall(publisher.head(), digest), **far))
    assert _outcome(lambda: scene.device.refresh(scene.server.url)) is None
    status = scene.built().status()
    assert [(failure.sequence, failure.by) for failure in status.failed] == [(1, "recall")]
    assert [bundle.sequence for bundle in status.confirmed] == [3, 2]


def _outcome(call: Callable[[], object]) -> object:
    """Return what a call returns, or why it refuses: an assertion tells both."""
    try:
        return call()
    except RejectedError as error:
        return error


def test_what_a_stolen_release_key_did_to_devices_without_heads_ends_with_a_restart_from_the_server(
    scene: Scene, signer2: PrivateKey, tmp_path: Path
) -> None:
    publisher, server = scene.publisher, scene.server
    # Heads name no such release; a device that ignores them takes it.
    world = make_world(tmp_path, publisher.world.signer, publisher.world.recipient)
    (tmp_path / f"{MAX_INTEGER}.sealed").write_bytes(world.seal(MAX_INTEGER, created=FAR))
    publisher.world = world
    scene.refuses(RollbackError, runs=1)
    scene.root = scene.root.with_name("ignoring")
    scene.device = scene.built(head="ignored")
    server.latest_sequence = MAX_INTEGER
    assert scene.take() == MAX_INTEGER
    (tmp_path / "rotated").mkdir()
    publisher.world = make_world(tmp_path / "rotated", signer2, world.recipient)
    server.updates[2] = scene.update(keys=(TrustedKey(signer2.public_key),), restart=Restart(1, START - 3000 * DAY))
    server.latest_sequence = 2
    assert scene.take() == 2
    assert scene.device.status().floor == 2


# --- heads and releases for others, of the past, and twice


@pytest.mark.parametrize("change", HEADS_FOR_OTHERS.values(), ids=HEADS_FOR_OTHERS)
def test_a_head_for_others_is_refused_from_a_server_too(scene: Scene, change: Callable[[Head], Head]) -> None:
    scene.server.shown_head = scene.publisher.sign(change(scene.publisher.head(2)))
    with pytest.raises(NotForUsError):
        scene.device.refresh(scene.server.url)
    scene.refuses(RollbackError, runs=1)  # by the head that it has
    scene.publisher.now += 7 * DAY
    scene.refuses(NotForUsError, runs=1)


@pytest.mark.parametrize("keywords", [{"channel": "beta"}, {"app": "com.example.other"}], ids=["channel", "app"])
def test_a_release_for_others_is_refused_though_a_head_names_it(
    scene: Scene, tmp_path: Path, keywords: dict[str, str]
) -> None:
    world = make_world(tmp_path, scene.publisher.world.signer, scene.publisher.world.recipient)
    (tmp_path / "2.sealed").write_bytes(world.seal(2, **keywords))
    scene.publisher.world = world
    scene.show(2)
    scene.refuses(NotForUsError, runs=1)


def test_a_replayed_head_is_refused_from_a_server_too(scene: Scene) -> None:
    old = scene.server.shown_head
    scene.publisher.now += DAY
    scene.show(2)
    assert scene.take() == 2
    scene.server.shown_head = old
    scene.refuses(RollbackError, runs=2)
    scene.doubts("head 1 of epoch 1 comes after head 2")


def test_an_expired_head_from_a_server_installs_nothing(scene: Scene) -> None:
    scene.publisher.now += DAY
    scene.show(2)
    scene.publisher.now += 7 * DAY
    scene.refuses(StaleError, "head 2 expired", runs=1)
    scene.publisher.now += DAY
    scene.show()
    assert scene.take() == 2


def test_two_heads_of_one_number_from_a_server_are_noticed(scene: Scene) -> None:
    before = scene.publisher.last
    scene.show(2)
    assert scene.take() == 2
    scene.publisher.last = before
    scene.publisher.now += timedelta(hours=1)
    scene.show(3)
    scene.refuses(RollbackError, runs=2)
    scene.doubts("its keys signed twice")


def test_a_server_gains_nothing_by_a_device_clock_that_is_set_back_or_ahead(scene: Scene) -> None:
    scene.show(2)
    held = scene.server.shown_head
    scene.publisher.now += 20 * DAY
    scene.show(2)
    scene.device.refresh(scene.server.url)
    scene.server.shown_head = held
    for clock in (START, START - 3000 * DAY):
        scene.publisher.now = clock
        with pytest.raises(RollbackError):
            scene.device.refresh(scene.server.url)
    scene.publisher.now = START + 20 * DAY
    scene.show()
    scene.publisher.now = START + 400 * DAY
    scene.refuses(StaleError, "head 4 expired", runs=1)
    scene.publisher.now = START + 20 * DAY
    assert scene.take() == 2


def test_a_replayed_recall_sends_nobody_back_a_second_time(scene: Scene) -> None:
    publisher, server = scene.publisher, scene.server
    digest, recall = publisher.recall(1)
    server.recalls[digest] = recall
    withdrawing = chain.withdrawing(publisher.head(), [1], instead=[publisher.named(2)])
    server.shown_head = recalling = publisher.sign(chain.with_recall(withdrawing, digest))
    scene.device.refresh(server.url)
    assert sequence_of(scene.device.boot()) == 0
    assert scene.take() == 2
    publisher.now += DAY
    scene.show(3)
    assert scene.take() == 3
    server.shown_head = recalling
    scene.refuses(RollbackError, runs=3)
    # A thief of the head key can name those that a release key signed, and these name what failed already.
    server.shown_head = publisher.sign(publisher.head())
    scene.refuses(RollbackError, runs=3)
    assert [failure.sequence for failure in scene.device.status().failed] == [1]


def test_a_recall_of_another_channel_is_no_recall_here_whatever_a_stolen_head_key_names(scene: Scene) -> None:
    publisher = scene.publisher
    digest, recall = publisher.recall(1, channel="beta")
    scene.server.recalls[digest] = recall
    scene.server.shown_head = publisher.sign(chain.with_recall(publisher.head(2), digest))
    with pytest.raises(NotForUsError, match="recall is for app"):
        scene.device.refresh(scene.server.url)
    scene.refuses(RollbackError, runs=1)


def test_a_server_that_holds_a_recall_back_keeps_no_start_and_no_confirmation_waiting(scene: Scene) -> None:
    publisher, server = scene.publisher, scene.server
    scene.show(2)
    scene.device.install(server.url)
    scene.device.activate()
    digest, recall = publisher.recall(1)
    server.recalls[digest] = recall
    server.shown_head = publisher.sign(chain.with_recall(publisher.head(), digest))
    server.recalls_let_go = threading.Event()
    asking = threading.Thread(target=scene.device.refresh, args=[server.url])
    asking.start()
    try:
        deadline_s = time.monotonic() + 20
        while "recall" not in server.asked and time.monotonic() < deadline_s:
            time.sleep(0.01)
        other = scene.built(lock_timeout_s=0.5)
        running = other.boot()
        assert running.problem is None
        assert sequence_of(running) == sequence_of(other.confirm()) == 2
        assert asking.is_alive()
    finally:
        server.recalls_let_go.set()
        asking.join()
    status = scene.device.status()
    assert [failure.sequence for failure in status.failed] == [1]  # and what was confirmed meanwhile stays
    assert [bundle.sequence for bundle in status.confirmed] == [2]


def test_a_release_log_that_goes_back_or_has_two_ends_is_refused_and_a_longer_one_is_taken_at_its_word(
    scene: Scene,
) -> None:
    def show(log: LogReference | None) -> None:
        scene.server.shown_head = scene.publisher.sign(replace(scene.publisher.head(), log=log))

    kept = LogReference(5, "a" * 64)
    show(kept)
    scene.device.refresh(scene.server.url)
    before = scene.publisher.last
    shorter, other, longer = LogReference(4, "a" * 64), LogReference(5, "b" * 64), LogReference(6, "b" * 64)
    refused: list[tuple[LogReference | None, type[RejectedError]]]
    refused = [(None, RollbackError), (shorter, RollbackError), (other, TamperedError)]
    for log, error in refused:
        scene.publisher.last = before
        show(log)
        with pytest.raises(error):
            scene.device.refresh(scene.server.url)
    scene.publisher.last = before
    show(longer)
    scene.device.refresh(scene.server.url)
    assert scene.device.status().uncertain is None
