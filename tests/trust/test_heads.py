"""Which heads and recalls count, and what the next head may say: vectors, rules one by one, and random chains."""

import hashlib
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import capseal
from capseal import Role, TrustedKey, TrustStore, errors
from capseal.crypto.keys import load_public_key
from capseal.errors import NotForUsError, RollbackError, SignatureError, StaleError, TamperedError, UsageError
from capseal.format.head import Candidate, LogReference, NamedRelease
from capseal.format.recall import Recall, RecalledRelease
from capseal.format.requires import Requires
from capseal.format.strictjson import shown_time
from capseal.trust import head_chain as chain
from capseal.trust import heads
from capseal.trust.heads import SignedHead
from capseal.trust.key_sets import HeadPolicy, KeySet
from support import independent_heads, independent_reader
from support.places import VECTORS
from vectors.making import drawn, read

APP, CHANNEL = "com.example.game", "production"
NOW = datetime(2026, 11, 22, 21, 30, tzinfo=UTC)
DAY_S = 24 * 3600
FILES = sorted(path for path in (VECTORS / "heads").glob("*.txt") if path.stem != "rollout")


def release(sequence, requires=None):
    return NamedRelease(sequence, hashlib.sha256(b"%d" % sequence).hexdigest(), requires)


def signed(head):
    return SignedHead(head, head.encode())


def keys_named(names):
    return [load_public_key(VECTORS / "keys" / f"{name}.pub.pem") for name in names.split()]


@pytest.fixture(scope="module")
def store(signer, head_signer, development_head_signer):
    return TrustStore(
        (TrustedKey(signer.public_key),),
        heads=HeadPolicy(
            14 * DAY_S,
            NOW + timedelta(days=1000),
            KeySet.of(head_signer.public_key),
            KeySet.of(development_head_signer.public_key),
        ),
        created=NOW - timedelta(days=100),
    )


def first(store, *sequences, **keywords):
    asked = {"app": APP, "channel": CHANNEL, "role": Role.PRODUCTION, "now": NOW, "age_s": 7 * DAY_S} | keywords
    return chain.first_head(store, [release(n) for n in sequences or (142,)], **asked)


def following(before, store, hours=1):
    return chain.next_head(before, store, now=before.head.issued + timedelta(hours=hours), age_s=7 * DAY_S)


def accept(store, data, role=Role.PRODUCTION, app=APP, channel=CHANNEL):
    return heads.accept_head(store, data, app=app, channel=channel, role=role)


# Vectors


def judge(header, data, monkeypatch):
    """Do with a vector what a device does, and return nothing, or raise."""
    asked = {"app": header["app"], "channel": header["channel"], "role": Role(header["role"])}
    keys = keys_named(header["keys"])
    threshold = int(header["threshold"])
    if header["kind"] == "recall":
        heads.accept_recall(TrustStore.of(*keys, threshold=threshold), data, now=NOW, **asked)
        return
    version, digest = header["store"].split()
    until = datetime.fromisoformat(header["until"])
    policy = HeadPolicy(
        int(header["max-age"]),
        until,
        KeySet.of(*keys, threshold=threshold),
        KeySet.of(*keys_named(header["development-keys"])),
    )
    release_key = load_public_key(VECTORS / "keys" / "recipient.pub.pem")
    store = TrustStore(
        (TrustedKey(release_key),),
        version=int(version),
        epoch=int(header["epoch"]),
        heads=policy,
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )
    monkeypatch.setattr(TrustStore, "digest", property(lambda _: digest))
    head = heads.accept_head(store, data, **asked)
    if "known" in header:
        number, known = header["known"].split()
        before = replace(head.head, number=int(number), previous=None if number == "1" else "0" * 64)
        monkeypatch.setattr(
            SignedHead,
            "digest",
            property(lambda self: known if self.head is before else hashlib.sha256(self.document).hexdigest()),
        )
        heads.check_follows(SignedHead(before, b""), head)
    heads.check_fresh(head.head, heads.time_of(store, head.head, datetime.fromisoformat(header["now"])))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_vector_is_judged_as_it_says(path, monkeypatch):
    header, data = read(path.read_text(encoding="ascii"))
    if header["expect"] == "ok":
        try:
            judge(header, data, monkeypatch)
        except errors.RejectedError as error:
            pytest.fail(f"refused: {error}")
        return
    with pytest.raises(errors.CapsealError) as caught:
        judge(header, data, monkeypatch)
    assert type(caught.value) is getattr(errors, header["expect"])
    message = str(caught.value)
    assert "\n" not in message
    assert not message.endswith(".")


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_reader_that_shares_no_code_judges_a_vector_alike(path):
    header, data = read(path.read_text(encoding="ascii"))

    def pems(names):
        return [(VECTORS / "keys" / f"{name}.pub.pem").read_bytes() for name in names.split()]

    asked = {name: header[name] for name in ("app", "channel", "role")}

    def check():
        if header["kind"] == "recall":
            threshold = int(header["threshold"])
            independent_heads.check_recall(data, keys=pems(header["keys"]), threshold=threshold, **asked)
            return
        version, digest = header["store"].split()
        known = header.get("known")
        independent_heads.check_head(
            data,
            sets={
                "production": (pems(header["keys"]), int(header["threshold"])),
                "development": (pems(header["development-keys"]), 1),
            },
            epoch=int(header["epoch"]),
            store=(int(version), digest),
            max_age_s=int(header["max-age"]),
            until=header["until"],
            now=header["now"],
            known=known and (int(known.split()[0]), known.split()[1]),
            **asked,
        )

    if header["expect"] == "ok":
        check()
        return
    with pytest.raises(independent_reader.Rejected) as caught:
        check()
    assert caught.value.kind == header["expect"]


