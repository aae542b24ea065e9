"""Hostile and broken clients: no 500, nothing outside the store, nothing that stays in memory."""

import contextlib
import json
import logging
import os
import random
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import httpx
import pytest

from capseal import KeyFileError, TrustStore
from capseal.constants import SEGMENT_BYTES
from capseal.server import CapgoUpdates, Limits, create_app, load_token, make_server
from capseal.server._logs import JsonFormatter
from capseal.server.catalogue import resealing
from capseal.server.storage.objects import Storage
from support.serving import APP, TOKEN, Bundle, Live, listed_files, live_server
from support.tls import make_certificate


def raw(live: Live, request: bytes, *, timeout: float = 10) -> bytes:
    """Send bytes as they are, and return all that comes back until the server closes or is silent."""
    answer = b""
    with (
        socket.create_connection(("127.0.0.1", live.port), timeout=timeout) as connection,
        contextlib.suppress(OSError),
    ):
        connection.sendall(request)
        connection.settimeout(0.3)
        while data := connection.recv(65536):
            answer += data
            if b"\r\n\r\n" in answer:
                connection.settimeout(0.02)
    return answer


TRICKS = [
    "..",
    ".",
    "%2e%2e",
    "..%2f..%2fetc",
    "%2fetc%2fpasswd",
    "a%00b",
    "a\\b",
    "-a",
    "_a",
    "a b",
    "a" * 129,
    "é",
    "a#1",
]


@pytest.mark.parametrize("name", TRICKS)
def test_a_name_that_is_none_is_refused(published: Live, name: str) -> None:
    for path in (f"/v1/apps/{name}/channels/production/latest", f"/v1/apps/{APP}/channels/{name}/releases/7/payload"):
        request = b"GET " + path.replace(" ", "%20").encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        status = int(raw(published, request).split(b" ")[1])
        assert status in (400, 404)


def test_no_server_collects_new_seals_while_they_are_put() -> None:
    least = next(one.metadata["least"] for one in fields(Limits) if one.name == "collect_grace_s")
    assert least >= 2 * resealing._WITHIN_S


def test_a_slow_head_is_cut_off(store: Path, trust: TrustStore) -> None:
    with live_server(str(store), trust, limits=Limits(head_s=0.3)) as live:
        for start in (b"", b"GET / HTTP/1.1\r\nHost:"):
            with socket.create_connection(("127.0.0.1", live.port), timeout=5) as connection:
                connection.sendall(start)
                began = time.monotonic()
                assert connection.recv(100) == b""
                assert 0.2 < time.monotonic() - began < 3
        # One that is slow on its second request too.
        with socket.create_connection(("127.0.0.1", live.port), timeout=5) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            connection.sendall(b"GET / HT")
            while connection.recv(100):
                pass


