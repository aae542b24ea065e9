"""The answer to a request for a payload: GET, HEAD, ranges, entity tags (RFC 9110), every byte verified."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping

from ..bundle.reading_order import Verified
from ..errors import RejectedError
from ..format.signed_index import SignedIndex
from ..http.problems import METHOD, NO_RELEASE, RANGE, STORAGE
from ..http.ranges import UnsatisfiableRangeError, precondition, wanted_spans
from ..http.shapes import Span
from ._uploads import problem
from ._verified_reads import AsyncRead, Read, read_verified, read_verified_async

_MEDIA_TYPE = "application/octet-stream"
_MOST_RANGES = 16


class RangeAnswer:
    """An answer: status and headers for a framework's response, and iterated over, once, for its body.

    Its body has Content-Length bytes; none where it answers HEAD. close() it where it is not iterated over to its end.
    """

    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        first: bytes,
        rest: Iterable[bytes] = (),
        close: Callable[[], object] = lambda: None,
    ) -> None:
        self.status = status
        self.headers = headers
        self._first = first
        self._rest = rest
        self._close = close

    def __iter__(self) -> Iterator[bytes]:
        """Raises RejectedError, and what reading does: the response has to be aborted then."""
        try:
            if self._first:
                yield self._first
            yield from self._rest
        finally:
            self.close()

    def close(self) -> None:
        """Let go of what is read from."""
        self._close()


class AsyncRangeAnswer:
    """RangeAnswer for asyncio."""

    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        first: bytes,
        rest: AsyncIterator[memoryview] | None = None,
        close: Callable[[], object] = lambda: None,
    ) -> None:
        self.status = status
        self.headers = headers
        self._first = first
        self._rest = rest
        self._close = close

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises RejectedError, and what reading does: the response has to be aborted then."""
        try:
            if self._first:
                yield self._first
            if self._rest is not None:
                async for piece in self._rest:
                    yield bytes(piece)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of what is read from."""
        self._close()


def answer_range(
    verified: Verified | SignedIndex,
    read: Read,
    method: str,
    headers: Mapping[str, str],
    *,
    close: Callable[[], object] = lambda: None,
) -> RangeAnswer:
    """Return the answer to a request for a payload that `read` reads from a storage (as of read_verified()).

    headers: of the request; `Range`, `If-Range`, `If-Match` and `If-None-Match` count. One range is answered as 206;
    where several are left after those that touch were joined, the whole is. The first bytes are read and verified
    before the answer is made, so that a storage that is corrupt then is a 503. close: called when all was read.
    """
    status, sent, body, span = _decided(verified, method, headers)
    if span is None:
        close()
        return RangeAnswer(status, sent, body)
    pieces = map(bytes, read_verified(verified, read, *span))
    try:
        return RangeAnswer(status, sent, next(pieces, b""), pieces, close)
    except (RejectedError, OSError):
        close()
        return RangeAnswer(*_failed())


async def answer_range_async(
    verified: Verified | SignedIndex,
    read: AsyncRead,
    method: str,
    headers: Mapping[str, str],
    *,
    close: Callable[[], object] = lambda: None,
) -> AsyncRangeAnswer:
    """answer_range() for asyncio."""
    status, sent, body, span = _decided(verified, method, headers)
    if span is None:
        close()
        return AsyncRangeAnswer(status, sent, body)
    pieces = read_verified_async(verified, read, *span)
    try:
        return AsyncRangeAnswer(status, sent, bytes(await anext(pieces, b"")), pieces, close)
    except (RejectedError, OSError):
        close()
        return AsyncRangeAnswer(*_failed())


def no_bundle() -> tuple[int, dict[str, str], bytes]:
    """Return the answer where nothing is stored."""
    return problem(NO_RELEASE, "no bundle was stored yet", {})


def _failed() -> tuple[int, dict[str, str], bytes]:
    """Return the answer of a storage that is not what it should be; its own words are not for clients."""
    status, headers, body = problem(STORAGE, "what is stored cannot be read, or is not what was signed", {})
    return status, {**headers, "Retry-After": "10"}, body


def _decided(
    verified: Verified | SignedIndex, method: str, headers: Mapping[str, str]
) -> tuple[int, dict[str, str], bytes, Span | None]:
    """Return status, headers, a body and, where it is bytes of the payload in its place, which."""
    index = verified.index if isinstance(verified, Verified) else verified
    size, etag = index.payload.size, f'"{index.payload.digest.hex()}"'
    if method not in ("GET", "HEAD"):
        status, sent, body = problem(METHOD, f"{method[:20]} of a payload", {})
        return status, {**sent, "Allow": "GET, HEAD"}, body, None
    asked = {name.lower(): value for name, value in headers.items()}
    sent = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "no-cache, no-transform"}
    conditional = precondition(asked, etag)
    if conditional is not None:
        return conditional, sent if conditional == 304 else {**sent, "Content-Length": "0"}, b"", None
    sent["Content-Type"] = _MEDIA_TYPE
    if method == "HEAD":  # Range is for GET (RFC 9110, 14.2)
        return 200, {**sent, "Content-Length": str(size)}, b"", None
    try:
        spans = wanted_spans(asked, size, etag, most=_MOST_RANGES)
    except UnsatisfiableRangeError as error:
        status, described, body = problem(RANGE, str(error), {})
        return status, {**described, **error.headers}, body, None
    if spans is None or len(spans) > 1:
        return 200, {**sent, "Content-Length": str(size)}, b"", (0, size)
    ((start, stop),) = spans
    part = {"Content-Range": f"bytes {start}-{stop - 1}/{size}", "Content-Length": str(stop - start)}
    return 206, {**sent, **part}, b"", (start, stop)
