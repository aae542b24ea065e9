"""Heads, recalls and updates of the trust store in a tree of files: devices go by them as by those of a server."""

import asyncio
import hashlib
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from capseal import DeviceStore, PrivateKey, Role, TransferError, TrustedKey, TrustStore, UsageError
from capseal.bundle.companions import describe_companion
from capseal.errors import StaleError
from capseal.format.head import Head, NamedRelease
from capseal.format.recall import Recall, RecalledRelease
from capseal.format.tree import index_entries
from capseal.recipes._names import RECIPE_TYPE, recipe_name
from capseal.server import Limits, Retention, Storage, prune_store
from capseal.server.catalogue._exported_documents import _led_through as led_through
from capseal.trust import head_chain as chain
from capseal.trust.heads import SignedHead, sign_head, sign_recall
from capseal.trust.key_sets import HeadPolicy, KeySet
from capseal.trust.updates import make_update
from server.test_export import HOSTS, LOG, Host, contents, export, export_now, release_path, withdraw
from support.front import static_nginx
from support.server_fixtures import BundleMaker
from support.serving import APP, CHANNEL, Bundle, Live, live_server, payload_file
from support.store_steps import server_on

DAY_S = 24 * 3600
NAMES = {"app": APP, "channel": CHANNEL}
FOLDER = f"v1/apps/{APP}/channels/{CHANNEL}"
HEAD = f"{FOLDER}/head"
UPDATE = f"v1/apps/{APP}/trust/2"


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def zipped(text: str) -> bytes:
    data = BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("index.html", text)
    return data.getvalue()


class Channel:
    """A server's channel, and who signs its heads. trusts: versions 1 and 2 of the trust store."""

    def __init__(self, live: Live, trusts: list[TrustStore], head_signer: PrivateKey, signer: PrivateKey) -> None:
        self.live, self.trusts = live, trusts
        self.head_signer, self.signer = head_signer, signer
        self.last: Head | None = None

    def publish(self, bundle: Bundle) -> NamedRelease:
        self.live.publish(bundle).raise_for_status()
        return NamedRelease(bundle.parsed.statement.sequence, bundle.digest)

    def next_head(self) -> Head:
        assert self.last is not None
        signed = SignedHead(self.last, self.last.encode())
        return chain.next_head(signed, self.trusts[1], now=now(), age_s=DAY_S)

    def first_head(self, *named: NamedRelease) -> Head:
        return chain.first_head(self.trusts[1], list(named), **NAMES, role=Role.PRODUCTION, now=now(), age_s=DAY_S)

    def put(self, head: Head, **query: Any) -> bytes:
        data = sign_head(head, [self.head_signer])
        self.live.client.put(f"/{HEAD}", content=data, params=query).raise_for_status()
        self.last = head
        return data

    def put_recall(self, *named: NamedRelease) -> str:
        released = tuple(RecalledRelease(one.sequence, one.digest, "1") for one in named)
        recall = Recall(**NAMES, role=Role.PRODUCTION, created=now(), releases=released)
        digest = hashlib.sha256(recall.encode()).hexdigest()
        data = sign_recall(recall, [self.signer])
        self.live.client.put(f"/{FOLDER}/recalls/{digest}", content=data).raise_for_status()
        return digest


@pytest.fixture
def channel(store: Path, signer: PrivateKey, signer2: PrivateKey, head_signer: PrivateKey) -> Iterator[Channel]:
    created = datetime(2026, 1, 1, tzinfo=UTC)
    heads = HeadPolicy(14 * DAY_S, created + timedelta(days=3000), KeySet.of(head_signer.public_key))
    key = TrustedKey(signer.public_key)
    first = TrustStore((key,), root=KeySet.of(signer2.public_key), heads=heads, created=created)
    second = replace(first, version=2, created=created + timedelta(days=1))
    with live_server(str(store), second, limits=Limits(pointer_age_s=0)) as live:
        update = make_update(first, second, signers=[signer2])
        live.client.put(f"/{UPDATE}", content=update).raise_for_status()
        yield Channel(live, [first, second], head_signer, signer)


@pytest.fixture
def device(tmp_path: Path, channel: Channel, recipient: PrivateKey) -> Callable[[], DeviceStore]:
    """Return device(), a device that was shipped with version 1 of the trust store."""
    (tmp_path / "builtin").mkdir()

    def device() -> DeviceStore:
        return DeviceStore(
            tmp_path / "device",
            trust=channel.trusts[0],
            identity=recipient,
            **NAMES,
            builtin=tmp_path / "builtin",
            head="required",
        )

    return device


