"""Capgo's plugin against a live server: what it is offered, and what becomes of files that are not the signed ones."""

import asyncio
import io
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import capseal
from capseal import FormatError, RejectedError, TamperedError, TruncatedError, TrustStore, UsageError, capgo
from capseal.capgo import ChecksumVersion
from capseal.capgo._endpoint import manifest_size
from capseal.client import Connection, publish
from capseal.constants import SEGMENT_BYTES
from capseal.format.tree import index_entries
from capseal.server import CapgoUpdates, Limits
from capseal.server.storage.records import ReleaseRecord
from support.capgo_pair import Pair, make_pair
from support.capgo_requests import WHOLE as REQUEST
from support.capgo_tool import Project
from support.command import run
from support.serving import (
    APP,
    TOKEN,
    Bundle,
    Live,
    collect,
    kept_files,
    listed_files,
    live_server,
    payload_file,
)
from support.serving_command import serving
from support.zips import zip_of

S = SEGMENT_BYTES
NAME = "game.capgo"
FILE = f"/attachments/{NAME}"
UPDATES = "/v1/capgo/updates"


PairMaker = Callable[..., Pair]


@pytest.fixture
def paired(
    tmp_path: Path, capgo_key: capgo.PrivateKey, signer: capseal.PrivateKey, recipient: capseal.PrivateKey
) -> PairMaker:
    """Return paired(sequence=..., content=..., **keywords of capseal.seal) -> Pair."""

    def paired(*, sequence: int, content: bytes = b"hello", **keywords: Any) -> Pair:
        return make_pair(tmp_path, capgo_key, signer, recipient, content=content, sequence=sequence, **keywords)

    return paired


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory, trust: TrustStore, pair: Pair) -> Iterator[Live]:
    """A server that verifies reads and has published `pair`; for tests that only read."""
    place = str(tmp_path_factory.mktemp("store"))
    with live_server(place, trust, extensions=[CapgoUpdates()], verify_reads=True) as live:
        published(live, pair)
        yield live


def published(live: Live, pair: Pair) -> dict[str, Any]:
    """Publish bundle and Capgo file with the client."""
    (pair.folder / "one.sealed").write_bytes(pair.bundle.seal + pair.bundle.payload)
    (pair.folder / "one.capgo").write_bytes(pair.ciphertext)
    with Connection(live.url, token=TOKEN) as connection:
        return publish(pair.folder / "one.sealed", connection, companions={NAME: pair.folder / "one.capgo"})


def put(live: Live, pair: Pair, links: dict[str, str], first: int, stop: int) -> httpx.Response:
    """Upload segments [first, stop) of the Capgo file."""
    start, end = first * S, min(stop * S, len(pair.ciphertext))
    headers = {"Content-Range": f"bytes {start}-{end - 1}/{len(pair.ciphertext)}"}
    return live.client.put(links["capgo"], content=pair.ciphertext[start:end], headers=headers)


def begun(live: Live, pair: Pair) -> dict[str, str]:
    """Begin the upload and send all but the Capgo file; return the links."""
    upload = live.begin(pair.bundle.seal).json()
    links: dict[str, str] = upload["links"]
    live.client.put(links["payload"], content=pair.bundle.payload).raise_for_status()
    capgo_file = upload["attachments"][NAME]
    return links | {"capgo": capgo_file["link"], "capgo_index": capgo_file["index_link"]}


def asked(live: Live, **changes: Any) -> dict[str, Any]:
    """Ask as the plugin does."""
    answer = live.client.post(UPDATES, json=REQUEST | changes)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


def refused(found: dict[str, Any]) -> tuple[str, str]:
    assert found["message"]
    assert "url" not in found
    return found["error"], found["kind"]


# What nobody authenticates.


