"""Whom servers on one storage trust: what one has acknowledged counts in what the others are about to change."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore

from capseal import PrivateKey, SignatureError, TrustedKey, TrustStore
from capseal.http.problems import BUSY
from capseal.server import Storage
from capseal.server._problems import Problem
from capseal.server.catalogue import _heads
from capseal.server.catalogue.catalogue import Catalogue
from capseal.server.storage.pointers import ChannelPointer
from capseal.trust.key_sets import KeySet, Restart
from capseal.trust.updates import make_update
from support.company import NOW
from support.server_fixtures import BundleMaker
from support.serving import APP
from support.store_steps import OF, publish, server_on, upload

Two = Callable[[TrustStore], tuple[Catalogue, Catalogue]]


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def stores(
    signer: PrivateKey, signer2: PrivateKey, roots: tuple[PrivateKey, PrivateKey, PrivateKey]
) -> tuple[TrustStore, TrustStore, bytes]:
    """A store, the next one, by which another key begins again after sequence 4, and the update."""
    root = roots[0]
    first = TrustStore((TrustedKey(signer.public_key),), root=KeySet.of(root.public_key), created=NOW)
    second = replace(first, keys=(TrustedKey(signer2.public_key),), version=2, restart=Restart(4, NOW))
    return first, second, make_update(first, second, signers=[root])


@pytest.fixture
def two(memory: MemoryStore) -> Two:
    """Makes two servers on one storage, for the loop that they will run in."""
    return lambda trust: (server_on(Storage(memory), trust), server_on(Storage(memory), trust))


def _once_synced(server: Catalogue, then: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have something happen just before a server that publishes changes the pointer."""
    sync = server.storage.sync

    async def synced(paths: list[str]) -> None:
        await sync(paths)
        await then()

    monkeypatch.setattr(server.storage, "sync", synced)


def test_a_removed_key_publishes_nothing_once_another_server_published_by_the_update(
    two: Two,
    stores: tuple[TrustStore, TrustStore, bytes],
    sealed: BundleMaker,
    signer2: PrivateKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second, update = stores

    async def run() -> None:
        one, other = two(first)
        await publish(other, sealed(sequence=4), first)
        stolen = await upload(one, sealed(sequence=99), first)

        async def rotated() -> None:
            await other.trusted.put(APP, 2, update)
            await publish(other, sealed(sequence=5, by=signer2), second)

        _once_synced(one, rotated, monkeypatch)
        with pytest.raises((Problem, SignatureError)) as raised:
            await one.publish(stolen.id)
        assert isinstance(raised.value, Problem), "it was published, and taken back"
        assert raised.value.kind is BUSY
        monkeypatch.undo()
        with pytest.raises(SignatureError):  # and asked again, as a client does
            await one.publish(stolen.id)
        pointer = await other.channels_read.pointer(OF, fresh=True)
        assert (list(pointer.entries), pointer.trusted.floor, pointer.trust_version) == ([4, 5], 5, 2)
        assert ChannelPointer.parse(OF, pointer.encode()) == pointer
        await publish(one, sealed(sequence=6, by=signer2), second)

    asyncio.run(run())


def test_what_was_published_while_another_server_took_the_update_is_taken_back(
    two: Two,
    stores: tuple[TrustStore, TrustStore, bytes],
    sealed: BundleMaker,
    signer2: PrivateKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second, update = stores

    async def run() -> None:
        one, other = two(first)
        stolen = await upload(one, sealed(sequence=99), first)
        _once_synced(one, lambda: other.trusted.put(APP, 2, update), monkeypatch)
        with pytest.raises(SignatureError):
            await one.publish(stolen.id)
        monkeypatch.undo()
        pointer = await other.channels_read.pointer(OF, fresh=True)
        assert (list(pointer.entries), pointer.trusted.floor) == ([], 0)
        await publish(one, sealed(sequence=5, by=signer2), second)

    asyncio.run(run())


def test_a_server_that_was_given_a_store_of_another_line_goes_by_it_whatever_its_version(
    memory: MemoryStore,
    stores: tuple[TrustStore, TrustStore, bytes],
    sealed: BundleMaker,
    signer: PrivateKey,
    signer2: PrivateKey,
) -> None:
    first, second, update = stores
    elsewhere = TrustStore.of(signer.public_key)

    async def run() -> None:
        server = server_on(Storage(memory), first)
        await server.trusted.put(APP, 2, update)
        await publish(server, sealed(sequence=5, by=signer2), second)
        await publish(server_on(Storage(memory), elsewhere), sealed(sequence=6), elsewhere)

    asyncio.run(run())


@pytest.mark.parametrize("kept", [True, False])
def test_a_recall_by_a_store_that_another_server_is_past_is_not_taken(
    memory: MemoryStore,
    stores: tuple[TrustStore, TrustStore, bytes],
    sealed: BundleMaker,
    monkeypatch: pytest.MonkeyPatch,
    kept: bool,
) -> None:
    first, second, _ = stores
    digest = "ab" * 32

    async def run() -> None:
        server = server_on(Storage(memory), first)
        await publish(server, sealed(sequence=5), first)
        pointer = await server.channels_read.pointer(OF, fresh=True)

        def accepted(*_: object, **__: object) -> tuple[str, None]:
            if not kept:
                obstore.put(memory, pointer.path, pointer.taken_by(second).encode())
            return digest, None

        monkeypatch.setattr(_heads, "accept_recall", accepted)
        if kept:
            assert await server.heads.put_recall(OF, digest, b"recall")
            return
        with pytest.raises(Problem) as raised:
            await server.heads.put_recall(OF, digest, b"recall")
        assert raised.value.kind is BUSY
        assert not (await server.channels_read.pointer(OF, fresh=True)).recalls

    asyncio.run(run())
