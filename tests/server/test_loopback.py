"""To a peer on the same machine the kernel sends as fast as it takes what comes."""

import socket
from typing import Any

import pytest

from capseal.server import make_server
from capseal.server._loopback import is_loopback
from server.test_proxies import telling
from support.serving import running


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_this_machine(host: str) -> None:
    assert is_loopback((host, 4711))


@pytest.mark.parametrize("host", ["203.0.113.9", "10.0.0.1", "fe80::1%eth0", "::ffff:203.0.113.9", "2001:db8::1", ""])
def test_nothing_else_is(host: str) -> None:
    assert not is_loopback((host, 4711))
    assert not is_loopback(None)


def _has_reno() -> bool:
    if not hasattr(socket, "TCP_CONGESTION"):
        return False
    with socket.socket() as one:
        try:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
        except OSError:
            return False
    return True


@pytest.mark.skipif(not _has_reno(), reason="the system lets nobody choose how to send")
def test_what_goes_to_this_machine_is_not_paced() -> None:
    server = make_server(telling, host="127.0.0.1", port=0)
    with running(server) as client:
        client.get("/").raise_for_status()
        (connection,) = server.server_state.connections
        transport: Any = connection.transport
        told = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    assert told.rstrip(b"\0") == b"reno"
