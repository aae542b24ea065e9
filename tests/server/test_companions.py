"""Companions of any kind take the payload's way: up, down, by range, verified, kept, collected, withdrawn.

The kinds here are the tests' own: the server and the client are not told what they are for.
"""

import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from capseal import PrivateKey, RejectedError, TamperedError, TransferError, TrustStore, UsageError
from capseal.bundle.companions import describe_companion, unseal_companion
from capseal.bundle.seal import CompanionSource
from capseal.client import Connection, fetch, publish
from capseal.constants import SEGMENT_BYTES
from capseal.format.seal import SEAL_TYPE
from capseal.format.tree import digest, index_entries
from capseal.server import Limits
from capseal.server.catalogue.catalogue import Catalogue
from capseal.trust.signing import sign
from support.serving import (
    APP,
    CHANNEL,
    TOKEN,
    Bundle,
    Live,
    collect,
    kept_files,
    listed_files,
    live_server,
    make_bundle,
    payload_file,
)

S = SEGMENT_BYTES
FOREIGN, SEALED = "files.pack", "from-6.delta"
KIND = "application/vnd.example.test"
DELTA = os.urandom(2 * S)


@dataclass(frozen=True)
class Accompanied:
    """A bundle with a foreign and a sealed companion; in `folder` as game.sealed and under their names."""

    bundle: Bundle
    files: dict[str, bytes]
    folder: Path

    def index(self, name: str) -> bytes:
        return index_entries(memoryview(self.files[name]), whole_payload=True)

    def digest(self, name: str) -> str:
        return digest(self.index(name), len(self.files[name])).hex()

    def publish(self, url: str, **keywords: Any) -> dict[str, Any]:
        with Connection(url, token=TOKEN, attempts=keywords.pop("attempts", 6)) as connection:
            return publish(self.folder / "game.sealed", connection, **keywords)


Maker = Callable[..., Accompanied]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory, signer: PrivateKey, recipient: PrivateKey) -> Maker:
    """Return make(sequence, **keywords of capseal.seal)."""

    def make(sequence: int = 7, **keywords: Any) -> Accompanied:
        folder = tmp_path_factory.mktemp("accompanied")
        (folder / FOREIGN).write_bytes(os.urandom(17 * S + 5))
        delta = CompanionSource(
            name=SEALED,
            media_type=KIND,
            source=io.BytesIO(DELTA),
            payload=folder / SEALED,
            index=folder / "index",
        )
        companions = [describe_companion(folder / FOREIGN, media_type=KIND), delta]
        content = os.urandom(3 * S)
        bundle = make_bundle(
            folder, signer, recipient, content=content, sequence=sequence, companions=companions, **keywords
        )
        (folder / "game.sealed").write_bytes(bundle.seal + bundle.payload)
        files = {name: (folder / name).read_bytes() for name in (FOREIGN, SEALED)}
        return Accompanied(bundle, files, folder)

    return make


@pytest.fixture(scope="module")
def one(make: Maker) -> Accompanied:
    """Sequence 7."""
    return make()


@pytest.fixture
def live(store: Path, trust: TrustStore) -> Iterator[Live]:
    """A server that can withdraw."""
    with live_server(str(store), trust, token=TOKEN) as live:
        live.client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield live


def url_of(live: Live, name: str) -> str:
    return f"{live.release_url(7)}/attachments/{name}"