def test_requests_of_devices_hold_no_more_memory_than_is_allowed(
    store: Path, trust: TrustStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capseal.capgo._update_routes.MAX_BODIES_BYTES", 100_000)
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live, ExitStack() as stack:
        host, port = live.url.removeprefix("http://").split(":")
        head = f"POST {UPDATES} HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n".encode()
        half = stack.enter_context(socket.create_connection((host, int(port))))
        half.sendall(head + b" " * 59_000)
        wait_for(lambda: live.client.post(UPDATES, content=b" " * 50_000).status_code == 503)
        assert live.client.post(UPDATES, json=REQUEST).status_code == 200  # a small one has room
        sizes = live.client.post(f"{UPDATES}/manifest_size", json={"manifest": [{"file_name": "a" * 50_000}]})
        assert sizes.status_code == 200  # these are counted apart
        half.close()
        wait_for(lambda: live.client.post(UPDATES, content=b" " * 50_000).status_code == 200)


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("part", ["{}", "[]", "1", '{"a":1}'])
def test_a_list_of_many_small_parts_is_refused_before_it_is_parsed(part: str) -> None:
    with pytest.raises(FormatError, match="parts, at most 320000 are allowed"):
        manifest_size(f'{{"manifest":[{",".join([part] * 400_000)}]}}'.encode())
    whole = [{"file_name": "a/b,c{d}", "file_hash": "0" * 512, "download_url": "https://a.test/slices/p/0-16"}] * 20_000
    assert manifest_size(json.dumps({"manifest": whole, **REQUEST}).encode())["totalSize"] == 320_000


# From zero to an update on a device.


@pytest.mark.parametrize(("plugin", "version"), [("7.29.9", "v2"), ("7.30.0", "v3")])
def test_a_plugin_gets_what_its_own_tool_decrypts(
    plugin: str,
    version: str,
    tmp_path: Path,
    signer: capseal.PrivateKey,
    recipient: capseal.PrivateKey,
    trust: TrustStore,
) -> None:
    project = Project.make(tmp_path, plugin=plugin if version == "v3" else None)
    signer.save(tmp_path / "signer.pem")
    (tmp_path / "recipient.pub.pem").write_bytes(recipient.public_key.pem)
    trust.save(tmp_path / "trust.json")
    content = zip_of(("index.bin", os.urandom(3 * S + 17)))
    (tmp_path / "dist.zip").write_bytes(content)
    run("capgo", "encrypt", "dist.zip", "-o", "app.capgo", "--record", "app.json", cwd=tmp_path).succeeded()
    sealing = ["-s", "signer.pem", "-r", "recipient.pub.pem", "--app", APP, "--version", "1.4.2"]
    converting = ["capgo", "convert", "to-sealed", "app.capgo", "--record", "app.json", "-o", "app.sealed"]
    run(*converting, *sealing, cwd=tmp_path).succeeded()
    key = capgo.load_public_key(project.public_key)
    with serving(tmp_path, "--capgo") as url:
        (tmp_path / "app.capgo").rename(tmp_path / "moved")
        run("publish", "app.sealed", url, cwd=tmp_path).failed_with(2, "app.capgo: the seal vouches for it")
        run("publish", "app.sealed", url, "--attachment", "app.capgo=moved", cwd=tmp_path).succeeded()
        request = REQUEST | {"plugin_version": plugin, "key_id": key.key_id}
        found = httpx.post(url + UPDATES, json=request).json()
        (tmp_path / "got").write_bytes(httpx.get(found["url"]).content)
    assert found["version"] == "1.4.2"
    texts = {"session_key": found["session_key"], "checksum": found["checksum"]}
    plain = io.BytesIO()
    capgo.decrypt(tmp_path / "got", plain, key=key, checksum_version=ChecksumVersion(version), **texts)
    assert plain.getvalue() == content
    assert project.decrypt(tmp_path / "got", **texts) == content


def test_the_commands_say_what_does_not_fit(tmp_path: Path, trust: TrustStore, pair: Pair) -> None:
    trust.save(tmp_path / "trust.json")
    serve = ("serve", "store", "--trust", "trust.json")
    run(*serve, "--public-url", "https://x", cwd=tmp_path).failed_with(2, "are for --capgo")
    run(*serve, "--capgo", "--public-url", "x.example", cwd=tmp_path).failed_with(
        2, "is not an http:// or https:// URL"
    )
    run(*serve, "--capgo", "--default-channel", "../x", cwd=tmp_path).failed_with(2, "default channel: '../x'")
    (tmp_path / "bad.capgo").write_bytes(pair.ciphertext[:-1] + b"\0")
    nobody = "http://127.0.0.1:9"
    sending = ("publish", pair.folder / "game.sealed", nobody, "--attachment")
    run(*sending, f"{NAME}=bad.capgo", cwd=tmp_path).failed_with(
        1, "bad.capgo: not what the seal vouches for as game.capgo"
    )
    run(*sending, f"{NAME}=missing", cwd=tmp_path).failed_with(3, "missing")
    run(*sending, "other=bad.capgo", cwd=tmp_path).failed_with(2, "other: the seal vouches for no such attachment")
    run(*sending, "bad.capgo", cwd=tmp_path).failed_with(2, "'bad.capgo' is not NAME=FILE")


# Publishing.


def test_the_capgo_file_can_be_read_back(offered: Live, pair: Pair) -> None:
    url = offered.release_url(7) + FILE
    assert offered.client.get(url).content == pair.ciphertext
    described = offered.client.get(offered.release_url(7)).json()
    digest = {"fsverity-sha256": pair.digest}
    assert described["attachments"] == {NAME: {"size": len(pair.ciphertext), "digest": digest, "link": url}}
    for start, stop in ((0, 1), (S - 1, S + 1), (16 * S - 5, 17 * S + 9), (len(pair.ciphertext) - 3, None)):
        header = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
        answer = offered.client.get(url, headers=header)
        assert (answer.status_code, answer.content) == (206, pair.ciphertext[start:stop])
    head = offered.client.head(url)
    assert head.headers["content-length"] == str(len(pair.ciphertext))
    assert head.headers["etag"] == f'"{pair.digest}"'
    assert offered.client.get(url, headers={"If-None-Match": head.headers["etag"]}).status_code == 304


@pytest.mark.parametrize("size", [0, 1, 4079, 4080, S - 1, S, 16 * S - 1, 16 * S])
def test_capgo_files_of_every_edge_size_pass(size: int, live: Live, paired: PairMaker) -> None:
    small = paired(sequence=1, content=bytes(size))
    published(live, small)
    assert live.client.get(live.release_url(1) + FILE).content == small.ciphertext


def test_without_its_capgo_file_a_bundle_is_not_published(live: Live, pair: Pair) -> None:
    links = begun(live, pair)
    assert live.client.get(links["self"]).json()["missing"] == []
    assert "19 segments are missing" in live.client.post(links["self"]).json()["detail"]
    live.client.put(links["capgo_index"], content=pair.index).raise_for_status()
    put(live, pair, links, 0, 18)
    answer = live.client.post(links["self"])
    assert (answer.status_code, answer.json()["detail"]) == (409, "1 segments are missing, of attachments game.capgo")
    assert live.client.get(live.release_url(7)).status_code == 404


def test_without_its_index_in_storage_a_capgo_file_is_not_published(live: Live, store: Path, pair: Pair) -> None:
    links = begun(live, pair)
    live.client.put(links["capgo_index"], content=pair.index)
    put(live, pair, links, 0, 19)
    payload_file(store, pair.digest, "index").unlink()
    assert live.client.post(links["self"]).status_code == 409
    published(live, pair)
    assert payload_file(store, pair.digest, "index").read_bytes() == pair.index


def test_a_stored_index_that_is_too_long_is_asked_for_again(store: Path, trust: TrustStore, pair: Pair) -> None:
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        links = begun(live, pair)
        live.client.put(links["capgo_index"], content=pair.index)
    payload_file(store, pair.digest, "index").write_bytes(pair.index + bytes(32))
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        assert live.client.get(links["self"]).json()["attachments"][NAME]["index_missing"] is True
        published(live, pair)


def test_segments_may_come_in_any_order_but_not_before_the_index(live: Live, pair: Pair) -> None:
    links = begun(live, pair)
    early = put(live, pair, links, 0, 16)
    assert (early.status_code, early.json()["type"]) == (409, "urn:capseal:problem:no-index")
    assert (
        live.client.put(links["capgo_index"], content=pair.index).json()["attachments"][NAME]["index_missing"] is False
    )
    runs = [(17, 19), (3, 17), (0, 5)]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda one: put(live, pair, links, *one), runs))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert live.client.post(links["self"]).status_code == 201
    assert live.client.get(live.release_url(7) + FILE).content == pair.ciphertext


