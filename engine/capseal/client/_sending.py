"""The bytes of an upload: what the server misses, in pieces; of a piece that broke off, what arrived whole is kept."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ..bundle.pipeline import Progress
from ..errors import TransferError, TruncatedError
from ..http.limits import RUN_BYTES
from ..http.shapes import Span
from ..io.source import Source
from ._connection import Connection
from ._parallel import Lanes

_SLICE_BYTES = 64 * 1024
"""What is read and given to a socket at once, and the steps of progress."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A payload of an upload: where its bytes are, where they go, and which the server misses.

    ask: asks the server for the spans that it misses now.
    """

    source: Source
    path: str
    size: int
    missing: tuple[Span, ...]
    ask: Callable[[], Iterable[Span]]


def send_all(connection: Connection, sendings: Iterable[Sending], *, jobs: int, report: Progress) -> None:
    """Send what is missing of each. Raises CapsealError, OSError, as publish() does."""
    sendings = list(sendings)
    pieces = [_Piece(connection, one, span, report) for one in sendings for span in _pieces(one.missing)]
    report(sum(one.size for one in sendings) - sum(piece.size for piece in pieces))
    lanes = Lanes(connection, jobs)
    lanes.run(lambda piece: piece.send(lanes), [(piece,) for piece in pieces])


def _pieces(missing: Iterable[Span]) -> Iterator[Span]:
    """Cut the missing spans at the grid of the server's runs."""
    for start, stop in missing:
        at = start
        while at < stop:
            end = min(stop, (at // RUN_BYTES + 1) * RUN_BYTES)
            yield at, end
            at = end


class _Piece:
    """What is sent in one request, where the line holds, and else in as many as it takes."""

    def __init__(self, connection: Connection, sending: Sending, span: Span, report: Progress) -> None:
        self._connection = connection
        self._sending = sending
        self._start, self._stop = span
        self._left = [span]
        self._report = report
        self._reported = 0
        self.size = self._stop - self._start

    def send(self, lanes: Lanes) -> None:
        """Send all of it; before a retry the server is asked what arrived of it."""
        broken_off = False

        def transfer() -> None:
            nonlocal broken_off
            with lanes.lane():
                if broken_off:
                    self._left = list(_within(self._sending.ask(), self._start, self._stop))
                broken_off = True
                while self._left:
                    self._put(*self._left[0], lanes.stopped)
                    del self._left[0]

        self._connection.retried(transfer, reached=self._kept, stopped=lanes.stopped)
        self._tell(self.size)

    def _kept(self) -> int:
        """Return how many bytes of it the server has."""
        return self.size - sum(stop - start for start, stop in self._left)

    def _tell(self, sent: int) -> None:
        """Report progress: what is sent a second time is none."""
        self._report(max(0, sent - self._reported))
        self._reported = max(sent, self._reported)

    def _put(self, start: int, stop: int, stopped: threading.Event) -> None:
        headers = {
            "Content-Range": f"bytes {start}-{stop - 1}/{self._sending.size}",
            "Content-Length": str(stop - start),
        }
        slices = self._slices(start, stop, stopped)
        # What the answer says is missing is of no interest: it is asked for where something was not taken.
        with self._connection.stream(
            "PUT", self._sending.path, content=slices, headers=headers, timeout=self._connection.answer_timeout
        ):
            pass

    def _slices(self, start: int, stop: int, stopped: threading.Event) -> Iterator[bytes]:
        kept, source = self._kept(), self._sending.source
        for at in range(start, stop, _SLICE_BYTES):
            if stopped.is_set():
                raise TransferError("stopped, since another transfer failed")
            wanted = min(_SLICE_BYTES, stop - at)
            data = source.peek(at, wanted)
            if len(data) != wanted:
                raise TruncatedError(
                    f"{source.name}: ends early: {at + len(data)} bytes, the seal says {self._sending.size}",
                    expected=self._sending.size,
                    actual=at + len(data),
                )
            yield data
            self._tell(kept + at + wanted - start)


def _within(missing: Iterable[Span], start: int, stop: int) -> Iterator[Span]:
    """Yield what of those spans is inside [start, stop)."""
    for first, end in missing:
        if max(first, start) < min(end, stop):
            yield max(first, start), min(end, stop)
