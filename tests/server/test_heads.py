"""Heads on a server: the next one only, signed by its keys, of releases that are there; and what devices are given."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from capseal import Requires, Role, TrustedKey, TrustStore
from capseal.client import Connection, NotNextError, fetch_head, fetch_recall, put_head, put_recall
from capseal.errors import NotForUsError, SignatureError, StaleError
from capseal.format.head import NamedRelease
from capseal.format.recall import Recall, RecalledRelease
from capseal.http.shapes import AppChannel
from capseal.server import create_reading_app
from capseal.server.catalogue.retention import must_keep
from capseal.server.storage.pointers import ChannelPointer
from capseal.trust import head_chain as chain
from capseal.trust.heads import SignedHead, current_for, read_head, sign_head, sign_recall
from capseal.trust.key_sets import HeadPolicy, KeySet
from support.serving import APP, CHANNEL, live_server

DAY_S = 24 * 3600
HEAD_PATH = f"/v1/apps/{APP}/channels/{CHANNEL}/head"
RECALL_PATH = f"/v1/apps/{APP}/channels/{CHANNEL}/recalls/{64 * '0'}"
LATEST_PATH = f"/v1/apps/{APP}/channels/{CHANNEL}/latest"
NAMES = {"app": APP, "channel": CHANNEL}


def now():
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def heads_trust(signer, head_signer):
    created = datetime(2026, 1, 1, tzinfo=UTC)
    heads = HeadPolicy(14 * DAY_S, created + timedelta(days=3000), KeySet.of(head_signer.public_key))
    return TrustStore((TrustedKey(signer.public_key),), heads=heads, created=created)


@pytest.fixture
def served(store, heads_trust, sealed):
    """A server with two releases, and what names them."""
    with live_server(str(store), heads_trust) as live:
        named = []
        for sequence in (1, 2):
            bundle = sealed(sequence=sequence)
            live.publish(bundle).raise_for_status()
            named.append(NamedRelease(sequence, bundle.digest))
        yield live, named


@pytest.fixture
def sign(head_signer):
    return lambda head: sign_head(head, [head_signer])


def first(store, named, **keywords):
    asked = NAMES | {"role": Role.PRODUCTION, "now": now(), "age_s": DAY_S} | keywords
    return chain.first_head(store, named, **asked)


def following(head, store, **keywords):
    return chain.next_head(SignedHead(head, head.encode()), store, **{"now": now(), "age_s": DAY_S} | keywords)


def put(live, data, **keywords):
    return live.client.put(HEAD_PATH, content=data, **keywords)


def test_a_head_is_stored_and_served_and_asked_for_again_each_time(served, heads_trust, sign):
    live, named = served
    assert live.client.get(HEAD_PATH).json()["type"] == "urn:capseal:problem:no-head"
    data = sign(first(heads_trust, named))
    answer = put(live, data)
    assert (answer.status_code, answer.json()["number"]) == (201, 1)
    assert put(live, data).status_code == 200
    got = live.client.get(HEAD_PATH)
    assert got.content == data
    assert got.headers["cache-control"] == "no-cache, no-transform"
    assert got.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert live.client.get(HEAD_PATH, headers={"If-None-Match": got.headers["etag"]}).status_code == 304


def test_only_the_next_head_is_taken(served, heads_trust, sign):
    live, named = served
    one = first(heads_trust, named[:1])
    two = chain.with_release(following(one, heads_trust), named[1])
    three = following(two, heads_trust)
    other = replace(following(one, heads_trust), expires=now() + timedelta(hours=3))
    assert put(live, sign(two)).status_code == 409
    for head in (one, two):
        put(live, sign(head)).raise_for_status()
    four = following(three, heads_trust)
    for head in (one, other, four, replace(three, current=(named[0],))):
        refused = put(live, sign(head))
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:capseal:problem:not-next")
    assert read_head(live.client.get(HEAD_PATH).content).head == two
    put(live, sign(three)).raise_for_status()


def test_of_two_jobs_at_once_one_has_to_build_anew(served, heads_trust, sign):
    live, named = served
    one = first(heads_trust, named[:1])
    put(live, sign(one)).raise_for_status()
    with Connection(live.url) as connection:
        mine = following(one, heads_trust)
        theirs = replace(mine, expires=mine.expires - timedelta(hours=1))
        put_head(connection, sign(theirs), **NAMES)
        with pytest.raises(NotNextError):
            put_head(connection, sign(mine), **NAMES)
        again = read_head(fetch_head(connection, **NAMES))
        assert again.head == theirs
        put_head(connection, sign(following(again.head, heads_trust)), **NAMES)


def test_a_withdrawal_is_dropped_only_where_that_is_asked(served, heads_trust, sign):
    live, named = served
    one = chain.withdrawing(first(heads_trust, named), [2])
    two = chain.restoring(following(one, heads_trust), [2])
    put(live, sign(one)).raise_for_status()
    assert put(live, sign(two)).status_code == 409
    assert put(live, sign(two), params={"restore": "1"}).status_code == 409
    put(live, sign(two), params={"restore": ["1", "2"]}).raise_for_status()
    assert put(live, sign(two), params={"restore": ["1"] * 65}).status_code == 400


def test_a_store_that_was_put_back_takes_a_later_head_where_that_is_said(served, heads_trust, sign):
    live, named = served
    one = first(heads_trust, named)
    three = following(following(one, heads_trust), heads_trust)
    put(live, sign(one)).raise_for_status()
    digest = SignedHead(one, one.encode()).digest
    assert put(live, sign(three), params={"over": "none"}).status_code == 409
    assert put(live, sign(three), params={"over": "0" * 64}).status_code == 409
    put(live, sign(three), params={"over": digest}).raise_for_status()
    assert put(live, sign(one), params={"over": SignedHead(three, three.encode()).digest}).status_code == 409


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda head, _: replace(head, channel="beta"), NotForUsError),
        (lambda head, _: replace(head, app="com.example.other"), NotForUsError),
        (lambda head, _: replace(head, epoch=2), NotForUsError),
        (lambda head, store: replace(head, store=replace(head.store, version=2)), NotForUsError),
        (lambda head, _: replace(head, issued=now() + timedelta(minutes=6)), NotForUsError),
        (lambda head, _: replace(head, expires=now() + timedelta(days=15)), NotForUsError),
        (lambda head, _: replace(head, issued=now() - timedelta(days=2), expires=now()), StaleError),
        (lambda head, _: replace(head, current=(NamedRelease(3, head.current[0].digest),)), NotForUsError),
        (lambda head, _: replace(head, current=(replace(head.current[0], digest="0" * 64),)), NotForUsError),
        (
            lambda head, _: replace(head, current=(replace(head.current[0], requires=Requires(native_min="2")),)),
            NotForUsError,
        ),
        (lambda head, _: replace(head, recalls=("0" * 64,)), NotForUsError),
    ],
    ids=[
        *("channel", "app", "epoch", "store", "ahead", "long", "expired", "no release", "other payload"),
        *("other requirements", "no recall"),
    ],
)
def test_a_head_that_would_count_for_nothing_is_refused(served, heads_trust, sign, change, error):
    live, named = served
    with Connection(live.url) as connection, pytest.raises(error):
        put_head(connection, sign(change(first(heads_trust, named), heads_trust)), **NAMES)


def test_a_release_key_puts_no_head_and_a_head_key_no_recall(served, heads_trust, signer, head_signer):
    live, named = served
    recall = Recall(**NAMES, role=Role.PRODUCTION, created=now(), releases=(RecalledRelease(2, named[1].digest, "2"),))
    digest = hashlib.sha256(recall.encode()).hexdigest()
    with Connection(live.url) as connection:
        with pytest.raises(SignatureError):
            put_head(connection, sign_head(first(heads_trust, named), [signer]), **NAMES)
        with pytest.raises(SignatureError):
            put_recall(connection, digest, sign_recall(recall, [head_signer]), **NAMES)
        with pytest.raises(NotForUsError):
            put_recall(connection, "0" * 64, sign_recall(recall, [signer]), **NAMES)
        assert fetch_head(connection, **NAMES) is None
        assert fetch_recall(connection, digest, **NAMES) is None


def test_a_recall_is_there_before_the_head_that_names_it_and_stays(served, heads_trust, sign, signer):
    live, named = served
    recall = Recall(**NAMES, role=Role.PRODUCTION, created=now(), releases=(RecalledRelease(2, named[1].digest, "2"),))
    digest = hashlib.sha256(recall.encode()).hexdigest()
    data = sign_recall(recall, [signer])
    one = first(heads_trust, named)
    two = chain.with_recall(chain.withdrawing(following(one, heads_trust), [2]), digest)
    put(live, sign(one)).raise_for_status()
    assert put(live, sign(two)).status_code == 403
    with Connection(live.url) as connection:
        put_recall(connection, digest, data, **NAMES)
        put_recall(connection, digest, data, **NAMES)
        put_head(connection, sign(two), **NAMES)
        assert fetch_recall(connection, digest, **NAMES) == data
        three = replace(following(two, heads_trust), recalls=())
        with pytest.raises(NotNextError):
            put_head(connection, sign(three), **NAMES)


def test_a_new_epoch_begins_whatever_the_last_head_said(served, store, heads_trust, sign, head_signer, signer2):
    live, named = served
    stolen = replace(first(heads_trust, named), number=2**53 - 1, previous="0" * 64)
    put(live, sign(stolen), params={"over": "none"}).raise_for_status()
    assert put(live, sign(first(heads_trust, named))).status_code == 409
    new = replace(
        heads_trust, version=2, epoch=2, heads=replace(heads_trust.heads, production=KeySet.of(signer2.public_key))
    )
    live.app.state.publishing.catalogue.trusted.replace(new)
    begun = sign_head(first(new, named), [signer2])
    put(live, begun).raise_for_status()
    assert live.client.get(HEAD_PATH).content == begun


def test_another_server_on_the_store_sees_the_head(served, store, heads_trust, sign):
    live, named = served
    data = sign(first(heads_trust, named))
    put(live, data).raise_for_status()
    with live_server(str(store), heads_trust) as other:
        assert other.client.get(HEAD_PATH).content == data


def test_a_head_takes_a_token_where_publishing_does(store, heads_trust, sealed, sign):
    token = "0123456789abcdef-token"
    with live_server(str(store), heads_trust, token=token) as live:
        data = sign(first(heads_trust, [NamedRelease(1, "0" * 64)]))
        assert put(live, data).status_code == 401
        assert put(live, data, headers={"Authorization": f"Bearer {token}"}).status_code == 403  # no such release
        assert live.client.get(HEAD_PATH).status_code == 404


def test_a_body_over_the_cap_is_refused(served):
    live, _ = served
    assert put(live, bytes(1024 * 1024 + 1)).status_code == 413
    assert put(live, b"{}").status_code == 400
    assert live.client.put(HEAD_PATH.replace("head", "recalls/x"), content=b"").status_code == 400


def test_retention_keeps_what_a_head_names(heads_trust, sign):
    requires = Requires(native_below="2")
    head = first(heads_trust, [NamedRelease(5, "5" * 64), NamedRelease(2, "2" * 64, requires)])
    head = chain.with_candidate(head, NamedRelease(6, "6" * 64), share=10, salt=bytes(16))
    pointer = ChannelPointer(AppChannel(APP, CHANNEL)).with_head(sign(head))
    assert must_keep(pointer, {}) == {2, 5, 6}
    assert ChannelPointer.parse(pointer.of, pointer.with_recall("0" * 64, b"x").encode()).head == pointer.head
    assert must_keep(ChannelPointer(pointer.of), {}) == set()


def test_latest_is_that_which_fits_what_a_client_says_of_its_app(store, trust, sealed):
    with live_server(str(store), trust) as live:
        for sequence, requires in (
            (1, None),
            (2, Requires(native_min="1.5")),
            (3, Requires(platforms=("ios",))),
            (4, Requires(native_min="3")),
        ):
            live.publish(sealed(sequence=sequence, requires=requires)).raise_for_status()

        def latest(**query):
            return live.client.get(LATEST_PATH, params=query).json()["sequence"]

        assert latest() == 4
        assert latest(native="3.0") == 4
        assert latest(native="2", platform="ios") == 3
        assert latest(native="2", platform="android") == 2
        assert latest(native="1", platform="android") == 1
        assert live.client.get(LATEST_PATH, params={"native": "x"}).status_code == 400
        assert live.client.get(LATEST_PATH, params={"platform": "iOS"}).status_code == 400
        live.client.get(LATEST_PATH).json()["requires"] == {"native": {"min": "3"}}


def test_nothing_fits_an_app_that_is_too_old_for_all(store, trust, sealed):
    with live_server(str(store), trust) as live:
        live.publish(sealed(sequence=1, requires=Requires(native_min="2"))).raise_for_status()
        assert live.client.get(LATEST_PATH, params={"native": "1"}).json()["type"] == "urn:capseal:problem:no-release"


def test_what_is_no_store_of_heads_has_none():
    async def ask():
        transport = httpx.ASGITransport(create_reading_app(object()))
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return [(await client.get(path)).json()["type"] for path in (HEAD_PATH, RECALL_PATH)]

    assert asyncio.run(ask()) == ["urn:capseal:problem:no-head"] * 2


# One rule for what is the latest


def test_the_latest_is_what_a_device_outside_of_every_share_takes(served, heads_trust, sign, sealed):
    live, named = served

    def latest(**query):
        answer = live.client.get(LATEST_PATH, params=query)
        return answer.json()["sequence"] if answer.status_code == 200 else answer.json()["type"]

    newer = sealed(sequence=3, requires=Requires(native_min="2.0"))
    live.publish(newer).raise_for_status()
    third = NamedRelease(3, newer.digest, Requires(native_min="2.0"))
    assert latest() == 3
    one = first(heads_trust, named[:1])
    put(live, sign(one)).raise_for_status()
    assert latest() == 1
    offered = chain.with_candidate(following(one, heads_trust), third, share=1000, salt=bytes(16))
    put(live, sign(offered)).raise_for_status()
    assert latest() == latest(native="2.0") == 1
    both = chain.promoted(following(offered, heads_trust))
    put(live, sign(both)).raise_for_status()
    assert (latest(), latest(native="2.0"), latest(native="1.9")) == (3, 3, 1)
    gone = chain.withdrawing(following(both, heads_trust), [1])
    put(live, sign(gone)).raise_for_status()
    assert latest(native="1.9") == "urn:capseal:problem:no-release"
    for head in (one, offered, both, gone):
        for native in (None, "1.9", "2.0"):
            named_here = current_for(head, secret=None, native=native, platform=None).releases
            assert all(release.sequence != 3 or head is not offered for release in named_here)
    answer = live.client.delete(f"/v1/apps/{APP}/channels/{CHANNEL}/releases/3")
    assert answer.status_code == 403 or latest() == "urn:capseal:problem:no-release"


def test_what_a_head_has_withdrawn_or_recalled_is_not_published(served, heads_trust, sign, signer, sealed):
    live, named = served
    recalled, withdrawn, other = (sealed(sequence=sequence) for sequence in (3, 4, 5))
    recall = Recall(
        **NAMES,
        role=Role.PRODUCTION,
        created=now(),
        releases=(RecalledRelease(3, recalled.digest, "1.3.0"),),
    )
    digest = hashlib.sha256(recall.encode()).hexdigest()
    path = RECALL_PATH.replace("0" * 64, digest)
    live.client.put(path, content=sign_recall(recall, [signer])).raise_for_status()
    links = live.begin(withdrawn.seal).json()["links"]
    live.client.put(links["payload"], content=withdrawn.payload).raise_for_status()
    one = chain.withdrawing(chain.with_recall(first(heads_trust, named), digest), [4])
    put(live, sign(one)).raise_for_status()
    refused = (
        (live.begin(recalled.seal), "is recalled"),
        (live.begin(withdrawn.seal), "is withdrawn by head 1"),
        (live.client.post(links["self"]), "is withdrawn by head 1"),
    )
    for answer, why in refused:
        assert answer.status_code == 403, why
        assert answer.json()["type"] == "urn:capseal:problem:not-for-us"
        assert why in answer.json()["detail"]
    live.publish(other).raise_for_status()


def test_a_recall_that_no_head_names_forbids_nothing(served, heads_trust, sign, signer, sealed):
    live, named = served
    bundle = sealed(sequence=3)
    released = (RecalledRelease(3, bundle.digest, "1.3.0"),)
    recall = Recall(**NAMES, role=Role.PRODUCTION, created=now(), releases=released)
    path = RECALL_PATH.replace("0" * 64, hashlib.sha256(recall.encode()).hexdigest())
    live.client.put(path, content=sign_recall(recall, [signer])).raise_for_status()
    put(live, sign(first(heads_trust, named))).raise_for_status()
    assert live.begin(bundle.seal).status_code == 201
    live.publish(bundle).raise_for_status()