# Signatures, stores, bounds


def test_a_head_that_its_keys_signed_is_accepted_and_says_what_was_said(store, head_signer):
    head = first(store, 140, 142)
    found = accept(store, heads.sign_head(head, [head_signer]))
    assert found.head == head
    assert [one.sequence for one in found.head.current] == [142, 140]


def test_a_release_key_signs_no_heads_and_a_head_key_no_releases_and_no_recalls(store, signer, head_signer):
    with pytest.raises(SignatureError):
        accept(store, heads.sign_head(first(store), [signer]))
    recall = Recall(
        app=APP, channel=CHANNEL, role=Role.PRODUCTION, created=NOW, releases=(RecalledRelease(1, "0" * 64, "1"),)
    )
    asked = {"app": APP, "channel": CHANNEL, "role": Role.PRODUCTION, "now": NOW}
    digest, found = heads.accept_recall(store, heads.sign_recall(recall, [signer]), **asked)
    assert (digest, found) == (hashlib.sha256(recall.encode()).hexdigest(), recall)
    with pytest.raises(SignatureError):
        heads.accept_recall(store, heads.sign_recall(recall, [head_signer]), **asked)


def test_a_store_without_head_keys_takes_no_head(trust, store, head_signer):
    with pytest.raises(NotForUsError, match="no keys for heads"):
        accept(trust, heads.sign_head(first(store), [head_signer]))


def test_a_later_epoch_takes_no_head_of_an_earlier_one(store, head_signer):
    data = heads.sign_head(first(store), [head_signer])
    with pytest.raises(RollbackError):
        accept(replace(store, version=2, epoch=2), data)


def test_only_who_signs_and_serves_minds_a_head_that_was_issued_ahead(store):
    head = first(store, now=NOW + timedelta(seconds=heads.MAX_AHEAD_S))
    heads.check_issued(head, NOW)
    with pytest.raises(NotForUsError, match="ahead"):
        heads.check_issued(head, NOW - timedelta(seconds=1))


def test_the_clock_is_never_behind_the_last_head_of_the_epoch_nor_the_store(store):
    head = first(store)
    year = timedelta(days=365)
    assert heads.time_of(store, head, NOW - year) == NOW
    assert heads.time_of(store, head, NOW + year) == NOW + year
    assert heads.time_of(store, None, NOW - year) == store.created
    # What a stolen head key said of the time ends with its epoch.
    assert heads.time_of(replace(store, epoch=2), replace(head, issued=NOW + year), NOW) == NOW


def test_a_head_is_fresh_until_the_second_in_which_it_expires(store):
    head = first(store)
    heads.check_fresh(head, head.expires - timedelta(seconds=1))
    with pytest.raises(StaleError, match=shown_time(head.expires)):
        heads.check_fresh(head, head.expires)


def test_a_development_key_recalls_nothing_in_a_development_build_either(development_trust, development_signer):
    releases = (RecalledRelease(1, "0" * 64, "1"),)
    recall = Recall(app=APP, channel=CHANNEL, role=Role.DEVELOPMENT, created=NOW, releases=releases)
    data = heads.sign_recall(recall, [development_signer])
    with pytest.raises(NotForUsError, match="a production signature is demanded"):
        heads.accept_recall(development_trust, data, app=APP, channel=CHANNEL, role=Role.DEVELOPMENT, now=NOW)


