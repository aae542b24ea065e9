"""WSGI middleware: of an upload the application sees verified bytes only (Flask, Django, any other)."""

import http
import io
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..bundle.opened import SealInput
from ..errors import RejectedError
from ..format.seal import seal_bytes_of
from ..trust.expect import Expect
from ..trust.store import TrustStore
from ._streams import VerifiedStream
from ._uploads import (
    DEFAULT_UPLOAD_LIMITS,
    METHODS,
    UPLOAD,
    Meter,
    Refusal,
    Upload,
    UploadLimits,
    UploadRefusedError,
    UploadRules,
    answer_to,
    says_no_error,
    upper,
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
        methods: Iterable[str] = METHODS,
        limits: UploadLimits = DEFAULT_UPLOAD_LIMITS,
    ) -> None:
        """As AsgiUploads."""
        self._app = app
        self._rules = UploadRules(
            trust=trust, expect=expect, seal=seal, path=path, methods=upper(methods), limits=limits
        )

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        method: str = environ["REQUEST_METHOD"]
        try:
            is_concerned = self._rules.concern(method, _paths_in(environ))
        except UploadRefusedError as refusal:
            return _refuse(start_response, refusal)
        if not is_concerned:
            return self._app(environ, start_response)
        if not self._rules.is_upload(method, has_body=_has_body(environ)):
            environ["wsgi.input"] = io.BytesIO()
            return self._app(environ, start_response)
        return self._take(environ, start_response)

    def _take(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        upload = Upload()
        try:
            exchange = _Exchange(upload, self._rules, environ, start_response)
            return exchange.answer(self._app(environ, exchange.start_response))
        except (RejectedError, UploadRefusedError) as error:
            return _refuse(start_response, upload.refusal or error)


class _Exchange:
    """One upload and its answer."""

    def __init__(self, upload: Upload, rules: UploadRules, environ: Environ, start_response: StartResponse) -> None:
        """Raises the refusal of what need not come at all, and what `expect` does."""
        self.upload = upload
        self._start_response = start_response
        self._has_started = False
        self._is_held_back = False
        meter = Meter(rules.limits)
        announced = environ.get("CONTENT_LENGTH")
        # Without either, nobody says where the body ends, and there is none.
        end = None if environ.get("wsgi.input_terminated") else 0
        size = meter.announce_header(announced) if announced else end
        chunks = _chunks(environ["wsgi.input"], size, meter)
        stream = VerifiedStream(chunks, trust=rules.trust, expect=rules.expected(), seal=rules.seal)
        self._body = _Body(self.upload, self.upload.checked(stream))
        environ[UPLOAD] = self.upload
        environ["wsgi.input"] = io.BufferedReader(self._body, _READ_BYTES)
        if size is None:
            # Django reads what is announced, and of a chunked body nothing. The seal says how much there will be.
            environ["CONTENT_LENGTH"] = str(self._size_by_seal(is_detached=rules.seal is not None))

    def _size_by_seal(self, *, is_detached: bool) -> int:
        """Return how many bytes pass if all is good. Raises the refusal of a seal."""
        self._body.look_ahead()
        verdict = self.upload.seal_verified
        if verdict is None:  # nothing came, which is refused when it is read
            return 0
        payload_bytes = verdict.statement.payload.size
        envelope_bytes = len(verdict.seal.envelope.encode())
        return payload_bytes if is_detached else payload_bytes + seal_bytes_of(envelope_bytes, payload_bytes)

    def start_response(self, status: str, headers: Any, *exc_info: Any) -> Callable[[bytes], object]:
        """Pass an answer on, unless it would say of an upload what is not so."""
        code = int(status[:3])
        if says_no_error(code):
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
            yield from _refuse(self._start_response, refusal)


class _Body(io.RawIOBase):
    """The verified bytes of a body, as a file."""

    def __init__(self, upload: Upload, pieces: Iterator[bytes]) -> None:
        self._upload = upload
        self._pieces = pieces
        self._rest = memoryview(b"")
        upload.before_verdict(self.look_ahead)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises the refusal, again and again."""
        if self._upload.refusal is not None:
            raise self._upload.refusal
        self.look_ahead()
        view = memoryview(buffer)
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def look_ahead(self) -> None:
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


def _chunks(body: Any, left: int | None, meter: Meter) -> Iterator[bytes]:
    """Yield what comes. left: in bytes, or None for to the end."""
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


def _paths_in(environ: Environ) -> tuple[str, ...]:
    """Return the path as text, and the whole one of what is below a script name. Source: PEP 3333, "Unicode Issues"."""
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    root = environ.get("SCRIPT_NAME", "").encode("latin-1").decode("utf-8", "replace")
    return (path, root + path) if root else (path,)


def _has_body(environ: Environ) -> bool:
    # A size that is none may be any.
    return bool(environ.get("CONTENT_LENGTH", "").strip("0") or environ.get("HTTP_TRANSFER_ENCODING"))


def _refuse(start_response: StartResponse, refusal: Refusal) -> list[bytes]:
    status, headers, body = answer_to(refusal)
    start_response(f"{status} {http.HTTPStatus(status).phrase}", list(headers.items()))
    return [body]