def test_an_interrupted_upload_goes_on_in_another_server(store: Path, trust: TrustStore, pair: Pair) -> None:
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        links = begun(live, pair)
        live.client.put(links["capgo_index"], content=pair.index)
        put(live, pair, links, 2, 5)
        with socket.create_connection(("127.0.0.1", live.port)) as connection:
            head = f"PUT {links['capgo']} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(pair.ciphertext)}\r\n\r\n"
            connection.sendall(head.encode() + pair.ciphertext[: S + 1000])
        for _ in range(200):
            if live.client.get(links["self"]).json()["attachments"][NAME]["missing"][0] == [S, 2 * S]:
                break
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        left = live.client.get(links["self"]).json()["attachments"][NAME]
        assert (left["index_missing"], left["missing"]) == (False, [[S, 2 * S], [5 * S, len(pair.ciphertext)]])
        published(live, pair)
        metrics = live.client.get("/metrics").text.splitlines()
        (received,) = (line.split()[1] for line in metrics if line.startswith("capseal_received_bytes_total "))
        assert float(received) == len(pair.ciphertext) - 4 * S
        assert live.client.get(live.release_url(7) + FILE).content == pair.ciphertext


@pytest.mark.parametrize("what", ["ciphertext", "index"])
def test_a_flipped_bit_is_refused_and_nothing_stays_stored(
    what: str, live: Live, store: Path, trust: TrustStore, pair: Pair
) -> None:
    links = begun(live, pair)
    index, ciphertext = bytearray(pair.index), bytearray(pair.ciphertext)
    if what == "index":
        index[40] ^= 1
    else:
        ciphertext[17 * S + 5] ^= 1
    answer = live.client.put(links["capgo_index"], content=bytes(index))
    if what == "ciphertext":
        assert answer.status_code == 200
        answer = live.client.put(links["capgo"], content=bytes(ciphertext))
        assert answer.json()["segment"] == 17
    assert (answer.status_code, answer.json()["error"]) == (422, "TamperedError")
    assert live.client.get(links["self"]).status_code == 404
    collect(store, trust)
    assert kept_files(store) == []


