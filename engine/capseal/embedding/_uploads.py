"""An upload on its way into an application: which requests are one, its limits, its verdict, how it is refused."""

import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from ..bundle.opened import SealInput
from ..bundle.reading_order import Verified
from ..errors import RejectedError, TransferError, UsageError
from ..http import problems
from ..http.limits import DEFAULT_PAYLOAD_BYTES, DEFAULT_SEAL_BYTES
from ..http.problems import CONTENT_LENGTH, SPELLING, TOO_LARGE, TOO_SLOW, ProblemType
from ..trust.expect import Expect
from ..trust.store import TrustStore
from . import _spelling
from ._streams import AsyncVerifiedStream, VerifiedStream

UPLOAD = "capseal.upload"
"""Where an application finds its Upload: in an ASGI scope or a WSGI environ."""


METHODS: Final = ("POST", "PUT", "PATCH")
"""Whose requests are uploads, though they announce no body."""

_SIZE = re.compile("[0-9]{1,19}")


class UploadRefusedError(TransferError):
    """A request that no seal was asked about: too large, too slow, malformed. kind: the problem it is answered with."""

    def __init__(self, kind: ProblemType, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


Refusal = RejectedError | UploadRefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLimits:
    """What one upload may take.

    bundle_bytes: the largest, seal included; idle_s: without a byte, which a WSGI server must see to itself;
    least_rate: bytes per second over each idle_s.
    """

    bundle_bytes: int = DEFAULT_PAYLOAD_BYTES + DEFAULT_SEAL_BYTES
    idle_s: float = 30.0
    least_rate: int = 16 * 1024


DEFAULT_UPLOAD_LIMITS: Final = UploadLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRules:
    """Which requests are uploads, and what is demanded of them.

    path: the path, or a pattern for all of it, below whatever prefix; None for every path. methods: whose requests are
    uploads, though they announce no body; those of any other method are where they have one. expect: or what returns
    it, such as BundleFile.expect. Raises UsageError where the path does not begin with a slash.
    """

    trust: TrustStore
    expect: Expect | Callable[[], Expect]
    seal: SealInput | None
    path: str | re.Pattern[str] | None
    methods: frozenset[str]
    limits: UploadLimits

    def __post_init__(self) -> None:
        if isinstance(self.path, str) and not self.path.startswith("/"):
            raise UsageError(f"path {self.path!r} of uploads does not begin with a slash: no request would be one")

    def concern(self, method: str, paths: tuple[str, ...]) -> bool:
        """Tell whether a route of uploads could be what a request reaches.

        paths: the whole one, then the same below where this is mounted. Raises UploadRefusedError where it is spelled
        in a way of which one application makes this, another that.
        """
        fault = _spelling.fault_in(method, paths[0])
        if fault is not None:
            raise UploadRefusedError(SPELLING, fault)
        if self.path is None:
            return True
        if isinstance(self.path, str):
            return _spelling.plain(self.path) in _spelling.spellings(paths)
        return any(self.path.fullmatch(spelled + end) for spelled in _spelling.spellings(paths) for end in ("", "/"))

    def is_upload(self, method: str, *, has_body: bool) -> bool:
        """Tell whether a request that these concern is an upload. Of one that is not, nobody may see a body."""
        return has_body or method in self.methods

    def expected(self) -> Expect:
        """Return what is expected of a bundle that comes now. Raises what `expect` does."""
        return self.expect() if callable(self.expect) else self.expect


class Upload:
    """What an application is told of an upload, whose body holds verified bytes only.

    seal_verified: the seal's verdict, from the moment that the seal was complete; says nothing of the payload.
    """

    def __init__(self) -> None:
        self._stream: VerifiedStream | AsyncVerifiedStream | None = None
        self._is_whole = False
        self._look_ahead: Callable[[], None] = lambda: None
        self.refusal: Refusal | None = None

    @property
    def seal_verified(self) -> Verified | None:
        return None if self._stream is None else self._stream.verified

    @property
    def is_whole(self) -> bool:
        """Whether every byte came and was verified."""
        return self._is_whole and self.refusal is None

    @property
    def verified(self) -> Verified:
        """The verdict on all of it.

        Raises UsageError before the last byte was read, and where it was refused; a refusal that comes now.
        """
        if not self._is_whole and self.refusal is None:
            self._look_ahead()
        verdict = self.seal_verified
        if verdict is None or not self.is_whole:
            raise UsageError("the upload has not ended: read all of its body before its verdict")
        return verdict

    def before_verdict(self, look_ahead: Callable[[], None]) -> None:
        """Have something done before a verdict is given: who reads no more than was announced never sees an end."""
        self._look_ahead = look_ahead

    def refuse(self, refusal: Refusal) -> None:
        """Let it be answered with a refusal, whatever the application answers."""
        self.refusal = self.refusal or refusal

    def checked(self, stream: VerifiedStream) -> Iterator[bytes]:
        """Yield what a VerifiedStream does, and know how it ended. Raises the refusal."""
        self._stream = stream
        try:
            yield from stream
        except (RejectedError, UploadRefusedError) as refusal:
            self.refuse(refusal)
            raise
        self._is_whole = True

    async def checked_async(self, stream: AsyncVerifiedStream) -> AsyncIterator[bytes]:
        """Yield what an AsyncVerifiedStream does, and know how it ended. Raises the refusal."""
        self._stream = stream
        try:
            async for piece in stream:
                yield piece
        except (RejectedError, UploadRefusedError) as refusal:
            self.refuse(refusal)
            raise
        self._is_whole = True

    def may_be_answered(self, status: int) -> bool:
        """Tell whether an application's status may go out: of a refused upload only a refusal of its own."""
        return self.refusal is None or 400 <= status < 500


def says_no_error(status: int) -> bool:
    """Tell whether a status lets its reader believe that all went well: a redirect does, as after a form."""
    return status < 400


def upper(methods: Iterable[str]) -> frozenset[str]:
    """Return methods as requests spell them."""
    return frozenset(method.upper() for method in methods)


@dataclass(slots=True)
class Meter:
    """Counts what comes of an upload against its limits."""

    limits: UploadLimits
    clock: Callable[[], float] = time.monotonic
    _bytes: int = 0
    _window_bytes: int = 0
    _window_start_s: float = 0.0

    def begin(self) -> None:
        """Count time from now on."""
        self._window_start_s = self.clock()

    def announce(self, size: int) -> None:
        """Raise UploadRefusedError where an upload says that it will be too large. size: in bytes."""
        if size > self.limits.bundle_bytes:
            raise UploadRefusedError(
                TOO_LARGE, f"upload of {size} bytes, at most {self.limits.bundle_bytes} are allowed"
            )

    def announce_header(self, value: str) -> int:
        """Return the size that a Content-Length says. Raises UploadRefusedError, also where it says none."""
        if not _SIZE.fullmatch(value):
            raise UploadRefusedError(CONTENT_LENGTH, f"content-length {value[:80]!r} is no size in bytes")
        self.announce(int(value))
        return int(value)

    def count(self, size: int) -> None:
        """Add bytes that came. Raises UploadRefusedError where they are too many, or came too slowly."""
        self._bytes += size
        self._window_bytes += size
        self.announce(self._bytes)
        now = self.clock()
        elapsed_s = now - self._window_start_s
        if elapsed_s >= self.limits.idle_s:
            came, self._window_bytes, self._window_start_s = self._window_bytes, 0, now
            if came < elapsed_s * self.limits.least_rate:
                raise UploadRefusedError(
                    TOO_SLOW,
                    f"{came} bytes in {elapsed_s:.0f} s, at least {self.limits.least_rate} a second are demanded",
                )

    def idle(self) -> UploadRefusedError:
        """Return the refusal of an upload of which nothing comes."""
        return UploadRefusedError(TOO_SLOW, f"no byte of the upload for {self.limits.idle_s:g} s")


def problem(kind: ProblemType, detail: str, members: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of a problem (RFC 9457)."""
    described = {"type": kind.urn, "title": kind.title, "status": kind.status, "detail": detail}
    body = json.dumps(described | {name: value for name, value in members.items() if value is not None}).encode()
    headers = {"Content-Type": problems.MEDIA_TYPE, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
    return kind.status, headers, body


def answer_to(refusal: Refusal) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer to a refused upload."""
    if isinstance(refusal, UploadRefusedError):
        return problem(refusal.kind, str(refusal), {})
    kind, where = problems.of_rejection(refusal)
    return problem(kind, str(refusal), where)
