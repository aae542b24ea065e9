"""What goes out of a connection's socket directly: pieces of files that nobody reads, memory that is not queued.

An event loop's transport knows neither sendfile(2) nor whether a peer takes anything while a large piece is on its way.
"""

import asyncio
import fcntl
import os
import struct
import termios
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

PIECE = "capseal.piece"
"""ASGI message of a body, where the scope's extensions name it: with `threads`, an Executor that is to push.

It has a `body`, or a `file` (a descriptor), `offset` and `count`, or `push` (called with the socket in a thread: writes
what that takes and returns how many bytes) and their `count`; and `more_body`, as `http.response.body` has it. It is
sent whole, however long a peer takes that goes on taking, and else send raises ClientDisconnect.
"""

_AT_ONCE_BYTES = 2 * 1024 * 1024
"""The kernel's work for it is what holds the event loop longest: half a millisecond, or ten times that."""


class Outlet:
    """A connection's socket, beside its transport, which must have nothing left to write. close() it.

    idle_s: without the peer taking a byte; threads: push, None: the loop's own; is_closed: nothing can be sent
    any more.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        *,
        idle_s: float,
        threads: Executor | None = None,
    ) -> None:
        # A number of its own: the loop lets nobody else watch the transport's.
        self._fd = os.dup(transport.get_extra_info("socket").fileno())
        self._loop = loop
        self._idle_s = idle_s
        self._threads = threads
        self._waiting: asyncio.Future[None] | None = None
        self._is_pushing = False
        self.is_closed = False

    def close(self) -> None:
        """Send nothing any more; whoever waits to send is told so."""
        self.is_closed = True
        if self._waiting is None:
            self._release_unless_pushing()
        elif not self._waiting.done():
            self._waiting.set_result(None)

    async def send(self, message: dict[str, Any]) -> int:
        """Send a PIECE, and return how many bytes it has; less where the connection is gone.

        Raises TimeoutError, OSError where the file cannot be read, EOFError where it ends before, and what push does.
        """
        if "push" in message:
            return await self._send_pushed(message["push"], message["count"])
        sent, count = 0, message["count"] if "file" in message else len(message["body"])
        while sent < count and not self.is_closed:
            at_once = min(_AT_ONCE_BYTES, count - sent)
            try:
                if "file" in message:
                    done = os.sendfile(self._fd, message["file"], message["offset"] + sent, at_once)
                else:
                    done = os.write(self._fd, message["body"][sent : sent + at_once])
            except BlockingIOError:
                await self._until_writable()
                continue
            except ConnectionError:
                self.is_closed = True
                break
            if done == 0:
                raise EOFError(f"the file ends at byte {message['offset'] + sent}")
            sent += done
            if sent < count:
                await asyncio.sleep(0)  # a fast peer never makes us wait: let the others have their turn
        return sent

    async def _send_pushed(self, push: Callable[[int], int], count: int) -> int:
        """Have a thread make and write bytes for as long as the peer takes all at once.

        So they are read, hashed and written by one core, whose cache they are in, without waking anybody in between.
        """
        sent = 0
        while sent < count and not self.is_closed:
            self._is_pushing = True
            pushing = self._loop.run_in_executor(self._threads, push, self._fd)
            pushing.add_done_callback(self._pushed)
            try:
                # Whoever waits may go away; the thread goes on with the descriptor until it notices.
                sent += await asyncio.shield(pushing)
            except BlockingIOError:
                pass
            except ConnectionError:
                self.is_closed = True
                break
            if sent < count and not self.is_closed:
                await self._until_writable()
        return sent

    def _pushed(self, pushing: "asyncio.Future[int]") -> None:
        self._is_pushing = False
        if self.is_closed:
            self._release()
        if not pushing.cancelled():
            pushing.exception()  # whoever waited for it may have gone

    async def _until_writable(self) -> None:
        waiting = self._waiting = self._loop.create_future()
        self._loop.add_writer(self._fd, _wake, waiting)
        unsent = self._unsent_bytes()
        try:
            while not (await asyncio.wait((waiting,), timeout=self._idle_s))[0]:
                # Half of what waits must be gone before the kernel calls a socket writable: ask what a slow peer took.
                before, unsent = unsent, self._unsent_bytes()
                if unsent >= before:
                    raise TimeoutError(f"the peer took nothing for {self._idle_s:g} s")
        finally:
            self._loop.remove_writer(self._fd)
            self._waiting = None
            if self.is_closed:
                self._release_unless_pushing()

    def _unsent_bytes(self) -> int:
        """Return how many bytes the kernel has that the peer has not acknowledged."""
        (unsent,) = struct.unpack("i", fcntl.ioctl(self._fd, termios.TIOCOUTQ, bytes(4)))
        return int(unsent)

    def _release_unless_pushing(self) -> None:
        # A number that is closed may be another connection's a moment later.
        if not self._is_pushing:
            self._release()

    def _release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _wake(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)
