"""What is kept, and what goes: by number, by age, never the latest, beside servers that publish meanwhile."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from capseal import RollbackError, TransferError, TrustStore, UsageError
from capseal.embedding import accept
from capseal.format.strictjson import Role, shown_time
from capseal.server import Limits, Retention, Storage, prune_store
from capseal.server.catalogue import retention as retention_module
from capseal.server.catalogue._founding import check_layout
from capseal.server.catalogue.catalogue import Catalogue
from capseal.server.storage import layout
from capseal.server.storage.pointers import ChannelPointer, Entries, Entry
from support.server_fixtures import BundleMaker
from support.serving import APP, CHANNEL, Bundle, collect, listed_files, live_server
from support.store_steps import OF, publish, server_on

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LOG = logging.getLogger("capseal.server")


def pointer_of(*entries: tuple[int, int, bool]) -> ChannelPointer:
    """Return a pointer with releases: sequence, age in days, whether withdrawn."""
    made = {}
    for sequence, days, withdrawn in sorted(entries):
        when = shown_time(NOW - timedelta(days=days, seconds=1))
        made[sequence] = Entry(sequence, f"{sequence:064x}", f"{sequence:016x}", when, when if withdrawn else None)
    return ChannelPointer(OF, revision=len(made), entries=Entries(made.values()))


@pytest.mark.parametrize(
    ("keep", "keep_days", "goes"),
    [
        (None, None, []),
        (1, None, [7, 6, 5, 4, 3, 2, 1]),  # 8 is the latest, 9 was withdrawn above it
        (2, None, [6, 5, 4, 3, 2, 1]),
        (3, None, [5, 4, 3, 2, 1]),  # 7 is one of those that are counted, 5 is withdrawn and goes as 4 does
        (7, None, []),
        (None, 1, [7, 6, 5, 4, 3, 2, 1]),
        (None, 6, [4, 3, 2, 1]),
        (None, 36_500, []),
        (4, 1, [3, 2, 1]),  # either of them keeps
        (1, 8, [2, 1]),
    ],
)
def test_what_goes_is_below_the_newest_and_older_than_the_days(
    keep: int | None, keep_days: int | None, goes: list[int]
) -> None:
    pointer = pointer_of(*((sequence, 10 - sequence, sequence in (5, 9)) for sequence in range(1, 10)))
    assert Retention(keep=keep, keep_days=keep_days).going(pointer, {}, now=NOW) == goes


@pytest.mark.parametrize("numbers", [{"keep": 0}, {"keep": -1}, {"keep_days": 0}, {"keep_days": 36_501}])
def test_a_number_that_would_keep_nothing_is_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        Retention(**numbers)


@given(
    entries=st.dictionaries(st.integers(1, 30), st.tuples(st.integers(0, 40), st.booleans()), max_size=20),
    keep=st.none() | st.integers(1, 10),
    keep_days=st.none() | st.integers(1, 40),
    named=st.sets(st.integers(1, 30)),
)
def test_whatever_was_published_the_latest_and_the_newest_and_what_is_named_stay(
    entries: dict[int, tuple[int, bool]], keep: int | None, keep_days: int | None, named: set[int]
) -> None:
    pointer = pointer_of(*((sequence, days, withdrawn) for sequence, (days, withdrawn) in entries.items()))
    retention = Retention(keep=keep, keep_days=keep_days)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retention_module, "KEEPERS", (*retention_module.KEEPERS, lambda *_: named))
        going = set(retention.going(pointer, {}, now=NOW))
    listed = [one.sequence for one in pointer.listed()]
    assert going <= set(entries) - named
    assert going.isdisjoint(listed[: keep or 1])
    assert not {sequence for sequence in going if keep_days is not None and entries[sequence][0] < keep_days}
    left = pointer.without(going)
    assert left.latest() == pointer.latest()
    if keep is not None and keep_days is None and not named:
        assert len(list(left.listed())) == min(keep, len(listed))
    assert retention.going(left, {}, now=NOW) == [] or named  # once is enough
    assert ChannelPointer.parse(OF, left.encode()) == left


async def published(
    server: Catalogue, trust: TrustStore, sealed: BundleMaker, sequences: Iterable[int]
) -> list[Bundle]:
    bundles = [sealed(sequence=one, content=b"%d" % one) for one in sequences]
    for bundle in bundles:
        await publish(server, bundle, trust)
    return bundles


def pruning(memory: Any, trust: TrustStore, retention: Retention) -> Catalogue:
    limits = Limits(pointer_age_s=0)
    return Catalogue(
        Storage(memory), trust, role=Role.PRODUCTION, limits=limits, log=LOG, verify_reads=True, retention=retention
    )


async def made_store(memory: MemoryStore) -> Storage:
    storage = Storage(memory)
    await check_layout(storage)
    return storage


def test_what_went_is_unknown_to_every_server_its_bytes_go_and_its_sequence_stays_used(
    trust: TrustStore, sealed: BundleMaker
) -> None:
    async def run() -> None:
        memory = MemoryStore()
        first, second = server_on(Storage(memory), trust), pruning(memory, trust, Retention(keep=2))
        await first.check_layout()
        bundles = await published(first, trust, sealed, range(1, 6))
        for _ in range(2):
            assert await second.collect(grace_s=0) is not None
        assert [one.sequence for one in await first.releases(OF, below=None, most=9)] == [5, 4]
        assert await first.release(OF, 3) is None
        with pytest.raises(RollbackError, match="published before"):
            await first.begin(accept(bundles[2].seal, trust=trust), client="x")
        names = [one.path async for one in Storage(memory).list("")]
        digests = {parsed[0] for name in names if (parsed := layout.parse_payload_object(name))}
        assert digests == {one.digest for one in bundles[3:]}
        assert {one.sequence for name in names if (one := layout.parse_release_object(name))} == {4, 5}

    asyncio.run(run())


def test_what_a_kept_release_shares_with_one_that_went_stays(trust: TrustStore, sealed: BundleMaker) -> None:
    async def run() -> None:
        memory = MemoryStore()
        server = pruning(memory, trust, Retention(keep=1))
        small = sealed(sequence=1)
        await publish(server, small, trust)
        elsewhere = sealed(sequence=1, channel="beta")
        await publish(server, elsewhere, trust)
        await publish(server, sealed(sequence=2, content=b"2"), trust)
        for _ in range(3):
            await server.collect(grace_s=0)
        release = await server.release(OF._replace(channel="beta"), 1)
        assert release is not None
        payload = await server.payload(release, None)
        assert b"".join([bytes(one) async for one in payload.chunks(0, len(elsewhere.payload))]) == elsewhere.payload

    asyncio.run(run())


def test_a_dry_run_tells_what_would_go_and_changes_nothing(store: Path, trust: TrustStore, sealed: BundleMaker) -> None:
    async def run() -> None:
        storage = Storage.open(str(store))
        server = server_on(storage, trust)
        await server.check_layout()
        await published(server, trust, sealed, range(1, 4))
        before = {name: (store / name).read_bytes() for name in listed_files(store)}
        would = await prune_store(storage, Retention(keep=1), now=NOW, log=LOG, dry_run=True)
        assert {name: (store / name).read_bytes() for name in listed_files(store)} == before
        assert [one.sequence for one in would.releases] == [2, 1]
        assert await prune_store(storage, Retention(keep=1), now=NOW, log=LOG) == would

    asyncio.run(run())


def test_what_was_published_while_it_was_looked_at_is_asked_what_it_names(
    trust: TrustStore, sealed: BundleMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that names an older one, published between the look and the change: the older one stays."""

    def names_two_below(pointer: ChannelPointer, releases: Any) -> Iterable[int]:
        return {sequence - 2 for sequence in releases}

    async def run() -> None:
        memory = MemoryStore()
        storage = await made_store(memory)
        other = server_on(Storage(memory), trust)
        await published(other, trust, sealed, [1, 2])
        monkeypatch.setattr(retention_module, "KEEPERS", (*retention_module.KEEPERS, names_two_below))
        see, looks = storage.see, 0

        async def overtaken(path: str, **keywords: Any) -> Any:
            nonlocal looks
            looks += path.startswith("channels/")
            if looks == 2:  # the one that the change is made to
                looks += 1
                await published(other, trust, sealed, [3])
            return await see(path, **keywords)

        monkeypatch.setattr(storage, "see", overtaken)
        pruned = await prune_store(storage, Retention(keep=1), now=NOW, log=LOG)
        assert [one.sequence for one in pruned.releases] == [2]
        assert [one.sequence for one in await other.releases(OF, below=None, most=9)] == [3, 1]

    asyncio.run(run())


