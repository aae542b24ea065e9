"""What heads let a device install, what a hostile server can do about it, and what the device says of it."""

import json
import secrets
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

import capseal
from capseal import Expect, Requires, Role
from capseal.errors import (
    FormatError,
    NotForUsError,
    RejectedError,
    RollbackError,
    SignatureError,
    StaleError,
    TamperedError,
    UsageError,
)
from capseal.format.head import NamedRelease
from capseal.trust import head_chain as chain
from capseal.trust.heads import current_for
from capseal.trust.key_sets import KeySet
from support.device_world import sequence_of, state_of
from support.head_world import DAY, HEADS_FOR_OTHERS, START, Publisher, hostile_server


@pytest.fixture
def publisher(world, head_signer):
    return Publisher(world, head_signer)


@pytest.fixture
def root(quick):
    return quick / "device"


@pytest.fixture
def device(publisher, root):
    return publisher.device(root)


@pytest.fixture
def server(publisher):
    with hostile_server(publisher) as server:
        yield server


def take(device, source):
    """Install, activate, start and confirm; return what runs."""
    device.install(source)
    device.activate()
    running = device.boot()
    device.confirm()
    return sequence_of(running)


def runs(device):
    return sequence_of(device.boot())


# --- what a head lets in


def test_without_a_head_nothing_is_installed_where_one_is_required(publisher, device, world):
    with pytest.raises(StaleError, match="no head was accepted yet"):
        device.install(world.sealed(1))
    assert runs(device) == 0
    assert device.status().uncertain.since is None


def test_only_what_a_fresh_head_names_is_installed(publisher, device, world):
    device.take_head(publisher.sign(publisher.head(2)))
    expected = []
    for sequence in (1, 3):
        with pytest.raises(NotForUsError, match="does not name sequence"):
            device.install(world.sealed(sequence), expecting=expected.append)
    assert expected == []  # nor is anything of another one fetched
    assert take(device, world.sealed(2)) == 2
    status = device.status()
    assert (status.head.number, status.head.expires, status.uncertain) == (1, START + 7 * DAY, None)


def test_a_server_is_asked_for_the_release_that_the_head_names_whatever_it_calls_its_latest(publisher, device, server):
    server.shown_head = publisher.sign(publisher.head(2))
    server.latest_sequence = 1
    assert take(device, server.url) == 2
    assert server.asked[:2] == ["head", "2"]


def test_a_head_that_is_ignored_is_not_asked_for(publisher, root, server):
    server.latest_sequence = 1
    assert take(publisher.device(root, head="ignored"), server.url) == 1
    assert "head" not in server.asked
    with pytest.raises(UsageError, match="expected 'required', 'used', 'ignored'"):
        publisher.device(root, head="maybe")


def test_where_the_app_trusts_nobody_for_heads_none_is_asked_for(publisher, root, server):
    trust = replace(publisher.trust, heads=None)
    server.latest_sequence = 1
    assert take(publisher.device(root, head="used", trust=trust), server.url) == 1
    assert "head" not in server.asked


def test_a_used_head_counts_from_the_first_one_on(publisher, root, server):
    device = publisher.device(root, head="used")
    server.latest_sequence = 1
    assert take(device, server.url) == 1
    assert device.status().uncertain is None
    server.shown_head = publisher.sign(publisher.head(2))
    server.latest_sequence = 2
    assert take(device, server.url) == 2
    server.shown_head = None
    server.latest_sequence = 3
    publisher.now += 8 * DAY
    with pytest.raises(StaleError):
        device.install(server.url)
    assert device.status().uncertain.why == "no head was given"


def test_a_device_gets_the_highest_that_fits_its_app(publisher, root, world):
    new = NamedRelease(3, publisher.named(3).digest, Requires(native_min="2"))
    head = chain.with_release(publisher.head(2), new)
    data = publisher.sign(head)
    for native, named in (("1.5", [2]), ("2.1", [3, 2])):
        device = publisher.device(root / native, native=native)
        device.take_head(data)
        current = device._memory.heads.current(device._memory.load())
        assert [one.sequence for one in current.releases] == named


