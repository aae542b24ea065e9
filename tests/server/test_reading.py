"""Reading: ranges, conditions and caching as RFC 9110 has them, and storage that rots."""

import email
import email.policy
import hashlib
import json
import os
import random
import re
import socket
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from capseal import TrustStore
from capseal.constants import SEGMENT_BYTES
from capseal.http.ranges import UnsatisfiableRangeError, parse_range
from capseal.http.shapes import ReleaseDescription
from capseal.server.routes._descriptions import Descriptions
from support.serving import APP, CHANNEL, TOKEN, Bundle, Live, kept_files, live_server, payload_file

S = SEGMENT_BYTES
LATEST = f"/v1/apps/{APP}/channels/{CHANNEL}/latest"


def payload_url(live: Live) -> str:
    return live.release_url(7) + "/payload"


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-499", 0, 500),
        (f"bytes={S - 1}-{S}", S - 1, S + 1),
        (f"bytes={S}-{3 * S - 1}", S, 3 * S),
        (f"bytes={16 * S - 5}-{17 * S}", 16 * S - 5, 17 * S + 1),
        ("bytes=9-", 9, None),
        ("bytes=-500", -500, None),
        ("bytes=-99999999999", 0, None),
        ("bytes=20-99999999999999", 20, None),
        ("bytes= 0-9 , 10-19", 0, 20),
        ("Bytes=3-4", 3, 5),
    ],
)
def test_a_range_gives_its_bytes(published: Live, bundle: Bundle, header: str, start: int, stop: int | None) -> None:
    answer = published.client.get(payload_url(published), headers={"Range": header})
    expected = bundle.payload[start:stop]
    first = start if start >= 0 else len(bundle.payload) + start
    assert answer.status_code == 206
    assert answer.content == expected
    assert answer.headers["content-length"] == str(len(expected))
    last = first + len(expected) - 1
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(bundle.payload)}"


def test_several_ranges_come_as_multipart(published: Live, bundle: Bundle) -> None:
    spans = [(5, 9), (2 * S - 3, 4 * S + 8), (16 * S - 1, 16 * S + 1)]
    header = "bytes=" + ",".join(f"{start}-{stop - 1}" for start, stop in spans)
    answer = published.client.get(payload_url(published), headers={"Range": header})
    assert answer.status_code == 206
    assert len(answer.content) == int(answer.headers["content-length"])
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content, policy=email.policy.HTTP)
    parts = list(message.iter_parts())
    ranges = [f"bytes {start}-{stop - 1}/{len(bundle.payload)}" for start, stop in spans]
    assert [part["content-range"] for part in parts] == ranges
    boundary = message.get_boundary().encode()
    bodies = [piece.partition(b"\r\n\r\n")[2] for piece in answer.content.split(b"\r\n--" + boundary)[1:-1]]
    assert bodies == [bundle.payload[start:stop] for start, stop in spans]


@pytest.mark.parametrize("header", ["bytes=9-3", "bytes=a-b", "lines=1-2", "bytes=-", "bytes", "bytes=1-2-3", ""])
def test_a_range_that_is_none_is_ignored(published: Live, bundle: Bundle, header: str) -> None:
    answer = published.client.get(payload_url(published), headers={"Range": header})
    assert (answer.status_code, answer.content) == (200, bundle.payload)


@pytest.mark.parametrize("header", ["bytes=99999999999-", "bytes=-0", "bytes=,", "bytes=" + ",".join(["0-1,9-9"] * 9)])
def test_a_range_that_cannot_be_satisfied_is_told(published: Live, bundle: Bundle, header: str) -> None:
    answer = published.client.get(payload_url(published), headers={"Range": header})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(bundle.payload)}"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_parsed_ranges_are_inside_and_in_the_order_asked_for(size: int) -> None:
    for text in ("0-0", "-1", "0-,0-", "3-5,0-1", "5-6,-2", "999-,0-0"):
        try:
            spans = parse_range(f"bytes={text}", size, most=16)
        except UnsatisfiableRangeError as problem:
            assert problem.headers["Content-Range"] == f"bytes */{size}"
        else:
            assert spans and all(0 <= start < stop <= size for start, stop in spans)


OVERLAPPING = [
    ("0-9,5-14", [(0, 15)]),
    ("5-14,0-9", [(0, 15)]),
    ("0-,0-,0-", [(0, 100)]),
    ("50-59,0-9,55-69", [(50, 70), (0, 10)]),
    ("0-9,20-29,5-24", [(0, 30)]),
    ("40-49,0-9,20-29,9-20", [(40, 50), (0, 30)]),
    ("10-19,0-9", [(0, 20)]),
    ("0-0,2-2", [(0, 1), (2, 3)]),
    ("-10,0-89", [(0, 100)]),
]


@pytest.mark.parametrize(("text", "spans"), OVERLAPPING)
def test_ranges_that_touch_are_joined_in_the_place_of_the_first(text: str, spans: list[tuple[int, int]]) -> None:
    assert parse_range(f"bytes={text}", 100, most=16) == spans