@pytest.mark.parametrize("verify_reads", [False, True])
def test_companions_are_published_and_read_by_range(
    verify_reads: bool, store: Path, trust: TrustStore, one: Accompanied
) -> None:
    with live_server(str(store), trust, verify_reads=verify_reads) as live:
        described = one.publish(live.url)
        assert described == live.client.get(live.release_url(7)).json()
        assert set(described["attachments"]) == {FOREIGN, SEALED}
        for name, data in one.files.items():
            url = described["attachments"][name]["link"]
            whole = live.client.get(url)
            assert (whole.content, whole.headers["etag"]) == (data, f'"{one.digest(name)}"')
            assert whole.headers["cache-control"] == "public, max-age=31536000, immutable, no-transform"
            assert live.client.get(url, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
            for start, stop in ((0, 1), (S - 1, S + 1), (len(data) - 3, len(data))):
                part = live.client.get(url, headers={"Range": f"bytes={start}-{stop - 1}"})
                assert (part.status_code, part.content) == (206, data[start:stop])
            several = live.client.get(url, headers={"Range": f"bytes=0-9,{S}-{S + 4}"})
            assert several.headers["content-type"].startswith("multipart/byteranges")
            assert live.client.get(f"{url}/index").content == one.index(name)
        assert live.client.get(f"{live.release_url(7)}/attachments/other").status_code == 404
        assert live.client.get(f"{live.release_url(7)}/attachments/a%20b").status_code == 400


def test_a_release_is_published_only_with_all_that_its_seal_names(live: Live, one: Accompanied) -> None:
    upload = live.begin(one.bundle.seal).json()
    live.client.put(upload["links"]["payload"], content=one.bundle.payload).raise_for_status()
    for name in (SEALED, FOREIGN):
        answer = live.client.post(upload["links"]["self"])
        assert answer.json()["type"] == "urn:capseal:problem:incomplete"
        assert name in answer.json()["detail"]
        links = upload["attachments"][name]
        early = live.client.put(links["link"], content=one.files[name])
        assert early.json()["type"] == "urn:capseal:problem:no-index"
        live.client.put(links["index_link"], content=one.index(name)).raise_for_status()
        live.client.put(links["link"], content=one.files[name]).raise_for_status()
    assert live.client.post(upload["links"]["self"]).status_code == 201
    unknown = live.begin(one.bundle.seal)
    assert unknown.status_code == 200
    assert live.client.put(f"{upload['links']['self']}/attachments/{FOREIGN}", content=b"").status_code == 404


@pytest.mark.parametrize("name", [FOREIGN, SEALED])
@pytest.mark.parametrize("what", ["bytes", "index"])
def test_a_flipped_bit_gives_the_upload_up(
    what: str, name: str, live: Live, store: Path, trust: TrustStore, one: Accompanied
) -> None:
    upload = live.begin(one.bundle.seal).json()
    links = upload["attachments"][name]
    index, data = bytearray(one.index(name)), bytearray(one.files[name])
    (index if what == "index" else data)[S // 2 if what == "bytes" else 5] ^= 1
    answer = live.client.put(links["index_link"], content=bytes(index))
    if what == "bytes":
        answer = live.client.put(links["link"], content=bytes(data))
        assert answer.json()["segment"] == 0
    assert (answer.status_code, answer.json()["error"]) == (422, "TamperedError")
    collect(store, trust)
    assert kept_files(store) == []


def test_an_interrupted_upload_goes_on_in_another_server(store: Path, trust: TrustStore, one: Accompanied) -> None:
    with live_server(str(store), trust) as live:
        upload = live.begin(one.bundle.seal).json()
        links = upload["attachments"][FOREIGN]
        live.client.put(links["index_link"], content=one.index(FOREIGN)).raise_for_status()
        size = len(one.files[FOREIGN])
        header = {"Content-Range": f"bytes 0-{2 * S - 1}/{size}"}
        live.client.put(links["link"], content=one.files[FOREIGN][: 2 * S], headers=header).raise_for_status()
    with live_server(str(store), trust) as live:
        left = live.client.get(upload["links"]["self"]).json()["attachments"]
        assert (left[FOREIGN]["index_missing"], left[FOREIGN]["missing"]) == (False, [[2 * S, size]])
        assert (left[SEALED]["index_missing"], left[SEALED]["missing"]) == (True, [[0, len(one.files[SEALED])]])
        one.publish(live.url)
        metrics = live.client.get("/metrics").text.splitlines()
        (received,) = (line.split()[1] for line in metrics if line.startswith("capseal_received_bytes_total "))
        assert float(received) == len(one.bundle.payload) + size - 2 * S + len(one.files[SEALED])
        assert live.client.get(url_of(live, FOREIGN)).content == one.files[FOREIGN]


def test_the_client_finds_companions_beside_the_bundle_or_where_it_is_told(
    live: Live, store: Path, make: Maker, tmp_path: Path
) -> None:
    moved = make()
    (moved.folder / SEALED).rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=f"{SEALED}: the seal vouches for it"):
        moved.publish(live.url)
    with pytest.raises(UsageError, match="other: the seal vouches for no such attachment"):
        moved.publish(live.url, companions={"other": tmp_path / "elsewhere"})
    bad = bytearray(moved.files[SEALED])
    bad[-1] ^= 1
    (tmp_path / "bad").write_bytes(bad)
    with pytest.raises(TamperedError, match="not what the seal vouches for"):
        moved.publish(live.url, companions={SEALED: tmp_path / "bad"})
    assert kept_files(store) == []
    moved.publish(live.url, companions={SEALED: tmp_path / "elsewhere"})
    assert live.client.get(url_of(live, SEALED)).content == moved.files[SEALED]


def test_a_fetch_brings_the_companions_it_is_asked_for_and_mends_them(
    live: Live, one: Accompanied, trust: TrustStore, recipient: PrivateKey, tmp_path: Path
) -> None:
    one.publish(live.url)
    folder = tmp_path / "got"
    folder.mkdir()

    def fetched(*names: str) -> Any:
        with Connection(live.url) as connection:
            where = {"app": APP, "channel": CHANNEL, "folder": folder, "trust": trust}
            return fetch(connection, **where, companions=names)

    assert fetched().companions == {}
    got = fetched(SEALED, FOREIGN, SEALED)
    base = f"{APP}@{CHANNEL}-7"
    of_each = [f"{base}.{what}.{name}" for what in ("attachment", "index") for name in one.files]
    assert {path.name for path in folder.iterdir()} == {f"{base}.seal", f"{base}.payload", *of_each}
    for name, data in one.files.items():
        assert Path(got.companions[name]).read_bytes() == data
        assert Path(got.indexes[name]).read_bytes() == one.index(name)
    opened = io.BytesIO()
    stored, index = got.companions[SEALED], got.indexes[SEALED]
    unseal_companion(stored, opened, name=SEALED, index=index, verified=got.verified, identity=recipient)
    assert opened.getvalue() == DELTA
    damaged = bytearray(one.files[FOREIGN])
    damaged[S + 1] ^= 1
    Path(got.companions[FOREIGN]).write_bytes(damaged)
    before = live.app.state.server.metrics.sent._value.get()
    assert Path(fetched(FOREIGN).companions[FOREIGN]).read_bytes() == one.files[FOREIGN]
    assert live.app.state.server.metrics.sent._value.get() - before == S
    with pytest.raises(UsageError, match="other: the seal vouches for no such attachment"):
        fetched("other")


@pytest.mark.parametrize("rot", ["run", "index", "forged", "gone", "cut", "record"])
def test_rotten_storage_never_reaches_a_client(
    rot: str, store: Path, trust: TrustStore, one: Accompanied, tmp_path: Path
) -> None:
    with live_server(str(store), trust) as live:
        one.publish(live.url)
    run, index = (payload_file(store, one.digest(FOREIGN), name) for name in ("0000000000-16", "index"))
    data = bytearray(one.files[FOREIGN])
    data[7] ^= 1
    if rot in ("run", "forged"):
        run.write_bytes(data[: 16 * S])
    if rot == "forged":
        index.write_bytes(index_entries(memoryview(data)))
    elif rot == "index":
        index.write_bytes(one.index(FOREIGN)[:-1] + b"\0")
    elif rot == "gone":
        index.unlink()
    elif rot == "cut":
        os.truncate(run, 5)
    elif rot == "record":
        (record,) = store.rglob("release.json")
        record.write_text(record.read_text().replace(one.digest(FOREIGN), one.digest(SEALED)))
    with live_server(str(store), trust, verify_reads=True) as live:
        if rot == "record":  # what it says of the size does not fit the other file
            assert live.client.get(live.release_url(7)).status_code in (200, 404)
            assert live.client.get(url_of(live, FOREIGN)).status_code in (404, 503)
        else:
            assert live.client.get(url_of(live, FOREIGN)).status_code == 503
        assert live.client.get(url_of(live, SEALED)).status_code in (200, 404)
        where = {"app": APP, "channel": CHANNEL, "folder": tmp_path, "trust": trust}
        with Connection(live.url, attempts=1) as connection, pytest.raises((RejectedError, TransferError, UsageError)):
            fetch(connection, **where, companions=[FOREIGN])
        assert not list(tmp_path.glob(f"*.attachment.{FOREIGN}"))


def test_a_client_believes_no_index_that_does_not_give_the_signed_digest(
    store: Path, trust: TrustStore, one: Accompanied, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(one.files[FOREIGN])
    data[7] ^= 1

    async def forged(*_: object) -> bytes:
        return index_entries(memoryview(data))

    monkeypatch.setattr(Catalogue, "attachment_index", forged)
    with live_server(str(store), trust) as live:
        one.publish(live.url)
        payload_file(store, one.digest(FOREIGN), "0000000000-16").write_bytes(data[: 16 * S])
        where = {"app": APP, "channel": CHANNEL, "folder": tmp_path, "trust": trust}
        with Connection(live.url, attempts=1) as connection, pytest.raises(TamperedError):
            fetch(connection, **where, companions=[FOREIGN])
    assert not list(tmp_path.glob(f"*.attachment.{FOREIGN}"))


def test_a_restart_keeps_companions_and_collects_only_orphans(store: Path, trust: TrustStore, one: Accompanied) -> None:
    with live_server(str(store), trust) as live:
        one.publish(live.url)
    collect(store, trust)
    before = listed_files(store)
    indexes = [list((store / "payloads" / one.digest(name)).glob("index-*")) for name in one.files]
    assert [len(found) for found in indexes] == [1] * len(one.files)
    orphan = store / "payloads" / hashlib.sha256(b"x").hexdigest()
    orphan.mkdir()
    (orphan / f"index-{1:016x}").write_bytes(b"x")
    (store / "payloads" / one.digest(FOREIGN) / f"0000000003-02-{2:016x}").write_bytes(b"x")
    collect(store, trust)
    assert listed_files(store) == before
    with live_server(str(store), trust) as live:
        for name, data in one.files.items():
            assert live.client.get(url_of(live, name)).content == data


def test_an_index_of_unknown_length_ends_at_its_cap(live: Live, one: Accompanied) -> None:
    link = live.begin(one.bundle.seal).json()["attachments"][SEALED]["index_link"]
    assert live.client.put(link, content=iter([one.index(SEALED), b"x"])).status_code == 413
    assert live.client.put(link, content=iter([one.index(SEALED)])).status_code == 200


def test_an_upload_that_went_stale_leaves_nothing_of_its_companions(
    store: Path, trust: TrustStore, one: Accompanied
) -> None:
    with live_server(str(store), trust) as live:
        links = live.begin(one.bundle.seal).json()["attachments"][SEALED]
        live.client.put(links["index_link"], content=one.index(SEALED)).raise_for_status()
        live.client.put(links["link"], content=one.files[SEALED]).raise_for_status()
        assert len(kept_files(store)) == 3
    time.sleep(0.05)
    collect(store, trust, limits=Limits(upload_age_s=0.01))
    assert kept_files(store) == []


def test_withdrawing_frees_companions_but_not_what_another_release_shares(
    live: Live, store: Path, trust: TrustStore, one: Accompanied, signer: PrivateKey
) -> None:
    one.publish(live.url)
    statement = replace(one.bundle.parsed.statement, channel="beta")
    envelope = sign(SEAL_TYPE, statement.encode(), [signer])
    parsed = replace(one.bundle.parsed, envelope=envelope, statement=statement)
    upload = live.begin(parsed.encode()).json()
    assert [(arriving["index_missing"], arriving["missing"]) for arriving in upload["attachments"].values()] == [
        (False, []),
        (False, []),
    ]
    live.client.post(upload["links"]["self"]).raise_for_status()
    live.client.delete(live.release_url(7)).raise_for_status()
    assert live.client.get(url_of(live, FOREIGN)).status_code == 410
    beta = f"{live.release_url(7, channel='beta')}/attachments/{FOREIGN}"
    assert live.client.get(beta).content == one.files[FOREIGN]
    collect(store, trust)
    assert live.client.get(beta).content == one.files[FOREIGN]
    live.client.delete(live.release_url(7, channel="beta")).raise_for_status()
    collect(store, trust)
    assert {name.rpartition("/")[2] for name in kept_files(store)} == {"release.json"}


def test_payload_and_companions_together_are_under_the_limit(store: Path, trust: TrustStore, one: Accompanied) -> None:
    together = len(one.bundle.payload) + sum(map(len, one.files.values()))
    for limit, status in ((together - 1, 413), (together, 201)):
        with live_server(str(store), trust, limits=Limits(bundle_bytes=limit)) as live:
            assert live.begin(one.bundle.seal).status_code == status