def test_a_head_that_names_nothing_that_fits_installs_nothing(publisher, root, server):
    head = publisher.head(2)
    named = replace(head.current[0], requires=Requires(native_min="2"))
    server.shown_head = publisher.sign(replace(head, current=(named,)))
    with pytest.raises(NotForUsError, match="names no release that fits here"):
        publisher.device(root, native="1").install(server.url)


# --- freeze


def test_a_frozen_server_is_noticed_when_the_head_expires_and_what_runs_goes_on(publisher, device, server):
    server.shown_head = publisher.sign(publisher.head(2))
    assert take(device, server.url) == 2
    # The publisher goes on, and the server shows none of it.
    publisher.now += 3 * DAY
    publisher.sign(publisher.head(3))
    with pytest.raises(RollbackError):  # what it has already
        device.install(server.url)
    assert device.status().uncertain is None
    publisher.now += 4 * DAY
    with pytest.raises(StaleError, match="head 1 expired at 2026-11-29T12:00:00Z"):
        device.install(server.url)
    uncertain = device.status().uncertain
    assert uncertain.since == START + 7 * DAY
    assert "expired" in uncertain.why
    assert runs(device) == 2


def test_a_head_that_is_withheld_leaves_the_last_one_until_it_expires(publisher, device, server):
    server.shown_head = publisher.sign(publisher.head(1))
    assert take(device, server.url) == 1
    server.shown_head = None
    publisher.now += DAY
    with pytest.raises(RollbackError):
        device.install(server.url)
    uncertain = device.status().uncertain
    assert (uncertain.since, uncertain.why) == (START + DAY, "no head was given")
    publisher.now += DAY
    with pytest.raises(RollbackError):
        device.install(server.url)
    assert device.status().uncertain == uncertain
    server.shown_head = publisher.sign(publisher.head(2))
    assert take(device, server.url) == 2
    assert device.status().uncertain is None


def test_a_release_that_is_withheld_is_noticed(publisher, device, server):
    server.shown_head = publisher.sign(publisher.head(2))
    server.latest_sequence = 1
    server.hidden = {2}
    with pytest.raises(UsageError, match="no release 2"):
        device.install(server.url)
    assert runs(device) == 0


def test_a_device_that_was_away_for_a_year_goes_on_with_the_head_of_today(publisher, device, server):
    server.shown_head = publisher.sign(publisher.head(1))
    assert take(device, server.url) == 1
    for _ in range(50):
        publisher.now += 7 * DAY
        publisher.sign(publisher.head())
    server.shown_head = publisher.sign(publisher.head(2))
    assert runs(device) == 1
    assert take(device, server.url) == 2
    assert device.status().head.number == 52


def test_a_device_that_was_put_back_from_a_backup_is_no_worse_off_than_then(publisher, root, server, quick, world):
    device = publisher.device(root)
    server.shown_head = publisher.sign(publisher.head(1))
    assert take(device, server.url) == 1
    shutil.copytree(root, quick / "backup", symlinks=True)
    old = server.shown_head
    publisher.now += 2 * DAY
    server.shown_head = publisher.sign(publisher.head(2))
    assert take(device, server.url) == 2
    restored = publisher.device(quick / "backup")
    server.shown_head = old
    with pytest.raises(RollbackError):
        restored.install(server.url)
    publisher.now += 6 * DAY
    with pytest.raises(StaleError):
        restored.install(server.url)
    server.shown_head = publisher.sign(publisher.head())
    assert take(restored, server.url) == 2


# --- what goes back, forks, or is for others


def test_a_replayed_head_is_refused_and_told(publisher, device, world):
    old = publisher.sign(publisher.head(1))
    device.take_head(old)
    new = publisher.sign(publisher.head(2))
    device.take_head(new)
    device.take_head(new)
    with pytest.raises(RollbackError):
        device.take_head(old)
    assert "head 1 of epoch 1 comes after head 2" in device.status().uncertain.why
    assert device.status().head.number == 2