def test_a_head_without_end_is_cut_off(store: Path, trust: TrustStore) -> None:
    with live_server(str(store), trust, limits=Limits(head_bytes=10_000)) as live:
        assert raw(live, b"GET / HTTP/1.1\r\nX: " + b"a" * 9_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 200")
        assert raw(live, b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000).startswith(b"HTTP/1.1 400")
        # Neither does the body of a request, or the next one behind it, hide a head without end.
        first = b"PUT / HTTP/1.1\r\nContent-Length: 50000\r\n\r\n" + b"b" * 50_000
        assert b"HTTP/1.1 400" not in raw(live, first)
        get = b"GET / HTTP/1.1\r\n\r\n"
        assert b"HTTP/1.1 400" in raw(live, get + get + b"GET / HTTP/1.1\r\nX: " + b"a" * 400_000)


def test_a_refusal_reaches_a_client_that_is_still_sending(published: Live) -> None:
    # The answer comes before 20 MB of body that nobody wants; httpx looks at answers only after it.
    answer = published.client.put("/v1/uploads/unknown/payload", content=bytes(20_000_000))
    assert (answer.status_code, answer.headers["connection"]) == (404, "close")


@pytest.mark.parametrize(("limits", "rate"), [(Limits(idle_s=0.3), 0), (Limits(idle_s=0.5, least_rate=10**6), 2000)])
def test_a_slow_body_is_refused_and_what_was_verified_is_kept(
    store: Path, trust: TrustStore, bundle: Bundle, limits: Limits, rate: int
) -> None:
    with live_server(str(store), trust, limits=limits) as live:
        links = live.begin(bundle.seal).json()["links"]
        head = f"PUT {links['payload']} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(bundle.payload)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", live.port), timeout=10) as connection:
            connection.sendall(head.encode() + bundle.payload[:SEGMENT_BYTES])
            stop = threading.Event()

            def drip() -> None:
                at = SEGMENT_BYTES
                while rate and not stop.wait(0.05):
                    with contextlib.suppress(OSError):
                        connection.sendall(bundle.payload[at : at + rate // 20])
                    at += rate // 20

            dripping = threading.Thread(target=drip)
            dripping.start()
            answer = connection.recv(4096)
            stop.set()
            dripping.join()
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"urn:capseal:problem:too-slow" in answer or b"connection: close" in answer
        assert live.client.get(links["self"]).json()["missing"][0][0] == SEGMENT_BYTES


def test_a_client_that_takes_nothing_is_dropped(store: Path, trust: TrustStore, sealed: Callable[..., Bundle]) -> None:
    big = sealed(sequence=7, content=os.urandom(40 * SEGMENT_BYTES))
    with live_server(str(store), trust, limits=Limits(idle_s=0.4)) as live:
        live.publish(big)
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(10)
            connection.connect(("127.0.0.1", live.port))
            connection.sendall(f"GET {live.release_url(7)}/payload HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            port = connection.getsockname()[1]

            def served() -> bool:
                # A connection that is just being made has no client yet, and the loop is another thread's.
                return any(one.client and one.client[1] == port for one in list(live.server.server_state.connections))

            while not served():
                time.sleep(0.01)
            deadline = time.monotonic() + 4
            while served() and time.monotonic() < deadline:
                time.sleep(0.05)
            assert not served()


def test_more_uploads_than_allowed_are_told_to_wait(store: Path, trust: TrustStore, bundle: Bundle) -> None:
    with live_server(str(store), trust, limits=Limits(uploads=1)) as live:
        links = live.begin(bundle.seal).json()["links"]
        head = f"PUT {links['payload']} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(bundle.payload)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", live.port)) as connection:
            connection.sendall(head.encode() + bundle.payload[:1000])
            while b"capseal_uploading 1.0" not in live.client.get("/metrics").content:
                time.sleep(0.01)
            answer = live.client.put(links["payload"], content=bundle.payload)
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
        while b"capseal_uploading 0.0" not in live.client.get("/metrics").content:
            time.sleep(0.01)
        assert live.client.put(links["payload"], content=bundle.payload).status_code == 200


def test_open_uploads_are_limited(store: Path, trust: TrustStore, sealed: Callable[..., Bundle]) -> None:
    with live_server(str(store), trust, limits=Limits(open_uploads=2)) as live:
        assert [live.begin(sealed(sequence=one).seal).status_code for one in (1, 2, 3)] == [201, 201, 503]


def test_open_uploads_of_one_client_are_limited(store: Path, trust: TrustStore, sealed: Callable[..., Bundle]) -> None:
    with live_server(str(store), trust, limits=Limits(open_uploads_per_client=2)) as live:
        assert [live.begin(sealed(sequence=one).seal).status_code for one in (1, 2, 3)] == [201, 201, 503]
        assert live.begin(sealed(sequence=4).seal).json()["type"] == "urn:capseal:problem:busy"


def malformed(random: random.Random, bundle: Bundle, upload: str) -> bytes:
    """Return one request that something is wrong with."""
    name = random.choice([*TRICKS, APP]).replace(" ", "%20")
    channel = random.choice([*TRICKS, "production"]).replace(" ", "%20")
    sequence = random.choice(["7", "0", "-1", "99999999999999999999", "7x", "%37", "٣", "../7"])
    release = f"/v1/apps/{name}/channels/{channel}/releases/{sequence}"
    junk = random.choice(
        ["bytes=5-3", "bytes=0-" + "9" * 30, "bytes=" + "0-1," * 50, "x" * 300, "bytes=-,-", "bytes=--1"]
    )
    size = len(bundle.payload)
    body = random.randbytes(random.choice([0, 1, 5000]))
    span = random.choice(
        [
            f"bytes 0-{size - 1}/{size}",
            f"bytes 0-9/{size}",
            "bytes 5-1/9",
            "bytes */9",
            "junk",
            "bytes 0-" + "9" * 40 + "/9",
        ]
    )
    length = random.choice([str(len(body)), "0", "-5", "99999999999999999999999", "1e3", "5, 6", "0x10"])
    kind = random.randrange(14)
    head = "Host: x\r\n"
    if kind == 0:
        return random.randbytes(200)
    if kind == 1:
        return f"GET {release}/payload HTTP/1.1\r\n{head}Range: {junk}\r\n\r\n".encode()
    if kind == 2:
        good = f"/v1/apps/{APP}/channels/production/releases/7"
        return f"GET {good}/payload HTTP/1.1\r\n{head}Range: {junk}\r\n\r\n".encode()
    if kind == 3:
        return f"POST /v1/uploads HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n".encode() + body
    if kind == 4:
        return f"POST /v1/uploads HTTP/1.1\r\n{head}Content-Length: 99999999\r\n\r\n".encode() + body
    if kind == 5:
        cut = bundle.seal[: random.randrange(len(bundle.seal))]
        return f"POST /v1/uploads HTTP/1.1\r\n{head}Content-Length: {len(cut)}\r\n\r\n".encode() + cut
    if kind == 6:
        bad = bytearray(bundle.seal)
        bad[random.randrange(len(bad))] ^= 1 << random.randrange(8)
        return f"POST /v1/uploads HTTP/1.1\r\n{head}Content-Length: {len(bad)}\r\n\r\n".encode() + bad
    if kind == 7:
        return (
            f"PUT {upload}/payload HTTP/1.1\r\n{head}Content-Range: {span}\r\nContent-Length: {length}\r\n\r\n".encode()
            + body
        )
    if kind == 8:
        return (
            f"PUT /v1/uploads/{random.choice(TRICKS).replace(' ', '+')}/payload HTTP/1.1\r\n{head}\r\n".encode() + body
        )
    if kind == 9:
        method = random.choice(["DELETE", "PUT", "BREW", "get", "OPTIONS", "TRACE"])
        return f"{method} {release} HTTP/1.1\r\n{head}\r\n".encode()
    if kind == 10:
        return f"PUT {upload}/payload HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode() + body
    if kind == 11:
        path = random.choice(
            [f"{upload}/attachments/game.capgo", f"{upload}/attachments/game.capgo/index", "/v1/capgo/updates"]
        )
        method = random.choice(["PUT", "POST", "GET"])
        return (
            f"{method} {path} HTTP/1.1\r\n{head}Content-Range: {span}\r\nContent-Length: {length}\r\n\r\n".encode()
            + body
        )
    if kind == 12:
        return f"POST /v1/capgo/updates HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n5\r\n".encode() + body
    conditions = "".join(f"{name}: {junk}\r\n" for name in ("If-Match", "If-None-Match", "If-Range"))
    return f"GET {release} HTTP/1.1\r\n{head}{conditions}\r\n".encode()


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def survive_malformed_requests(store: Path, trust: TrustStore, bundle: Bundle, other: Bundle, count: int) -> None:
    seed = int(os.environ.get("CAPSEAL_TEST_SEED", "5"))
    chance = random.Random(seed)
    outside = listed_files(store.parent)
    with live_server(str(store), trust, limits=Limits(idle_s=1, head_s=1), extensions=[CapgoUpdates()]) as live:
        live.publish(bundle)
        upload = live.begin(other.seal).json()["links"]["self"]
        before = listed_files(store)
        statuses: dict[int, int] = {}
        memory = 0
        for i in range(count):
            if i == count // 4:
                memory = rss_bytes()
            answer = raw(live, malformed(chance, other, upload))
            status = int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0
            statuses[status] = statuses.get(status, 0) + 1
        assert not {one for one in statuses if one >= 500}, statuses
        assert 'status="500"' not in live.client.get("/metrics").text
        assert len(statuses) > 4, statuses
        assert rss_bytes() - memory < 30 * 1024**2
        # Still as good as before: what was stored is there, and nothing else.
        assert [name for name in listed_files(store) if name not in [*before, "collector/lease"]] == []
        assert live.client.get(live.release_url(7) + "/payload").content == bundle.payload
    assert [name for name in listed_files(store.parent) if not name.startswith("store/")] == outside


def test_200_malformed_requests_do_no_harm(
    store: Path, trust: TrustStore, bundle: Bundle, sealed: Callable[..., Bundle]
) -> None:
    survive_malformed_requests(store, trust, bundle, sealed(sequence=8, content=bytes(5000)), 200)


@pytest.mark.soak
def test_1000_malformed_requests_do_no_harm(
    store: Path, trust: TrustStore, bundle: Bundle, sealed: Callable[..., Bundle]
) -> None:
    survive_malformed_requests(store, trust, bundle, sealed(sequence=8, content=bytes(5000)), 1000)


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    lines: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Collect()
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("capseal.server")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)


