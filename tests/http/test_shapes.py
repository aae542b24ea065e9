"""What server and client tell one another: encoded and parsed in one place, and nothing else is believed."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from capseal import TransferError, errors
from capseal.client import Connection, withdraw
from capseal.errors import FormatError, RejectedError
from capseal.http import paths, problems
from capseal.http.limits import MAX_DESCRIPTION_BYTES
from capseal.http.shapes import (
    ArrivingDescription,
    PayloadDescription,
    ReleaseDescription,
    UploadDescription,
    begun_from_json,
    published_to_json,
)

HEX = "ab" * 32
S = 512 * 1024
PIECE_BYTES = 64 * 1024
PAYLOAD = PayloadDescription(3 * S + 1, HEX)
RELEASE = ReleaseDescription(
    app="com.example.game",
    channel="production",
    sequence=7,
    version="1.0.7",
    created="2026-11-22T21:30:00Z",
    published="2026-11-22T21:31:00Z",
    withdrawn=None,
    content_name="dist.zip",
    content_bytes=3 * S,
    payload=PAYLOAD,
    attachments={"game.capgo": PayloadDescription(16, HEX)},
    seal_bytes=8192,
    seal_digest=HEX,
    signers=(HEX,),
)
UPLOAD = UploadDescription(
    id=HEX,
    app="com.example.game",
    channel="production",
    sequence=7,
    payload=PAYLOAD,
    missing=((0, S), (3 * S, 3 * S + 1)),
    attachments={"game.capgo": ArrivingDescription(PAYLOAD, True, ((0, 3 * S + 1),))},
)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where every member and item of JSON values is."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        if key not in ("links", "link", "index_link"):  # for people: clients make their paths themselves
            yield (*at, key)
            yield from places(child, (*at, key))


def changed(value: Any, at: tuple[Any, ...], change: Any) -> Any:
    """Return a copy in which one place was changed: `change(container, key)`."""
    copy = json.loads(json.dumps(value))
    container = copy
    for key in at[:-1]:
        container = container[key]
    change(container, at[-1])
    return copy


SHAPES = [RELEASE, UPLOAD]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_encoded_is_parsed_to_the_same(shape: ReleaseDescription | UploadDescription) -> None:
    sent = json.loads(json.dumps(shape.to_json()))
    assert type(shape).from_json(sent) == shape
    assert type(shape).from_json({**sent, "later": {"more": []}}) == shape
    assert begun_from_json(sent if shape is UPLOAD else published_to_json(RELEASE)) == shape


@pytest.mark.parametrize("shape", SHAPES)
def test_every_member_that_is_missing_or_mistyped_is_noticed(shape: ReleaseDescription | UploadDescription) -> None:
    sent = shape.to_json()
    for at in places(sent):
        wrong = [lambda box, key: box.__setitem__(key, [[]])]
        if at != ("attachments",):  # there may be none
            wrong.append(lambda box, key: box.__setitem__(key, {}))
        if isinstance(at[-1], str) and at[:-1] != ("attachments",):
            wrong.append(lambda box, key: box.pop(key))
        for change in wrong:
            with pytest.raises(FormatError):
                type(shape).from_json(changed(sent, at, change))


@pytest.mark.parametrize(
    "spans", [[[0, 0]], [[5, 3]], [[-1, 3]], [[0, 3 * S + 2]], [[0, 5], [4, 9]], [[5, 9], [0, 2]], [[0, True]], [[0]]]
)
def test_spans_that_are_none_of_the_payload_are_refused(spans: list[list[int]]) -> None:
    with pytest.raises(FormatError, match="missing"):
        UploadDescription.from_json(UPLOAD.to_json() | {"missing": spans})


@pytest.mark.parametrize("body", [b"", b"no", b"[]", b'{"release": {}}', b"[" * 999, b'{"a": 1, "a": 2}', b"\xff"])
def test_an_answer_that_no_server_of_ours_gives_is_a_failed_transfer(body: bytes) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=iter([body])))
    refused = pytest.raises(TransferError, match="cannot read the answer")
    with Connection("http://x", attempts=1, transport=transport) as connection, refused:
        withdraw(connection, app="a", channel="b", sequence=1)


def test_an_answer_without_end_is_a_failed_transfer() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b" " * 1024 * 1024

    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=endless()))
    refused = pytest.raises(TransferError, match=f"more than {MAX_DESCRIPTION_BYTES} bytes")
    with Connection("http://x", attempts=1, transport=transport) as connection, refused:
        withdraw(connection, app="a", channel="b", sequence=1)


@pytest.mark.parametrize(("member", "value"), [("sequence", 0), ("seal", {"size": 0, "digest": {"sha256": HEX}})])
def test_a_release_has_a_sequence_and_a_seal(member: str, value: Any) -> None:
    with pytest.raises(FormatError, match="0 is not from 1"):
        ReleaseDescription.from_json(RELEASE.to_json() | {member: value})


def test_an_answer_is_read_to_its_cap_and_no_further() -> None:
    given = 0

    def endless() -> Iterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield b" " * PIECE_BYTES

    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=endless()))
    with Connection("http://x", attempts=1, transport=transport) as connection, pytest.raises(TransferError):
        withdraw(connection, app="a", channel="b", sequence=1)
    assert given == MAX_DESCRIPTION_BYTES // PIECE_BYTES + 1


REJECTIONS = [
    errors.FormatError("text", offset=3),
    errors.SignatureError("text"),
    errors.StaleError("text"),
    errors.NotForUsError("text"),
    errors.RollbackError("text", floor=5, sequence=4),
    errors.TamperedError("text", segment=2, offset=1024),
    errors.TruncatedError("text", expected=9, actual=8),
]


@pytest.mark.parametrize("error", REJECTIONS, ids=lambda error: type(error).__name__)
def test_a_rejection_arrives_as_what_it_is(error: RejectedError) -> None:
    kind, members = problems.of_rejection(error)
    assert 400 <= kind.status < 500
    arrived = problems.rejection_in(json.loads(json.dumps(members)), "text")
    assert type(arrived) is type(error)
    assert vars(arrived) == vars(error)
    assert problems.rejection_in({"error": type(error).__name__, "offset": "x", "floor": None}, "text") is not None
    assert problems.rejection_in({"error": "SomethingError"}, "text") is None


def test_a_number_in_a_problem_is_a_number_or_nothing() -> None:
    found = problems.rejection_in({"error": "TamperedError", "segment": "17", "offset": True}, "text")
    assert isinstance(found, errors.TamperedError)
    assert (found.segment, found.offset) == (None, None)


def test_every_rejection_has_a_problem_type() -> None:
    assert {type(error) for error in REJECTIONS} == set(RejectedError.__subclasses__())


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "%2e", "é", "-x", "a" * 129, "a?b"])
def test_nothing_but_a_name_gets_into_a_path(name: str) -> None:
    with pytest.raises(FormatError, match="is not a name"):
        paths.filled(paths.RELEASE_SEAL, app=name, channel="production", sequence=1)
    assert paths.filled(paths.RELEASE_SEAL, app="a", channel="b", sequence=1) == "/v1/apps/a/channels/b/releases/1/seal"