@pytest.mark.parametrize("host", HOSTS)
def test_a_device_that_demands_heads_installs_from_a_tree(
    host: Host, channel: Channel, sealed: BundleMaker, store: Path, tmp_path: Path, device: Callable[[], DeviceStore]
) -> None:
    bundles = [sealed(sequence=one, content=zipped(f"{one}"), unpackable=True) for one in (1, 2, 3)]
    named = [channel.publish(one) for one in bundles]
    tree = tmp_path / "tree"
    export_now(store, tree)
    with host(tmp_path, tree) as url:
        with pytest.raises(StaleError):
            device().install(url)
        assert device().trust().version == 2  # an update was there, and another one was not
        channel.put(channel.first_head(named[1]))
        assert HEAD in export_now(store, tree).documents
        assert device().install(url).sequence == 2  # the head says so, not `latest`
        phone = device()
        phone.activate()
        phone.boot()
        digest = channel.put_recall(named[1])
        withdrawn = chain.withdrawing(channel.next_head(), [2], instead=[named[2]])
        channel.put(chain.with_recall(withdrawn, digest))
        assert export_now(store, tree).documents == [f"{FOLDER}/recalls/{digest}", HEAD]
        device().refresh(url)
        assert device().status().pending is None
        assert device().install(url).sequence == 3
    assert all(channel.live.client.get(f"/{name}").content == data for name, data in contents(tree).items())