def test_logs_are_json_and_hold_no_secret(store: Path, trust: TrustStore, bundle: Bundle, log_lines: list[str]) -> None:
    with live_server(str(store), trust, token=TOKEN) as live:
        live.client.headers["Authorization"] = f"Bearer {TOKEN}"
        live.publish(bundle)
        live.client.get("/v1/apps?secret=hunter2")
    parsed = [json.loads(line) for line in log_lines]
    assert {"published", "request"} <= {line["message"] for line in parsed}
    assert TOKEN not in "".join(log_lines)
    assert "hunter2" not in "".join(log_lines)


def test_metrics_and_health_are_there(published: Live) -> None:
    assert published.client.get("/healthz").text == "ok\n"
    text = published.client.get("/metrics").text
    assert "capseal_releases 1.0" in text
    assert 'route="/v1/uploads/{id}/payload"' in text


def test_labels_of_metrics_are_not_what_a_client_writes(live: Live) -> None:
    for method in (b"SUBSCRIBE", b"MKCALENDAR", b"PATCH", b"PURGE"):
        raw(live, method + b" /v1/apps/some/channels/name/latest HTTP/1.1\r\nHost: x\r\n\r\n")
    text = live.client.get("/metrics").text
    assert set(re.findall(r'method="([^"]*)"', text)) <= {"GET", "PATCH", "other"}
    assert 'method="other"' in text
    assert "some" not in text