def test_no_range_header_gets_a_byte_twice(published: Live, bundle: Bundle) -> None:
    size = len(bundle.payload)
    chance = random.Random(5)
    for _ in range(300):
        starts = [chance.randrange(1000) for _ in range(16)]
        specs = ",".join(f"{start}-{start + chance.randrange(300)}" for start in starts)
        spans = parse_range(f"bytes={specs}", 1000, most=16) or []
        assert len({at for start, stop in spans for at in range(start, stop)}) == sum(b - a for a, b in spans)
    header = "bytes=" + ",".join(f"{at}-" for at in range(15, -1, -1))
    answer = published.client.get(payload_url(published), headers={"Range": header})
    assert (answer.status_code, len(answer.content)) == (206, size)
    assert answer.headers["content-range"] == f"bytes 0-{size - 1}/{size}"


def test_head_tells_what_get_would_send(published: Live, bundle: Bundle) -> None:
    for url, size in (
        (payload_url(published), len(bundle.payload)),
        (published.release_url(7) + "/seal", len(bundle.seal)),
    ):
        answer = published.client.head(url)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == str(size)
        assert answer.headers["etag"] == published.client.get(url).headers["etag"]
    assert published.client.head(LATEST).status_code == 200


def test_tags_are_strong_and_come_from_the_digests(published: Live, bundle: Bundle) -> None:
    payload = published.client.head(payload_url(published))
    assert payload.headers["etag"] == f'"{bundle.digest}"'
    assert payload.headers["cache-control"] == "public, max-age=31536000, immutable, no-transform"
    latest = published.client.get(LATEST)
    assert latest.headers["cache-control"] == "no-cache, no-transform"


