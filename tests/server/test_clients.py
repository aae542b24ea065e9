"""What one client may take of memory and connections, so that the others are served."""

import contextlib
import logging
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from capseal import PrivateKey, TrustStore
from capseal.constants import MAGIC
from capseal.server import Limits
from capseal.server._clients import client_of
from capseal.server._refusals import Refusals
from support.server_fixtures import BundleMaker
from support.serving import Bundle, Live, live_server, some_bytes
from support.serving_command import serving, serving_pid

MIB = 1024**2
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HALF_ENVELOPE = MAGIC + MIB.to_bytes(4, "big") + b"A" * (MIB - 100_000)


def connect(port: int, host: str = "127.0.0.1") -> socket.socket:
    """Connect from an address of loopback: another client to the server."""
    return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(host, 0))


def ask(port: int, request: bytes = GET, *, host: str = "127.0.0.1") -> bytes:
    """Return all that the server answers until it closes."""
    answer = b""
    with connect(port, host) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(request)
        while data := connection.recv(65536):
            answer += data
    return answer


def begin(port: int, body: bytes, *, length: int = 8 * MIB, host: str = "127.0.0.1") -> socket.socket:
    """Send a part of a seal, and leave the connection open."""
    connection = connect(port, host)
    connection.sendall(f"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode() + body)
    return connection


def answers(connection: socket.socket, *, within_s: float = 5.0) -> bytes:
    """Return the first bytes that come, or nothing where none do."""
    connection.settimeout(within_s)
    try:
        return connection.recv(4096)
    except TimeoutError:
        return b""


@pytest.fixture
def opened() -> Iterator[contextlib.ExitStack]:
    """Closes what is entered into it."""
    with contextlib.ExitStack() as stack:
        yield stack


def test_half_sent_seals_hold_no_more_than_the_budget(
    store: Path, trust: TrustStore, bundle: Bundle, opened: contextlib.ExitStack
) -> None:
    limits = Limits(seal_bytes=2 * MIB, seal_memory_per_client_bytes=2 * MIB, seal_memory_bytes=3 * MIB)
    with live_server(str(store), trust, limits=limits) as live, opened:
        for host, has_room in (("127.0.0.1", [True, True, False]), ("127.0.0.2", [True, False])):
            for fits in has_room:
                one = opened.enter_context(begin(live.port, HALF_ENVELOPE, length=2 * MIB, host=host))
                answer = answers(one, within_s=0.5 if fits else 5)
                assert answer[:13] == (b"" if fits else b"HTTP/1.1 503 ")
                assert fits or b"\r\nretry-after: 2\r\n" in answer
        assert ask(live.port, host="127.0.0.3").startswith(b"HTTP/1.1 200 ")
        assert live.begin(bundle.seal).status_code == 201  # a small one has room
        opened.close()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:  # what was held is given back
            with begin(live.port, HALF_ENVELOPE, length=2 * MIB) as one:
                if not (answer := answers(one, within_s=0.5)):
                    break
        assert answer == b""


def test_150_half_sent_seals_take_less_memory_than_a_few_whole_ones(
    tmp_path: Path, trust: TrustStore, opened: contextlib.ExitStack
) -> None:
    trust.save(tmp_path / "trust.json")
    with serving(tmp_path) as url, opened:
        port, process = int(url.rpartition(":")[2]), serving_pid(tmp_path)

        def resident() -> int:
            return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096

        assert ask(port).startswith(b"HTTP/1.1 200 ")
        before = resident()
        for number in range(150):
            with contextlib.suppress(ConnectionError):  # refused while it is sending
                opened.enter_context(begin(port, HALF_ENVELOPE, host=f"127.0.0.{1 + number % 10}"))
        time.sleep(1)
        assert resident() - before < 150 * MIB
        assert ask(port, host="127.0.0.99").startswith(b"HTTP/1.1 200 ")


def test_a_seal_that_nobody_vouches_for_is_refused_at_the_end_of_its_envelope(
    live: Live, sealed: BundleMaker, signer2: PrivateKey, opened: contextlib.ExitStack
) -> None:
    big = sealed(sequence=3, by=signer2, content=some_bytes(20))
    envelope_end = len(MAGIC) + 4 + int.from_bytes(big.seal[len(MAGIC) : len(MAGIC) + 4], "big")
    waiting = opened.enter_context(begin(live.port, big.seal[: envelope_end - 1], length=len(big.seal)))
    assert answers(waiting, within_s=0.3) == b""
    waiting.sendall(big.seal[envelope_end - 1 : envelope_end])
    assert answers(waiting).startswith(b"HTTP/1.1 403 ")
    junk = opened.enter_context(begin(live.port, b"\x89CAPSEAL\xff\xff\xff\xff"))
    assert answers(junk).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("size", [1, 11, 12, 13, 4096, 10**6])
def test_a_seal_may_arrive_in_pieces_of_any_size(live: Live, sealed: BundleMaker, size: int) -> None:
    small = sealed(sequence=size)
    pieces = (small.seal[at : at + size] for at in range(0, len(small.seal), size))
    begun = live.client.post("/v1/uploads", content=pieces)
    assert (begun.status_code, begun.json()["sequence"]) == (201, size)


def test_a_seal_that_ends_early_or_goes_on_is_truncated(live: Live, bundle: Bundle) -> None:
    for seal in (b"", bundle.seal[:5], bundle.seal[:12], bundle.seal[:3000], bundle.seal[:-1], bundle.seal + b"\0"):
        answer = live.begin(seal)
        assert (answer.status_code, answer.json()["error"]) == (422, "TruncatedError"), len(seal)
    assert live.client.get("/metrics").text.count("capseal_uploading 0.0") == 1


def test_a_seal_over_the_limit_is_refused_whatever_its_length_says(
    store: Path, trust: TrustStore, bundle: Bundle
) -> None:
    with live_server(str(store), trust, limits=Limits(seal_bytes=len(bundle.seal) - 1)) as live:
        assert live.begin(bundle.seal).status_code == 413
        assert live.client.post("/v1/uploads", content=iter([bundle.seal])).status_code == 413
    with live_server(str(store), trust, limits=Limits(seal_bytes=len(bundle.seal))) as live:
        assert live.client.post("/v1/uploads", content=iter([bundle.seal])).status_code == 201


def test_idle_connections_give_way_to_new_ones(store: Path, trust: TrustStore, opened: contextlib.ExitStack) -> None:
    with live_server(str(store), trust, limits=Limits(connections_per_client=8, connections=20)) as live, opened:
        mine = [opened.enter_context(connect(live.port)) for _ in range(30)]
        assert ask(live.port).startswith(b"HTTP/1.1 200 ")
        assert ask(live.port, host="127.0.0.2").startswith(b"HTTP/1.1 200 ")
        assert answers(mine[0]) == b""  # gone: the one that was idle for longest
        mine[-1].sendall(GET)
        assert answers(mine[-1]).startswith(b"HTTP/1.1 200 ")
        # Of many clients together, too.
        for number in range(40):
            opened.enter_context(connect(live.port, f"127.0.1.{1 + number // 4}"))
        assert ask(live.port, host="127.0.0.3").startswith(b"HTTP/1.1 200 ")


def test_a_client_that_is_busy_on_all_its_connections_gets_no_more_and_others_do(
    store: Path, trust: TrustStore, opened: contextlib.ExitStack
) -> None:
    with live_server(str(store), trust, limits=Limits(connections_per_client=4)) as live, opened:
        busy = [opened.enter_context(begin(live.port, HALF_ENVELOPE[:1000])) for _ in range(4)]
        while len(live.server.server_state.tasks) < 4:
            time.sleep(0.01)
        assert ask(live.port).startswith(b"HTTP/1.1 503 ")
        assert ask(live.port, host="127.0.0.2").startswith(b"HTTP/1.1 200 ")
        assert answers(busy[0], within_s=0.2) == b""  # still there
        busy[0].close()
        deadline = time.monotonic() + 10
        while not (answer := ask(live.port)).startswith(b"HTTP/1.1 200 ") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_client_that_there_is_no_room_for_is_counted_and_told_of(
    store: Path, trust: TrustStore, opened: contextlib.ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "capseal.server")
    with live_server(str(store), trust, limits=Limits(connections_per_client=4, connections=6)) as live, opened:
        for _ in range(4):
            opened.enter_context(begin(live.port, HALF_ENVELOPE[:1000]))
        while len(live.server.server_state.tasks) < 4:
            time.sleep(0.01)
        for _ in range(3):
            ask(live.port)
        metrics = ask(live.port, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", host="127.0.0.2")
    assert b'capseal_refused_total{limit="connections_per_client"} 3.0' in metrics
    told = [getattr(one, "members", {}) for one in caplog.records if one.getMessage() == "no room"]
    assert told[0] == {"limit": "connections_per_client", "client": "127.0.0.1", "refused": 1}


def test_of_many_that_there_is_no_room_for_one_line_tells_each_few_seconds(caplog: pytest.LogCaptureFixture) -> None:
    now_s = 100.0
    counted: Counter[str] = Counter()
    refusals = Refusals(logging.getLogger("capseal.server"), lambda limit: counted.update([limit]), clock=lambda: now_s)
    for now_s in (100.0, 100.0, 104.9, 105.0, 105.1):
        refusals.add("connections", "192.0.2.1")
    told = [getattr(one, "members", {}) for one in caplog.records if one.getMessage() == "no room"]
    assert [one["refused"] for one in told] == [1, 3]
    assert counted == {"connections": 5}


def test_behind_a_proxy_one_address_has_all_the_room_there_is(
    tmp_path: Path, trust: TrustStore, opened: contextlib.ExitStack
) -> None:
    most = Limits().behind_proxy()
    assert (most.connections_per_client, most.seal_memory_per_client_bytes) == (1024, 64 * MIB)
    trust.save(tmp_path / "trust.json")
    with serving(tmp_path, "--behind-proxy") as url, opened:
        port = int(url.rpartition(":")[2])
        first = opened.enter_context(connect(port))
        for _ in range(300):
            opened.enter_context(connect(port))
        first.sendall(GET)
        assert answers(first).startswith(b"HTTP/1.1 200 ")


def test_a_whole_head_over_the_limit_is_refused(live: Live) -> None:
    start, end = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", b"\r\n"
    assert ask(live.port, start + b"X: " + b"a" * 32_000 + b"\r\n" + end).startswith(b"HTTP/1.1 200 ")
    for head in (
        start + b"X: " + b"a" * 100_000 + b"\r\n" + end,
        start + b"".join(b"X-%d: %s\r\n" % (one, b"a" * 1000) for one in range(40)) + end,
        start + b"a:\r\n" * 101 + end,
        b"GET /healthz?" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        answer = ask(live.port, head)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"Request head" in answer
    assert ask(live.port, start + b"a:\r\n" * 98 + end).startswith(b"HTTP/1.1 200 ")


def test_a_trailer_without_end_is_cut_off(live: Live, opened: contextlib.ExitStack) -> None:
    head = b"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n"
    for trailer in (b"X: " + b"a" * 10_000_000, b"a: b\r\n" * 1_000_000):
        sent = 0
        connection = opened.enter_context(connect(live.port))
        with contextlib.suppress(ConnectionError):
            connection.sendall(head + b"X-1: y\r\n")
            for at in range(0, len(trailer), 50_000):
                connection.sendall(trailer[at : at + 50_000])
                sent = at
                time.sleep(0.001)
        assert sent < 5_000_000


def test_requests_that_pile_up_on_one_connection_end_it(live: Live) -> None:
    few = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 10
    assert ask(live.port, few + GET).count(b"HTTP/1.1 200 ") == 11
    assert ask(live.port, few * 100).count(b"HTTP/1.1 200 ") < 20


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("somewhere", "somewhere"),
    ],
)
def test_a_client_is_an_address_or_the_network_of_one(address: str, client: str) -> None:
    assert client_of((address, 1234)) == client
    assert client_of(None) == ""
