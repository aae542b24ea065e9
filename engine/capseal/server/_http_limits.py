"""uvicorn's HTTP/1.1 protocol with the limits that it lacks: size of a request's head, and time to send it."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ._limits import ServerLimits
from ._slow_clients import ABORT


def limited_protocol(limits: ServerLimits) -> type[asyncio.Protocol]:
    """Return a protocol class for uvicorn."""

    class LimitedProtocol(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._in_body = False
            self._head_bytes = 0
            self._head_timer: asyncio.TimerHandle | None = self.loop.call_later(limits.head_s, self._head_late)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_head_timer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if not self._in_body:
                if self._head_timer is None:
                    self._head_timer = self.loop.call_later(limits.head_s, self._head_late)
                self._head_bytes += len(data)
            super().data_received(data)
            # Checked after parsing: a whole head resets the count, whatever came along with it.
            if self._head_bytes > limits.head_bytes and not self.transport.is_closing():
                self.send_400_response("Request head is too large.")

        def on_headers_complete(self) -> None:
            self._stop_head_timer()
            self._head_bytes = 0
            self._in_body = True
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._in_body = False
            super().on_message_complete()

        def _start_asgi_task(self, cycle: Any, app: Any) -> None:
            cycle.scope.setdefault("extensions", {})[ABORT] = self.transport.abort
            super()._start_asgi_task(cycle, app)

        def _stop_head_timer(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _head_late(self) -> None:
            self._head_timer = None
            answering = self.cycle is not None and not self.cycle.response_complete
            if not answering and not self.transport.is_closing():
                self.transport.close()

    return LimitedProtocol
