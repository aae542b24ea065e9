"""The middlewares, without a server: whatever an application does, it sees verified bytes and claims nothing untrue."""

import asyncio
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from capseal import Expect, RejectedError, RollbackError, TrustStore, UsageError
from capseal.constants import SEGMENT_BYTES
from capseal.embedding import UPLOAD, AsgiUploads, Upload, UploadLimits, UploadRefusedError, WsgiUploads
from capseal.embedding._uploads import Meter
from support.serving import Bundle


@dataclass
class Answer:
    """What came back, and what the application saw. raised: what reading raised, every time."""

    status: int
    body: bytes
    seen: bytes
    raised: list[str]
    upload: Any

    @property
    def problem(self) -> str:
        if not self.body.startswith(b"{"):
            return f"none: {self.body!r}"
        return json.loads(self.body)["type"].removeprefix("urn:capseal:problem:")


@dataclass
class Behaviour:
    """What an application does with an upload.

    reads: how often it reads, or None for to the end; again: reads on after that failed; status: what it answers;
    raises: lets what reading raised pass.
    """

    reads: int | None = None
    again: int = 0
    status: int = 200
    raises: bool = True


def through_asgi(chunks: list[bytes], does: Behaviour, *, announce: bool = True, **keywords: Any) -> Answer:
    seen, raised, sent, uploads = bytearray(), [], [], []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        uploads.append(scope.get(UPLOAD))
        reads, failed = 0, 0
        while does.reads is None or reads < does.reads:
            reads += 1
            try:
                message = await receive()
            except (RejectedError, UploadRefusedError) as error:
                raised.append(type(error).__name__)
                if does.raises:
                    raise
                failed += 1
                if failed > does.again:
                    break
                continue
            seen.extend(message.get("body", b""))
            if not message.get("more_body", False):
                break
        await send({"type": "http.response.start", "status": does.status, "headers": []})
        await send({"type": "http.response.body", "body": b"the application's"})

    async def run() -> None:
        waiting = list(chunks)

        async def receive() -> Any:
            body = waiting.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(waiting)}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-length", str(sum(map(len, chunks))).encode())] if announce else []
        scope = {"type": "http", "method": "PUT", "path": "/bundle", "headers": headers}
        await AsgiUploads(app, **keywords)(scope, receive, send)

    asyncio.run(run())
    assert [one["type"] for one in sent] == ["http.response.start", "http.response.body"]
    return Answer(sent[0]["status"], sent[1]["body"], bytes(seen), raised, uploads[0] if uploads else None)


def through_wsgi(chunks: list[bytes], does: Behaviour, *, announce: bool = True, **keywords: Any) -> Answer:
    seen, raised, started, uploads = bytearray(), [], [], []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        uploads.append(environ.get(UPLOAD))
        reads, failed = 0, 0
        while does.reads is None or reads < does.reads:
            reads += 1
            try:
                data = environ["wsgi.input"].read(100_000)
            except (RejectedError, UploadRefusedError) as error:
                raised.append(type(error).__name__)
                if does.raises:
                    raise
                failed += 1
                if failed > does.again:
                    break
                continue
            seen.extend(data)
            if not data:
                break
        start_response(f"{does.status} Any", [])
        return [b"the application's"]

    def start_response(status: str, headers: Any) -> Any:
        started.append(int(status[:3]))
        return lambda data: None

    body = b"".join(chunks)
    environ = {"REQUEST_METHOD": "PUT", "PATH_INFO": "/bundle", "wsgi.input": io.BytesIO(body)}
    environ |= {"CONTENT_LENGTH": str(len(body))} if announce else {"wsgi.input_terminated": True}
    answered = b"".join(WsgiUploads(app, **keywords)(environ, start_response))
    (status,) = started
    return Answer(status, answered, bytes(seen), raised, uploads[0] if uploads else None)


Through = Callable[..., Answer]


@pytest.fixture(params=[through_asgi, through_wsgi])
def through(request: pytest.FixtureRequest) -> Through:
    """Both middlewares."""
    return request.param


def cut(data: bytes, size: int = 200_000) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def tampered(bundle: Bundle, segment: int) -> bytes:
    data = bytearray(bundle.seal + bundle.payload)
    data[len(bundle.seal) + segment * SEGMENT_BYTES + 9] ^= 4
    return bytes(data)


@pytest.mark.parametrize("announce", [True, False])
def test_a_good_upload_passes_whole_with_its_verdict(
    through: Through, bundle: Bundle, trust: TrustStore, announce: bool
) -> None:
    whole = bundle.seal + bundle.payload
    got = through(cut(whole), Behaviour(), announce=announce, trust=trust)
    assert (got.status, got.body, got.seen, got.raised) == (200, b"the application's", whole, [])
    assert got.upload.is_whole
    assert got.upload.verified.statement.sequence == 7
    alone = through(cut(bundle.payload), Behaviour(), trust=trust, seal=bundle.seal)
    assert (alone.status, alone.seen) == (200, bundle.payload)