def test_latest_in_a_tree_is_what_a_server_answers(
    channel: Channel, sealed: BundleMaker, store: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    path = f"{FOLDER}/latest"

    def latest() -> int | None:
        """Return the sequence that both say, or None where both say that there is none."""
        assert export_now(store, tree).failed == []
        answer = channel.live.client.get(f"/{path}")
        if answer.status_code in (404, 410):
            assert not (tree / path).exists()
            return None
        assert (tree / path).read_bytes() == answer.raise_for_status().content
        return int(answer.json()["sequence"])

    named = {one: channel.publish(sealed(sequence=one, content=b"%d" % one)) for one in range(1, 6)}
    assert latest() == 5
    channel.put(replace(channel.first_head(named[3]), current=(named[3], named[2])))
    assert latest() == 3
    channel.put(chain.with_candidate(channel.next_head(), named[4], share=100, salt=bytes(16)))
    assert latest() == 3  # whoever says nothing of itself is in no share
    withdraw(store, channel.trusts[1], 3)
    assert latest() == 2
    withdraw(store, channel.trusts[1], 2)
    assert latest() is None
    channel.put(chain.withdrawing(channel.next_head(), [2, 3], instead=[named[1]]))
    assert latest() == 1


def test_documents_are_written_again_only_where_they_changed(
    channel: Channel, sealed: BundleMaker, store: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    named = channel.publish(sealed(sequence=1))
    channel.put(channel.first_head(named))
    assert export_now(store, tree).documents == [UPDATE, HEAD]
    assert export_now(store, tree).documents == []
    second = channel.put(channel.next_head())
    assert export_now(store, tree).documents == [HEAD]
    assert (tree / HEAD).read_bytes() == second


def test_nothing_in_a_tree_names_what_is_not_there(
    channel: Channel, sealed: BundleMaker, store: Path, tmp_path: Path
) -> None:
    """Where the storage lost a release, the head that names it waits, and what the last one names stays."""
    tree = tmp_path / "tree"
    bundles = [sealed(sequence=one, content=b"%d" % one) for one in (1, 2, 3)]
    named = [channel.publish(bundles[0])]
    first = channel.put(channel.first_head(named[0]))
    export_now(store, tree)
    named += [channel.publish(one) for one in bundles[1:]]
    channel.put(replace(channel.next_head(), current=(named[2], named[1])))
    path = payload_file(store, bundles[1].digest, "0000000000-01")
    lost = path.read_bytes()
    path.unlink()
    asyncio.run(prune_store(Storage.open(str(store)), Retention(keep=1), now=datetime.now(UTC), log=LOG))
    done = export_now(store, tree)
    assert done.failed[-1].endswith("head 2 names sequence 2, which could not be exported")
    assert (tree / HEAD).read_bytes() == first
    assert (tree / release_path(1, "seal")).read_bytes() == bundles[0].seal
    path.write_bytes(lost)
    assert export_now(store, tree).failed == []
    assert (tree / HEAD).read_bytes() == channel.live.client.get(f"/{HEAD}").content
    assert {int(one.name) for one in (tree / FOLDER / "releases").iterdir() if any(one.iterdir())} == {2, 3}


def test_each_document_comes_after_what_it_names(
    channel: Channel, sealed: BundleMaker, store: Path, tmp_path: Path
) -> None:
    named = [channel.publish(sealed(sequence=one, content=b"%d" % one)) for one in (1, 2)]
    digest = channel.put_recall(named[0])
    head = chain.with_recall(chain.withdrawing(channel.first_head(named[1]), [1]), digest)
    channel.put(head)
    target = Storage.open(str(tmp_path / "tree"))
    order: list[str] = []
    put = target.put_stream

    async def noted(path: str, *arguments: Any, **keywords: Any) -> None:
        await put(path, *arguments, **keywords)
        order.append(path)

    target.put_stream = noted  # type: ignore[method-assign]
    asyncio.run(export(Storage.open(str(store)), target))
    assert order.index(HEAD) > max(
        order.index(one) for one in (UPDATE, f"{FOLDER}/recalls/{digest}", release_path(2, "seal"))
    )


def test_an_export_of_a_head_whose_update_of_the_trust_store_is_lost_says_so(
    channel: Channel, sealed: BundleMaker, store: Path, tmp_path: Path
) -> None:
    """As of a store that was restored from a copy without its folder `trust`."""
    tree = tmp_path / "tree"
    channel.put(channel.first_head(channel.publish(sealed(sequence=1))))
    assert export_now(store, tree).warnings == []
    shutil.rmtree(store / "trust")
    done = export_now(store, tmp_path / "other")
    assert (done.failed, done.documents) == ([], [HEAD])
    [warning] = done.warnings
    assert warning.startswith(f"{APP} on {CHANNEL}: head 1 is under version 2 of the trust store, and {store} has no")
    assert "no update to version 2: " in warning


@pytest.mark.parametrize(
    ("updates", "version", "lacking"),
    [([], 1, []), ([2], 1, []), ([], 2, [2]), ([2], 2, []), ([2, 4], 4, [3]), ([3, 4], 4, []), ([4], 3, [3])],
)
def test_updates_lead_from_the_first_of_them_to_the_version_of_a_head(
    updates: list[int], version: int, lacking: list[int]
) -> None:
    assert [one for one in led_through(updates, version) if one not in updates] == lacking


@pytest.mark.parametrize("ours", ["none", "older", "other"])
def test_a_head_takes_the_place_of_none_that_is_not_before_it(
    ours: str, channel: Channel, sealed: BundleMaker, store: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    named = channel.publish(sealed(sequence=1))
    if ours == "none":
        export_now(store, tree)
    one = channel.first_head(named)
    if ours != "none":
        channel.put(one)
        export_now(store, tree)
    channel.last = one
    theirs = channel.next_head() if ours == "older" else replace(one, expires=one.expires - timedelta(hours=1))
    (tree / HEAD).write_bytes(sign_head(theirs, [channel.head_signer]))
    before = contents(tree)
    with pytest.raises(UsageError, match="is not before what"):
        export_now(store, tree)
    assert contents(tree) == before
    (tree / HEAD).write_bytes(b"<html>")
    with pytest.raises(UsageError, match="is none of an export"):
        export_now(store, tree)


def test_what_another_export_brought_meanwhile_is_no_other_stores(
    channel: Channel, sealed: BundleMaker, store: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    channel.put(channel.first_head(channel.publish(sealed(sequence=1))))
    export_now(store, tree)
    target = Storage.open(str(tree))
    see = target.see
    overtaken = False

    async def overtaking(path: str, **keywords: Any) -> Any:
        nonlocal overtaken
        if path == HEAD and not overtaken:
            overtaken = True
            await asyncio.to_thread(channel.put, channel.next_head())
            await export(Storage.open(str(store)), Storage.open(str(tree)))
        return await see(path, **keywords)

    target.see = overtaking  # type: ignore[method-assign]
    done = asyncio.run(export(Storage.open(str(store)), target))
    assert (overtaken, done.failed) == (True, [])
    assert (tree / HEAD).read_bytes() == channel.live.client.get(f"/{HEAD}").content


def test_pruning_never_takes_what_the_stored_head_names(
    channel: Channel, sealed: BundleMaker, store: Path, tmp_path: Path
) -> None:
    """Current and candidate stay with all their bytes when everything else was collected."""
    tree = tmp_path / "tree"
    bundles = {one: sealed(sequence=one, content=b"%d" % one) for one in range(1, 7)}
    named = {one: channel.publish(bundle) for one, bundle in bundles.items()}
    head = channel.first_head(named[2])
    channel.put(chain.with_candidate(head, named[4], share=10, salt=bytes(16)))
    done = asyncio.run(prune_store(Storage.open(str(store)), Retention(keep=1), now=datetime.now(UTC), log=LOG))
    assert [one.sequence for one in done.releases] == [5, 3, 1]
    for _ in range(2):
        asyncio.run(_collect(store, channel.trusts[1]))
    assert export_now(store, tree).failed == []
    for sequence in (2, 4, 6):
        assert (tree / release_path(sequence, "payload")).read_bytes() == bundles[sequence].payload


def test_the_recipe_of_what_the_stored_head_names_stays_with_it(
    channel: Channel, sealed: BundleMaker, store: Path, tmp_path: Path
) -> None:
    """One for a base that went; what a release that went had for itself goes with it."""
    old = sealed(sequence=1, content=b"1")
    channel.publish(old)
    recipes = {}
    for sequence in (2, 3):
        recipes[sequence] = b"how to make %d of 1" % sequence
        path = tmp_path / recipe_name(bytes.fromhex(old.digest))
        path.write_bytes(recipes[sequence])
        recipe = describe_companion(path, media_type=RECIPE_TYPE)
        bundle = sealed(sequence=sequence, content=b"%d" % sequence, companions=[recipe])
        links = channel.live.begin(bundle.seal).raise_for_status().json()["attachments"][path.name]
        index = index_entries(memoryview(recipes[sequence]), whole_payload=True)
        channel.live.client.put(links["index_link"], content=index).raise_for_status()
        channel.live.client.put(links["link"], content=recipes[sequence]).raise_for_status()
        named = channel.publish(bundle)
        if sequence == 2:
            channel.put(channel.first_head(named))
    channel.publish(sealed(sequence=4, content=b"4"))
    done = asyncio.run(prune_store(Storage.open(str(store)), Retention(keep=1), now=datetime.now(UTC), log=LOG))
    assert [one.sequence for one in done.releases] == [3, 1]
    for _ in range(2):
        asyncio.run(_collect(store, channel.trusts[1]))
    attachment = f"attachments/{recipe_name(bytes.fromhex(old.digest))}"
    answer = channel.live.client.get(f"/{release_path(2, attachment)}").raise_for_status()
    assert answer.content == recipes[2]
    assert channel.live.client.get(f"/{release_path(3, attachment)}").status_code == 404
    tree = tmp_path / "tree"
    assert export_now(store, tree).failed == []
    assert (tree / release_path(2, attachment)).read_bytes() == recipes[2]
    kept = [one.read_bytes() for one in store.rglob("*") if one.is_file()]
    assert not any(recipes[3] in one for one in kept)


async def _collect(store: Path, trust: TrustStore) -> None:
    server = server_on(Storage.open(str(store)), trust)
    await server.check_layout()
    await server.collect(grace_s=0)


def test_a_host_that_hides_what_it_has_not_is_taken_at_its_word(
    channel: Channel, sealed: BundleMaker, store: Path, tmp_path: Path, device: Callable[[], DeviceStore]
) -> None:
    """As S3 does, whose bare 403 is all that it says where nobody may list: there is no further update."""
    tree = tmp_path / "tree"
    channel.put(channel.first_head(channel.publish(sealed(sequence=1, content=zipped("1"), unpackable=True))))
    export_now(store, tree)
    (tree / UPDATE.replace("/2", "/3")).mkdir()  # which nginx does not list: 403
    with static_nginx(tmp_path, tree) as url:
        assert device().install(url).sequence == 1


def test_a_target_that_is_lost_at_a_document_ends_the_export(
    channel: Channel, sealed: BundleMaker, store: Path, tmp_path: Path
) -> None:
    channel.put(channel.first_head(channel.publish(sealed(sequence=1))))
    target = Storage.open(str(tmp_path / "tree"))
    put = target.put_stream

    async def lost(path: str, *arguments: Any, **keywords: Any) -> None:
        if path == HEAD:
            raise TransferError("storage: Connection refused")
        await put(path, *arguments, **keywords)

    async def gone() -> None:
        raise TransferError("storage: Connection refused")

    target.put_stream, target.probe = lost, gone  # type: ignore[method-assign]
    with pytest.raises(TransferError, match="refused"):
        asyncio.run(export(Storage.open(str(store)), target))
    assert not (tmp_path / "tree" / HEAD).exists()