def test_an_expired_head_installs_nothing_but_what_it_withdraws_is_withdrawn(publisher, device, world):
    device.take_head(publisher.sign(publisher.head(1, 2)))
    device.install(world.sealed(2))
    publisher.now += DAY
    data = publisher.sign(chain.withdrawing(publisher.head(), [2], instead=[publisher.named(1)]))
    publisher.now += 30 * DAY
    device.take_head(data)
    with pytest.raises(StaleError):
        device.install(world.sealed(1))
    with pytest.raises(RejectedError, match="withdrawn by its publisher"):
        device.activate()


def test_activation_checks_withdrawals_again_and_not_freshness(publisher, device, world):
    device.take_head(publisher.sign(publisher.head(2)))
    device.install(world.sealed(2))
    publisher.now += 100 * DAY
    device.activate()
    assert runs(device) == 2
    publisher.sign(publisher.head(3))
    device.take_head(publisher.sign(publisher.head()))
    device.install(world.sealed(3))
    device.take_head(publisher.sign(chain.withdrawing(publisher.head(), [3], instead=[publisher.named(2)])))
    with pytest.raises(RejectedError, match="withdrawn by its publisher"):
        device.activate()
    assert device.status().staged.sequence == 3


def test_two_heads_of_one_number_are_noticed(publisher, device):
    publisher.sign(publisher.head(1))
    before = publisher.last
    device.take_head(publisher.sign(publisher.head()))
    publisher.last = before
    publisher.now += timedelta(hours=1)
    with pytest.raises(TamperedError, match="its keys signed twice"):
        device.take_head(publisher.sign(publisher.head(2)))


@pytest.mark.parametrize(
    "change",
    [
        *HEADS_FOR_OTHERS.values(),
        lambda head: replace(head, store=replace(head.store, version=2)),
        lambda head: replace(head, store=replace(head.store, digest="0" * 64)),
    ],
    ids=[*HEADS_FOR_OTHERS, "newer store", "other store"],
)
def test_a_head_for_others_is_refused(publisher, device, change):
    with pytest.raises(NotForUsError):
        device.take_head(publisher.sign(change(publisher.head(1))))
    assert device.status().head is None
    assert device.status().uncertain.since == START


def test_a_head_by_a_release_key_or_of_no_form_is_refused(publisher, device, world):
    with pytest.raises(SignatureError):
        device.take_head(publisher.sign(publisher.head(1), by=world.signer))
    with pytest.raises(FormatError):
        device.take_head(b"{}")


def test_a_production_device_takes_no_development_head_and_a_development_device_only_its_own_stores(
    publisher, root, world, development_head_signer
):
    heads = replace(publisher.trust.heads, development=KeySet.of(development_head_signer.public_key))
    trust = replace(publisher.trust, heads=heads)
    publisher.trust = trust
    data = publisher.sign(publisher.head(1, role=Role.DEVELOPMENT), by=development_head_signer)
    with pytest.raises(SignatureError):
        publisher.device(root / "production").take_head(data)
    development = publisher.device(root / "development", role=Role.DEVELOPMENT)
    development.take_head(data)
    assert take(development, world.sealed(1)) == 1
    publisher.last = None
    with pytest.raises(NotForUsError, match="here is"):
        publisher.device(
            root / "other", role=Role.DEVELOPMENT, trust=replace(trust, heads=replace(heads, max_age_s=1000))
        ).take_head(data)


# --- clocks


def test_a_clock_that_was_set_back_does_not_make_an_expired_head_fresh_again(publisher, device, world):
    old = publisher.sign(publisher.head(1))
    publisher.now += 20 * DAY
    new = publisher.sign(publisher.head(2))
    device.take_head(old)
    device.take_head(new)
    publisher.now = START - 300 * DAY
    assert device._memory.heads.time(device._memory.load()) == START + 20 * DAY
    device.install(world.sealed(2))
    publisher.now = START + 27 * DAY
    with pytest.raises(StaleError):
        device.install(world.sealed(2))