def test_a_long_message_of_the_log_keeps_its_end() -> None:
    text = "Traceback\n" + "x" * 5000 + "\nTransferError: the cause"
    record = logging.LogRecord("capseal.server", logging.ERROR, __file__, 1, text, None, None)
    message = json.loads(JsonFormatter().format(record))["message"]
    assert len(message) == 500
    assert message.startswith("Traceback\nxxx")
    assert message.endswith("xxx\nTransferError: the cause")


@pytest.mark.parametrize("content", [b"", b"short", b"two words " * 5, "pässwörter-sind-lang".encode(), b"x" * 5000])
def test_a_token_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(KeyFileError):
        load_token(tmp_path / "token")


def test_a_token_file_may_end_in_a_newline(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    assert load_token(tmp_path / "token") == TOKEN


def test_tls_1_2_and_later_is_spoken_and_nothing_else(store: Path, tmp_path: Path, trust: TrustStore) -> None:
    certificate, key = make_certificate(tmp_path)
    with live_server(str(store), trust, certificate=certificate, key=key) as live:
        assert live.url.startswith("https:")
        assert live.client.get("/healthz").status_code == 200
        context = ssl.create_default_context(cafile=str(certificate))
        assert httpx.get(live.url + "/healthz", verify=context).text == "ok\n"
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.minimum_version = context.maximum_version = version
            with (
                socket.create_connection(("127.0.0.1", live.port)) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
            ):
                assert secured.version() == version.name.replace("v1_", "v1.")
        assert live.server.config.ssl.minimum_version == ssl.TLSVersion.TLSv1_2
        assert not raw(live, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP")


def test_a_key_that_does_not_fit_the_certificate_is_told(store: Path, tmp_path: Path, trust: TrustStore) -> None:
    certificate, key = make_certificate(tmp_path)
    key.write_bytes(b"nonsense")
    with pytest.raises(KeyFileError, match="not a usable certificate and key"):
        make_server(
            create_app(Storage.open(str(store)), trust), host="127.0.0.1", port=0, certificate=certificate, key=key
        )


def test_a_transfer_under_way_is_finished_before_the_server_stops(
    store: Path, trust: TrustStore, bundle: Bundle
) -> None:
    with live_server(str(store), trust, limits=Limits(shutdown_s=10)) as live:
        live.publish(bundle)
        with socket.create_connection(("127.0.0.1", live.port), timeout=10) as connection:
            connection.sendall(f"GET {live.release_url(7)}/payload HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            got = connection.recv(1000)
            live.server.should_exit = True
            time.sleep(0.5)
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", live.port), timeout=1).close()
                live.client.get("/healthz")
            while data := connection.recv(1 << 20):
                got += data
        assert got.partition(b"\r\n\r\n")[2] == bundle.payload
