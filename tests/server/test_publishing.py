"""Publishing: the signature is the authorisation, every segment is verified, appearance is atomic."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from capseal import PrivateKey, Role, TamperedError, TrustStore
from capseal.constants import SEGMENT_BYTES
from capseal.embedding import accept
from capseal.format.seal import SEAL_TYPE
from capseal.server import Limits
from capseal.server.catalogue.receiving import Receiver, RunBuffers
from capseal.server.storage.stored_runs import StoredRun
from capseal.trust.signing import sign
from support.server_fixtures import BundleMaker
from support.serving import APP, CHANNEL, TOKEN, Bundle, Live, collect, kept_files, live_server, some_bytes


def put(live: Live, bundle: Bundle, links: dict[str, str], first: int, stop: int) -> httpx.Response:
    """Upload segments [first, stop)."""
    start, end = first * SEGMENT_BYTES, min(stop * SEGMENT_BYTES, len(bundle.payload))
    headers = {"Content-Range": f"bytes {start}-{end - 1}/{len(bundle.payload)}"}
    return live.client.put(links["payload"], content=bundle.payload[start:end], headers=headers)


def on_channel(bundle: Bundle, channel: str, signer: PrivateKey) -> bytes:
    """Return the seal of the same payload on another channel."""
    statement = replace(bundle.parsed.statement, channel=channel)
    return replace(bundle.parsed, envelope=sign(SEAL_TYPE, statement.encode(), [signer]), statement=statement).encode()


def test_a_published_bundle_can_be_read_back(live: Live, bundle: Bundle) -> None:
    answer = live.publish(bundle)
    assert answer.status_code == 201
    assert answer.headers["location"] == live.release_url(7)
    assert live.client.get(live.release_url(7) + "/seal").content == bundle.seal
    assert live.client.get(live.release_url(7) + "/payload").content == bundle.payload
    latest = live.client.get(f"/v1/apps/{APP}/channels/{CHANNEL}/latest").json()
    assert latest["sequence"] == 7
    assert latest["payload"]["digest"]["fsverity-sha256"] == bundle.digest


def test_what_is_published_into_memory_stays_when_more_comes(trust: TrustStore, sealed: BundleMaker) -> None:
    """A store in memory kept views of the buffers that the next upload was read into."""
    one, other = sealed(sequence=8, content=some_bytes(1.5)), sealed(sequence=9, content=some_bytes(2.5))
    with live_server("memory://", trust, verify_reads=True) as live:
        for bundle in (one, other):
            live.publish(bundle).raise_for_status()
        for sequence, bundle in ((8, one), (9, other)):
            assert live.client.get(live.release_url(sequence) + "/payload").content == bundle.payload


def test_payloads_of_every_edge_size_pass(live: Live, sealed: BundleMaker) -> None:
    sizes = [0, 1, 4000, SEGMENT_BYTES - 57, SEGMENT_BYTES - 56, SEGMENT_BYTES - 55, 16 * SEGMENT_BYTES]
    for sequence, size in enumerate(sizes, 1):
        small = sealed(sequence=sequence, content=bytes(size))
        assert live.publish(small).status_code == 201
        assert live.client.get(live.release_url(sequence) + "/payload").content == small.payload


def test_nothing_is_visible_before_publishing(live: Live, bundle: Bundle) -> None:
    links = live.begin(bundle.seal).json()["links"]
    put(live, bundle, links, 0, 99)
    assert live.client.get(live.release_url(7)).status_code == 404
    assert live.client.get(f"/v1/apps/{APP}/channels/{CHANNEL}/latest").status_code == 404
    assert live.client.get("/v1/apps").json() == {"latest": []}


def test_an_incomplete_upload_is_not_published(live: Live, bundle: Bundle) -> None:
    links = live.begin(bundle.seal).json()["links"]
    put(live, bundle, links, 0, 20)
    answer = live.client.post(links["self"])
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert "1 segments are missing" in answer.json()["detail"]


def test_segments_may_come_in_parallel_and_in_any_order(live: Live, bundle: Bundle) -> None:
    links = live.begin(bundle.seal).json()["links"]
    runs = [(20, 21), (5, 17), (18, 20), (0, 5), (17, 18)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda run: put(live, bundle, links, *run), runs))
    assert [answer.status_code for answer in answers] == [200] * len(runs)
    assert live.client.get(links["self"]).json()["missing"] == []
    assert live.client.post(links["self"]).status_code == 201
    assert live.client.get(live.release_url(7) + "/payload").content == bundle.payload


def test_runs_that_overlap_give_the_same_payload(live: Live, bundle: Bundle) -> None:
    links = live.begin(bundle.seal).json()["links"]
    for run in [(0, 9), (3, 18), (8, 21), (0, 21)]:
        assert put(live, bundle, links, *run).status_code == 200
    assert live.client.post(links["self"]).status_code == 201
    assert live.client.get(live.release_url(7) + "/payload").content == bundle.payload


def test_an_interrupted_upload_resumes_at_the_last_verified_segment(live: Live, bundle: Bundle) -> None:
    begun = live.begin(bundle.seal).json()
    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        head = f"PUT {begun['links']['payload']} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(bundle.payload)}\r\n\r\n"
        connection.sendall(head.encode() + bundle.payload[: 18 * SEGMENT_BYTES + 1000])
    missing = [[18 * SEGMENT_BYTES, len(bundle.payload)]]
    deadline = time.monotonic() + 60
    while (again := live.begin(bundle.seal).json())["missing"] != missing and time.monotonic() < deadline:
        time.sleep(0.01)
    assert again["missing"] == missing
    assert put(live, bundle, again["links"], 18, 99).json()["missing"] == []
    assert live.client.post(again["links"]["self"]).status_code == 201


def test_an_upload_survives_a_restart_of_the_server(store: Path, trust: TrustStore, bundle: Bundle) -> None:
    with live_server(str(store), trust) as live:
        links = live.begin(bundle.seal).json()["links"]
        put(live, bundle, links, 2, 19)
    with live_server(str(store), trust) as live:
        missing = live.client.get(links["self"]).json()["missing"]
        assert missing == [[0, 2 * SEGMENT_BYTES], [19 * SEGMENT_BYTES, len(bundle.payload)]]
        put(live, bundle, links, 0, 2)
        put(live, bundle, links, 19, 99)
        assert live.client.post(links["self"]).status_code == 201


def test_a_flipped_bit_is_refused_at_its_segment_and_nothing_stays_stored(
    live: Live, store: Path, trust: TrustStore, sealed: BundleMaker
) -> None:
    big = sealed(sequence=3, content=some_bytes(199.5))
    bad = bytearray(big.payload)
    k = 120
    bad[k * SEGMENT_BYTES + 77] ^= 1
    links = live.begin(big.seal).json()["links"]
    answer = live.client.put(links["payload"], content=bytes(bad))
    problem = answer.json()
    assert answer.status_code == 422
    assert problem["type"] == "urn:capseal:problem:tampered"
    assert problem["error"] == "TamperedError"
    assert problem["segment"] == k
    assert f"segment {k} at byte {k * SEGMENT_BYTES}" in problem["detail"]
    assert (k + 1) * SEGMENT_BYTES <= problem["received"] <= (k + 6) * SEGMENT_BYTES
    assert live.client.get(links["self"]).status_code == 404
    collect(store, trust)
    assert kept_files(store) == []


@pytest.mark.parametrize("segment", [17, 20], ids=["of the run before the last", "of the last run"])
def test_a_bad_segment_is_not_stored_for_a_moment(bundle: Bundle, trust: TrustStore, segment: int) -> None:
    bad = bytearray(bundle.payload)
    bad[segment * SEGMENT_BYTES] ^= 1
    stored: list[StoredRun] = []

    async def put(part: StoredRun, data: memoryview) -> None:
        stored.append(part)

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(bad)

    async def run() -> None:
        index = accept(bundle.seal, trust=trust).index
        async with Receiver(index, put, RunBuffers(2), start=0, stop=len(bad)) as receiver:
            await receiver.receive(chunks())

    with pytest.raises(TamperedError):
        asyncio.run(run())
    assert stored == [StoredRun(0, 16, "")]


def test_publishing_again_answers_the_same(live: Live, bundle: Bundle) -> None:
    first = live.publish(bundle).json()
    begun = live.begin(bundle.seal)
    assert begun.status_code == 200
    assert begun.json() == first
    again = live.client.post(f"/v1/uploads/{first['release']['seal']['digest']['sha256']}")
    assert (again.status_code, again.json()) == (200, first)


@pytest.mark.parametrize("sequence", [6, 7])
def test_only_a_higher_sequence_is_accepted(live: Live, bundle: Bundle, sealed: BundleMaker, sequence: int) -> None:
    live.publish(bundle)
    answer = live.begin(sealed(sequence=sequence, created=datetime.now(UTC) + timedelta(days=1)).seal)
    assert answer.status_code == 409
    assert answer.json()["error"] == "RollbackError"
    assert (answer.json()["floor"], answer.json()["sequence"]) == (7, sequence)


def test_of_two_uploads_the_one_that_was_overtaken_is_refused(live: Live, sealed: BundleMaker) -> None:
    old, new = sealed(sequence=1), sealed(sequence=2)
    links = live.begin(old.seal).json()["links"]
    live.client.put(links["payload"], content=old.payload)
    live.publish(new)
    assert live.client.post(links["self"]).status_code == 409
    assert live.client.get(links["self"]).status_code == 404


def test_sequences_of_another_channel_do_not_matter(live: Live, bundle: Bundle, sealed: BundleMaker) -> None:
    live.publish(bundle)
    assert live.publish(sealed(sequence=1, channel="beta")).status_code == 201


def test_the_same_payload_on_another_channel_needs_no_second_upload(
    live: Live, bundle: Bundle, signer: PrivateKey
) -> None:
    live.publish(bundle)
    begun = live.begin(on_channel(bundle, "beta", signer)).json()
    assert begun["missing"] == []
    assert live.client.post(begun["links"]["self"]).status_code == 201
    assert live.client.get(live.release_url(7, channel="beta") + "/payload").content == bundle.payload


def test_an_unknown_signer_is_refused(live: Live, sealed: BundleMaker, signer2: PrivateKey) -> None:
    answer = live.begin(sealed(sequence=1, by=signer2).seal)
    assert answer.status_code == 403
    assert answer.json()["error"] == "SignatureError"


def test_a_development_signature_needs_the_development_role(
    tmp_path: Path, sealed: BundleMaker, development_signer: PrivateKey, development_trust: TrustStore
) -> None:
    seal = sealed(sequence=1, by=development_signer).seal
    with live_server(str(tmp_path / "a"), development_trust) as live:
        assert live.begin(seal).json().get("error") == "NotForUsError"
    with live_server(str(tmp_path / "b"), development_trust, role=Role.DEVELOPMENT) as live:
        assert live.begin(seal).status_code == 201


def test_with_a_token_file_a_signature_alone_is_not_enough(store: Path, trust: TrustStore, bundle: Bundle) -> None:
    with live_server(str(store), trust, token=TOKEN) as live:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
            answer = live.begin(bundle.seal, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        assert live.begin(bundle.seal, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 201


@pytest.mark.parametrize(
    ("method", "link"), [("PUT", "payload"), ("GET", "self"), ("POST", "self"), ("DELETE", "self")]
)
def test_no_step_of_an_upload_goes_without_the_token(
    store: Path, trust: TrustStore, bundle: Bundle, method: str, link: str
) -> None:
    with live_server(str(store), trust, token=TOKEN) as live:
        begun = live.begin(bundle.seal, headers={"Authorization": f"Bearer {TOKEN}"}).json()
        content = bundle.payload if method == "PUT" else b""
        assert live.client.request(method, begun["links"][link], content=content).status_code == 401
        unknown = begun["links"][link].replace(begun["id"], "0" * 64)  # nor does anybody learn which there are
        assert live.client.request(method, unknown, content=content).status_code == 401
        allowed = live.client.get(begun["links"]["self"], headers={"Authorization": f"Bearer {TOKEN}"})
        assert allowed.json()["missing"] == begun["missing"]


def test_a_withdrawn_release_is_gone_and_its_sequence_is_used_up(
    store: Path, trust: TrustStore, bundle: Bundle, sealed: BundleMaker
) -> None:
    auth = {"Authorization": f"Bearer {TOKEN}"}
    with live_server(str(store), trust, token=TOKEN) as live:
        live.client.headers.update(auth)
        live.publish(sealed(sequence=6))
        live.publish(bundle)
        assert live.client.delete(live.release_url(7), headers={"Authorization": "x"}).status_code == 401
        assert live.client.delete(live.release_url(7)).json()["withdrawn"]
        assert live.client.get(live.release_url(7) + "/payload").status_code == 410
        assert live.client.get(f"/v1/apps/{APP}/channels/{CHANNEL}/latest").json()["sequence"] == 6
    collect(store, trust)
    assert not any(bundle.digest in name for name in kept_files(store))
    with live_server(str(store), trust, token=TOKEN) as live:
        live.client.headers.update(auth)
        assert live.begin(bundle.seal).json()["error"] == "RollbackError"
        releases = live.client.get(f"/v1/apps/{APP}/channels/{CHANNEL}/releases").json()["releases"]
        assert [(one["sequence"], bool(one["withdrawn"])) for one in releases] == [(7, True), (6, False)]


def test_without_a_token_file_nothing_can_be_withdrawn(live: Live, bundle: Bundle) -> None:
    live.publish(bundle)
    assert live.client.delete(live.release_url(7)).status_code == 403


def test_a_bundle_over_the_limit_is_refused_by_its_seal(store: Path, trust: TrustStore, bundle: Bundle) -> None:
    with live_server(str(store), trust, limits=Limits(bundle_bytes=SEGMENT_BYTES)) as live:
        answer = live.begin(bundle.seal)
        assert answer.status_code == 413
        assert answer.json()["type"] == "urn:capseal:problem:too-large"
    with live_server(str(store), trust, limits=Limits(seal_bytes=4096)) as live:
        assert live.begin(bytes(5000)).status_code == 413


@pytest.mark.parametrize(
    "content_range",
    ["bytes 0-10/11", "bytes 0-{last}/{more}", "bytes 1-{last}/{size}", "bytes 0-1000/{size}", "0-{last}", "bytes */5"],
)
def test_a_content_range_that_cannot_be_used_is_refused(live: Live, bundle: Bundle, content_range: str) -> None:
    links = live.begin(bundle.seal).json()["links"]
    size = len(bundle.payload)
    header = content_range.format(last=size - 1, size=size, more=size + 1)
    answer = live.client.put(links["payload"], content=bundle.payload, headers={"Content-Range": header})
    assert answer.status_code == 400


def test_giving_up_an_upload_keeps_what_another_one_sent(live: Live, bundle: Bundle, signer: PrivateKey) -> None:
    beta = on_channel(bundle, "beta", signer)
    first = live.begin(bundle.seal).json()["links"]
    put(live, bundle, first, 0, 99)
    second = live.begin(beta).json()["links"]
    assert live.client.delete(second["self"]).status_code == 204
    assert live.client.post(first["self"]).status_code == 201
    assert live.client.get(live.release_url(7) + "/payload").content == bundle.payload


def test_a_run_that_ends_inside_a_segment_is_refused(live: Live, bundle: Bundle) -> None:
    links = live.begin(bundle.seal).json()["links"]
    for stop in (SEGMENT_BYTES - 1, SEGMENT_BYTES + 1):
        headers = {"Content-Range": f"bytes 0-{stop - 1}/{len(bundle.payload)}"}
        answer = live.client.put(links["payload"], content=bundle.payload[:stop], headers=headers)
        assert answer.json()["type"] == "urn:capseal:problem:content-range"


def test_a_body_that_ends_early_is_told_and_what_was_verified_is_kept(live: Live, bundle: Bundle) -> None:
    links = live.begin(bundle.seal).json()["links"]
    answer = live.client.put(links["payload"], content=iter([bundle.payload[: 3 * SEGMENT_BYTES + 5]]))
    assert answer.status_code == 400
    assert live.client.get(links["self"]).json()["missing"] == [[3 * SEGMENT_BYTES, len(bundle.payload)]]


def test_a_body_that_goes_on_is_refused(live: Live, bundle: Bundle) -> None:
    links = live.begin(bundle.seal).json()["links"]
    answer = live.client.put(links["payload"], content=iter([bundle.payload, b"x"]))
    assert answer.status_code == 422
    assert answer.json()["error"] == "TruncatedError"
