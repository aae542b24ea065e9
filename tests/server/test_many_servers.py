"""Many servers on one store: what decides is in the store, and changed there under a condition."""

import asyncio
import contextlib
import hashlib
import logging
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from obstore.store import MemoryStore

from capseal import RejectedError, RollbackError, TransferError, TrustStore
from capseal.embedding import accept
from capseal.format.dsse import Signature
from capseal.format.strictjson import shown_time
from capseal.http.problems import INCOMPLETE, NO_UPLOAD
from capseal.server import Limits, Storage
from capseal.server._problems import Problem
from capseal.server.catalogue import _wholeness
from capseal.server.catalogue import catalogue as catalogue_module
from capseal.server.catalogue._lease import CollectorLease, LeaseLostError
from capseal.server.catalogue.arriving import Upload
from capseal.server.catalogue.catalogue import Catalogue
from capseal.server.catalogue.pruning import Pruner
from capseal.server.catalogue.retention import Retention
from capseal.server.storage import layout
from capseal.server.storage.pointers import ChannelPointer
from capseal.server.storage.records import ReleaseRecord
from capseal.trust.expect import Succession
from support.faulty_storage import FaultyStorage
from support.server_fixtures import BundleMaker
from support.serving import Bundle
from support.store_steps import NO_AGE, OF, payload_of, publish, server_on, upload

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


def test_what_one_server_published_or_withdrew_another_one_shows(
    memory: MemoryStore, trust: TrustStore, bundle: Bundle, sealed: BundleMaker
) -> None:
    async def run() -> None:
        first, second = (server_on(Storage(memory), trust) for _ in range(2))
        assert await second.latest(OF) is None
        small = sealed(sequence=7)
        release = await publish(first, small, trust)
        assert await second.latest(OF) == release
        assert await payload_of(second, release) == small.payload
        assert await second.channels(after=None, most=9) == [OF]
        await second.withdraw(release)
        assert await first.latest(OF) is None
        with pytest.raises(RollbackError):
            await first.begin(accept(small.seal, trust=trust), client="x")

    asyncio.run(run())


def test_an_upload_goes_on_at_another_server(memory: MemoryStore, trust: TrustStore, sealed: BundleMaker) -> None:
    async def run() -> None:
        first, second = (server_on(Storage(memory), trust) for _ in range(2))
        begun = await upload(first, sealed(sequence=7), trust)
        assert (await second.uploads.find(begun.id)).payload.missing == []
        release, is_new = await second.publish(begun.id)
        assert is_new
        assert await first.publish(begun.id) == (release, False)

    asyncio.run(run())


