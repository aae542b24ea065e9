"""The sockets of a connection pool: known as they are opened, so that another thread can end what waits on them."""

import socket
import sys
import threading
import weakref
from contextlib import suppress
from typing import Any

_UNSENT_BYTES = 128 * 1024
# Not in every build of Python. Linux: include/uapi/linux/tcp.h; macOS: netinet/tcp.h.
_TCP_NOTSENT_LOWAT = {"linux": 25, "darwin": 0x201}.get(sys.platform)


class OpenSockets:
    """Every socket that is open. trace: httpcore's request extension of that name, through which they are known.

    requested: whether a request began to be sent; a proxy that is asked for a tunnel gets none of it yet.
    """

    def __init__(self) -> None:
        self.requested = False
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._adding = threading.Lock()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take note of a connection that was made, or that TLS was laid over, and of a request that goes out."""
        if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            self.requested = True
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            one = info["return_value"].get_extra_info("socket")
            if isinstance(one, socket.socket):
                _keep_little_unsent(one)
                with self._adding:
                    self._sockets.add(one)

    def shut(self) -> None:
        """Shut every socket down: whoever waits on one gets an error at once."""
        with self._adding:
            sockets = list(self._sockets)
        for one in sockets:
            with suppress(OSError):
                # socket's own: that of a TLS socket would also forget the TLS that another thread is in the middle of.
                socket.socket.shutdown(one, socket.SHUT_RDWR)


def _keep_little_unsent(one: socket.socket) -> None:
    """Let the kernel take no megabytes that a slow line needs minutes for: what is sent would seem done, and it is not.

    What is under way on the line is not limited, so a fast and long one is not slowed.
    """
    if _TCP_NOTSENT_LOWAT is not None:
        with suppress(OSError):
            one.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