def test_a_new_device_whose_clock_is_years_behind_takes_the_head_and_goes_by_its_time(publisher, device, world):
    data = publisher.sign(publisher.head(1))
    publisher.now = START - 3000 * DAY
    device.take_head(data)
    assert device._memory.heads.time(device._memory.load()) == START
    assert take(device, world.sealed(1)) == 1


def test_a_clock_that_is_ahead_installs_nothing_until_it_is_right_again(publisher, device, world):
    data = publisher.sign(publisher.head(1))
    publisher.now = START + 400 * DAY
    device.take_head(data)
    with pytest.raises(StaleError):
        device.install(world.sealed(1))
    assert device.status().uncertain.since == START + 7 * DAY
    publisher.now = START + DAY
    device.take_head(data)
    assert take(device, world.sealed(1)) == 1
    assert device.status().uncertain is None


# --- stolen keys


def test_a_stolen_head_key_stops_installs_and_puts_nothing_in_and_nobody_back(publisher, device, world):
    device.take_head(publisher.sign(publisher.head(3)))
    assert take(device, world.sealed(3)) == 3
    # What the thief signs: an older release, a stranger's, and all that is there withdrawn.
    thief = replace(publisher.head(), current=(publisher.named(1),))
    device.take_head(publisher.sign(thief))
    with pytest.raises(RollbackError):
        device.install(world.sealed(1))
    foreign = replace(publisher.head(), current=(NamedRelease(9, "0" * 64),), withdrawn=(3,))
    device.take_head(publisher.sign(foreign))
    assert runs(device) == 3
    assert device.boot(verify=True).bundle.sequence == 3


def test_what_a_stolen_head_key_did_a_new_epoch_mends(publisher, root, world, signer2):
    device = publisher.device(root)
    device.take_head(publisher.sign(publisher.head(2)))
    assert take(device, world.sealed(2)) == 2
    # The highest number, the latest time that the store allows, and the next release withdrawn.
    until = publisher.trust.heads.until
    stolen = replace(publisher.head(), number=2**53 - 1, issued=until - DAY, expires=until, withdrawn=(3,))
    device.take_head(publisher.sign(stolen))
    with pytest.raises(RejectedError):
        device.take_head(publisher.sign(replace(stolen, number=5, previous="0" * 64)))
    rotated = Publisher(world, signer2, version=2, epoch=2, created=START + DAY)
    rotated.now = START + DAY
    device = rotated.device(root)
    with pytest.raises(RejectedError) as caught:
        device.install(world.sealed(3))
    assert "none of the present trust store" in str(caught.value)
    with pytest.raises(SignatureError):
        device.take_head(publisher.sign(publisher.head()))
    device.take_head(rotated.sign(rotated.head(3)))
    assert device._memory.heads.time(device._memory.load()) == START + DAY
    assert take(device, world.sealed(3)) == 3
    assert device.status().head.epoch == 2


def test_a_head_that_names_an_older_store_is_refused_by_who_has_the_newer_one(publisher, root, world, head_signer):
    data = publisher.sign(publisher.head(1))
    newer = Publisher(world, head_signer, version=2)
    device = newer.device(root)
    with pytest.raises(RollbackError, match="version 1 of the trust store, version 2 is here"):
        device.take_head(data)
    newer.last = publisher.last
    device.take_head(newer.sign(newer.head(2)))
    assert take(device, world.sealed(2)) == 2


# --- recalls


def recalled(publisher, *sequences, instead, **keywords):
    digest, data = publisher.recall(*sequences, **keywords)
    named = [publisher.named(instead)]
    head = chain.with_recall(chain.withdrawing(publisher.head(), sequences, instead=named), digest)
    return publisher.sign(head), {digest: data}.get


def test_a_recall_sends_a_device_back_to_the_one_before_and_at_last_to_the_built_in_one(publisher, device, world):
    for sequence in (1, 2):
        device.take_head(publisher.sign(publisher.head(sequence)))
        assert take(device, world.sealed(sequence)) == sequence
    device.take_head(*recalled(publisher, 2, instead=3))
    assert runs(device) == 1
    device.take_head(*recalled(publisher, 1, instead=3))
    assert runs(device) == 0
    assert [(one.sequence, one.reason) for one in device.status().failed] == [(2, "recalled"), (1, "recalled")]
    assert take(device, world.sealed(3)) == 3