@pytest.mark.parametrize("segment", [0, 6, 20])
@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("status", [200, 204, 302, 304, 500])
def test_no_success_is_answered_to_an_upload_that_was_refused(
    through: Through, bundle: Bundle, trust: TrustStore, segment: int, raises: bool, status: int
) -> None:
    got = through(cut(tampered(bundle, segment)), Behaviour(raises=raises, status=status), trust=trust)
    assert (got.status, got.problem) == (422, "tampered")
    assert json.loads(got.body)["segment"] == segment
    assert (bundle.seal + bundle.payload).startswith(got.seen)
    assert len(got.seen) <= len(bundle.seal) + segment * SEGMENT_BYTES


def test_a_refusal_of_the_applications_own_goes_out(through: Through, bundle: Bundle, trust: TrustStore) -> None:
    got = through(cut(tampered(bundle, 3)), Behaviour(raises=False, status=418), trust=trust)
    assert (got.status, got.body) == (418, b"the application's")


@pytest.mark.parametrize("reads", [0, 1, 3])
def test_what_an_application_does_not_read_is_verified_before_its_success_goes_out(
    through: Through, bundle: Bundle, trust: TrustStore, reads: int
) -> None:
    good = through(cut(bundle.seal + bundle.payload), Behaviour(reads=reads), trust=trust)
    assert (good.status, good.upload.is_whole) == (200, True)
    bad = through(cut(tampered(bundle, 20)), Behaviour(reads=reads), trust=trust)
    assert (bad.status, bad.problem, bad.upload.is_whole) == (422, "tampered", False)


def test_a_refused_upload_never_looks_like_one_that_ended(through: Through, bundle: Bundle, trust: TrustStore) -> None:
    got = through(cut(tampered(bundle, 2)), Behaviour(raises=False, again=5), trust=trust)
    assert got.raised == ["TamperedError"] * 6
    assert got.status == 422


@pytest.mark.parametrize("change", [-1, 1])
def test_an_early_or_late_end_is_refused(through: Through, bundle: Bundle, trust: TrustStore, change: int) -> None:
    whole = bundle.seal + bundle.payload
    got = through(cut(whole[:-1] if change < 0 else whole + b"x"), Behaviour(), trust=trust)
    assert (got.status, got.problem) == (422, "truncated")


@pytest.mark.parametrize("announce", [True, False])
def test_what_is_too_large_is_refused(through: Through, bundle: Bundle, trust: TrustStore, announce: bool) -> None:
    limits = UploadLimits(bundle_bytes=3_000_000)
    got = through(cut(bundle.seal + bundle.payload), Behaviour(), announce=announce, trust=trust, limits=limits)
    assert (got.status, got.problem) == (413, "too-large")
    assert (got.upload is None) == announce  # what says so itself never gets to the application
    assert len(got.seen) <= 3_000_000


def test_what_is_expected_is_asked_for_each_upload(through: Through, bundle: Bundle, trust: TrustStore) -> None:
    floors = iter([6, 7])
    statuses = [
        through(cut(bundle.seal + bundle.payload), Behaviour(), trust=trust, expect=expect).status
        for expect in [lambda: Expect(floor=next(floors))] * 2
    ]
    assert statuses == [200, 409]


@pytest.mark.parametrize("status", [200, 302, 303, 304, 307])
def test_no_redirect_goes_out_before_the_upload_was_verified(
    through: Through, bundle: Bundle, trust: TrustStore, status: int
) -> None:
    does = Behaviour(reads=0, status=status)
    good = through(cut(bundle.seal + bundle.payload), does, trust=trust)
    assert (good.status, good.upload.is_whole) == (status, True)
    assert through(cut(tampered(bundle, 20)), does, trust=trust).problem == "tampered"


def test_a_refusal_of_what_is_expected_is_an_answer(through: Through, bundle: Bundle, trust: TrustStore) -> None:
    def refuse() -> Expect:
        raise RollbackError("sequence 7 is not above 9", floor=9, sequence=7)

    got = through(cut(bundle.seal + bundle.payload), Behaviour(), trust=trust, expect=refuse)
    assert (got.status, got.problem, got.upload) == (409, "rollback", None)


def test_another_path_is_nobodys_business(through: Through, bundle: Bundle, trust: TrustStore) -> None:
    for keywords in ({"path": "/other"}, {"path": re.compile("/bun")}):
        got = through([b"anything at all"], Behaviour(), trust=trust, **keywords)
        assert (got.status, got.seen, got.upload) == (200, b"anything at all", None)
    for keywords in ({"path": "/bundle"}, {"path": re.compile("/b.*")}):
        assert through([b"anything at all"], Behaviour(), trust=trust, **keywords).problem == "format"


def test_a_verdict_before_the_end_is_the_callers_mistake(bundle: Bundle, trust: TrustStore) -> None:
    from capseal.embedding import VerifiedStream

    upload = Upload()
    with pytest.raises(UsageError, match="has not ended"):
        _ = upload.verified
    pieces = upload.checked(VerifiedStream(cut(bundle.seal + bundle.payload), trust=trust))
    next(pieces)
    assert upload.seal_verified is not None
    with pytest.raises(UsageError, match="has not ended"):
        _ = upload.verified
    for _ in pieces:
        pass
    assert upload.verified.statement.sequence == 7
    upload.refuse(RollbackError("sequence 7 is not above 9", floor=9, sequence=7))
    with pytest.raises(UsageError):
        _ = upload.verified