def test_a_head_names_a_payload_and_not_only_a_sequence(store, seal_bytes):
    statement = capseal.inspect(io.BytesIO(seal_bytes(b"x", sequence=142)))[1]
    digest = statement.payload.digest.hex()
    heads.Current(1, (NamedRelease(142, digest),)).check(statement)
    for named in ((NamedRelease(142, "0" * 64),), (NamedRelease(141, digest),), ()):
        with pytest.raises(NotForUsError, match="does not name sequence 142"):
            heads.Current(1, named).check(statement)


# What follows what


def test_heads_in_between_may_be_missed_but_none_goes_back(store):
    one = signed(first(store))
    two = signed(following(one, store))
    three = signed(following(two, store))
    for before, after in ((None, three), (one, two), (one, three), (three, three)):
        heads.check_follows(before, after)
    for before, after in ((two, one), (three, one)):
        with pytest.raises(RollbackError):
            heads.check_follows(before, after)


def test_two_heads_of_one_number_are_noticed(store):
    one = signed(first(store))
    two, other = signed(following(one, store)), signed(following(one, store, hours=2))
    with pytest.raises(TamperedError, match="signed twice"):
        heads.check_follows(two, other)
    with pytest.raises(TamperedError, match="is the next after"):
        heads.check_follows(two, signed(following(other, store)))
    assert two.head.previous == one.digest


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda head: replace(head, role=Role.DEVELOPMENT), NotForUsError),
        (lambda head: replace(head, issued=head.issued - timedelta(days=1)), RollbackError),
        (lambda head: replace(head, recalls=()), RollbackError),
        (lambda head: replace(head, log=None), RollbackError),
        (lambda head: replace(head, log=LogReference(6, "0" * 64)), RollbackError),
        (lambda head: replace(head, log=LogReference(7, "1" * 64)), TamperedError),
        (lambda head: replace(head, candidate=replace(head.candidate, salt=bytes(16))), TamperedError),
    ],
    ids=["role", "issued", "recalls", "no log", "a shorter log", "another log", "salt"],
)
def test_no_head_takes_back_role_time_recalls_log_or_salt(store, change, error):
    head = chain.with_candidate(first(store), release(150), share=10, salt=drawn(b"salt", 16))
    head = replace(head, recalls=("a" * 64,), log=LogReference(7, "0" * 64))
    one = signed(head)
    two = following(one, store)
    heads.check_follows(one, signed(two))
    with pytest.raises(error):
        heads.check_follows(one, signed(change(two)))


def test_an_epoch_begins_anew_whatever_the_one_before_said(store):
    stolen = signed(
        replace(
            first(store),
            number=2**53 - 1,
            previous="0" * 64,
            issued=NOW + timedelta(days=900),
            expires=NOW + timedelta(days=901),
            recalls=("a" * 64,),
            withdrawn=(140,),
        )
    )
    new = replace(store, version=2, epoch=2)
    begun = signed(first(new))
    heads.check_follows(stolen, begun)
    chain.check_successor(stolen, begun)
    with pytest.raises(RollbackError):
        heads.check_follows(begun, stolen)


# The chain of signers and servers


def test_only_the_very_next_head_is_a_successor(store):
    one = signed(first(store))
    two = signed(following(one, store))
    three = signed(following(two, store))
    chain.check_successor(None, one)
    chain.check_successor(one, two)
    for before, after, error in (
        (None, two, NotForUsError),
        (one, three, RollbackError),
        (two, two, RollbackError),
        (two, one, RollbackError),
    ):
        with pytest.raises(error):
            chain.check_successor(before, after)


def test_what_is_current_is_never_lowered(store):
    one = signed(first(store, 142, 140))
    head = following(one, store)
    for current in ((140,), (142, 141), (141,)):
        with pytest.raises(RollbackError, match="lowers what is current"):
            chain.check_successor(one, signed(replace(head, current=tuple(map(release, current)))))
    for current in ((142,), (143, 140), (143,), (144, 143, 142)):
        chain.check_successor(one, signed(replace(head, current=tuple(map(release, current)))))


def test_a_withdrawal_may_lower_what_is_current_and_stays_unless_asked(store):
    one = signed(first(store, 142))
    two = signed(chain.withdrawing(following(one, store), [142], instead=[release(141)]))
    chain.check_successor(one, two)
    three = chain.restoring(following(two, store), [142])
    with pytest.raises(RollbackError, match="which nobody asked for"):
        chain.check_successor(two, signed(three))
    with pytest.raises(RollbackError, match="which nobody asked for"):
        chain.check_successor(two, signed(three), restored=[141])
    chain.check_successor(two, signed(three), restored=[142])


