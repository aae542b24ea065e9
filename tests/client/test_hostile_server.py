"""The client against servers, and proxies, that answer what nobody should believe, keep or follow."""

import contextlib
import gzip
import hashlib
import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from capseal import (
    FormatError,
    PrivateKey,
    SignatureError,
    TamperedError,
    TransferError,
    TruncatedError,
    TrustStore,
    UsageError,
)
from capseal.client import Connection, fetch, open_release, publish, stream_release, withdraw
from capseal.client import _connection as connection
from capseal.constants import SEGMENT_BYTES
from capseal.http.shapes import PayloadDescription, ReleaseDescription, UploadDescription
from support.scripted import Act, Request, Scripted, answering, scripted
from support.server_fixtures import BundleMaker
from support.serving import APP, CHANNEL, TOKEN, Bundle, Live, some_bytes

MIB = 1024 * 1024
JSON = {"content_type": "application/json"}


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(connection, "MOST_WAIT_S", 0.01)


@contextlib.contextmanager
def little_memory(most_bytes: int = 8 * MIB) -> Iterator[None]:
    """Fail where more than that is held at any moment."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most_bytes


def described(bundle: Bundle) -> dict[str, Any]:
    """Return how a server describes a bundle's release."""
    return ReleaseDescription.of(
        bundle.parsed.statement,
        {},
        published=datetime.now(UTC),
        seal_bytes=len(bundle.seal),
        seal_digest=hashlib.sha256(bundle.seal).hexdigest(),
        signers=(),
    ).to_json()


def begun(bundle: Bundle, **changed: Any) -> dict[str, Any]:
    """Return how a server describes an upload that has just begun."""
    statement = bundle.parsed.statement
    upload = UploadDescription(
        id=hashlib.sha256(bundle.seal).hexdigest(),
        app=statement.app,
        channel=statement.channel,
        sequence=statement.sequence,
        payload=PayloadDescription(statement.payload.size, bundle.digest),
        missing=((0, statement.payload.size),),
        attachments={},
    )
    return upload.to_json() | changed


def serving(bundle: Bundle, **special: Act) -> Act:
    """Return a server of a release: special says what to do for `release`, `seal` or `payload`."""

    def act(request: Request) -> object:
        kind = request.path.rsplit("/", 1)[1]
        kind = kind if kind in ("seal", "payload") else "release"
        if kind in special:
            return special[kind](request)
        if kind == "release":
            return request.answer(json.dumps(described(bundle)).encode(), **JSON)
        if kind == "seal":
            return request.answer(bundle.seal)
        first, last = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
        whole = f"bytes {first}-{last}/{len(bundle.payload)}"
        return request.answer(bundle.payload[first : last + 1], status=206, content_range=whole)

    return act


def fetch_from(url: str, folder: Path, trust: TrustStore, *, token: str | None = None, **keywords: Any) -> bytes:
    with Connection(url, token=token, attempts=2) as one:
        got = fetch(one, app=APP, channel=CHANNEL, folder=folder, trust=trust, **keywords)
    return Path(got.payload).read_bytes()


def publish_to(url: str, folder: Path, bundle: Bundle, *, token: str | None = None) -> dict[str, Any]:
    with (folder / "file").open("wb") as file:
        file.writelines([bundle.seal, bundle.payload])
    with Connection(url, token=token, attempts=2) as one:
        return publish(folder / "file", one)


def withdraw_from(url: str) -> None:
    with Connection(url, token=TOKEN, attempts=2) as one:
        withdraw(one, app=APP, channel=CHANNEL, sequence=7)


@pytest.fixture
def askers(tmp_path: Path, bundle: Bundle, trust: TrustStore) -> dict[str, Callable[[str], object]]:
    return {
        "fetch": lambda url: fetch_from(url, tmp_path, trust),
        "publish": lambda url: publish_to(url, tmp_path, bundle),
        "withdraw": withdraw_from,
    }


@pytest.mark.parametrize("asker", ["fetch", "publish", "withdraw"])
def test_an_answer_that_never_ends_is_a_transfer_error_and_takes_no_memory(asker: str, askers: Any) -> None:
    with (
        scripted(lambda request: (request.body() and None) or request.endless(b" " * MIB, **JSON)) as server,
        little_memory(),
        pytest.raises(TransferError, match="more than"),
    ):
        askers[asker](server.url)