def test_no_rollback_is_accepted_between_looking_and_writing(
    memory: MemoryStore, trust: TrustStore, sealed: BundleMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        first, second = (server_on(Storage(memory), trust) for _ in range(2))
        old = await upload(first, sealed(sequence=7), trust)
        put = first.storage.put

        async def overtaken(path: str, data: Any) -> None:
            await put(path, data)
            if path.endswith(layout.RECORD):
                await publish(second, sealed(sequence=8), trust)

        monkeypatch.setattr(first.storage, "put", overtaken)
        with pytest.raises(RollbackError):
            await first.publish(old.id)
        assert (await first.latest(OF)).sequence == 8
        assert await first.release(OF, 7) is None

    asyncio.run(run())


def test_a_bucket_that_was_emptied_takes_nothing_and_gives_no_floor_back(
    memory: MemoryStore, trust: TrustStore, sealed: BundleMaker
) -> None:
    async def run() -> None:
        server = server_on(Storage(memory), trust)
        await server.check_layout()
        old, newer = sealed(sequence=7), sealed(sequence=8)
        release = await publish(server, newer, trust)
        begun = await upload(server, sealed(sequence=9), trust)
        kept = {one.path: memory.get(one.path).bytes() async for one in Storage(memory).list("")}
        memory.delete(list(kept))
        server.storage._stood_at = -float("inf")  # as long after as it may have been seen
        for change in (
            lambda: publish(server, old, trust),
            lambda: server.publish(begun.id),
            lambda: server.withdraw(release),
            lambda: server.collect(grace_s=0),
            lambda: server.storage.put("payloads/x", b"x"),
            lambda: server.storage.put_new("trust/x/1", b"x"),
            server.storage.probe,
        ):
            with pytest.raises(TransferError, match=r"the store is gone, or has lost its store\.json"):
                await change()
        assert [one.path async for one in Storage(memory).list("")] == []
        for path, data in kept.items():
            memory.put(path, bytes(data))
        with pytest.raises(RollbackError):
            await publish(server, old, trust)

    asyncio.run(run())


def test_what_decides_is_written_after_the_bucket_was_seen_to_be_there(
    memory: MemoryStore, trust: TrustStore, sealed: BundleMaker
) -> None:
    async def run() -> None:
        server = server_on(Storage(memory), trust)
        await server.check_layout()
        await server.storage.put("payloads/x", b"x")  # it has just been seen
        memory.delete(layout.LAYOUT)
        await server.storage.put("payloads/y", b"y")
        for change in (
            server.storage.swap("channels/x/y", b"x", None),
            server.storage.put_new("trust/x/1", b"x"),
        ):
            with pytest.raises(TransferError, match=r"has lost its store\.json"):
                await change

    asyncio.run(run())


def test_a_crowd_asks_the_store_once(memory: MemoryStore, trust: TrustStore, sealed: BundleMaker) -> None:
    async def run() -> None:
        server = server_on(Storage(memory), trust, Limits())
        release = await publish(server, sealed(sequence=7), trust)
        asked = 0
        see = server.storage.see

        async def counted(path: str, **keywords: Any) -> Any:
            nonlocal asked
            asked += 1
            return await see(path, **keywords)

        server.storage.see = counted  # type: ignore[method-assign]
        assert await asyncio.gather(*(server.latest(OF) for _ in range(50))) == [release] * 50
        assert asked <= 1

    asyncio.run(run())


def test_what_is_condemned_is_asked_for_again_and_a_late_deletion_hits_nothing(
    memory: MemoryStore, trust: TrustStore, sealed: BundleMaker
) -> None:
    """A collector that slept through its lease: what it decided to delete hours ago, it deletes now."""

    async def run() -> None:
        first, second = (server_on(Storage(memory), trust) for _ in range(2))
        small = sealed(sequence=7)
        begun = await upload(first, small, trust)
        await first.give_up(begun)
        late: list[str] = []
        delete = first.storage.delete

        async def asleep(paths: Any) -> None:
            late.extend(paths)

        assert (await first.collect(grace_s=0)).condemned == 1
        first.storage.delete = asleep  # type: ignore[method-assign]
        await first.collect(grace_s=0)
        assert any(name.startswith("payloads/") for name in late)
        with pytest.raises(Problem) as raised:
            await second.publish((await second.begin(accept(small.seal, trust=trust), client="x")).id)
        assert raised.value.kind is INCOMPLETE
        release = await publish(second, small, trust)
        await delete(late)
        assert await payload_of(second, release) == small.payload

    asyncio.run(run())


def test_what_was_condemned_and_is_needed_after_all_stays(
    memory: MemoryStore, trust: TrustStore, sealed: BundleMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publisher that looked just before the list was written."""

    async def run() -> None:
        first, second = (server_on(Storage(memory), trust) for _ in range(2))
        small = sealed(sequence=7)
        await first.give_up(await upload(first, small, trust))
        begun = await second.begin(accept(small.seal, trust=trust), client="x")
        await second.uploads.close(begun)
        put = second.storage.put

        async def condemned_meanwhile(path: str, data: Any) -> None:
            await put(path, data)
            if path.endswith(layout.SEAL):
                await second.storage.delete([layout.upload_seal(begun.id, _statement(begun))])
                assert (await first.collect(grace_s=0)).condemned

        begun = await second.begin(accept(small.seal, trust=trust), client="x")
        monkeypatch.setattr(second.storage, "put", condemned_meanwhile)
        release, _ = await second.publish(begun.id)
        for _ in range(3):
            await first.collect(grace_s=0)
        try:
            content = await payload_of(second, release)
        except TransferError as error:
            pytest.fail(f"it went: {error}")
        assert content == small.payload

    asyncio.run(run())


def _statement(begun: Upload) -> str:
    return hashlib.sha256(begun.verified.statement.encode()).hexdigest()


def test_what_took_longer_than_half_the_grace_period_is_not_published(
    memory: MemoryStore, trust: TrustStore, sealed: BundleMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        server = server_on(Storage(memory), trust)
        begun = await upload(server, sealed(sequence=7), trust)
        now = 0.0
        monkeypatch.setattr(catalogue_module, "monotonic", lambda: now)
        put = server.storage.put

        async def slow(path: str, data: Any) -> None:
            nonlocal now
            now += NO_AGE.collect_grace_s
            await put(path, data)

        monkeypatch.setattr(server.storage, "put", slow)
        with pytest.raises(Problem, match="took so long"):
            await server.publish(begun.id)
        assert await server.latest(OF) is None
        written = [one["path"] for batch in memory.list() for one in batch]
        assert not [path for path in written if path.startswith(f"{layout.CHANNELS}/")], (
            "other servers saw it meanwhile"
        )
        monkeypatch.setattr(server.storage, "put", put)
        assert (await server.publish(begun.id))[1]

    asyncio.run(run())


def test_what_was_written_too_late_is_taken_back_before_anybody_is_told(
    memory: MemoryStore, trust: TrustStore, sealed: BundleMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        server = server_on(Storage(memory), trust)
        begun = await upload(server, sealed(sequence=7), trust)
        now = 0.0
        monkeypatch.setattr(catalogue_module, "monotonic", lambda: now)
        swap = server.storage.swap

        async def slow(path: str, data: bytes, seen: Any) -> bool:
            nonlocal now
            done = await swap(path, data, seen)
            now += NO_AGE.collect_grace_s
            return done

        monkeypatch.setattr(server.storage, "swap", slow)
        with pytest.raises(Problem, match="took so long"):
            await server.publish(begun.id)
        monkeypatch.setattr(server.storage, "swap", swap)
        assert await server.latest(OF) is None
        assert (await server.publish(begun.id))[1]  # nothing was used up

    asyncio.run(run())


class _KilledError(Exception):
    pass


async def publish_too_late(one: Catalogue, id: str, meanwhile: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Be stopped just before a release becomes visible, for longer than any grace period, and killed just after."""
    swap = one.storage.swap

    async def stopped(path: str, data: bytes, seen: Any) -> bool:
        await meanwhile()
        done = await swap(path, data, seen)
        raise _KilledError(done)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one.storage, "swap", stopped)
        with contextlib.suppress(_KilledError):
            await one.publish(id)


@pytest.mark.parametrize("gone", ["record", "payload", "both"])
def test_what_a_server_published_too_late_and_could_not_take_back_is_whole_once_it_is_acknowledged(
    memory: MemoryStore, trust: TrustStore, sealed: BundleMaker, gone: str
) -> None:
    """SIGSTOP across the grace period, then `kill -9`: what the release names was collected meanwhile."""

    async def run() -> None:
        one, other = (server_on(Storage(memory), trust) for _ in range(2))
        small = sealed(sequence=7)
        begun = await upload(one, small, trust)

        async def meanwhile() -> None:
            if gone == "payload":  # that collector was killed in the midst of it
                await other.storage.delete([run.path(begun.payload.digest) for run in begun.payload.runs])
                return
            if gone == "both":  # the upload was too old, too
                await other.give_up(begun)
            for _ in range(3):
                await other.collect(grace_s=0)

        await publish_too_late(one, begun.id, meanwhile)
        assert list((await other.channels_read.pointer(OF, fresh=True)).entries) == [7]
        release = await publish(other, small, trust)
        for _ in range(3):
            collected = await other.collect(grace_s=0)
            assert collected is not None
            assert collected.damaged == 0
        assert await other.latest(OF) == release
        assert await other.seal(release) == small.seal
        try:
            content = await payload_of(other, release)
        except TransferError as error:
            pytest.fail(f"it was acknowledged, and is not there: {error}")
        assert content == small.payload
        assert await publish(one, small, trust) == release

    asyncio.run(run())


def test_what_a_published_release_lost_comes_back_with_the_next_upload_of_it(
    memory: MemoryStore, trust: TrustStore, sealed: BundleMaker
) -> None:
    async def run() -> None:
        server = server_on(Storage(memory), trust)
        small = sealed(sequence=7)
        release = await publish(server, small, trust)
        record = await server.channels_read.record(OF, (await server.channels_read.pointer(OF)).entries[7])
        await server.storage.delete(record.payload.paths)
        with pytest.raises(Problem) as raised:
            await server.publish(release.seal_digest)  # it says which release it became, which says nothing any more
        assert raised.value.kind is NO_UPLOAD
        again = await publish(server, small, trust)
        assert await payload_of(server, again) == small.payload
        assert await server.publish(release.seal_digest) == (again, False)

    asyncio.run(run())


def test_whether_a_release_is_whole_is_looked_at_once_for_all_who_ask_and_in_no_loop(
    memory: MemoryStore, trust: TrustStore, sealed: BundleMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[threading.Thread] = []
    names_of = _wholeness._needed

    def looking(record: ReleaseRecord) -> tuple[set[str], set[str]]:
        looked.append(threading.current_thread())
        return names_of(record)

    async def run() -> None:
        server = server_on(Storage(memory), trust)
        small = sealed(sequence=7)
        release = await publish(server, small, trust)
        monkeypatch.setattr(_wholeness, "_needed", looking)
        verified = accept(small.seal, trust=trust)
        begun = await asyncio.gather(*(server.begin(verified, client="anybody") for _ in range(8)))
        begun.append(await server.begin(verified, client="anybody"))
        assert begun == [release] * 9

    asyncio.run(run())
    assert len(looked) == 1
    assert looked[0] is not threading.current_thread()


def test_an_upload_that_another_server_allows_and_this_one_would_not_stops_no_collection(
    memory: MemoryStore, trust: TrustStore, sealed: BundleMaker
) -> None:
    async def run() -> None:
        one = server_on(Storage(memory), trust)
        small = sealed(sequence=7)
        begun = await upload(one, small, trust)
        await one.storage.put(layout.run_object("0" * 64, 0, 1, "0" * 16), b"nobody's")

        async def collect(upload_age_s: float) -> None:
            limits = replace(NO_AGE, seal_bytes=len(small.seal) - 1, upload_age_s=upload_age_s)
            other = server_on(Storage(memory), trust, limits=limits)
            for _ in range(2):
                await asyncio.sleep(0.01)
                assert await other.collect(grace_s=0) is not None

        await collect(3600)
        stored = [found.path async for found in one.storage.list(layout.PAYLOADS)]
        assert stored == [run.path(begun.payload.digest) for run in begun.payload.runs]
        await collect(0.001)
        assert await one.uploads.listed() == []

    asyncio.run(run())


def test_one_server_collects_at_a_time_and_a_lease_runs_out_by_standing_still(memory: MemoryStore) -> None:
    async def run() -> None:
        now = [0.0, 0.0]
        one, other = (CollectorLease(Storage(memory), lease_s=60, clock=lambda at=at: now[at]) for at in range(2))
        assert await one.take()
        assert not await other.take()
        now[1] = 59
        now[0] = 30
        await one.keep()  # renewed: others count anew
        now[1] = 100
        assert not await other.take()
        now[1] = 161
        assert await other.take()
        assert other.number == one.number + 1
        now[0] = 60
        with pytest.raises(LeaseLostError):
            await one.keep()
        await other.give_back()
        assert await one.take()

    asyncio.run(run())


def test_many_seals_of_one_statement_share_a_few_places(
    memory: MemoryStore, trust: TrustStore, sealed: BundleMaker
) -> None:
    async def run() -> None:
        server = server_on(Storage(memory), trust)
        small = sealed(sequence=7)
        mine = await upload(server, small, trust)
        signed = small.parsed.envelope
        for number in range(20):
            unsigned = Signature(f"{number:064x}", bytes(384))
            envelope = replace(signed, signatures=(*signed.signatures, unsigned))
            varied = replace(small.parsed, envelope=envelope).encode()
            await server.begin(accept(varied, trust=trust), client="stranger")
        assert len(await server.uploads.listed()) == NO_AGE.open_uploads_per_bundle
        # The publisher's own was pushed out, begins again, and has lost nothing.
        with pytest.raises(Problem) as raised:
            await server.publish(mine.id)
        assert raised.value.kind is NO_UPLOAD
        again = await server.begin(accept(small.seal, trust=trust), client="x")
        assert again.payload.missing == []
        await server.publish(again.id)

    asyncio.run(run())


COLLECT = """
import asyncio, logging, os, signal, sys
from capseal import Role, load_trust
from capseal.server import Limits, Storage
from capseal.server.catalogue.catalogue import Catalogue

async def run(place, trust):
    storage = Storage.open(place)
    log = logging.getLogger("capseal.server")
    catalogue = Catalogue(
        storage, load_trust(trust), role=Role.PRODUCTION, limits=Limits(lease_s=0.5), log=log, verify_reads=False
    )
    delete = storage.delete

    async def stopped(paths):
        os.kill(os.getpid(), signal.SIGSTOP)
        await delete(paths)

    storage.delete = stopped
    await catalogue.collect(grace_s=0)

asyncio.run(run(*sys.argv[1:]))
"""


def test_a_collector_that_is_stopped_across_its_lease_deletes_nothing_that_is_published(
    store: Path, trust: TrustStore, sealed: BundleMaker, tmp_path: Path
) -> None:
    """SIGSTOP where it was about to delete; another one collects, and the same payload is published, meanwhile."""
    trust.save(tmp_path / "trust")
    small = sealed(sequence=7)

    async def run() -> None:
        limits = replace(NO_AGE, lease_s=0.5)
        server = server_on(Storage.open(str(store)), trust, limits)
        await server.give_up(await upload(server, small, trust))
        assert (await server.collect(grace_s=0)).condemned == 1
        command = [sys.executable, "-c", COLLECT, str(store), str(tmp_path / "trust")]
        sleeper = subprocess.Popen(command)
        try:
            _, status = await asyncio.to_thread(os.waitpid, sleeper.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            assert await server.collect(grace_s=0) is None
            await asyncio.sleep(0.6)
            assert (await server.collect(grace_s=0)).deleted == 1  # the lease has run out
            release = await publish(server, small, trust)
        finally:
            sleeper.send_signal(signal.SIGCONT)
            sleeper.wait(30)
        for _ in range(2):
            await server.collect(grace_s=0)
        assert await payload_of(server, release) == small.payload

    asyncio.run(run())


COUNT = """
import asyncio, json, sys
from capseal.server import Storage

async def count(place, times):
    storage = Storage.open(place)
    done = 0
    while done < times:
        seen = await storage.see("counter", most=100)
        data = str(1 + int(seen.data if seen else b"0")).encode()
        done += await storage.swap("counter", data, seen)

asyncio.run(count(sys.argv[1], int(sys.argv[2])))
"""


def test_of_many_processes_that_change_one_file_none_loses_a_change(store: Path) -> None:
    store.mkdir()
    command = [sys.executable, "-c", COUNT, str(store), "25"]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert (store / "counter").read_bytes() == b"100"


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_put_in_place_of_a_pointer_is_neither_followed_nor_waited_for(
    kind: str, store: Path, trust: TrustStore, sealed: BundleMaker
) -> None:
    async def run() -> None:
        storage = Storage.open(str(store))
        await publish(server_on(storage, trust), sealed(sequence=7), trust)
        path = layout.channel_pointer(OF)
        before = await storage.see(path, most=10**6)
        assert before is not None
        elsewhere = store.parent / "elsewhere"
        (store / path).rename(elsewhere)
        said = "is no file"
        if kind == "link":
            (store / path).symlink_to(elsewhere)
            said = "is a symbolic link"
        else:
            os.mkfifo(store / path)
        with pytest.raises(TransferError, match=said):
            await storage.see(path, most=10**6)
        with pytest.raises(TransferError, match=said):
            await storage.swap(path, b"{}", before)
        with pytest.raises(TransferError, match=said):
            await server_on(storage, trust).latest(OF)
        assert elsewhere.read_bytes() == before.data

    asyncio.run(run())


class ManyServers(RuleBasedStateMachine):
    """Three servers on a store that fails; after each step the truth is asked of one that does not."""

    made: tuple[Bundle, ...]
    trust: TrustStore

    @initialize(seed=st.integers(0, 2**32), rate=st.sampled_from([0, 10, 30]))
    def start(self, seed: int, rate: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.memory = MemoryStore()
        self.chance = random.Random(seed)
        self.rate = rate
        self.storages = [FaultyStorage(self.memory, self.chance, rate=rate) for _ in range(3)]
        self.servers = [server_on(storage, self.trust) for storage in self.storages]
        self.acknowledged: set[int] = set()
        self.withdrawn: set[int] = set()
        self.removed: set[int] = set()
        self.too_late: set[int] = set()
        self.seen: Succession = Succession()
        self.order: list[int] = []

    def run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(what)

    async def attempt(self, at: int, number: int) -> bool:
        """Publish once, as far as the store lets it; return whether it was acknowledged."""
        try:
            await publish(self.servers[at], self.made[number], self.trust)
        except (TransferError, Problem, RejectedError):
            return False
        return True

    @rule(at=st.integers(0, 2), number=st.integers(0, 7))
    def publishes(self, at: int, number: int) -> None:
        if self.run(self.attempt(at, number)):
            self.acknowledged.add(self.made[number].parsed.statement.sequence)

    @rule(numbers=st.lists(st.integers(0, 7), min_size=3, max_size=3))
    def publish_at_once(self, numbers: list[int]) -> None:
        async def all_of_them() -> list[bool]:
            return await asyncio.gather(*(self.attempt(at, number) for at, number in enumerate(numbers)))

        for number, done in zip(numbers, self.run(all_of_them()), strict=True):
            if done:
                self.acknowledged.add(self.made[number].parsed.statement.sequence)

    @rule(at=st.integers(0, 2), sequence=st.integers(1, 9))
    def withdraws(self, at: int, sequence: int) -> None:
        async def withdraw() -> bool:
            server = self.servers[at]
            try:
                release = await server.release(OF, sequence)
                if release is None:
                    return False
                await server.withdraw(release)
            except (TransferError, Problem):
                return False
            return True

        if self.run(withdraw()):
            self.withdrawn.add(sequence)

    @rule(at=st.integers(0, 2), keep=st.integers(1, 4))
    def prunes(self, at: int, keep: int) -> None:
        """Beside a publisher, who may come between the look and the change."""

        async def prune() -> None:
            pruner = Pruner(self.servers[at].channels_read, log=logging.getLogger("capseal.server"))
            with contextlib.suppress(TransferError):
                await pruner.prune(Retention(keep=keep), now=START)

        async def beside(number: int) -> bool:
            return (await asyncio.gather(self.attempt((at + 1) % 3, number), prune()))[0]

        number = self.chance.randrange(8)
        before = self.run(self.pointer())
        if self.run(beside(number)):
            self.acknowledged.add(self.made[number].parsed.statement.sequence)
        after = self.run(self.pointer())
        gone = after.removed - before.removed
        left = [one.sequence for one in after.listed()]
        assert all(sum(one > sequence for one in left) >= keep for sequence in gone)
        self.removed |= gone

    async def pointer(self) -> ChannelPointer:
        """Return what is true."""
        return await server_on(Storage(self.memory), self.trust).channels_read.pointer(OF, fresh=True)

    @rule(at=st.integers(0, 2))
    def collects(self, at: int) -> None:
        async def collect() -> None:
            with contextlib.suppress(TransferError, Problem):
                await self.servers[at].collect(grace_s=0)

        self.run(collect())

    @rule(at=st.integers(0, 2), number=st.integers(0, 7))
    def is_stopped_and_then_killed(self, at: int, number: int) -> None:
        """Just before a release becomes visible, and just after; what it names is collected meanwhile."""
        bundle = self.made[number]
        self.is_killed_and_starts_again(at)

        async def meanwhile() -> None:
            awake = server_on(Storage(self.memory), self.trust)
            for _ in range(2):
                await awake.collect(grace_s=0)

        async def publish_late() -> None:
            server = self.servers[at]
            with contextlib.suppress(TransferError, Problem, RejectedError):
                begun = await server.begin(accept(bundle.seal, trust=self.trust), client="x")
                if isinstance(begun, Upload):
                    await upload(server, bundle, self.trust)
                    await publish_too_late(server, begun.id, meanwhile)

        before = self.run(self.pointer())
        self.run(publish_late())
        self.too_late |= set(self.run(self.pointer()).entries) - set(before.entries)
        self.is_killed_and_starts_again(at)

    @rule(at=st.integers(0, 2))
    def is_killed_and_starts_again(self, at: int) -> None:
        self.storages[at] = FaultyStorage(self.memory, self.chance, rate=self.rate)
        self.servers[at] = server_on(self.storages[at], self.trust)

    @invariant()
    def the_store_is_true(self) -> None:
        if not hasattr(self, "memory"):
            return

        async def look() -> None:
            honest = server_on(Storage(self.memory), self.trust)
            pointer = await honest.channels_read.pointer(OF, fresh=True)
            by_sequence = {one.parsed.statement.sequence: one for one in self.made}
            new = [one for one in (*pointer.entries, *sorted(pointer.removed)) if one not in self.order]
            self.order += new  # several at once only from one rule; each passed the rule in the store
            assert self.removed == pointer.removed  # what was let go of, and never comes back
            assert set(self.order) == set(pointer.entries) | self.removed  # nothing else that was there goes away
            assert self.acknowledged <= set(self.order)
            for sequence in self.withdrawn - self.removed:
                assert pointer.entries[sequence].withdrawn is not None
            for entry in pointer.listed():
                if entry.sequence in self.too_late - self.acknowledged:
                    continue  # nobody was told of it, and who publishes it again makes it whole
                release = await honest.release(OF, entry.sequence)
                assert release is not None
                assert await payload_of(honest, release) == by_sequence[entry.sequence].payload
                assert await honest.seal(release) == by_sequence[entry.sequence].seal
            assert pointer.trusted.highest >= self.seen.highest
            assert pointer.trusted.newest >= self.seen.newest
            if pointer.trusted.floor < self.seen.floor:  # only by a permit that was younger than all
                last = by_sequence[pointer.trusted.floor].parsed.statement
                assert last.allow_downgrade_to is not None
                assert shown_time(last.created) > self.seen.newest
            self.seen = pointer.trusted

        self.run(look())

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()


@pytest.fixture
def numbered(sealed: BundleMaker) -> tuple[Bundle, ...]:
    """Bundles of sequences 1 to 6, and two permits, of which one is old."""
    made = [sealed(sequence=one, content=b"%d" % one, created=START + timedelta(days=one)) for one in range(3, 9)]
    young = sealed(sequence=2, content=b"2", allow_downgrade_to=1, created=START + timedelta(days=20))
    old = sealed(sequence=1, content=b"1", allow_downgrade_to=0, created=START + timedelta(days=4))
    return (*made, young, old)


@pytest.mark.parametrize(
    "steps", [pytest.param((10, 15), id="short"), pytest.param((400, 60), id="long", marks=pytest.mark.soak)]
)
def test_whatever_fails_nothing_acknowledged_is_lost_and_no_rollback_is_taken(
    numbered: tuple[Bundle, ...], trust: TrustStore, steps: tuple[int, int]
) -> None:
    machine = type("Machine", (ManyServers,), {"made": numbered, "trust": trust})
    examples, count = steps
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=count, deadline=None)
    )
