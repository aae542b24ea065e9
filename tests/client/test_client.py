"""publish and fetch against a live server, through a network that breaks."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import capseal
from capseal import (
    Expect,
    FormatError,
    NotForUsError,
    PrivateKey,
    RollbackError,
    SignatureError,
    TamperedError,
    TransferError,
    TruncatedError,
    TrustStore,
    UsageError,
)
from capseal.client import Connection, fetch, open_release, publish, withdraw
from capseal.client import _connection as connection
from capseal.constants import SEGMENT_BYTES
from capseal.http.shapes import AppChannel
from capseal.server.catalogue._channels import Channels
from capseal.server.storage.pointers import Entry
from capseal.server.storage.records import ReleaseRecord
from support.proxy import proxy
from support.server_fixtures import BundleMaker
from support.serving import APP, CHANNEL, TOKEN, Bundle, Live, live_server, some_bytes


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_WAIT_S", 0.01)


def fetched(url: str, folder: Path, trust: TrustStore, **keywords: object) -> Bundle:
    folder.mkdir(exist_ok=True)
    with Connection(url) as one:
        result = fetch(one, app=APP, channel=CHANNEL, folder=folder, trust=trust, **keywords)
    return Bundle(Path(result.seal).read_bytes(), Path(result.payload).read_bytes(), result.verified.seal)


def sent_bytes(live: Live) -> int:
    return int(live.app.state.server.metrics.sent._value.get())


@pytest.mark.parametrize("attached", [True, False])
def test_what_was_published_is_what_is_fetched(
    live: Live, tmp_path: Path, bundle: Bundle, trust: TrustStore, attached: bool
) -> None:
    done: list[int] = []
    (tmp_path / "seal").write_bytes(bundle.seal)
    (tmp_path / "file").write_bytes(bundle.seal + bundle.payload if attached else bundle.payload)
    with Connection(live.url) as one:
        seal = None if attached else tmp_path / "seal"
        release = publish(tmp_path / "file", one, seal=seal, progress=done.append)
    assert release["sequence"] == 7
    assert sum(done) == len(bundle.payload)
    got = fetched(live.url, tmp_path / "out", trust, progress=done.append)
    assert (got.seal, got.payload) == (bundle.seal, bundle.payload)
    assert sum(done) == 2 * len(bundle.payload)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"{APP}@{CHANNEL}-7.payload", f"{APP}@{CHANNEL}-7.seal"]


def test_of_a_file_that_goes_on_after_its_seal_no_more_is_read_than_the_seal(
    live: Live, store: Path, tmp_path: Path, bundle: Bundle
) -> None:
    (tmp_path / "seal").write_bytes(bundle.seal)
    os.truncate(tmp_path / "seal", 2**40)
    (tmp_path / "payload").write_bytes(bundle.payload)
    with Connection(live.url) as one, pytest.raises(TruncatedError, match="goes on after its end"):
        publish(tmp_path / "payload", one, seal=tmp_path / "seal")
    assert not (store / "uploads").exists()


def test_publishing_twice_changes_nothing(live: Live, tmp_path: Path, bundle: Bundle) -> None:
    (tmp_path / "file").write_bytes(bundle.seal + bundle.payload)
    with Connection(live.url) as one:
        assert publish(tmp_path / "file", one) == publish(tmp_path / "file", one)


def test_a_corrupt_bundle_is_refused_by_the_server_and_not_tried_again(
    live: Live, tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A client that gets no processor for a while finds its connection reset, not the answer, and rightly tries again.
    monkeypatch.setattr("capseal.server._slow_clients._LINGER_S", 60.0)
    bad = bytearray(bundle.seal + bundle.payload)
    bad[len(bundle.seal) + 18 * SEGMENT_BYTES] ^= 1
    (tmp_path / "file").write_bytes(bad)
    with Connection(live.url) as one, pytest.raises(TamperedError) as caught:
        publish(tmp_path / "file", one)
    assert caught.value.segment == 18
    requests = live.client.get("/metrics").text
    assert 'capseal_requests_total{method="PUT",route="/v1/uploads/{id}/payload",status="422"} 1.0' in requests


def test_the_servers_refusals_arrive_as_what_they_are(
    live: Live, tmp_path: Path, bundle: Bundle, sealed: BundleMaker, signer2: PrivateKey
) -> None:
    def send(one: Bundle) -> None:
        (tmp_path / "file").write_bytes(one.seal + one.payload)
        with Connection(live.url) as to:
            publish(tmp_path / "file", to)

    send(bundle)
    with pytest.raises(RollbackError) as caught:
        send(sealed(sequence=3))
    assert (caught.value.floor, caught.value.sequence) == (7, 3)
    with pytest.raises(SignatureError):
        send(sealed(sequence=8, by=signer2))


def test_publishing_gets_through_a_network_that_breaks(live: Live, tmp_path: Path, bundle: Bundle) -> None:
    (tmp_path / "file").write_bytes(bundle.seal + bundle.payload)
    with proxy(live.port, cuts=[0, 10, 300, 0]) as flaky, Connection(flaky.url) as one:
        assert publish(tmp_path / "file", one)["sequence"] == 7
        assert flaky.connections > 4
    assert live.client.get(live.release_url(7) + "/payload").content == bundle.payload


def test_fetching_gets_through_a_network_that_breaks_and_keeps_what_it_has(
    live: Live, tmp_path: Path, bundle: Bundle, trust: TrustStore
) -> None:
    live.publish(bundle)
    cuts = [0, 100, 3_000_000, 2_000_000, 1_000_000, 2_500_000]
    with proxy(live.port, cuts=[*cuts], rate=30e6) as flaky:
        assert fetched(flaky.url, tmp_path / "out", trust, jobs=2).payload == bundle.payload
        assert flaky.connections > 5
    # What was verified is not asked for again: a cut costs at most the segment that was arriving.
    assert flaky.passed_back < len(bundle.payload) + len(bundle.seal) + len(cuts) * (SEGMENT_BYTES + 2000)


def test_a_server_that_is_not_there_is_a_transfer_error(tmp_path: Path, trust: TrustStore) -> None:
    with Connection("http://127.0.0.1:9", attempts=2) as one, pytest.raises(TransferError):
        fetch(one, app=APP, channel=CHANNEL, folder=tmp_path, trust=trust)


@pytest.mark.parametrize("url", ["ftp://x", "nonsense", "http://[::"])
def test_what_is_no_url_is_the_callers_mistake(url: str) -> None:
    with pytest.raises(UsageError):
        Connection(url)


@pytest.mark.parametrize(
    "url",
    [
        f"http://{'a' * 80}.test",  # what the resolver and the socket raise for these is no OSError
        "http://a..test",
        "http://xn--zzzzz---.test",
        "http://127.0.0.1:99999999999999999999",
        "http://127.0.0.1:65536",
        "http://127.0.0.1/\udcff",
    ],
)
def test_an_address_that_cannot_be_is_the_callers_mistake(url: str) -> None:
    with pytest.raises(UsageError):
        Connection(url)


@pytest.mark.parametrize("token", ["\xe9", "\udcff", "a\nb"])
def test_a_token_that_no_header_can_hold_is_the_callers_mistake(token: str) -> None:
    with pytest.raises(UsageError, match="token: not one line of printable ASCII"):
        Connection("http://127.0.0.1:9", token=token)


def test_an_unknown_app_is_the_callers_mistake_and_a_bad_name_does_not_parse(
    published: Live, tmp_path: Path, trust: TrustStore
) -> None:
    with Connection(published.url) as one:
        with pytest.raises(UsageError, match="no release of app nobody"):
            fetch(one, app="nobody", channel=CHANNEL, folder=tmp_path, trust=trust)
        with pytest.raises(FormatError):
            fetch(one, app="../etc", channel=CHANNEL, folder=tmp_path, trust=trust)


def test_no_payload_byte_is_asked_for_when_the_signature_is_not_trusted(
    live: Live, tmp_path: Path, bundle: Bundle, signer2: PrivateKey
) -> None:
    live.publish(bundle)
    with pytest.raises(SignatureError):
        fetched(live.url, tmp_path / "out", TrustStore.of(signer2.public_key))
    with pytest.raises(RollbackError):
        fetched(live.url, tmp_path / "out", TrustStore.of(signer2.public_key, *_keys(live)), expect=Expect(floor=7))
    assert "payload" not in "".join(_paths(live))
    assert list((tmp_path / "out").iterdir()) == []


def _keys(live: Live) -> list[object]:
    return [trusted.key for trusted in live.app.state.publishing.catalogue.trusted.of(None).keys]


def _paths(live: Live) -> list[str]:
    samples = live.client.get("/metrics").text.splitlines()
    return [line for line in samples if line.startswith('capseal_requests_total{method="GET"')]


def test_another_release_than_the_one_asked_for_is_refused(
    live: Live,
    tmp_path: Path,
    trust: TrustStore,
    sealed: BundleMaker,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = sealed(sequence=1), sealed(sequence=2)
    live.publish(first)
    live.publish(second)
    (seal,) = (store / "releases" / APP / CHANNEL / f"{2:016d}").glob("*/seal")
    seal.write_bytes(first.seal)
    assert fetched(live.url, tmp_path / "out", trust, sequence=1).payload == first.payload
    with pytest.raises(TransferError), Connection(live.url, attempts=1) as one:
        fetch(one, app=APP, channel=CHANNEL, folder=tmp_path, trust=trust, sequence=2)
    # A server that lies more thoroughly: even its record says that this is the seal.
    catalogue = live.app.state.publishing.catalogue

    async def record_of_the_first(of: AppChannel, entry: Entry) -> ReleaseRecord:
        pointer = await catalogue.channels_read.pointer(of)
        return await Channels.record(catalogue.channels_read, of, pointer.entries[1])

    monkeypatch.setattr(catalogue.channels_read, "record", record_of_the_first)
    with pytest.raises(NotForUsError), Connection(live.url) as one:
        fetch(one, app=APP, channel=CHANNEL, folder=tmp_path, trust=trust, sequence=2)


def test_a_byte_altered_on_the_way_is_never_written(
    live: Live, tmp_path: Path, bundle: Bundle, trust: TrustStore
) -> None:
    live.publish(bundle)
    with proxy(live.port, flip_after=2_000_000) as evil, pytest.raises(TamperedError):
        fetched(evil.url, tmp_path / "out", trust, jobs=1)
    assert not list((tmp_path / "out").glob("*.payload"))
    (part,) = (tmp_path / "out").glob(".*.part")
    stored = part.read_bytes()
    for at in range(0, len(stored), SEGMENT_BYTES):
        piece = stored[at : at + SEGMENT_BYTES]
        assert piece == bundle.payload[at : at + SEGMENT_BYTES] or not any(piece)


FETCH = """
import sys
from capseal import load_trust
from capseal.client import Connection, fetch
url, folder, trust = sys.argv[1:]
with Connection(url) as one:
    fetch(one, app="com.example.game", channel="production", folder=folder, trust=load_trust(trust), jobs=2)