def test_what_was_recalled_is_never_installed_again_even_where_it_never_ran(publisher, device, world):
    device.take_head(publisher.sign(publisher.head(1, 2)))
    device.take_head(*recalled(publisher, 2, instead=1))
    # A thief of the head key names it once more.
    device.take_head(publisher.sign(replace(publisher.head(), current=(publisher.named(2),), withdrawn=())))
    with pytest.raises(RejectedError, match="failed on this device before: recalled"):
        device.install(world.sealed(2))


def test_a_staged_and_a_pending_bundle_are_recalled_too(publisher, root, world):
    for activated in (False, True):
        publisher.last = None
        device = publisher.device(root / str(activated))
        device.take_head(publisher.sign(publisher.head(2)))
        device.install(world.sealed(2))
        if activated:
            device.activate()
        device.take_head(*recalled(publisher, 2, instead=3))
        status = device.status()
        assert (status.staged, status.pending) == (None, None)
        assert runs(device) == 0


def test_head_and_recall_are_taken_together_or_not_at_all(publisher, device, world):
    device.take_head(publisher.sign(publisher.head(1)))
    assert take(device, world.sealed(1)) == 1
    head, recall_of = recalled(publisher, 1, instead=2)
    with pytest.raises(TamperedError, match="is withheld"):
        device.take_head(head)
    assert device.status().head.number == 1
    assert "withheld" in device.status().uncertain.why
    assert runs(device) == 1
    device.take_head(head, recall_of)
    assert runs(device) == 0


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"channel": "beta"}, NotForUsError),
        ({"app": "com.example.other"}, NotForUsError),
        ({"role": Role.DEVELOPMENT}, NotForUsError),
    ],
    ids=["channel", "app", "role"],
)
def test_a_recall_for_others_recalls_nothing_here(publisher, device, world, keywords, error):
    device.take_head(publisher.sign(publisher.head(1)))
    assert take(device, world.sealed(1)) == 1
    with pytest.raises(error):
        device.take_head(*recalled(publisher, 1, instead=2, **keywords))
    assert runs(device) == 1


def test_a_head_key_recalls_nothing_and_another_recall_is_not_the_one_that_is_named(
    publisher, device, world, head_signer
):
    device.take_head(publisher.sign(publisher.head(1)))
    assert take(device, world.sealed(1)) == 1
    before = publisher.last
    with pytest.raises(SignatureError):
        device.take_head(*recalled(publisher, 1, instead=2, by=head_signer))
    publisher.last = before
    head, _ = recalled(publisher, 1, instead=2)
    with pytest.raises(TamperedError, match="was asked for"):
        device.take_head(head, lambda _: publisher.recall(2)[1])
    assert runs(device) == 1


def test_a_replayed_recall_changes_nothing_and_no_head_may_drop_one(publisher, device, world):
    device.take_head(publisher.sign(publisher.head(1)))
    head, recall_of = recalled(publisher, 1, instead=2)
    device.take_head(head, recall_of)
    assert take(device, world.sealed(2)) == 2
    device.take_head(publisher.sign(publisher.head()))  # names it still, and nothing is fetched again
    assert runs(device) == 2
    with pytest.raises(RollbackError, match="without recall"):
        device.take_head(publisher.sign(replace(publisher.head(), recalls=())))


def test_a_recall_comes_from_the_server_that_shows_the_head(publisher, device, server):
    server.shown_head = publisher.sign(publisher.head(1))
    assert take(device, server.url) == 1
    digest, data = publisher.recall(1)
    server.shown_head = publisher.sign(
        chain.with_recall(chain.withdrawing(publisher.head(), [1], instead=[publisher.named(2)]), digest)
    )
    with pytest.raises(TamperedError, match="withheld"):
        device.refresh(server.url)
    server.recalls[digest] = data
    device.refresh(server.url)
    assert runs(device) == 0