@pytest.mark.parametrize(("size", "status"), [(0, 422), (32, 422), (32 * 18, 422), (32 * 20, 413)])
def test_an_index_of_another_size_is_refused(size: int, status: int, live: Live, pair: Pair) -> None:
    links = begun(live, pair)
    assert live.client.put(links["capgo_index"], content=bytes(size)).status_code == status


def test_the_same_capgo_file_on_another_channel_needs_no_second_upload(
    live: Live, pair: Pair, signer: capseal.PrivateKey
) -> None:
    from dataclasses import replace

    from capseal.format.seal import SEAL_TYPE
    from capseal.trust.signing import sign

    published(live, pair)
    statement = replace(pair.bundle.parsed.statement, channel="beta")
    parsed = replace(pair.bundle.parsed, envelope=sign(SEAL_TYPE, statement.encode(), [signer]), statement=statement)
    upload = live.begin(parsed.encode()).json()
    assert (upload["attachments"][NAME]["index_missing"], upload["attachments"][NAME]["missing"]) == (False, [])
    assert live.client.post(upload["links"]["self"]).status_code == 201
    live.client.delete(live.release_url(7))
    assert live.client.get(live.release_url(7, channel="beta") + FILE).content == pair.ciphertext


def test_a_capgo_file_over_the_limit_is_refused_by_its_seal(
    store: Path, trust: TrustStore, capgo_key: capgo.PrivateKey, sealed: Callable[..., Bundle], tmp_path: Path
) -> None:
    record = capgo.encrypt(io.BytesIO(bytes(S)), tmp_path / "large", key=capgo_key)
    companion, member = capgo.attach(record, tmp_path / "large")
    small = sealed(sequence=1, companions=[companion], custom={capgo.CUSTOM_MEMBER: member})
    together = len(small.payload) + S + 16
    for limit, status in ((together - 1, 413), (together, 201)):
        with live_server(str(store), trust, extensions=[CapgoUpdates()], limits=Limits(bundle_bytes=limit)) as live:
            assert live.begin(small.seal).status_code == status


