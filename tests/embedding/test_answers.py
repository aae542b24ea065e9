"""Answers to requests for a payload: RFC 9110, whichever way a framework asks, and only verified bytes."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capseal import TamperedError, TrustStore
from capseal.constants import SEGMENT_BYTES
from capseal.embedding import BundleFile, accept, answer_range, answer_range_async
from support.serving import Bundle

Ask = Callable[..., tuple[int, dict[str, str], bytes]]


def ask_plain(stored: bytes, verified: Any, method: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    answer = answer_range(verified, lambda at, count: stored[at : at + count], method, headers)
    return answer.status, answer.headers, b"".join(answer)


def ask_async(stored: bytes, verified: Any, method: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    async def read(at: int, count: int) -> bytes:
        return stored[at : at + count]

    async def run() -> tuple[int, dict[str, str], bytes]:
        answer = await answer_range_async(verified, read, method, headers)
        return answer.status, answer.headers, b"".join([piece async for piece in answer])

    return asyncio.run(run())


@pytest.fixture(params=[ask_plain, ask_async])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Both twins."""
    return request.param


CASES = [
    ("GET", {}, 200, (0, None)),
    ("HEAD", {}, 200, None),
    ("HEAD", {"Range": "bytes=0-9"}, 200, None),
    ("GET", {"Range": "bytes=0-0"}, 206, (0, 1)),
    ("GET", {"range": "bytes=524287-524288"}, 206, (524287, 524289)),
    ("GET", {"Range": "bytes=-5"}, 206, (-5, None)),
    ("GET", {"Range": "bytes=7-"}, 206, (7, None)),
    ("GET", {"Range": "bytes=0-9,5-19"}, 206, (0, 20)),
    ("GET", {"Range": "bytes=0-9,50-59"}, 200, (0, None)),
    ("GET", {"Range": "lines=0-9"}, 200, (0, None)),
    ("GET", {"Range": "bytes=99999999999-"}, 416, None),
    ("GET", {"Range": "bytes=" + ",".join(f"{at * 9}-{at * 9}" for at in range(17))}, 416, None),
    ("GET", {"Range": "bytes=0-9", "If-Range": "ETAG"}, 206, (0, 10)),
    ("GET", {"Range": "bytes=0-9", "If-Range": '"another"'}, 200, (0, None)),
    ("GET", {"If-None-Match": "ETAG"}, 304, None),
    ("HEAD", {"If-None-Match": "*"}, 304, None),
    ("GET", {"If-None-Match": '"another"'}, 200, (0, None)),
    ("GET", {"If-Match": '"another"'}, 412, None),
    ("GET", {"If-Match": "ETAG", "Range": "bytes=1-2"}, 206, (1, 3)),
    ("POST", {}, 405, None),
]


@pytest.mark.parametrize(("method", "headers", "status", "span"), CASES)
def test_an_answer_is_what_the_rfc_says(
    ask: Ask, bundle: Bundle, trust: TrustStore, method: str, headers: dict[str, str], status: int, span: Any
) -> None:
    verified = accept(bundle.seal, trust=trust)
    etag = f'"{bundle.digest}"'
    asked = {name: value.replace("ETAG", etag) for name, value in headers.items()}
    got, sent, body = ask(bundle.payload, verified, method, asked)
    size = len(bundle.payload)
    assert got == status
    if span is not None:
        wanted = bundle.payload[span[0] : span[1]]
        assert body == wanted
        assert sent["Content-Length"] == str(len(wanted))
        assert sent["Accept-Ranges"] == "bytes"
    if status == 206:
        start = span[0] % size
        assert sent["Content-Range"] == f"bytes {start}-{start + len(body) - 1}/{size}"
    else:
        assert sent.get("Content-Range") == (f"bytes */{size}" if status == 416 else None)
    if status in (200, 206, 304, 412):
        assert sent["ETag"] == etag
    if method == "HEAD" or status in (304, 412):
        assert body == b""
    if method == "HEAD" and status == 200:
        assert sent["Content-Length"] == str(size)


def test_a_storage_that_is_corrupt_at_once_is_a_503_and_later_an_end(
    ask: Ask, bundle: Bundle, trust: TrustStore
) -> None:
    verified = accept(bundle.seal, trust=trust)
    stored = bytearray(bundle.payload)
    stored[9 * SEGMENT_BYTES] ^= 1
    status, sent, body = ask(bytes(stored), verified, "GET", {"Range": f"bytes={9 * SEGMENT_BYTES}-"})
    assert (status, sent["Content-Type"], sent["Retry-After"]) == (503, "application/problem+json", "10")
    assert bundle.payload[:16] not in body
    with pytest.raises(TamperedError):
        ask(bytes(stored), verified, "GET", {})
    good = ask(bytes(stored), verified, "GET", {"Range": f"bytes=0-{9 * SEGMENT_BYTES - 1}"})
    assert good[2] == bundle.payload[: 9 * SEGMENT_BYTES]


@pytest.mark.parametrize(
    ("method", "headers", "status"), [("GET", {}, 200), ("HEAD", {}, 200), ("GET", {"If-Match": '"x"'}, 412)]
)
def test_a_file_is_closed_once_it_was_answered_from(
    tmp_path: Path, bundle: Bundle, trust: TrustStore, method: str, headers: dict[str, str], status: int
) -> None:
    file = BundleFile(tmp_path / "stored", trust=trust)
    assert file.answer("GET", {}).status == 404
    (tmp_path / "stored").write_bytes(bundle.seal + bundle.payload)
    closed: list[bool] = []
    stored = file.open()

    def close() -> None:
        closed.append(True)
        stored.close()

    answer = answer_range(stored.verified, stored.read, method, headers, close=close)
    assert answer.status == status
    if method == "GET" and status == 200:
        assert not closed
        assert b"".join(answer) == bundle.payload
    else:
        assert list(answer) == []
    assert closed