def test_a_candidate_is_raised_paused_and_promoted_under_one_salt(store):
    one = signed(chain.with_candidate(first(store, 142), release(150), share=10, salt=bytes(16)))
    two = signed(chain.with_candidate(following(one, store), release(150), share=500, salt=drawn(b"x", 16)))
    assert two.head.candidate == Candidate(release(150), 500, bytes(16))
    three = signed(chain.paused(following(two, store), paused=True))
    four = signed(chain.promoted(following(three, store)))
    assert [one.sequence for one in four.head.current] == [150]
    assert four.head.candidate is None
    for before, after in ((one, two), (two, three), (three, four)):
        chain.check_successor(before, after)
    for change in (chain.promoted, lambda head: chain.paused(head, paused=True)):
        with pytest.raises(UsageError, match="no candidate"):
            change(four.head)


def test_a_release_takes_the_place_of_those_that_it_serves(store):
    new, old = Requires(native_min="2"), Requires(native_below="2")
    head = first(store, 142)
    head = chain.with_release(head, release(150, new))
    assert [one.sequence for one in head.current] == [150, 142]
    head = chain.with_release(head, release(151, old))
    assert [one.sequence for one in head.current] == [151, 150, 142]
    assert chain.with_release(head, release(149, new)) is head  # another job was faster
    assert [one.sequence for one in chain.with_release(head, release(152)).current] == [152]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (None, Requires(native_min="2"), True),
        (Requires(native_min="2"), None, False),
        (Requires(native_min="2"), Requires(native_min="2.0.1"), True),
        (Requires(native_min="2", native_below="4"), Requires(native_min="2", native_below="3"), True),
        (Requires(native_min="2", native_below="4"), Requires(native_min="2"), False),
        (Requires(platforms=("ios", "android")), Requires(platforms=("ios",)), True),
        (Requires(platforms=("ios",)), None, False),
        (Requires(platforms=("ios",)), Requires(platforms=("ios", "android")), False),
    ],
)
def test_a_release_covers_another_where_it_fits_all_that_the_other_does(one, other, expected):
    assert chain.covers(release(2, one), release(1, other)) is expected


def test_what_has_the_payload_of_a_release_that_is_named_is_not_recalled(store):
    head = first(store)
    (named,) = head.current
    kept = {"app": APP, "channel": CHANNEL, "role": Role.PRODUCTION, "created": NOW}
    for digest in ("f" * 64, named.digest):
        recall = Recall(**kept, releases=(RecalledRelease(1999999999, digest, "6.6.6"),))
        if digest != named.digest:
            chain.check_spared(head, recall)
            continue
        with pytest.raises(UsageError, match=f"has the payload of sequence {named.sequence}, which is current"):
            chain.check_spared(head, recall)


def test_what_has_the_payload_of_another_release_is_not_recalled_unless_both_are():
    kept = {"app": APP, "channel": CHANNEL, "role": Role.PRODUCTION, "created": NOW}
    shared, other = "a" * 64, "b" * 64
    false, true = RecalledRelease(1999999999, shared, "6.6.6"), RecalledRelease(2, shared, "1.2")
    known = [(1999999999, shared), (3, other), (2, shared)]
    with pytest.raises(UsageError, match="has the payload of sequence 2, which the log has"):
        chain.check_unshared(Recall(**kept, releases=(false,)), known, "which the log has")
    chain.check_unshared(Recall(**kept, releases=(false,)), known[:2], "which the log has")
    chain.check_unshared(Recall(**kept, releases=(false, true)), known, "which the log has")


def test_caps_are_told_when_a_head_is_made(store):
    head = first(store)
    with pytest.raises(UsageError, match="at most 1024"):
        chain.withdrawing(head, range(1000, 2025))
    with pytest.raises(UsageError, match="at most 64"):
        chain.with_recall(replace(head, recalls=tuple(sorted(f"{i:064x}" for i in range(64)))), "f" * 64)
    full = replace(
        head,
        current=tuple(release(99 - i, Requires(native_min=str(9 + i), native_below=str(10 + i))) for i in range(16)),
    )
    with pytest.raises(UsageError, match="at most 16"):
        chain.with_release(full, release(100, Requires(platforms=("ios",))))
    with pytest.raises(UsageError, match="nothing is left"):
        chain.withdrawing(head, [142])
    with pytest.raises(UsageError, match="no release is current"):
        chain.first_head(store, [], app=APP, channel=CHANNEL, role=Role.PRODUCTION, now=NOW, age_s=1)
    for age_s in (0, 14 * DAY_S + 1):
        with pytest.raises(UsageError, match="allows from 1 to"):
            first(store, age_s=age_s)