def test_a_seal_whose_custom_data_cannot_be_read_offers_nothing(live: Live, sealed: Callable[..., Bundle]) -> None:
    live.publish(sealed(sequence=1, custom={capgo.CUSTOM_MEMBER: {}})).raise_for_status()
    found = asked(live)
    assert refused(found) == ("no_bundle", "failed")
    assert "statement.custom.capgo" in found["message"]


# The client.


def test_the_client_says_what_is_missing_before_it_sends_the_payload(
    live: Live, store: Path, pair: Pair, tmp_path: Path
) -> None:
    (tmp_path / "game.sealed").write_bytes((pair.folder / "game.sealed").read_bytes())  # alone: others use the pair
    with Connection(live.url, token=TOKEN) as one, pytest.raises(UsageError, match=r"game\.capgo: the seal vouches"):
        publish(tmp_path / "game.sealed", one)
    assert not any("payloads" in name for name in listed_files(store))


def test_the_client_sends_nothing_where_the_file_is_not_the_seals(
    live: Live, store: Path, pair: Pair, sealed: Callable[..., Bundle], tmp_path: Path
) -> None:
    bad = bytearray(pair.ciphertext)
    bad[S] ^= 1
    (tmp_path / "bad").write_bytes(bad)
    (tmp_path / "cut").write_bytes(pair.ciphertext[:-16])
    plain = sealed(sequence=1)
    (tmp_path / "plain.sealed").write_bytes(plain.seal + plain.payload)
    cases: list[tuple[Path, str, type[Exception]]] = [
        (pair.folder / "game.sealed", "bad", TamperedError),
        (pair.folder / "game.sealed", "cut", TruncatedError),
        (tmp_path / "plain.sealed", "bad", UsageError),
    ]
    for bundle, file, error in cases:
        with Connection(live.url, token=TOKEN) as one, pytest.raises(error, match="seal vouches for"):
            publish(bundle, one, companions={NAME: tmp_path / file})
    assert kept_files(store) == []


def test_publishing_again_answers_the_same(live: Live, pair: Pair) -> None:
    assert published(live, pair) == published(live, pair)


# Servers that do not answer the plugin, and bundles without a Capgo file.


def test_a_server_without_the_endpoint_takes_and_serves_the_file_too(
    store: Path, trust: TrustStore, pair: Pair
) -> None:
    with live_server(str(store), trust) as live:
        published(live, pair)
        assert live.client.get(live.release_url(7) + FILE).content == pair.ciphertext
        assert live.client.post(UPDATES, json=REQUEST).status_code == 404
        assert "capgo" not in live.client.get("/metrics").text
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        assert asked(live)["url"] == f"{live.url}{live.release_url(7)}{FILE}"


def test_what_was_published_with_its_capgo_file_keeps_it_in_a_server_without(
    store: Path, trust: TrustStore, pair: Pair
) -> None:
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        published(live, pair)
    with live_server(str(store), trust) as live:
        assert live.client.get(live.release_url(7) + FILE).content == pair.ciphertext


def test_a_release_without_a_capgo_file_offers_none(live: Live, sealed: Callable[..., Bundle]) -> None:
    live.publish(sealed(sequence=3)).raise_for_status()
    assert refused(asked(live)) == ("no_bundle", "failed")


# The plugin's questions.


def test_every_refusal_has_its_kind(offered: Live, pair: Pair) -> None:
    other = capgo.PrivateKey.generate().public_key.key_id
    refusals = {
        ("no_channel", "failed"): {"app_id": "com.example.other"},
        ("no_new_version_available", "up_to_date"): {"version_name": "1.0.7"},
        ("key_id_mismatch", "blocked"): {"key_id": other},
        ("disable_auto_update_under_native", "blocked"): {"version_build": "2.0.0"},
        ("unsupported_plugin_version", "failed"): {"plugin_version": "4.9.0"},
        ("invalid_json_body", "failed"): {"platform": "windows"},
    }
    for expected, changes in refusals.items():
        assert refused(asked(offered, **changes)) == expected
    mismatch = asked(offered, key_id=other)
    assert (mismatch["deviceKeyId"], mismatch["bundleKeyId"]) == (other, pair.record.key_id)
    assert "url" in asked(offered, key_id=pair.record.key_id)
    assert "url" in asked(offered, key_id="MIIB")
    metrics = offered.client.get("/metrics").text
    for error, _ in refusals:
        assert f'capseal_capgo_updates_total{{answer="{error}"}}' in metrics