@pytest.mark.parametrize("asker", ["fetch", "publish", "withdraw"])
@pytest.mark.parametrize(
    "body", [b'{"sequence":1e999}', b"[" * 200_000, b'{"a":' * 100_000, b"[]", b"null", b"\xff", b""]
)
def test_json_that_is_none_of_ours_is_a_transfer_error(asker: str, body: bytes, askers: Any) -> None:
    with (
        scripted(lambda request: (request.body() and None) or request.answer(body, **JSON)) as server,
        pytest.raises(TransferError),
    ):
        askers[asker](server.url)


def packed(levels: int, size: int) -> bytes:
    data = bytes(size)
    for _ in range(levels):
        data = gzip.compress(data, 9)
    return data


@pytest.mark.parametrize("kind", ["release", "seal", "payload"])
def test_what_was_packed_on_the_way_is_never_unpacked_and_the_message_names_the_encoding(
    kind: str, tmp_path: Path, bundle: Bundle, trust: TrustStore
) -> None:
    bomb = packed(2, 256 * MIB)
    special = answering(bomb, content_encoding="gzip, gzip")
    with (
        scripted(serving(bundle, **{kind: special})) as server,
        little_memory(),
        pytest.raises(TransferError, match="Content-Encoding 'gzip, gzip'"),
    ):
        fetch_from(server.url, tmp_path, trust)
    assert not list(tmp_path.glob("*.payload"))


def test_a_proxy_that_packs_what_is_right_is_named_and_not_called_tampering(
    tmp_path: Path, bundle: Bundle, trust: TrustStore
) -> None:
    special = answering(gzip.compress(bundle.seal), content_encoding="GZIP")
    with scripted(serving(bundle, seal=special)) as server, pytest.raises(TransferError, match="'gzip'"):
        fetch_from(server.url, tmp_path, trust)
    assert len(server.seen) == 2  # it would be packed again: not tried again


def test_a_problem_that_was_packed_is_not_unpacked_either(tmp_path: Path, bundle: Bundle, trust: TrustStore) -> None:
    bomb = packed(1, 64 * MIB)
    kind = {"content_type": "application/problem+json", "content_encoding": "gzip"}
    with (
        scripted(lambda request: request.answer(bomb, status=404, **kind)) as server,
        little_memory(),
        pytest.raises(UsageError, match="status 404"),
    ):
        fetch_from(server.url, tmp_path, trust)


@pytest.mark.parametrize("trusted", [True, False])
def test_of_a_seal_only_what_is_signed_is_taken_in(
    trusted: bool, tmp_path: Path, bundle: Bundle, trust: TrustStore, signer2: PrivateKey
) -> None:
    sent: list[int] = []

    def endless(request: Request) -> None:
        request.begin(200, transfer_encoding="chunked")
        request.handler.wfile.write(b"%x\r\n%b\r\n" % (len(bundle.seal), bundle.seal))
        chunk = bytes(MIB)
        with contextlib.suppress(OSError):
            while True:
                request.handler.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                sent.append(len(chunk))
        request.handler.close_connection = True

    expected = TruncatedError if trusted else SignatureError
    store = trust if trusted else TrustStore.of(signer2.public_key)
    with scripted(serving(bundle, seal=endless)) as server, little_memory(), pytest.raises(expected):
        fetch_from(server.url, tmp_path, store)
    assert sum(sent) < 32 * MIB  # what sockets hold, at most


def test_a_header_that_announces_a_huge_seal_costs_nothing(tmp_path: Path, bundle: Bundle, trust: TrustStore) -> None:
    lying = bundle.seal[:8] + b"\xff" * 4
    special: Act = lambda request: request.endless(lying + bytes(MIB))  # noqa: E731
    with scripted(serving(bundle, seal=special)) as server, little_memory(), pytest.raises(FormatError):
        fetch_from(server.url, tmp_path, trust)


def test_a_stream_of_a_release_goes_on_where_it_broke_off_and_notices_another_seal(bundle: Bundle) -> None:
    half = len(bundle.seal) // 2
    tags = iter(['"a"', '"a"', '"a"', '"b"'])

    def broken(request: Request) -> None:
        request.begin(200, content_length=str(len(bundle.seal)), etag=next(tags))
        request.handler.wfile.write(bundle.seal[:half] if len(server.seen) % 2 == 0 else bundle.seal)
        request.handler.close_connection = True

    with scripted(serving(bundle, seal=broken)) as server:
        with stream_release(server.url, app=APP, channel=CHANNEL) as (seal, _):
            assert seal.read() == bundle.seal
        server.seen.pop()
        with (
            stream_release(server.url, app=APP, channel=CHANNEL) as (seal, _),
            pytest.raises(TransferError, match="changed while it was being read"),
        ):
            seal.read()


