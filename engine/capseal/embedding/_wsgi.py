"""WSGI middleware: of an upload the application sees verified bytes only (Flask, Django, any other)."""

import http
import io
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..bundle.opened import SealInput
from ..errors import RejectedError
from ..trust.expect import Expect
from ..trust.store import TrustStore
from ._streams import VerifiedStream
from ._uploads import (
    DEFAULT_UPLOAD_LIMITS,
    UPLOAD,
    Meter,
    Refusal,
    Upload,
    UploadLimits,
    UploadRefusedError,
    UploadRules,
    answer_to,
)

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

_READ_BYTES = 256 * 1024
_LEAST_READ_BYTES = 4 * 1024
_QUICK_S = 0.05


class WsgiUploads:
    """AsgiUploads for WSGI: `environ["capseal.upload"]` is the Upload, `environ["wsgi.input"]` has verified bytes only.

    That a client sends nothing at all only the server that holds its socket can notice.
    """

    def __init__(
        self,
        app: App,
        *,
        trust: TrustStore,
        expect: Expect | Callable[[], Expect] = Expect(),
        seal: SealInput | None = None,
        path: str | re.Pattern[str] | None = None,
        methods: Iterable[str] = ("POST", "PUT"),
        limits: UploadLimits = DEFAULT_UPLOAD_LIMITS,
    ) -> None:
        """As AsgiUploads."""
        self._app = app
        self._rules = UploadRules(
            trust=trust, expect=expect, seal=seal, path=path, methods=frozenset(methods), limits=limits
        )

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not self._rules.concern(environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")):
            return self._app(environ, start_response)
        exchange = _Exchange(self._rules, environ, start_response)
        if exchange.upload.refusal is not None:
            return exchange.refuse(exchange.upload.refusal)
        try:
            return exchange.answer(self._app(environ, exchange.start_response))
        except (RejectedError, UploadRefusedError) as error:
            return exchange.refuse(exchange.upload.refusal or error)


class _Exchange:
    """One upload and its answer."""

    def __init__(self, rules: UploadRules, environ: Environ, start_response: StartResponse) -> None:
        self.upload = Upload()
        self._start_response = start_response
        self._has_started = False
        self._is_held_back = False
        meter = Meter(rules.limits)
        try:
            if environ.get("CONTENT_LENGTH"):
                meter.announce(int(environ["CONTENT_LENGTH"]))
        except UploadRefusedError as refusal:
            self.upload.refuse(refusal)
        chunks = _chunks(environ["wsgi.input"], environ, meter)
        stream = VerifiedStream(chunks, trust=rules.trust, expect=rules.expected(), seal=rules.seal)
        self._body = _Body(self.upload, self.upload.checked(stream))
        environ[UPLOAD] = self.upload
        environ["wsgi.input"] = io.BufferedReader(self._body, _READ_BYTES)

    def start_response(self, status: str, headers: Any, *exc_info: Any) -> Callable[[bytes], object]:
        """Pass an answer on, unless it would say of an upload what is not so."""
        code = int(status[:3])
        if code < 300:
            self._body.read_the_rest()
        self._is_held_back = not self._has_started and not self.upload.may_be_answered(code)
        if self._is_held_back:
            return lambda data: None
        self._has_started = True
        return self._start_response(status, headers, *exc_info)

    def answer(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the application's answer, or the refusal in its place."""
        own: Refusal | None = None
        try:
            for piece in pieces:
                if self._is_held_back:
                    break
                yield piece
        except (RejectedError, UploadRefusedError) as error:
            if self._has_started:
                raise
            own = error
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        refusal = self.upload.refusal or own
        if refusal is not None and not self._has_started:
            yield from self.refuse(refusal)

    def refuse(self, refusal: Refusal) -> list[bytes]:
        """Answer a refusal."""
        status, headers, body = answer_to(refusal)
        self._start_response(f"{status} {http.HTTPStatus(status).phrase}", list(headers.items()))
        return [body]


class _Body(io.RawIOBase):
    """The verified bytes of a body, as a file."""

    def __init__(self, upload: Upload, pieces: Iterator[bytes]) -> None:
        self._upload = upload
        self._pieces = pieces
        self._rest = memoryview(b"")
        upload.before_verdict(self._look_ahead)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises the refusal, again and again."""
        if self._upload.refusal is not None:
            raise self._upload.refusal
        self._look_ahead()
        view = memoryview(buffer)
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _look_ahead(self) -> None:
        """Have bytes to give, or none where all was given."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return
            self._rest = memoryview(piece)

    def read_the_rest(self) -> None:
        """Verify what the application did not read."""
        try:
            for _ in self._pieces:
                continue
        except (RejectedError, UploadRefusedError):
            return  # known to the upload


def _chunks(body: Any, environ: Environ, meter: Meter) -> Iterator[bytes]:
    announced = environ.get("CONTENT_LENGTH")
    # Without either, nobody says where the body ends, and there is none.
    left = int(announced) if announced else None if environ.get("wsgi.input_terminated") else 0
    meter.begin()
    size = _LEAST_READ_BYTES
    while left is None or left > 0:
        before = meter.clock()
        chunk: bytes = body.read(size if left is None else min(left, size))
        if not chunk:
            return
        meter.count(len(chunk))
        # A read waits for all that it asks for: of who is slow it asks little, so that the clock is looked at.
        is_quick = meter.clock() - before < _QUICK_S
        size = min(2 * size, _READ_BYTES) if is_quick else max(size // 2, _LEAST_READ_BYTES)
        left = None if left is None else left - len(chunk)
        yield chunk