@pytest.mark.parametrize("channel", ["", None])
def test_a_plugin_without_a_channel_gets_the_servers_default(
    channel: str | None, tmp_path: Path, trust: TrustStore, paired: PairMaker
) -> None:
    settings = CapgoUpdates(default_channel="beta", public_url="https://cdn.example.com/ota/")
    with live_server(str(tmp_path / "store"), trust, extensions=[settings]) as live:
        published(live, paired(sequence=1, channel="beta"))
        found = asked(live, defaultChannel=channel)
        assert found["url"] == f"https://cdn.example.com/ota{live.release_url(1, channel='beta')}{FILE}"
        assert refused(asked(live, defaultChannel="production")) == ("no_channel", "failed")


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "https://", "//x", "https://x/?a=b", "https://x/#a", "https://[", "x.example"]
)
def test_public_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="URL"):
        CapgoUpdates(public_url=url)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b", "a\0b", "\ud800", "x" * 60_000, "é", ".", "production/../beta", "%2e%2e"]
)
def test_a_strange_name_is_nothing_released(name: str, offered: Live) -> None:
    for member in ("app_id", "defaultChannel"):
        body = json.dumps(REQUEST | {member: name}).encode()
        answer = offered.client.post(UPDATES, content=body)
        assert (answer.status_code, answer.json()["error"]) == (200, "no_channel")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_with_an_answer(chunked: bool, offered: Live) -> None:
    body = json.dumps(REQUEST | {"custom_id": "x" * 8_000_000}).encode()
    content = iter([body[at : at + 10_000] for at in range(0, len(body), 10_000)]) if chunked else body
    answer = httpx.post(offered.url + UPDATES, content=content)
    assert answer.status_code == 200
    assert refused(answer.json()) == ("invalid_json_body", "failed")
    taken = re.search(r"request: (\d+) bytes", answer.json()["message"])
    assert taken and int(taken[1]) < 1_000_000, "all of it was read into memory"


@pytest.mark.parametrize("host", ["a b", "x[", '"><script>', "user@host", ""])
def test_a_strange_host_header_is_not_in_the_answer(host: str, offered: Live) -> None:
    answer = offered.client.post(UPDATES, json=REQUEST, headers={"Host": host})
    assert answer.json()["url"] == f"{offered.url}{offered.release_url(7)}{FILE}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=8,
)


@given(changes=st.dictionaries(st.sampled_from([*REQUEST, "key_id"]), JSON | st.sampled_from(["7.0", "", "9" * 99])))
def test_no_request_makes_the_server_fail(changes: dict[str, Any], offered: Live) -> None:
    answer = offered.client.post(UPDATES, content=json.dumps(REQUEST | changes).encode())
    assert answer.status_code == 200
    assert "url" in answer.json() or refused(answer.json())


@given(body=st.binary(max_size=300))
def test_no_bytes_make_the_server_fail(body: bytes, offered: Live) -> None:
    assert refused(offered.client.post(UPDATES, content=body).json()) == ("invalid_json_body", "failed")


# Afterwards: new releases, withdrawals, restarts, rotten storage.


def test_the_latest_release_is_offered_and_after_it_was_withdrawn_the_one_before(live: Live, paired: PairMaker) -> None:
    for sequence in (1, 2):
        published(live, paired(sequence=sequence))
        assert asked(live)["version"] == f"1.0.{sequence}"
    live.client.delete(live.release_url(2)).raise_for_status()
    assert asked(live)["version"] == "1.0.1"
    assert live.client.get(live.release_url(2) + FILE).status_code == 410
    live.client.delete(live.release_url(1)).raise_for_status()
    assert asked(live, version_name="1.0.1") == {"version": "builtin"}


