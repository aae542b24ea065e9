"""An answer is what was asked for, or a failed transfer; and nothing is taken beyond it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from capseal import CapsealError, NotForUsError, TransferError, TrustStore
from capseal.client import Connection, fetch, open_release
from capseal.client._remote import RangeSource, _Document
from capseal.http.shapes import AppChannel
from support.server_fixtures import BundleMaker
from support.serving import APP, CHANNEL, Bundle, Live

MIB = 1024 * 1024
Answer = Callable[[httpx.Request], httpx.Response]


def answering(answer: Answer, **keywords: object) -> Connection:
    return Connection("http://server.test", attempts=1, transport=httpx.MockTransport(answer), **keywords)


@pytest.mark.parametrize(
    ("method", "token", "location", "followed"),
    [
        ("GET", None, "https://elsewhere.test/", True),
        ("GET", None, "/there", True),
        ("GET", None, "http://elsewhere.test/", False),
        ("GET", "0123456789abcdef", "https://elsewhere.test/", False),
        ("GET", "0123456789abcdef", "/there", False),
        ("DELETE", None, "https://elsewhere.test/", False),
        ("POST", None, "/there", False),
    ],
)
def test_a_redirect_is_followed_by_a_get_without_a_token_and_to_https_only(
    method: str, token: str | None, location: str, followed: bool
) -> None:
    asked: list[httpx.Request] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) > 1:
            return httpx.Response(200, content=iter([b"{}"]))
        return httpx.Response(307, headers={"Location": location})

    with answering(redirect, token=token) as one:
        if followed:
            assert one.ask(method, "/", lambda value: value) == {}
        else:
            with pytest.raises(CapsealError, match=f"redirects to '{location}'"):
                one.ask(method, "/", lambda value: value)
    assert len(asked) == 1 + followed


@pytest.mark.parametrize("status", [304, 400, 404, 418, 500])
def test_an_answer_other_than_success_is_an_error_whatever_it_holds(status: int) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=iter([b"{}"]))

    with answering(answer) as one, pytest.raises(CapsealError, match=f"status {status}"):
        one.ask("GET", "/", lambda value: value)


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, gzip", "x-anything"])
def test_what_was_packed_on_the_way_is_refused_by_its_name(encoding: str) -> None:
    def packed(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": encoding}, stream=httpx.ByteStream(b"{}"))

    with answering(packed) as one, pytest.raises(TransferError, match=f"Content-Encoding '{encoding}'"):
        one.ask("GET", "/", lambda value: value)


def test_a_seal_that_changes_while_it_is_read_is_no_seal() -> None:
    tags = iter(['"one"', '"two"'])
    with answering(lambda request: httpx.Response(200, headers={"ETag": next(tags)}, content=iter([bytes(10)]))) as one:
        document = _Document(one, "/seal")
        assert b"".join(document.chunks(0)) == bytes(10)
        with pytest.raises(TransferError, match="changed while it was being read"):
            list(document.chunks(5))


@pytest.mark.parametrize("claims", ["nothing", "what the server says", "more than the server says"])
def test_of_a_seal_without_end_no_more_is_read_than_it_justifies(
    published: Live, monkeypatch: pytest.MonkeyPatch, claims: str, bundle: Bundle
) -> None:
    release = published.client.get(published.release_url(7)).json()
    head = bytes(MIB) if claims == "nothing" else bundle.seal[: 12 + int.from_bytes(bundle.seal[8:12], "big")]
    if claims == "more than the server says":
        release["payload"]["size"] -= 1
    given = 0

    def endless() -> Iterator[bytes]:
        nonlocal given
        yield head
        while given < 80 * MIB:
            given += MIB
            yield bytes(MIB)

    def answer(request: httpx.Request) -> httpx.Response:
        return (
            httpx.Response(200, content=endless())
            if "/seal" in request.url.path
            else httpx.Response(200, content=iter([json.dumps(release).encode()]))
        )

    transport = httpx.MockTransport(answer)
    real = Connection.__init__
    monkeypatch.setattr(Connection, "__init__", lambda self, url, **more: real(self, url, transport=transport, **more))
    with (
        pytest.raises(CapsealError) as caught,
        open_release("http://server.test", app=APP, channel=CHANNEL, attempts=1),
    ):
        pytest.fail("there is no such seal")
    assert given <= 3 * MIB
    assert ("the seal speaks of a payload of" in str(caught.value)) == (claims == "more than the server says")


def ranged(status: int, content_range: str | None, body: bytes) -> Answer:
    headers = {} if content_range is None else {"Content-Range": content_range}
    return lambda request: httpx.Response(status, headers=headers, content=iter([body]))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (ranged(200, None, bytes(14)), "ended 1 bytes before 15"),
        (ranged(203, "bytes 5-14/100", bytes(10)), "got status 203"),
        (ranged(206, "bytes 6-15/100", bytes(10)), "got status 206"),
        (ranged(206, None, bytes(10)), "got status 206"),
        (ranged(206, "bytes 5-14/100", bytes(11)), "more than the 10 bytes that were asked for"),
        (ranged(206, "bytes 5-14/100", bytes(9)), "ended 1 bytes before 15"),
    ],
    ids=["a whole that is short", "not a range", "another range", "no range told", "more", "less"],
)
def test_an_answer_to_another_range_is_a_failed_transfer(answer: Answer, message: str) -> None:
    with answering(answer) as one, pytest.raises(TransferError, match=message):
        list(RangeSource(one, "/payload", 100).chunks(5, 15))


def test_the_range_that_was_asked_for_is_taken() -> None:
    with answering(ranged(206, "bytes 5-14/100", b"0123456789")) as one:
        assert b"".join(RangeSource(one, "/payload", 100).chunks(5, 15)) == b"0123456789"


@pytest.mark.parametrize("other", [{"app": "com.example.other"}, {"channel": "beta"}], ids=["app", "channel"])
def test_a_release_of_another_app_or_channel_is_refused(
    live: Live,
    tmp_path: Path,
    trust: TrustStore,
    sealed: BundleMaker,
    other: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle: Bundle = sealed(sequence=1, **other)
    live.publish(bundle).raise_for_status()
    catalogue = live.app.state.publishing.catalogue
    place = AppChannel(other.get("app", APP), other.get("channel", CHANNEL))
    latest, release = catalogue.latest_fitting, catalogue.release
    # A server that shows one as the other.
    monkeypatch.setattr(catalogue, "latest_fitting", lambda _, **fits: latest(place, **fits))
    monkeypatch.setattr(catalogue, "release", lambda _, sequence: release(place, sequence))
    with Connection(live.url, attempts=1) as one, pytest.raises(NotForUsError):
        fetch(one, app=APP, channel=CHANNEL, folder=tmp_path, trust=trust)
    assert list(tmp_path.glob("*@*")) == []
