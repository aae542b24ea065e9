"""Trusted proxies are believed in what they say of their clients, and nobody else is."""

import json
import socket
import time
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from capseal import TrustStore, UsageError
from capseal.server import Limits, make_server
from capseal.server._forwarded import TrustedProxies
from support.serving import Bundle, live_server, running


async def telling(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with who asked, as an application sees it."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    host = dict(scope["headers"]).get(b"host", b"").decode()
    body = json.dumps([scope["client"][0], scope["scheme"], host]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def told_by(proxies: list[str], *headers: tuple[str, str]) -> list[str]:
    server = make_server(telling, host="127.0.0.1", port=0, trusted_proxies=proxies)
    with running(server) as client:
        answer: list[str] = client.get("/", headers=[("Host", "inside"), *headers]).json()
        return answer


LOOPBACK = ["127.0.0.0/8"]


def test_a_trusted_proxy_is_believed() -> None:
    headers = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "a.test:8443")]
    assert told_by(LOOPBACK, *headers) == ["203.0.113.9", "https", "a.test:8443"]
    assert told_by(LOOPBACK) == ["127.0.0.1", "http", "inside"]


@pytest.mark.parametrize("proxies", [[], ["10.0.0.0/8", "::1", "128.0.0.0/1"]])
def test_nobody_else_is_believed(proxies: list[str]) -> None:
    headers = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.test")]
    assert told_by(proxies, *headers) == ["127.0.0.1", "http", "inside"]


@pytest.mark.parametrize(
    ("came", "client"),
    [
        (["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1, 203.0.113.9, 10.1.1.1, 127.0.0.9"], "203.0.113.9"),  # two more proxies of ours
        (["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["[2001:db8::7]:4711"], "2001:db8::7"),
        (["2001:db8::7"], "2001:db8::7"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, unknown"], "127.0.0.1"),  # nothing beyond what no proxy of ours can have written
        (["203.0.113.9, "], "127.0.0.1"),
        (["evil.test"], "127.0.0.1"),
        ([""], "127.0.0.1"),
    ],
)
def test_what_a_client_writes_in_front_of_what_the_proxy_adds_is_not_believed(came: list[str], client: str) -> None:
    proxies = TrustedProxies(["127.0.0.0/8", "10.0.0.0/8"])
    assert proxies.origin(("127.0.0.1", 5), came)[0] == client


def test_a_client_that_writes_a_line_before_the_proxys_own_is_not_believed() -> None:
    written = [("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "evil.test")]
    told = told_by(LOOPBACK, *written, ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "a.test"))
    assert told == ["127.0.0.1", "https", "a.test"]


def test_what_is_no_scheme_and_no_host_is_left_aside() -> None:
    for scheme, host in (("gopher", "a b"), ("https, http", "a.test/x"), ("", "evil.test@a"), ("HTTPX", "-a")):
        told = told_by(LOOPBACK, ("X-Forwarded-Proto", scheme), ("X-Forwarded-Host", host))
        assert told == ["127.0.0.1", "http", "inside"], (scheme, host)


@pytest.mark.parametrize("network", ["10.0.0.0/8", "::ffff:10.0.0.0/104", "::ffff:0:0/96"])
@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "::FFFF:a01:203"])
def test_ipv4_is_the_same_on_a_socket_for_both(network: str, address: str) -> None:
    proxies = TrustedProxies([network])
    assert proxies.is_peer((address, 5))
    assert not TrustedProxies([network, "::1"]).is_peer(("::10.1.2.3", 5))
    assert proxies.is_peer(("::ffff:11.1.2.3", 5)) == network.endswith("/96")
    assert proxies.origin((address, 5), [f"2001:db8::7, {address}"])[0] == "2001:db8::7"


def test_all_of_ipv6_is_not_all_of_ipv4() -> None:
    assert not TrustedProxies(["::/0"]).is_peer(("::ffff:10.1.2.3", 5))
    assert not TrustedProxies(["0.0.0.0/0"]).is_peer(("2001:db8::7", 5))


@pytest.mark.parametrize("network", ["10.0.0.1/8", "::ffff:10.0.0.1/104", "proxy.test", "*", ""])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(UsageError, match="trusted proxies: "):
        make_server(telling, host="127.0.0.1", port=0, trusted_proxies=[network])


def test_behind_a_proxy_each_client_has_its_limit(store: Path, trust: TrustStore, bundle: Bundle) -> None:
    limits = Limits(connections_per_client=2, idle_s=20)
    with live_server(str(store), trust, limits=limits, trusted_proxies=LOOPBACK) as live:
        links = live.begin(bundle.seal).json()["links"]
        busy = []

        def put(client: str) -> socket.socket:
            connection = socket.create_connection(("127.0.0.1", live.port), timeout=10)
            head = f"PUT {links['payload']} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\n"
            connection.sendall(f"{head}Content-Length: {len(bundle.payload)}\r\n\r\n".encode() + bundle.payload[:100])
            busy.append(connection)
            return connection

        def under_way() -> int:
            shown = live.client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).text
            return int(float(shown.partition("\ncapseal_uploading ")[2].partition("\n")[0]))

        for _ in range(2):
            put("203.0.113.9")
        deadline = time.monotonic() + 10
        while under_way() < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        mine, other = (
            live.client.get("/v1/apps", headers={"X-Forwarded-For": client})
            for client in ("203.0.113.9", "203.0.113.8")
        )
        assert (mine.status_code, mine.json()["type"]) == (503, "urn:capseal:problem:busy")
        assert mine.headers["retry-after"]
        shown = live.client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).text
        assert 'capseal_refused_total{limit="connections_per_client"} 1.0' in shown
        assert mine.headers["access-control-allow-origin"] == "*"
        assert other.status_code == 200
        # The connections are the proxy's: it may have more than one client may.
        idle = [socket.create_connection(("127.0.0.1", live.port), timeout=10) for _ in range(5)]
        assert live.client.get("/v1/apps", headers={"X-Forwarded-For": "203.0.113.7"}).status_code == 200
        for connection in (*busy, *idle):
            connection.close()
        deadline = time.monotonic() + 10
        while under_way() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert live.client.get("/v1/apps", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 200


def test_the_log_tells_the_client_behind_the_proxy(
    store: Path, trust: TrustStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "capseal.server")
    with live_server(str(store), trust, trusted_proxies=LOOPBACK) as live:
        live.client.get("/v1/apps", headers={"X-Forwarded-For": "203.0.113.9"})
    told = [record.members["client"] for record in caplog.records if record.message == "request"]  # type: ignore[attr-defined]
    assert told == ["203.0.113.9"]