def test_where_all_was_withdrawn_a_plugin_goes_back_to_the_apps_own_bundle(live: Live, paired: PairMaker) -> None:
    assert refused(asked(live, version_name="1.0.1")) == ("no_channel", "failed")
    published(live, paired(sequence=1))
    live.client.delete(live.release_url(1)).raise_for_status()
    assert asked(live, version_name="1.0.1", plugin_version="6.2.0") == {"version": "builtin"}
    too_old = ("revert_to_builtin_plugin_version_too_old", "failed")
    assert refused(asked(live, version_name="1.0.1", plugin_version="6.1.9")) == too_old
    for own in ("builtin", "1.0.0"):  # as older and as newer plugins name it
        assert refused(asked(live, version_name=own)) == ("already_on_builtin", "up_to_date")
    assert refused(asked(live, version_name="1.0.1", defaultChannel="beta")) == ("no_channel", "failed")
    metrics = live.client.get("/metrics").text
    assert 'capseal_capgo_updates_total{answer="builtin"} 1.0' in metrics
    published(live, paired(sequence=2))
    assert asked(live)["version"] == "1.0.2"


def test_a_release_that_storage_damaged_was_not_withdrawn(store: Path, trust: TrustStore, pair: Pair) -> None:
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        published(live, pair)
    (record,) = store.rglob("release.json")
    record.write_bytes(b"{}")
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        assert asked(live, version_name="1.0.7").get("error") == "no_channel"


def test_a_slash_at_the_end_of_the_url_is_no_other_url(offered: Live) -> None:
    answer = offered.client.post(f"{UPDATES}/", json=REQUEST)
    assert (answer.status_code, answer.json()) == (200, asked(offered))


def test_withdrawing_deletes_the_capgo_file(live: Live, store: Path, trust: TrustStore, pair: Pair) -> None:
    published(live, pair)
    assert any(pair.digest in name for name in listed_files(store))
    live.client.delete(live.release_url(7)).raise_for_status()
    collect(store, trust)
    assert [name.rpartition("/")[2] for name in kept_files(store)] == ["release.json"]


def test_a_restart_and_a_collection_keep_what_was_published(store: Path, trust: TrustStore, pair: Pair) -> None:
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        published(live, pair)
    collect(store, trust)
    before = listed_files(store)
    assert str(payload_file(store, pair.digest, "index").relative_to(store)) in before
    (store / "payloads" / ("0" * 64)).mkdir()
    (store / "payloads" / ("0" * 64) / f"index-{1:016x}").write_bytes(b"orphan")
    collect(store, trust)
    assert listed_files(store) == before
    with live_server(str(store), trust, extensions=[CapgoUpdates()], verify_reads=True) as live:
        url = asked(live)["url"]
        assert live.client.get(url).content == pair.ciphertext


def test_an_upload_that_went_stale_is_collected_with_its_capgo_file(store: Path, trust: TrustStore, pair: Pair) -> None:
    with live_server(str(store), trust, extensions=[CapgoUpdates()], limits=Limits(upload_age_s=0)) as live:
        links = begun(live, pair)
        live.client.put(links["capgo_index"], content=pair.index)
        put(live, pair, links, 0, 16)
    collect(store, trust, limits=Limits(upload_age_s=0))
    assert kept_files(store) == []


def test_a_record_that_names_too_few_segments_of_the_capgo_file_is_refused(
    store: Path, trust: TrustStore, pair: Pair
) -> None:
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        published(live, pair)
    (record,) = store.rglob("release.json")
    value = json.loads(record.read_bytes())
    value["attachments"][NAME]["runs"].pop()
    with pytest.raises(RejectedError, match="do not cover payload"):
        ReleaseRecord.parse(json.dumps(value).encode())


