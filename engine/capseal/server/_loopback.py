"""What the kernel need not do for a peer on the same machine."""

import contextlib
import socket
from typing import Any

from ._clients import parsed_address

_RENO = b"reno"
"""Every Linux has it, and lets everybody have it: tcp(7), tcp_allowed_congestion_control."""


def is_loopback(address: tuple[str, int] | None) -> bool:
    """Return whether a peer is on this machine, as its address says."""
    peer = None if address is None else parsed_address(address[0])
    return peer is not None and peer.is_loopback


def send_unpaced(connection: Any) -> None:
    """Have a connection over loopback, such as one from the proxy in front, send as fast as the peer takes it.

    BBR, which many machines use, paces all that it sends by timers, which take longer there than sending does
    (docs/server.md). connection: a socket, or an event loop's stand-in.
    """
    if hasattr(socket, "TCP_CONGESTION"):
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _RENO)