# --- rollout


def test_a_tenth_of_the_devices_gets_the_candidate_and_everybody_else_what_is_current(publisher, root, world):
    head = chain.with_candidate(publisher.head(1), publisher.named(2), share=100, salt=bytes(16))
    data = publisher.sign(head)
    device = publisher.device(root)
    device.take_head(data)
    state = device._memory.load()
    counts = {1: 0, 2: 0}
    for _ in range(10_000):
        memory = replace(state.heads, secret=secrets.token_bytes(32))
        current = device._memory.heads.current(replace(state, heads=memory))
        counts[current.releases[0].sequence] += 1
    print(f"\n10,000 devices at 10 %: {counts[2] / 100:.2f} % get the candidate")
    assert 900 <= counts[2] <= 1100


def test_the_share_is_decided_by_32_bytes_that_stay_on_the_device(publisher, root, server, world):
    """Who is in it gets the candidate, the others what is current; a pause lets nobody in and takes nobody back."""
    head = chain.with_candidate(publisher.head(1), publisher.named(2), share=500, salt=bytes(16))
    server.shown_head = publisher.sign(head)
    devices = [publisher.device(root / str(number)) for number in range(12)]
    got = [take(device, server.url) for device in devices]
    kept = {state_of(root / str(number))["heads"]["secret"] for number in range(12)}
    assert len(kept) == 12
    assert 0 < got.count(2) < 12
    server.shown_head = publisher.sign(chain.paused(publisher.head(), paused=True))
    for device, sequence in zip(devices, got, strict=True):
        with pytest.raises(RollbackError):
            device.install(server.url)
        assert runs(device) == sequence
    server.shown_head = publisher.sign(chain.with_candidate(publisher.head(), publisher.named(2), share=1000, salt=b""))
    for device, sequence in zip(devices, got, strict=True):
        if sequence == 1:
            assert take(device, server.url) == 2


def test_the_secret_is_drawn_once(publisher, root, device):
    device.take_head(publisher.sign(publisher.head(1)))
    first = state_of(root)["heads"]["secret"]
    device.take_head(publisher.sign(publisher.head(2)))
    assert state_of(root)["heads"]["secret"] == first


# --- state, and readers without heads


def test_a_state_file_with_heads_is_read_strictly(publisher, root, device):
    device.take_head(publisher.sign(publisher.head(1)))
    whole = state_of(root)
    for change in (
        {"heads": whole["heads"] | {"x": 1}},
        {"heads": {"secret": whole["heads"]["secret"]}},
        {"heads": whole["heads"] | {"secret": "AAAA"}},
        {"heads": whole["heads"] | {"document": "AAAA"}},
        {"heads": whole["heads"] | {"since": "2026-11-22T12:00:00Z"}},
    ):
        (root / "state.json").write_text(json.dumps(whole | change))
        with pytest.raises(FormatError):
            device.status()
        assert device.boot().bundle is None


def test_a_reader_without_heads_may_demand_that_a_bundle_is_young(world):
    path = world.sealed(1)
    created = capseal.inspect(path)[1].created
    old = Expect(max_age=timedelta(days=30), now=created + timedelta(days=31))
    with pytest.raises(StaleError, match="more than 30 days"):
        capseal.verify(path, trust=world.trust, expect=old)
    capseal.verify(path, trust=world.trust, expect=replace(old, now=created + timedelta(days=30)))
    with pytest.raises(UsageError, match="max_age"):
        Expect(max_age=timedelta(days=1)).check(capseal.inspect(path)[1])


def test_a_reader_may_demand_what_a_head_names(publisher, world):
    current = current_for(publisher.head(2), secret=None, native=None, platform=None)
    capseal.verify(world.sealed(2), trust=world.trust, expect=Expect(head=current))
    with pytest.raises(NotForUsError, match="does not name"):
        capseal.verify(world.sealed(1), trust=world.trust, expect=Expect(head=current))