def test_no_head_is_made_that_the_store_would_refuse(store, head_signer):
    late = first(store, now=NOW + timedelta(days=999))
    assert late.expires == store.heads.until
    accept(store, heads.sign_head(late, [head_signer]))
    with pytest.raises(NotForUsError, match="ends heads"):
        first(store, now=NOW + timedelta(days=1000))
    with pytest.raises(NotForUsError, match="of epoch 2"):
        chain.next_head(signed(replace(first(store), epoch=2)), store, now=NOW, age_s=1)


def test_a_slow_clock_does_not_make_a_head_that_goes_back(store):
    one = signed(first(store))
    two = signed(following(one, store, hours=-5))
    assert two.head.issued == one.head.issued
    chain.check_successor(one, two)


# Whom a head names what


def test_who_is_in_the_share_gets_the_candidate_and_everybody_else_what_is_current(store):
    head = chain.with_candidate(first(store, 142), release(150), share=100, salt=drawn(b"salt", 16))
    counts = {142: 0, 150: 0}
    for i in range(10_000):
        named = heads.current_for(head, secret=drawn(b"%d" % i, 32), native=None, platform=None)
        counts[named.releases[0].sequence] += 1
        assert named.releases[-1].sequence == 142
    print(f"\n10,000 devices, a share of 10 %: {counts[150] / 100:.2f} % get the candidate")
    assert 900 <= counts[150] <= 1100
    for changed in (chain.paused(head, paused=True), replace(head, candidate=replace(head.candidate, share=0))):
        secrets = (drawn(b"%d" % i, 32) for i in range(100))
        assert {heads.current_for(changed, secret=s, native=None, platform=None).releases for s in secrets} == {
            (release(142),)
        }
    assert heads.current_for(head, secret=None, native=None, platform=None).releases == (release(142),)


def test_a_device_gets_the_highest_that_fits_it(store):
    head = first(store, 142)
    head = chain.with_release(head, release(150, Requires(native_min="2")))
    head = chain.with_candidate(head, release(160, Requires(native_min="3")), share=1000, salt=bytes(16))

    def highest(native):
        return heads.current_for(head, secret=bytes(32), native=native, platform="ios").releases[0].sequence

    assert [highest(native) for native in ("1.9", "2.5", "3")] == [142, 150, 160]


# Random chains


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(
            ["renew", "release", "requires", "candidate", "raise", "pause", "promote", "withdraw", "recall", "rotate"]
        ),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=12,
)


def changed(head, kind, number):
    """Return a head with one change of what it says, as publishers make them."""
    top = max(*(one.sequence for one in head.releases), *head.withdrawn, 0)
    if kind == "release":
        return chain.with_release(head, release(top + 1 + number % 5))
    if kind == "requires":
        if len(head.current) > 10:
            return head
        return chain.with_release(head, release(top + 1, Requires(native_min=str(number % 7), native_below="9")))
    if kind == "candidate":
        return chain.with_candidate(head, release(top + 1), share=number % 1001, salt=drawn(b"%d" % number, 16))
    if kind == "withdraw":
        gone = head.releases[number % len(head.releases)].sequence
        return chain.withdrawing(
            head,
            [gone],
            instead=[release(max(1, gone - 1))] if gone > 1 and gone - 1 not in head.withdrawn else [release(top + 1)],
        )
    if kind == "recall":
        return chain.with_recall(head, hashlib.sha256(b"%d" % number).hexdigest())
    if head.candidate is None or kind == "renew":
        return head
    if kind == "raise":
        return chain.with_candidate(
            head, head.candidate.release, share=min(1000, head.candidate.share + number % 200), salt=bytes(16)
        )
    return chain.promoted(head) if kind == "promote" else chain.paused(head, paused=bool(number % 2))


@settings(max_examples=80)
@given(CHANGES)
def test_every_chain_that_a_publisher_makes_is_taken_by_servers_and_devices_however_many_heads_they_miss(
    store, changes
):
    made = [signed(first(store))]
    for kind, number in changes:
        if kind == "rotate":
            store = replace(store, version=store.version + 1, epoch=store.epoch + 1)
        head = following(made[-1], store)
        made.append(signed(changed(head, kind, number)))
        chain.check_successor(made[-2], made[-1])
    for i, before in enumerate(made):
        for after in made[i:]:
            heads.check_follows(before, after)
            if before is not after:
                with pytest.raises(RollbackError):
                    heads.check_follows(after, before)
                if after is not made[i + 1] and after.head.number > 1:  # an epoch begins anew, whatever was missed
                    with pytest.raises((RollbackError, NotForUsError)):
                        chain.check_successor(before, after)
