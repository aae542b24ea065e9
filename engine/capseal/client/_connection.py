"""HTTP to a capseal server: every failure becomes one of capseal's errors, and only transfers are retried."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import httpx
from tenacity import (
    Retrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from ..errors import (
    CapsealError,
    FormatError,
    TransferError,
    UsageError,
)
from ..format import strictjson
from ..http import problems
from ..http.limits import MAX_ANSWER_BYTES, MAX_PROBLEM_BYTES
from ._environment import proxy_for, tls_for

T = TypeVar("T")

TIMEOUT_S = 30.0
ATTEMPTS = 6
FIRST_WAIT_S = 0.25
MOST_WAIT_S = 10.0

_PASSING = (408, 425, 429)


class StartOverError(TransferError):
    """The server forgot what this request builds on, such as an upload; the whole may succeed later."""


class NoReleaseError(UsageError):
    """The server has no such release, and said so."""


class Connection:
    """A connection pool to one server; a context manager, usable from any number of threads.

    url: of the server, `http://` or `https://`. token: a publisher's bearer token. attempts: how often
    a transfer is tried, with exponential back-off and jitter between; a rejection is never retried.
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
        self._client = httpx.Client(
            base_url=base,
            headers=headers,
            timeout=timeout_s,
            follow_redirects=False,
            transport=transport,
            trust_env=False,
            proxy=None if transport is not None else proxy_for(base),
            verify=tls_for(base),
        )
        self.url = url
        self._attempts = attempts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the pool."""
        self._client.close()

    def retried(self, transfer: Callable[[], T]) -> T:
        """Return what a transfer returns; try again where it raises TransferError."""
        retrying = Retrying(
            retry=retry_if_exception_type(TransferError) & retry_if_not_exception_type(StartOverError),
            wait=wait_random_exponential(multiplier=FIRST_WAIT_S, max=MOST_WAIT_S),
            stop=stop_after_attempt(self._attempts),
            reraise=True,
        )
        return retrying(transfer)

    def ask(self, method: str, path: str, parse: Callable[[Any], T], **keywords: Any) -> T:
        """Send one request and return what `parse` makes of the JSON that answers it.

        parse: raises FormatError for what no server of ours says, which becomes TransferError. Raises CapsealError.
        """
        with self.stream(method, path, **keywords) as response:
            body = _read(response, MAX_ANSWER_BYTES)
        if body is None:
            raise TransferError(f"{self.url}: answered {method} {path} with more than {MAX_ANSWER_BYTES} bytes")
        try:
            return parse(strictjson.parse(body, "answer"))
        except FormatError as error:
            raise TransferError(f"{self.url}: cannot read the answer to {method} {path}: {error}") from error

    @contextmanager
    def stream(self, method: str, path: str, **keywords: Any) -> Iterator[httpx.Response]:
        """Send one request and give the response, its body unread. Raises CapsealError for all but a success."""
        with _failures(self.url), self._client.stream(method, path, **keywords) as response:
            if not response.is_success:
                raise self._error(response)
            yield response

    def _error(self, response: httpx.Response) -> CapsealError:
        """Return the error that an answer other than success means."""
        problem = _problem(response)
        detail = problem.get("detail")
        text = f"{self.url}: {detail if detail and type(detail) is str else f'status {response.status_code}'}"
        rejection = problems.rejection_in(problem, text)
        if rejection is not None:
            return rejection
        if problem.get("type") == problems.NO_UPLOAD.urn:
            return StartOverError(text)
        if problem.get("type") == problems.NO_RELEASE.urn:
            return NoReleaseError(text)
        if response.is_server_error or response.status_code in _PASSING:
            return TransferError(text)
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


@contextmanager
def _failures(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx.TransportError, httpx.StreamError) as error:
        raise TransferError(f"{url}: {str(error) or type(error).__name__}") from error
    except httpx.InvalidURL as error:
        raise UsageError(f"{url}: {error}") from error


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
    """Return a response's body, or None where it is longer than that."""
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)