def test_a_publisher_sends_nothing_to_where_a_servers_links_lead(tmp_path: Path, bundle: Bundle) -> None:
    with scripted(lambda request: (request.body() and None) or request.answer(b"{}")) as victim:
        links = {"self": f"{victim.url}/internal", "payload": f"{victim.url}/latest", "index_link": victim.url}
        said = json.dumps(begun(bundle, links=links)).encode()

        def act(request: Request) -> None:
            request.body()
            published = json.dumps({"missing": [], "release": described(bundle)}).encode()
            is_last = request.method == "POST" and request.path != "/v1/uploads"
            request.answer(published if is_last else said, status=201, **JSON)

        with scripted(act) as server:
            assert publish_to(server.url, tmp_path, bundle, token=TOKEN)["sequence"] == 7
        assert victim.seen == []
        id = hashlib.sha256(bundle.seal).hexdigest()
        assert {request.path for request in server.seen} == {
            "/v1/uploads",
            f"/v1/uploads/{id}",
            f"/v1/uploads/{id}/payload",
        }


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "0" * 64},
        {"app": "com.example.other"},
        {"sequence": 8},
        {"payload": {"size": 1, "digest": {"fsverity-sha256": "0" * 64}}, "missing": []},
        {
            "attachments": {
                "x": {"size": 1, "digest": {"fsverity-sha256": "0" * 64}, "index_missing": False, "missing": []}
            }
        },
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_an_answer_about_another_upload_is_not_believed(
    changed: dict[str, Any], tmp_path: Path, bundle: Bundle
) -> None:
    said = json.dumps(begun(bundle, **changed)).encode()
    with (
        scripted(answering(said, **JSON)) as server,
        pytest.raises(TransferError, match="cannot read the answer"),
    ):
        publish_to(server.url, tmp_path, bundle)
    assert {request.path for request in server.seen} == {"/v1/uploads"}


def test_a_release_that_is_not_ours_is_not_taken_for_published(
    tmp_path: Path, bundle: Bundle, sealed: BundleMaker
) -> None:
    said = json.dumps({"missing": [], "release": described(sealed(sequence=9))}).encode()
    with (
        scripted(answering(said, **JSON)) as server,
        pytest.raises(TransferError, match="sequence 9, not"),
    ):
        publish_to(server.url, tmp_path, bundle)


def redirecting(to: str, status: int = 308) -> Act:
    def act(request: Request) -> None:
        request.body()
        request.answer(status=status, location=to + request.path)

    return act


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_fetch_without_a_token_follows_a_redirect_on_the_same_host(
    status: int, published: Live, tmp_path: Path, bundle: Bundle, trust: TrustStore
) -> None:
    with scripted(redirecting(published.url, status)) as server:
        assert fetch_from(server.url, tmp_path, trust) == bundle.payload


def test_what_a_redirect_leads_to_is_checked_as_ever(tmp_path: Path, bundle: Bundle, trust: TrustStore) -> None:
    bad = bytearray(bundle.payload)
    bad[5] ^= 1
    with (
        scripted(serving(Bundle(bundle.seal, bytes(bad), bundle.parsed))) as other,
        scripted(redirecting(other.url)) as server,
        pytest.raises(TamperedError),
    ):
        fetch_from(server.url, tmp_path, trust)


@pytest.mark.parametrize("to", ["http://localhost:{}", "http://127.0.0.2:{}", "ftp://127.0.0.1:{}", "file://"])
def test_a_redirect_to_another_host_without_tls_is_named_and_not_followed(
    to: str, tmp_path: Path, bundle: Bundle, trust: TrustStore
) -> None:
    with scripted(serving(bundle)) as other:
        to = to.format(other.url.rpartition(":")[2])
        with scripted(redirecting(to)) as server, pytest.raises(UsageError) as caught:
            fetch_from(server.url, tmp_path, trust)
        assert to in str(caught.value)
        assert other.seen == []


def test_nothing_that_carries_a_token_follows_a_redirect_and_the_message_names_the_place(
    tmp_path: Path, bundle: Bundle, trust: TrustStore
) -> None:
    with scripted(serving(bundle)) as other, scripted(redirecting(other.url)) as server:
        acts = [
            lambda: fetch_from(server.url, tmp_path, trust, token=TOKEN),
            lambda: fetch_from(server.url.replace("//", "//user:password@"), tmp_path, trust),
            lambda: publish_to(server.url, tmp_path, bundle, token=TOKEN),
            lambda: publish_to(server.url, tmp_path, bundle),  # no token, but a payload
            lambda: withdraw_from(server.url),
        ]
        for act in acts:
            with pytest.raises(UsageError, match=f"redirects to '{other.url}.*not followed"):
                act()
        assert other.seen == []


