"""Whom a server trusts may change while it runs: what is published is what the trust of that moment accepts."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from obstore.store import MemoryStore

from capseal import SignatureError, TransferError, TrustStore
from capseal.embedding import accept
from capseal.format.strictjson import Role
from capseal.http.problems import BUSY
from capseal.http.shapes import AppChannel
from capseal.server import Limits, Storage, replace_trust
from capseal.server._problems import Problem
from capseal.server.catalogue import _seals
from capseal.server.catalogue.arriving import Upload
from capseal.server.catalogue.catalogue import Catalogue
from capseal.server.storage.stored_runs import StoredRun
from support.server_fixtures import BundleMaker
from support.serving import APP, CHANNEL, Bundle, live_server

OF = AppChannel(APP, CHANNEL)


@pytest.fixture
def others(signer2: Any) -> TrustStore:
    """Trusts somebody else."""
    return TrustStore.of(signer2.public_key)


@pytest.fixture
def server(trust: TrustStore) -> Catalogue:
    log = logging.getLogger("capseal.server")
    limits = Limits(pointer_age_s=0)
    return Catalogue(Storage(MemoryStore()), trust, role=Role.PRODUCTION, limits=limits, log=log, verify_reads=True)


async def uploaded(server: Catalogue, bundle: Bundle, trust: TrustStore) -> Upload:
    """Send a bundle of one run, but do not publish it."""
    begun = await server.begin(accept(bundle.seal, trust=trust), client="x")
    assert isinstance(begun, Upload)
    segments = -(-len(bundle.payload) // (512 * 1024))
    await server.put_run(begun, begun.payload, StoredRun(0, segments, ""), memoryview(bundle.payload))
    return begun


def test_a_key_that_is_trusted_no_more_publishes_nothing_of_what_it_began(
    store: Path, trust: TrustStore, others: TrustStore, sealed: BundleMaker
) -> None:
    small = sealed(sequence=7)
    with live_server(str(store), trust) as live:
        links = live.begin(small.seal).json()["links"]
        live.client.put(links["payload"], content=small.payload).raise_for_status()
        replace_trust(live.app, others)
        assert live.client.get(links["self"]).status_code == 404
        assert live.client.put(links["payload"], content=small.payload).status_code == 404
        assert live.client.post(links["self"]).status_code == 404
        assert live.begin(small.seal).status_code == 403
        assert live.client.get(live.release_url(7)).status_code == 404
        replace_trust(live.app, trust)
        assert live.publish(small).status_code == 201


def test_an_upload_that_is_trusted_before_and_after_a_reload_goes_on(
    store: Path, trust: TrustStore, others: TrustStore, sealed: BundleMaker
) -> None:
    small = sealed(sequence=7)
    with live_server(str(store), TrustStore((*trust.keys, *others.keys))) as live:
        links = live.begin(small.seal).json()["links"]
        live.client.put(links["payload"], content=small.payload).raise_for_status()
        replace_trust(live.app, trust)
        assert live.client.post(links["self"]).status_code == 201


def test_a_seal_that_trickles_across_a_reload_is_judged_by_the_new_trust(
    server: Catalogue, others: TrustStore, sealed: BundleMaker
) -> None:
    small = sealed(sequence=7)

    async def trickling() -> AsyncIterator[bytes]:
        yield small.seal[:-10]
        server.trusted.replace(others)
        yield small.seal[-10:]

    async def run() -> None:
        with pytest.raises(SignatureError):
            await server.seals.arriving(trickling(), lambda count: None)

    asyncio.run(run())


def test_a_reload_while_an_upload_is_looked_up_for_publishing_counts(
    server: Catalogue, trust: TrustStore, others: TrustStore, sealed: BundleMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        mine = await uploaded(server, sealed(sequence=7), trust)
        look_up = server.uploads.look_up

        async def look_up_and_reload(upload: Upload) -> None:
            await look_up(upload)
            server.trusted.replace(others)

        monkeypatch.setattr(server.uploads, "look_up", look_up_and_reload)
        with pytest.raises(SignatureError):
            await server.publish(mine.id)
        assert await server.latest(OF) is None
        assert await server.uploads.listed() == []

    asyncio.run(run())


def test_a_release_names_who_signed_it_by_the_trust_in_force_when_it_is_published(
    server: Catalogue,
    trust: TrustStore,
    others: TrustStore,
    signer: Any,
    signer2: Any,
    sealed: Callable[..., Bundle],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        mine = await uploaded(server, sealed(sequence=7, by=[signer, signer2]), trust)
        look_up = server.uploads.look_up

        async def look_up_and_reload(upload: Upload) -> None:
            await look_up(upload)
            server.trusted.replace(others)

        monkeypatch.setattr(server.uploads, "look_up", look_up_and_reload)
        release, is_new = await server.publish(mine.id)
        assert is_new
        assert release.signers == (signer2.public_key.fingerprint,)

    asyncio.run(run())


def test_a_reload_just_before_a_release_becomes_visible_counts(
    server: Catalogue, trust: TrustStore, others: TrustStore, sealed: BundleMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        mine = await uploaded(server, sealed(sequence=7), trust)
        sync = server.storage.sync

        async def sync_and_reload(paths: list[str]) -> None:
            await sync(paths)
            server.trusted.replace(others)

        monkeypatch.setattr(server.storage, "sync", sync_and_reload)
        with pytest.raises((Problem, SignatureError)) as raised:
            await server.publish(mine.id)
        assert isinstance(raised.value, Problem)  # it never was visible: what was, is taken back for its signature
        assert raised.value.kind is BUSY
        assert await server.latest(OF) is None
        monkeypatch.undo()
        with pytest.raises(Problem):  # and asked again, as a client does
            await server.publish(mine.id)
        assert await server.latest(OF) is None

    asyncio.run(run())


def test_what_is_read_verified_is_of_whom_the_server_trusts_now(
    server: Catalogue, trust: TrustStore, others: TrustStore, sealed: BundleMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept_detached = _seals.accept_detached
    reloads = [others]

    def accept_and_reload(*arguments: Any, **keywords: Any) -> Any:
        verdict = accept_detached(*arguments, **keywords)
        if reloads:
            server.trusted.replace(reloads.pop())
        return verdict

    async def run() -> None:
        mine = await uploaded(server, sealed(sequence=7), trust)
        release, _ = await server.publish(mine.id)
        await server.payload(release, None)
        monkeypatch.setattr(_seals, "accept_detached", accept_and_reload)
        server.trusted.replace(replace(trust))  # as it is read again: equal, and another one
        for _ in range(2):  # neither by the verdict that a reload overtook, nor by one that was kept of it
            with pytest.raises(TransferError, match="does not verify"):
                await server.payload(release, None)
        server.trusted.replace(trust)
        await server.payload(release, None)

    asyncio.run(run())


def test_a_reload_that_never_ends_keeps_no_server_from_ending(store: Path, trust: TrustStore) -> None:
    began, never = threading.Event(), threading.Event()

    def reload() -> None:
        began.set()
        never.wait()

    try:
        with live_server(str(store), trust, reload=reload) as live:
            live.server._reloading.ask()  # type: ignore[attr-defined]
            assert began.wait(10)
            assert live.client.get("/livez").text == "ok\n"
    finally:  # live_server() has seen it end
        never.set()
