"""HTTP to a capseal server: every failure becomes one of capseal's errors, and only transfers are retried."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Self, TypeVar

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    wait_random_exponential,
)
from tenacity.nap import sleep_using_event

from ..errors import (
    CapsealError,
    FormatError,
    NotForUsError,
    TransferError,
    UsageError,
)
from ..format import strictjson
from ..http import problems
from ..http.limits import MAX_DESCRIPTION_BYTES, MAX_PROBLEM_BYTES
from ._deadline import within
from ._environment import proxy_for, tls_for
from ._sockets import OpenSockets
from ._tls_mistakes import TLS_THERE, lasting_mistake, speaks_tls

T = TypeVar("T")

TIMEOUT_S = 30.0
ATTEMPTS = 6
FIRST_WAIT_S = 0.25
MOST_WAIT_S = 10.0

DOCUMENT_S = 120.0
"""What a small document may take from the first request to its last byte, attempts and all: a head, a recall, an update
of a trust store, a seal, an index, what says which release is the latest. A seal has a byte for 16 KiB of payload:
where it takes longer, the payload would take weeks."""

ANSWER_PATIENCE = 4
"""How many times longer than a byte the answer to an upload is waited for: what was sent has to arrive first."""

MAX_REDIRECTS = 5

_BAD = 400
_TOO_SLOW = 408
_PASSING = (_TOO_SLOW, 425, 429)
_NO_FILE = (403, 404)
"""Where nobody may list it, a bucket says 403 of what it has not."""
_BROKEN_OFF = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


class FinalTransferError(TransferError):
    """A transfer that failed in a way in which it would fail again at once."""


class StartOverError(FinalTransferError):
    """The server forgot what this request builds on, such as an upload; the whole may succeed later."""


class TooSlowError(TransferError):
    """Nothing came, or the server says that too little did: fewer transfers at once may get through."""


class NoReleaseError(UsageError):
    """The server has no such release, and said so."""


class NoHeadError(NoReleaseError):
    """The server has no such head or recall, and said so."""


class NoFileError(UsageError):
    """A host that is no capseal server has no such file: a bare 404, or the 403 that a bucket may say instead."""


class NotNextError(UsageError):
    """The server has another head than the one that this was made from: fetch it, and build anew."""


class Connection:
    """A connection pool to one server; a context manager, usable from any number of threads.

    url: of the server, `http://` or `https://`. token: a publisher's bearer token. attempts: how often
    a transfer is tried without getting any further, with exponential back-off and jitter between; a rejection
    is never retried. document_s: what a small document may take, however steadily it trickles. A GET without
    a token follows redirects to https or to the same host, nothing else does.
    Proxies and trusted certificates are what the environment says (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE).
    Raises UsageError for a URL, or a variable, that cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = TIMEOUT_S,
        attempts: int = ATTEMPTS,
        document_s: float = DOCUMENT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Accept-Encoding": "identity"}
        if token is not None:
            if not (token.isascii() and token.isprintable()):
                raise UsageError("token: not one line of printable ASCII characters")
            headers["Authorization"] = f"Bearer {token}"
        try:
            base = httpx.URL(url)
        except (httpx.InvalidURL, ValueError) as error:
            raise UsageError(f"{url[:200]!r} is not a URL: {error}") from error
        mistake = _mistake_in(base)
        if mistake is not None:
            raise UsageError(f"{url[:200]!r} {mistake}")
        self._settings: dict[str, Any] = {"headers": headers, "timeout": timeout_s, "transport": transport}
        self._client = self._client_for(base)
        self.url = url
        self.answer_timeout = httpx.Timeout(timeout_s, read=timeout_s * ANSWER_PATIENCE)
        self._attempts = attempts
        self.document_s = document_s
        self._sockets = OpenSockets()
        # Whoever carries a secret never carries it to where an answer says.
        self._follows = token is None and not self._client.base_url.userinfo
        # Whether it is known, or not worth a connection any more, what is spoken there.
        self._is_tls_settled = base.scheme != "http" or transport is not None or proxy_for(base) is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the pool."""
        self._client.close()

    @property
    def asked(self) -> bool:
        """Whether a request may have arrived: not where no connection came about, or none with TLS over it."""
        return self._sockets.requested or self._settings["transport"] is not None  # of others nothing is known

    def drop(self) -> None:
        """End every transfer under way at once, from any thread; the next request connects anew."""
        self._is_tls_settled = True  # what breaks off now says nothing about the server
        self._sockets.shut()

    def retried(
        self,
        transfer: Callable[[], T],
        *,
        reached: Callable[[], int] = lambda: 0,
        stopped: threading.Event | None = None,
    ) -> T:
        """Return what a transfer returns; try again where it raises TransferError.

        reached: how far it came; where it came further, attempts are counted anew. stopped: ends attempts and
        the waiting between them as soon as it is set.
        """
        stopped = stopped or threading.Event()
        furthest, counted_from = reached(), 0

        def given_up(state: RetryCallState) -> bool:
            nonlocal furthest, counted_from
            if reached() > furthest:
                furthest, counted_from = reached(), state.attempt_number - 1
            return stopped.is_set() or state.attempt_number - counted_from >= self._attempts

        retrying = Retrying(
            retry=retry_if_exception_type(TransferError) & retry_if_not_exception_type(FinalTransferError),
            wait=wait_random_exponential(multiplier=FIRST_WAIT_S, max=MOST_WAIT_S),
            stop=given_up,
            sleep=sleep_using_event(stopped),
            reraise=True,
        )
        return retrying(transfer)

    def in_time(self, transfer: Callable[[], T], what: str, *, left_s: float | None = None) -> T:
        """Return what the transfer of a small document returns, tried as by retried(), all of it in document_s.

        what: it is called so in messages; left_s: what is left of that time, where it comes in pieces. Where it takes
        longer, other transfers of this connection are ended too, and tried again. Raises TransferError.
        """
        with within(self.document_s if left_s is None else left_s, self.drop) as late:
            error: TransferError | None = None
            try:
                found = self.retried(transfer, stopped=late)
            except TransferError as failed:
                error = failed
            if late.is_set():  # cut off, it may have looked whole
                raise FinalTransferError(f"{self.url}: {what} did not come in {self.document_s:g} s") from error
        if error is not None:
            raise error
        return found

    def ask(
        self, method: str, path: str, parse: Callable[[Any], T], *, most: int = MAX_DESCRIPTION_BYTES, **keywords: Any
    ) -> T:
        """Send one request and return what `parse` makes of the JSON that answers it, of at most so many bytes.

        parse: raises FormatError for what no server of ours says, which becomes TransferError. Raises CapsealError.
        """
        with self.stream(method, path, **keywords) as response:
            body = _read(response, most)
        if body is None:
            raise TransferError(f"{self.url}: answered {method} {path} with more than {most} bytes")
        try:
            return parse(strictjson.parse(body, "answer"))
        except FormatError as error:
            raise TransferError(f"{self.url}: cannot read the answer to {method} {path}: {error}") from error

    @contextmanager
    def stream(self, method: str, path: str, **keywords: Any) -> Iterator[httpx.Response]:
        """Send one request and give the response, its body unread and as it came: iter_raw() is the way to read it.

        Raises CapsealError for all but a success.
        """
        with self._failures(), ExitStack() as stack:
            response = stack.enter_context(self._send(self._client, method, path, keywords))
            self._is_tls_settled = True
            for _ in range(MAX_REDIRECTS):
                if not (response.has_redirect_location and self._follows and method == "GET"):
                    break
                there = self._allowed_target(response)
                stack.close()
                # Another place may need another proxy and other certificates; none of it is kept.
                client = stack.enter_context(self._client_for(there))
                response = stack.enter_context(self._send(client, method, there, keywords))
            if not response.is_success:
                raise self._error(method, response)
            encoding = response.headers.get("content-encoding", "identity").strip().lower()
            if encoding != "identity":
                # Nothing is unpacked before it was checked, and digests are of the bytes as they were sealed.
                raise FinalTransferError(
                    f"{self.url}: {path}: came with Content-Encoding {encoding[:64]!r}, which nobody asked for: "
                    "a proxy on the way packs what passes it"
                )
            yield response

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Raise one of capseal's errors for whatever httpx raises."""
        url = self.url
        try:
            yield
        except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
            raise TooSlowError(f"{url}: nothing passed for too long: {str(error) or type(error).__name__}") from error
        except (httpx.TransportError, httpx.StreamError) as error:
            mistake = lasting_mistake(error) or self._needless_clear_text(error)
            if mistake is not None:
                raise FinalTransferError(f"{url}: {mistake}") from error
            raise TransferError(f"{url}: {str(error) or type(error).__name__}") from error
        except httpx.InvalidURL as error:
            raise UsageError(f"{url}: {error}") from error

    def _needless_clear_text(self, error: httpx.TransportError | httpx.StreamError) -> str | None:
        """Return that TLS is spoken where HTTP was, if that is why a connection broke off, or None; look once."""
        if self._is_tls_settled or not isinstance(error, _BROKEN_OFF):
            return None
        # A server of TLS hangs up on HTTP without a word, which one that is just restarted does, too.
        self._is_tls_settled = True
        return TLS_THERE if speaks_tls(self._client.base_url) else None

    def _client_for(self, base: httpx.URL) -> httpx.Client:
        return httpx.Client(
            base_url=base,
            follow_redirects=False,
            trust_env=False,
            proxy=None if self._settings["transport"] is not None else proxy_for(base),
            verify=tls_for(base),
            **self._settings,
        )

    def _send(
        self, client: httpx.Client, method: str, to: str | httpx.URL, keywords: dict[str, Any]
    ) -> AbstractContextManager[httpx.Response]:
        return client.stream(method, to, extensions={"trace": self._sockets.trace}, **keywords)

    def _allowed_target(self, response: httpx.Response) -> httpx.URL:
        """Return where a redirect leads. Raises UsageError where that is neither https nor the same host."""
        here, location = response.url, response.headers["location"]
        there = here.join(location)
        same = there.host == here.host and here.scheme == "http"
        if _mistake_in(there) is not None or not (there.scheme == "https" or same):
            raise UsageError(f"{self.url}: redirects to {location[:200]!r}, which is neither https nor the same host")
        return there

    def _error(self, method: str, response: httpx.Response) -> CapsealError:
        """Return the error that an answer other than success means."""
        if response.has_redirect_location:
            location = response.headers["location"][:200]
            why = f"after {MAX_REDIRECTS} others" if self._follows and method == "GET" else f"for a {method}"
            why = why if self._follows else "with a token or password"
            return UsageError(
                f"{self.url}: redirects to {location!r}, which is not followed {why}: name the right address"
            )
        problem = _problem(response)
        detail = problem.get("detail")
        bare = f"status {response.status_code} for {response.request.url.path}"
        text = f"{self.url}: {detail if detail and type(detail) is str else bare}"
        if not problem and response.status_code == _BAD and response.request.url.scheme == "http":
            text = f"{text}; if TLS is spoken there, the URL begins with https://"  # in nginx's own words, and Go's
        if problem.get("type") == problems.TOKEN.urn:
            sent = "Authorization" in self._settings["headers"]
            name_it = "no token was sent; name its file with --token-file or CAPSEAL_TOKEN_FILE"
            text = f"{text}: {'what was sent is none of its own' if sent else name_it}"
        if problem.get("type") == problems.NO_TOKEN.urn:
            start = "its operator starts it with one (capseal serve STORE --token-file FILE)"
            text = f"{text}: {start} or gives one the right (--tokens); name it by --token-file or CAPSEAL_TOKEN_FILE"
        if problem.get("type") == problems.NOT_FOUND.urn:
            text = f"{text}: status {response.status_code}; the URL has to be the server's base, such as https://example.com"
        rejection = problems.rejection_in(problem, text)
        if rejection is not None:
            return rejection
        if problem.get("type") == problems.WITHDRAWN.urn:
            return NotForUsError(text)  # nobody may have it any more, as where a head says so
        if problem.get("type") in (problems.NO_UPLOAD.urn, problems.INCOMPLETE.urn):
            return StartOverError(text)
        if problem.get("type") == problems.NO_HEAD.urn:
            return NoHeadError(text)
        if problem.get("type") == problems.NOT_NEXT.urn:
            return NotNextError(text)
        if problem.get("type") == problems.NO_RELEASE.urn:
            return NoReleaseError(text)
        if response.status_code == _TOO_SLOW:
            return TooSlowError(text)
        if response.is_server_error or response.status_code in _PASSING:
            return TransferError(text)
        if not problem and response.status_code in _NO_FILE:
            return NoFileError(text)
        return UsageError(text)


def _mistake_in(url: httpx.URL) -> str | None:
    if url.scheme not in ("http", "https"):
        return "is not an http:// or https:// URL"
    if url.port is not None and not 0 < url.port < 65536:
        return f"has port {url.port}, which is not from 1 to 65535"
    try:
        # What socket does with a name, which raises UnicodeError in the middle of a request.
        url.host.encode("idna")
    except UnicodeError as error:
        return f"names no host: {error}"
    return None


def _problem(response: httpx.Response) -> dict[str, Any]:
    """Return the RFC 9457 members of an answer, or none."""
    if not response.headers.get("content-type", "").startswith(problems.MEDIA_TYPE):
        return {}
    body = _read(response, MAX_PROBLEM_BYTES)
    try:
        value = strictjson.parse(body or b"", "problem")
    except FormatError:
        return {}
    return value if type(value) is dict else {}


def _read(response: httpx.Response, most: int) -> bytes | None:
    """Return a response's body as it came, or None where it is longer than that."""
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)