"""


def test_a_fetch_that_was_killed_goes_on_with_what_is_verified_on_disk(
    live: Live, tmp_path: Path, trust: TrustStore, sealed: BundleMaker
) -> None:
    big = sealed(sequence=9, content=some_bytes(60))
    live.publish(big)
    out = tmp_path / "out"
    out.mkdir()
    trust.save(tmp_path / "trust")
    with proxy(live.port, rate=20e6) as slow:
        process = subprocess.Popen([sys.executable, "-c", FETCH, slow.url, str(out), str(tmp_path / "trust")])
        deadline = time.monotonic() + 30
        while sum(path.stat().st_blocks * 512 for path in out.iterdir()) < 8_000_000:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    (part,) = out.glob(".*.part")
    with part.open("r+b") as file:  # what is on disk is not believed either
        file.seek(100)
        file.write(b"rot")
    done: list[int] = []
    with proxy(live.port) as again:  # which counts what this fetch alone was sent
        assert fetched(again.url, out, trust, progress=done.append).payload == big.payload
    assert sum(done) == len(big.payload)
    assert len(big.payload) / 2 < again.passed_back < len(big.payload) - 7_000_000
    assert not list(out.glob(".*"))


def test_fetching_again_verifies_and_mends_what_is_there(
    live: Live, tmp_path: Path, bundle: Bundle, trust: TrustStore
) -> None:
    live.publish(bundle)
    out = tmp_path / "out"
    fetched(live.url, out, trust)
    before = sent_bytes(live)
    fetched(live.url, out, trust)
    assert sent_bytes(live) == before
    (payload,) = out.glob("*.payload")
    rotten = bytearray(bundle.payload + b"more")
    rotten[5 * SEGMENT_BYTES] ^= 1
    payload.write_bytes(rotten)
    assert fetched(live.url, out, trust).payload == bundle.payload
    assert sent_bytes(live) - before == SEGMENT_BYTES


def test_an_unfinished_fetch_of_an_older_release_is_cleared_away(
    live: Live, tmp_path: Path, bundle: Bundle, trust: TrustStore
) -> None:
    live.publish(bundle)
    out = tmp_path / "out"
    out.mkdir()
    names = [f".{APP}@{release}.payload.{16 * '0'}.part" for release in (f"{CHANNEL}-6", f"{CHANNEL}-8", "beta-6")]
    for name in names:
        (out / name).write_bytes(b"x")
    fetched(live.url, out, trust)
    assert sorted(path.name for path in out.glob(".*")) == sorted(names[1:])


def test_what_somebody_planted_in_a_shared_folder_is_neither_followed_nor_used(
    live: Live, tmp_path: Path, bundle: Bundle, trust: TrustStore
) -> None:
    live.publish(bundle)
    out, victim = tmp_path / "out", tmp_path / "victim"
    out.mkdir()
    victim.write_bytes(b"precious")
    base = f"{APP}@{CHANNEL}-7"
    held = []
    for name in (f".{base}.payload.part", f".{base}.payload.{16 * 'a'}.part", f"{base}.payload"):
        held.append(os.open(out / name, os.O_RDWR | os.O_CREAT, 0o666))
        os.fchmod(held[-1], 0o666)  # as open to all as its planter wants it
    for name in (f"{base}.seal", f"{base}.seal.part", f".{base}.payload.{16 * 'b'}.part"):
        (out / name).symlink_to(victim)
    assert fetched(live.url, out, trust).payload == bundle.payload
    for fd in held:
        os.pwrite(fd, b"EVIL", 50)
        os.close(fd)
    assert victim.read_bytes() == b"precious"
    payload, seal = out / f"{base}.payload", out / f"{base}.seal"
    assert not seal.is_symlink()
    capseal.verify(payload, trust=trust, seal=seal)


def test_a_release_on_a_server_is_a_source_for_every_verb(
    published: Live, bundle: Bundle, trust: TrustStore, recipient: PrivateKey
) -> None:
    with open_release(published.url, app=APP, channel=CHANNEL) as (seal, source):
        assert seal == bundle.seal
        buffer = memoryview(bytearray(1000))
        assert source.read_into(len(bundle.payload) - 10, buffer) == 10
        assert source.peek(5, 7) == bundle.payload[5:12]
        whole = memoryview(bytearray(len(bundle.payload)))
        assert source.read_into(0, whole) == len(whole)
    content = io.BytesIO()
    capseal.unseal(io.BytesIO(whole), content, seal=seal, identity=recipient, trust=trust)
    assert len(content.getvalue()) == bundle.parsed.statement.content.size


def test_withdrawing_takes_the_token(store: Path, tmp_path: Path, trust: TrustStore, bundle: Bundle) -> None:
    (tmp_path / "file").write_bytes(bundle.seal + bundle.payload)
    with live_server(str(store), trust, token=TOKEN) as live:
        with Connection(live.url, token="0" * 20) as one, pytest.raises(UsageError, match="bearer token"):
            publish(tmp_path / "file", one)
        with Connection(live.url, token=TOKEN) as one:
            publish(tmp_path / "file", one)
            assert withdraw(one, app=APP, channel=CHANNEL, sequence=7)["withdrawn"]
            with pytest.raises(UsageError, match="no release of app"):
                fetch(one, app=APP, channel=CHANNEL, folder=tmp_path, trust=trust)