@pytest.mark.parametrize("rot", ["part", "index", "forged", "cut", "gone", "record"])
def test_rotten_storage_is_never_served(rot: str, store: Path, trust: TrustStore, pair: Pair) -> None:
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        published(live, pair)
    if rot in ("part", "index"):
        path = payload_file(store, pair.digest, {"part": "0000000016-03", "index": "index"}[rot])
        data = bytearray(path.read_bytes())
        data[S + 7 if rot == "part" else 7] ^= 1
        path.write_bytes(data)
    elif rot == "forged":  # altered, and the index made to fit
        data = bytearray(pair.ciphertext)
        data[7] ^= 1
        payload_file(store, pair.digest, "0000000000-16").write_bytes(data[: 16 * S])
        payload_file(store, pair.digest, "index").write_bytes(index_entries(memoryview(data)))
    elif rot == "cut":
        os.truncate(payload_file(store, pair.digest, "0000000000-16"), 5)
    elif rot == "gone":
        payload_file(store, pair.digest, "index").unlink()
    else:
        (record,) = store.rglob("release.json")
        value = json.loads(record.read_bytes())
        value["release"]["attachments"][NAME]["digest"]["fsverity-sha256"] = pair.bundle.digest
        record.write_text(json.dumps(value))
    with live_server(str(store), trust, extensions=[CapgoUpdates()], verify_reads=True) as live:
        url = live.release_url(7) + FILE
        if rot == "part":
            got = b""
            with pytest.raises(httpx.RemoteProtocolError), live.client.stream("GET", url) as answer:
                for chunk in answer.iter_raw():
                    got += chunk
            assert pair.ciphertext.startswith(got)
            assert len(got) <= 17 * S
            early = live.client.get(url, headers={"Range": "bytes=0-99"})
            assert early.content == pair.ciphertext[:100]
        else:
            assert live.client.get(url).status_code == 503
        assert live.client.post(UPDATES, json=REQUEST).status_code == (503 if rot == "record" else 200)


def test_a_release_whose_seal_rotted_is_not_offered(store: Path, trust: TrustStore, pair: Pair) -> None:
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        published(live, pair)
        (seal,) = store.glob("releases/**/seal")
        seal.write_bytes(pair.bundle.seal[:-1] + b"\1")
        assert live.client.post(UPDATES, json=REQUEST).status_code == 503


def test_the_version_that_is_offered_is_the_signed_one(store: Path, trust: TrustStore, pair: Pair) -> None:
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        published(live, pair)
    (record,) = store.rglob("release.json")
    value = json.loads(record.read_bytes())
    value["release"]["version"] = "9.9.9"
    record.write_text(json.dumps(value))
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        assert asked(live)["version"] == "1.0.7"


def test_an_older_release_under_a_newer_name_is_not_offered(store: Path, trust: TrustStore, pair: Pair) -> None:
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        published(live, pair)
    (record,) = store.rglob("release.json")
    other = record.parent.parent.with_name(f"{8:016d}") / record.parent.name
    shutil.copytree(record.parent, other)
    copy = other / "release.json"
    value = json.loads(record.read_bytes())
    value["release"]["sequence"] = 8
    copy.write_text(json.dumps(value))
    (pointer,) = store.glob("channels/*/*")
    value = json.loads(pointer.read_bytes())
    value["releases"].append([8, *value["releases"][0][1:]])
    pointer.write_text(json.dumps(value))
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        assert live.client.post(UPDATES, json=REQUEST).status_code == 503


def test_uploads_of_capgo_files_count_for_the_limit(store: Path, trust: TrustStore, pair: Pair) -> None:
    with live_server(str(store), trust, extensions=[CapgoUpdates()], limits=Limits(uploads=1)) as live:
        links = begun(live, pair)
        live.client.put(links["capgo_index"], content=pair.index)

        async def both() -> list[int]:
            async with httpx.AsyncClient(base_url=live.url) as client:

                async def slow() -> Any:
                    yield pair.ciphertext[:S]
                    await asyncio.sleep(0.5)
                    yield pair.ciphertext[S:]

                first = asyncio.create_task(client.put(links["capgo"], content=slow()))
                await asyncio.sleep(0.2)
                second = await client.put(links["payload"], content=pair.bundle.payload)
                return [(await first).status_code, second.status_code]

        assert asyncio.run(both()) == [200, 503]


def test_behind_a_trusted_proxy_urls_begin_with_what_that_was_asked_for(
    store: Path, trust: TrustStore, pair: Pair
) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "updates.example.com"}
    for proxies, base in ((["127.0.0.1"], "https://updates.example.com/v1/"), ([], "http://127.0.0.1:")):
        place = str(store.with_name(f"store-{len(proxies)}"))
        with live_server(place, trust, extensions=[CapgoUpdates()], trusted_proxies=proxies) as live:
            published(live, pair)
            assert live.client.post(UPDATES, json=REQUEST, headers=forwarded).json()["url"].startswith(base)