def test_a_seal_is_asked_for_again_each_time_since_it_can_be_made_anew(published: Live, bundle: Bundle) -> None:
    url = published.release_url(7) + "/seal"
    etag = f'"{hashlib.sha256(bundle.seal).hexdigest()}"'
    for answer in (published.client.get(url), published.client.head(url)):
        assert (answer.headers["etag"], answer.headers["cache-control"]) == (etag, "no-cache, no-transform")
    unchanged = published.client.get(url, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert (unchanged.headers["etag"], unchanged.headers["cache-control"]) == (etag, "no-cache, no-transform")
    assert published.client.get(url, headers={"If-None-Match": '"another"'}).content == bundle.seal


@pytest.mark.parametrize("what", ["payload", "seal", "latest"])
def test_conditional_requests_are_answered_as_they_should(published: Live, what: str) -> None:
    url = LATEST if what == "latest" else published.release_url(7) + "/" + what
    etag = published.client.get(url).headers["etag"]

    def status(**headers: str) -> int:
        answer = published.client.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
        assert answer.status_code == 200 or not answer.content
        assert answer.headers["etag"] == etag
        return answer.status_code

    assert status(if_none_match=etag) == 304
    assert status(if_none_match=f'"x", W/{etag}') == 304
    assert status(if_none_match="*") == 304
    assert status(if_none_match='"x"') == 200
    assert status(if_match=etag) == 200
    assert status(if_match='"x"') == 412
    assert status(if_match=f"W/{etag}") == 412
    assert status(if_match="*") == 200


def test_if_range_gives_the_range_only_of_the_same_payload(published: Live, bundle: Bundle) -> None:
    headers = {"Range": "bytes=0-9", "If-Range": f'"{bundle.digest}"'}
    assert published.client.get(payload_url(published), headers=headers).status_code == 206
    headers["If-Range"] = '"other"'
    assert published.client.get(payload_url(published), headers=headers).status_code == 200


def test_latest_changes_its_tag_with_a_new_release(live: Live, bundle: Bundle, sealed: object) -> None:
    live.publish(bundle)
    before = live.client.get(LATEST).headers["etag"]
    live.publish(sealed(sequence=8))
    after = live.client.get(LATEST, headers={"If-None-Match": before})
    assert after.status_code == 200
    assert after.json()["sequence"] == 8


def test_what_was_withdrawn_is_never_described_as_it_was(store: Path, trust: TrustStore, bundle: Bundle) -> None:
    with live_server(str(store), trust, token=TOKEN) as live:
        live.client.headers["Authorization"] = f"Bearer {TOKEN}"
        live.publish(bundle).raise_for_status()
        url = live.release_url(7)
        before = [live.client.get(url) for _ in range(2)]
        assert before[0].content == before[1].content
        assert before[0].json()["withdrawn"] is None
        live.client.delete(url).raise_for_status()
        after = live.client.get(url, headers={"If-None-Match": before[0].headers["etag"]})
    assert after.status_code == 200
    assert after.json()["withdrawn"] is not None


def test_a_description_is_of_the_very_release_and_of_where_the_server_is_mounted(published: Live) -> None:
    descriptions = Descriptions()
    release = ReleaseDescription.from_json(published.client.get(published.release_url(7)).json())
    one, mounted = descriptions.of(release, ""), descriptions.of(release, "/updates")
    assert descriptions.of(release, "") is one
    assert mounted.etag != one.etag
    assert json.loads(mounted.body)["links"]["seal"] == "/updates" + json.loads(one.body)["links"]["seal"]
    withdrawn = descriptions.of(replace(release, withdrawn=release.published), "")
    assert json.loads(withdrawn.body)["withdrawn"] == release.published


def test_a_bit_rotten_in_storage_never_reaches_a_client(store: Path, trust: TrustStore, bundle: Bundle) -> None:
    with live_server(str(store), trust, verify_reads=True) as live:
        live.publish(bundle)
        path = payload_file(store, bundle.digest, "0000000000-16")
        with path.open("r+b") as file:
            file.seek(9 * S + 1000)
            file.write(bytes(1 + 255 - bundle.payload[9 * S + 1000] for _ in range(1)))
        got = bytearray()
        with pytest.raises(httpx.RemoteProtocolError), live.client.stream("GET", payload_url(live)) as answer:
            for chunk in answer.iter_raw():
                got += chunk
        assert bundle.payload[: 9 * S].startswith(got)
        assert len(got) >= 7 * S
        # The other segments are still there, and a range of the bad one is refused with a status.
        good = live.client.get(payload_url(live), headers={"Range": f"bytes={10 * S}-{12 * S}"})
        assert good.content == bundle.payload[10 * S : 12 * S + 1]
        bad = live.client.get(payload_url(live), headers={"Range": f"bytes={9 * S}-{9 * S}"})
        assert (bad.status_code, bad.headers["content-type"]) == (503, "application/problem+json")
        assert 'capseal_aborted_reads_total{error="TamperedError"} 2.0' in live.client.get("/metrics").text


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("damage", ["gone", "short"])
def test_a_part_that_is_gone_or_short_is_no_payload(
    store: Path, trust: TrustStore, bundle: Bundle, verify: bool, damage: str
) -> None:
    with live_server(str(store), trust, verify_reads=verify) as live:
        live.publish(bundle)
        path = payload_file(store, bundle.digest, "0000000000-16")
        if damage == "gone":
            path.unlink()
        else:
            os.truncate(path, S)
        answer = live.client.get(payload_url(live), headers={"Range": f"bytes={5 * S}-{6 * S}"})
        assert answer.status_code == 503
        assert str(store) not in answer.text


def test_a_rotten_seal_is_not_served(live: Live, store: Path, bundle: Bundle) -> None:
    live.publish(bundle)
    (path,) = store.glob("releases/*/*/*/*/seal")
    path.write_bytes(b"x" + bundle.seal[1:])
    assert live.client.get(live.release_url(7) + "/seal").status_code == 503


def test_a_damaged_record_is_not_listed_and_loses_nothing(
    store: Path, trust: TrustStore, bundle: Bundle, sealed: object
) -> None:
    with live_server(str(store), trust) as live:
        live.publish(bundle)
    (path,) = store.glob("releases/*/*/*/*/release.json")
    record = path.read_bytes()
    path.write_bytes(record[:100])
    with live_server(str(store), trust) as live:
        assert live.client.get(LATEST).status_code == 404
        assert live.begin(sealed(sequence=7).seal).status_code == 409  # its place still counts
    path.write_bytes(record)
    with live_server(str(store), trust) as live:
        assert live.client.get(payload_url(live)).content == bundle.payload


def test_a_client_that_leaves_stops_the_reading(store: Path, trust: TrustStore, sealed: object) -> None:
    big = sealed(sequence=7, content=os.urandom(60 * S))
    with live_server(str(store), trust) as live:
        live.publish(big)
        with socket.create_connection(("127.0.0.1", live.port)) as connection:
            connection.sendall(f"GET {payload_url(live)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            connection.recv(1000)
        assert live.client.get("/healthz").status_code == 200
        assert live.app.state.server.metrics.sent._value.get() < len(big.payload)


def test_unknown_paths_and_methods_are_problems(published: Live) -> None:
    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/apps/nobody/channels/production/latest", 404),
        ("GET", published.release_url(8), 404),
        ("GET", published.release_url(7) + "x", 400),
        ("POST", "/v1/apps", 405),
        ("PATCH", payload_url(published), 405),
    ):
        answer = published.client.request(method, path)
        assert answer.status_code == status, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


def test_the_folder_shows_what_the_page_says(published: Live, bundle: Bundle) -> None:
    names = kept_files(Path(published.app.state.publishing.catalogue.storage._folder.path))
    id = published.client.get(published.release_url(7)).json()["seal"]["digest"]["sha256"]
    assert [re.sub("(?<=[/-])[0-9a-f]{16}(?=/|$)", "MARK", name) for name in names] == [
        f"payloads/{bundle.digest}/0000000000-16-MARK",
        f"payloads/{bundle.digest}/0000000016-05-MARK",
        f"releases/{APP}/{CHANNEL}/MARK/MARK/release.json",
        f"releases/{APP}/{CHANNEL}/MARK/MARK/seal",
        f"uploads/{id}/published",
    ]
    assert Path(published.app.state.publishing.catalogue.storage._folder.path, names[0]).stat().st_size == 16 * S