def test_redirects_that_lead_in_a_circle_end(tmp_path: Path, trust: TrustStore) -> None:
    with (
        scripted(lambda request: request.answer(status=302, location=request.path)) as server,
        pytest.raises(UsageError, match="after 5 others"),
    ):
        fetch_from(server.url, tmp_path, trust)
    assert len(server.seen) == 6


@contextlib.contextmanager
def without_ranges(live: Live, **special: Act) -> Iterator[Scripted]:
    """A proxy that takes the Range header away."""

    def act(request: Request) -> None:
        status, headers, body = request.passed_on(live.port, without=("range",))
        if request.path.endswith("/payload") and "payload" in special:
            special["payload"](request)
            return
        request.answer(body, status=status, **headers)

    with scripted(act) as server:
        yield server


def test_where_ranges_are_dropped_the_whole_is_taken_once_as_a_stream(
    published: Live, tmp_path: Path, bundle: Bundle, trust: TrustStore
) -> None:
    done: list[int] = []
    with without_ranges(published) as server:
        assert fetch_from(server.url, tmp_path, trust, progress=done.append, jobs=1) == bundle.payload
    assert sum(done) == len(bundle.payload)
    wholes = [request for request in server.seen if request.path.endswith("/payload")]
    assert len(wholes) == 2  # one to see that it is the whole, one that is taken


def test_what_is_read_at_any_place_is_right_where_ranges_are_dropped(published: Live, bundle: Bundle) -> None:
    with without_ranges(published) as server, open_release(server.url, app=APP, channel=CHANNEL) as (_, source):
        for start, size in ((0, 5), (SEGMENT_BYTES + 7, 100_000), (len(bundle.payload) - 3, 3)):
            assert source.peek(start, size) == bundle.payload[start : start + size]


def test_of_a_whole_that_breaks_off_what_was_verified_is_kept(
    published: Live, tmp_path: Path, bundle: Bundle, trust: TrustStore
) -> None:
    cuts = iter([0, 3, 9, 15])

    def cut(request: Request) -> None:
        request.begin(200, content_length=str(len(bundle.payload)))
        stop = next(cuts, None)
        request.handler.wfile.write(bundle.payload[: None if stop is None else stop * SEGMENT_BYTES + 5])
        request.handler.close_connection = True

    with without_ranges(published, payload=cut) as server:
        # Two attempts only; but each came further than the one before it.
        assert fetch_from(server.url, tmp_path, trust, jobs=1) == bundle.payload


def test_a_whole_is_checked_as_it_comes(published: Live, tmp_path: Path, bundle: Bundle, trust: TrustStore) -> None:
    bad = bytearray(bundle.payload)
    bad[18 * SEGMENT_BYTES] ^= 1
    with (
        without_ranges(published, payload=lambda request: request.answer(bytes(bad))) as server,
        pytest.raises(TamperedError) as caught,
    ):
        fetch_from(server.url, tmp_path, trust)
    assert caught.value.segment == 18
    assert not list(tmp_path.glob("*.payload"))


def test_more_bytes_than_were_asked_for_are_a_transfer_error(
    tmp_path: Path, trust: TrustStore, sealed: BundleMaker
) -> None:
    bundle = sealed(sequence=7, content=some_bytes(17))

    def more(request: Request) -> None:
        first, last = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
        whole = f"bytes {first}-{last}/{len(bundle.payload)}"
        request.answer(bundle.payload[first : last + 1] + b"x", status=206, content_range=whole)

    with scripted(serving(bundle, payload=more)) as server, pytest.raises(TransferError, match="more than the"):
        fetch_from(server.url, tmp_path, trust)


@pytest.mark.parametrize("said", ["bytes 1-2/3", "bytes 0-1/2", ""])
def test_another_range_than_the_one_asked_for_is_a_transfer_error(
    said: str, tmp_path: Path, bundle: Bundle, trust: TrustStore
) -> None:
    special = answering(b"xy", status=206, content_range=said)
    with scripted(serving(bundle, payload=special)) as server, pytest.raises(TransferError, match="got status 206"):
        fetch_from(server.url, tmp_path, trust)


def test_a_release_that_is_gone_ends_the_fetch_at_once(tmp_path: Path, bundle: Bundle, trust: TrustStore) -> None:
    with (
        scripted(serving(bundle, payload=lambda request: request.answer(status=404))) as server,
        pytest.raises(UsageError, match="status 404"),
    ):
        fetch_from(server.url, tmp_path, trust)
    assert len(server.seen) <= 2 + 4