def test_where_a_record_is_damaged_nothing_of_its_channel_goes(trust: TrustStore, sealed: BundleMaker) -> None:
    async def run() -> None:
        memory = MemoryStore()
        storage = await made_store(memory)
        server = server_on(Storage(memory), trust)
        await published(server, trust, sealed, range(1, 4))
        await publish(server, sealed(sequence=1, channel="beta"), trust)
        await publish(server, sealed(sequence=2, channel="beta", content=b"2"), trust)
        entry = (await server.channels_read.pointer(OF)).entries[3]
        await storage.put(layout.release_object(OF, 3, entry.mark, layout.RECORD), b"{")
        pruned = await prune_store(storage, Retention(keep=1), now=NOW, log=LOG)
        assert pruned.damaged == (OF,)
        assert [(one.channel, one.sequence) for one in pruned.releases] == [("beta", 1)]
        assert sorted((await server.channels_read.pointer(OF, fresh=True)).entries) == [1, 2, 3]

    asyncio.run(run())


def test_what_is_no_store_is_neither_pruned_nor_made_one(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").touch()
    with pytest.raises(UsageError, match="is no store"):
        asyncio.run(
            prune_store(Storage.open(str(tmp_path / "www"), may_be_new=False), Retention(keep=1), now=NOW, log=LOG)
        )
    with pytest.raises(TransferError):
        Storage.open(str(tmp_path / "none"), may_be_new=False)
    assert listed_files(tmp_path) == ["www/index.html"]


def test_a_server_prunes_before_it_collects(store: Path, trust: TrustStore, sealed: BundleMaker) -> None:
    limits = Limits(collect_interval_s=0.05, pointer_age_s=0)
    with live_server(str(store), trust, limits=limits, retention=Retention(keep=1)) as live:
        for sequence in (1, 2, 3):
            live.publish(sealed(sequence=sequence, content=b"%d" % sequence)).raise_for_status()
        url = f"/v1/apps/{APP}/channels/{CHANNEL}/releases"
        deadline = time.monotonic() + 60
        while len(live.client.get(url).json()["releases"]) > 1:
            assert time.monotonic() < deadline
        assert live.client.get(f"{url}/1").status_code == 404
        assert live.client.get(f"{url}/3/payload").status_code == 200


@pytest.mark.parametrize("known", ["refused", "lost"])
def test_a_prune_whose_answer_was_lost_is_done_once(
    known: str, trust: TrustStore, sealed: BundleMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either it was sent again, and is refused for its own change; or nobody knows, and the next one finds nothing."""

    async def run() -> None:
        memory = MemoryStore()
        server = server_on(await made_store(memory), trust)
        await published(server, trust, sealed, range(1, 4))
        storage = Storage(memory)
        swap = storage.swap
        swapped = 0

        async def lost(*arguments: Any) -> bool:
            nonlocal swapped
            swapped += 1
            assert await swap(*arguments)
            if known == "lost":
                raise TransferError("storage: no answer")
            return False

        monkeypatch.setattr(storage, "swap", lost)
        if known == "lost":
            with pytest.raises(TransferError, match="no answer"):
                await prune_store(storage, Retention(keep=1), now=NOW, log=LOG)
            assert (await prune_store(storage, Retention(keep=1), now=NOW, log=LOG)).releases == ()
        else:
            done = await prune_store(storage, Retention(keep=1), now=NOW, log=LOG)
            assert [one.sequence for one in done.releases] == [2, 1]
        assert swapped == 1
        assert [one.sequence for one in await server.releases(OF, below=None, most=9)] == [3]

    asyncio.run(run())


PRUNE = """
import asyncio, logging, os, signal, sys
from datetime import UTC, datetime
from capseal.server import Retention, Storage, prune_store

left = int(sys.argv[2])
storage = Storage.open(sys.argv[1], may_be_new=False)

def dying(call):
    async def counted(*arguments, **keywords):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return await call(*arguments, **keywords)
    return counted

for name in ("see", "swap", "get"):
    setattr(storage, name, dying(getattr(storage, name)))
log = logging.getLogger("capseal.server")
asyncio.run(prune_store(storage, Retention(keep=1), now=datetime.now(UTC), log=log))
"""


def test_killed_at_any_step_it_took_a_channel_s_old_releases_out_or_none(
    store: Path, trust: TrustStore, sealed: BundleMaker
) -> None:
    channels = ("beta", "production")

    async def look() -> list[list[int]]:
        server = server_on(Storage.open(str(store)), trust)
        listed = [await server.releases(OF._replace(channel=one), below=None, most=9) for one in channels]
        return [[one.sequence for one in releases] for releases in listed]

    async def fill() -> None:
        server = server_on(Storage.open(str(store)), trust)
        await server.check_layout()
        for sequence in (1, 2, 3):
            for channel in channels:
                await publish(server, sealed(sequence=sequence, channel=channel, content=b"%d" % sequence), trust)

    asyncio.run(fill())
    whole, pruned = [3, 2, 1], [3]
    seen = []
    for step in range(1, 30):
        done = subprocess.run([sys.executable, "-c", PRUNE, str(store), str(step)], env=os.environ, timeout=60)
        found = asyncio.run(look())
        assert all(one in (whole, pruned) for one in found)
        seen.append(found)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert [pruned, whole] in seen
    assert seen[-1] == [pruned, pruned]
    collect(store, trust)
    assert asyncio.run(look()) == [pruned, pruned]