def test_a_disconnect_is_neither_an_end_nor_a_refusal(bundle: Bundle, trust: TrustStore) -> None:
    types: list[str] = []
    uploads: list[Upload] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        uploads.append(scope[UPLOAD])
        while len(types) < 100 and types.count("http.disconnect") < 3:
            types.append((await receive())["type"])

    def messages() -> Iterator[Any]:
        for chunk in cut(bundle.seal + bundle.payload)[:20]:
            yield {"type": "http.request", "body": chunk, "more_body": True}
        while True:
            yield {"type": "http.disconnect"}

    coming = messages()

    async def receive() -> Any:
        return next(coming)

    async def send(message: Any) -> None:
        raise AssertionError(message)

    scope = {"type": "http", "method": "PUT", "path": "/", "headers": []}
    asyncio.run(AsgiUploads(app, trust=trust)(scope, receive, send))
    assert types[-3:] == ["http.disconnect"] * 3
    assert types[0] == "http.request"
    assert not uploads[0].is_whole


def test_a_receive_that_is_cancelled_loses_nothing(bundle: Bundle, trust: TrustStore) -> None:
    seen = bytearray()
    whole = bundle.seal + bundle.payload

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message: Any = {"more_body": True}
        while message["more_body"]:
            impatient = asyncio.ensure_future(receive())  # as Request.is_disconnected() does
            await asyncio.sleep(0)
            impatient.cancel()
            message = await receive()
            seen.extend(message["body"])
        assert scope[UPLOAD].is_whole

    async def run() -> None:
        waiting = cut(whole)

        async def receive() -> Any:
            await asyncio.sleep(0)
            body = waiting.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(waiting)}

        async def send(message: Any) -> None: ...

        await AsgiUploads(app, trust=trust)(
            {"type": "http", "method": "PUT", "path": "/", "headers": []}, receive, send
        )

    asyncio.run(run())
    assert seen == whole


def test_of_two_receivers_at_once_each_byte_comes_to_one(bundle: Bundle, trust: TrustStore) -> None:
    whole = bundle.seal + bundle.payload
    seen = bytearray()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def read() -> None:
            while not scope[UPLOAD].is_whole:
                message = await receive()
                seen.extend(message.get("body", b""))

        assert await asyncio.gather(read(), read(), read(), return_exceptions=True) == [None] * 3
        assert scope[UPLOAD].is_whole

    async def run() -> None:
        waiting = cut(whole)

        async def receive() -> Any:
            await asyncio.sleep(0)
            if not waiting:
                return {"type": "http.disconnect"}
            body = waiting.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(waiting)}

        async def send(message: Any) -> None: ...

        await AsgiUploads(app, trust=trust)(
            {"type": "http", "method": "PUT", "path": "/", "headers": []}, receive, send
        )

    asyncio.run(run())
    assert seen == whole


def test_who_is_too_slow_is_told_so() -> None:
    now = [0.0]
    meter = Meter(UploadLimits(idle_s=10, least_rate=100), clock=lambda: now[0])
    meter.begin()
    for now[0] in range(0, 100, 5):
        meter.count(600)
    with pytest.raises(UploadRefusedError, match="at least 100 a second are demanded") as caught:
        for now[0] in range(100, 200, 5):
            meter.count(400)
    assert caught.value.kind.status == 408


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("damage", [None, "cut", "longer", "cut seal"])
def test_an_application_that_reads_what_is_announced_has_all_of_a_chunked_upload(
    bundle: Bundle, trust: TrustStore, damage: str | None, detached: bool
) -> None:
    """As Django does, which reads nothing where no size is announced."""
    whole = bundle.payload if detached else bundle.seal + bundle.payload
    size = {None: len(whole), "cut": len(whole) - 9, "longer": len(whole) + 9, "cut seal": 5}[damage]
    seen = bytearray()
    started: list[int] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        left = int(environ.get("CONTENT_LENGTH") or 0)
        while left and (data := environ["wsgi.input"].read(min(left, 100_000))):
            seen.extend(data)
            left -= len(data)
        sequence = environ[UPLOAD].verified.statement.sequence
        start_response("200 OK", [])
        return [b"%d" % sequence]

    environ = {"REQUEST_METHOD": "PUT", "PATH_INFO": "/bundle", "wsgi.input_terminated": True}
    environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO((whole + bytes(9))[:size])}
    uploads = WsgiUploads(app, trust=trust, seal=bundle.seal if detached else None)
    answered = b"".join(uploads(environ, lambda status, headers: started.append(int(status[:3]))))
    if damage is None:
        assert (started, answered, bytes(seen)) == ([200], b"7", whole)
    else:
        assert (started, b"truncated" in answered) == ([422], True)
        assert whole.startswith(seen)
