"""The statement: exact bytes in, values out, and every rule that rejects."""

import copy
import io
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

import capseal
from capseal import Attachment, FormatError, Statement, UsageError
from capseal.constants import MAX_INTEGER
from capseal.format import strictjson
from capseal.format.segment_layout import MAX_CONTENT_BYTES, payload_bytes_of
from capseal.format.statement import Content, Encryption, Payload, Recipient
from capseal.format.strictjson import from_base64, to_base64

KID = "ab" * 32
B64 = to_base64(bytes(384))

VALID = {
    "app": "com.example.game",
    "version": "1.4.2",
    "sequence": 142,
    "channel": "production",
    "created": "2026-11-22T21:30:00Z",
    "content": {"name": "dist.zip", "mediaType": "application/zip", "size": 5},
    "payload": {"size": 61, "digest": {"fsverity-sha256": "00" * 32}},
    "encryption": {
        "scheme": "tink-aes256-gcm-hkdf-512kb",
        "commitment": to_base64(bytes(32)),
        "recipients": [{"kid": KID, "alg": "RSA-OAEP-256", "encrypted_key": B64}],
    },
    "policy": {"allow_downgrade_to": 141},
    "attachments": [
        {"name": "a.json", "mediaType": "application/json", "size": 3, "digest": {"sha256": "11" * 32}},
    ],
    "custom": {"notes": ["x", 1, None, True, {"y": {}}]},
}
OPTIONAL = ("policy", "attachments", "custom")


def _parse(value) -> Statement:
    return Statement.parse(json.dumps(value).encode())


def _paths(value, path=()):
    """Every member of every object in the statement, but those of `custom`."""
    if isinstance(value, dict):
        for name, child in value.items():
            if path == () and name == "custom":
                continue
            yield (*path, name)
            yield from _paths(child, (*path, name))
    if isinstance(value, list):
        for i, child in enumerate(value):
            yield from _paths(child, (*path, i))


def _parent(value, path):
    for step in path[:-1]:
        value = value[step]
    return value


def _with(path, replacement):
    value = copy.deepcopy(VALID)
    _parent(value, path)[path[-1]] = replacement
    return value


PATHS = list(_paths(VALID))


def test_a_valid_statement_parses_and_encodes_back():
    statement = _parse(VALID)
    assert statement.to_json() == VALID
    assert Statement.parse(statement.encode()) == statement
    assert statement.created == datetime(2026, 11, 22, 21, 30, tzinfo=UTC)


@pytest.mark.parametrize("name", OPTIONAL)
def test_optional_members_may_be_absent(name):
    value = copy.deepcopy(VALID)
    del value[name]
    assert name not in _parse(value).to_json()


@pytest.mark.parametrize("path", [path for path in PATHS if path[0] not in OPTIONAL or len(path) > 1], ids=str)
def test_every_missing_member_is_rejected(path):
    value = copy.deepcopy(VALID)
    del _parent(value, path)[path[-1]]
    with pytest.raises(FormatError, match=f"member '{path[-1]}' is missing"):
        _parse(value)


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_every_extra_member_is_rejected(path):
    value = copy.deepcopy(VALID)
    _parent(value, path)[f"{path[-1]}2"] = 1
    with pytest.raises(FormatError, match=f"unknown member '{path[-1]}2'"):
        _parse(value)


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_every_duplicate_member_is_rejected(path):
    value = copy.deepcopy(VALID)
    parent = _parent(value, path)
    parent["TWIN"] = parent[path[-1]]
    data = json.dumps(value).replace('"TWIN"', json.dumps(path[-1]))
    with pytest.raises(FormatError, match=f"member '{path[-1]}' appears twice"):
        Statement.parse(data.encode())


@pytest.mark.parametrize("path", [*PATHS, ("encryption", "recipients", 0), ("attachments", 0), ("custom",)], ids=str)
def test_every_mistyped_member_is_rejected(path):
    current = _parent(VALID, path)[path[-1]]
    for other in (None, True, 7, "text", [], {}, [[]]):
        if type(other) is type(current):
            continue
        with pytest.raises(FormatError):
            _parse(_with(path, other))


@pytest.mark.parametrize("value", [None, [], 7, "text", True])
def test_a_statement_must_be_an_object(value):
    with pytest.raises(FormatError, match="statement: expected an object"):
        _parse(value)


BAD_NAMES = ["", ".a", "-a", "_a", "a b", "a/b", "a\n", "ä", "a" * 129, "a:b", "a\0"]
BAD_TEXTS = ["", "x" * 256, "a\nb", "\x00", "\x7f", "\u202e", "\u200b", "a\tb"]
BAD_FILE_NAMES = [*BAD_TEXTS, ".", "..", "a/b", "/a", "a\\b"]
BAD_MEDIA_TYPES = ["", "zip", "application/", "/zip", "Application/zip", "a/b;c=d", "a /b", "a/b\n", "a/" + "b" * 128]
BAD_HEX = ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n"]
BAD_BASE64 = ["AAA", "A===", "AA=A", "A A=", "AA==\n", "_-==", "AB==", "A", "====", "AA==AA==", "ä"]
BAD_KEYS = [to_base64(bytes(n)) for n in (0, 1, 256, 383, 1025, 4096)]
BAD_TIMES = [
    "",
    "2026-11-22",
    "2026-11-22T21:30:00",
    "2026-11-22T21:30:00+00:00",
    "2026-11-22T21:30:00.5Z",
    "2026-11-22t21:30:00z",
    "2026-1-2T21:30:00Z",
    "2026-02-30T21:30:00Z",
    "2026-11-22T24:00:00Z",
    "2026-11-22T21:30:61Z",
    " 2026-11-22T21:30:00Z",
    "٢٠٢٦-11-22T21:30:00Z",
]
BAD = {
    ("app",): BAD_NAMES,
    ("version",): BAD_TEXTS,
    ("sequence",): [0, -1],
    ("channel",): BAD_NAMES,
    ("created",): BAD_TIMES,
    ("content", "name"): BAD_FILE_NAMES,
    ("content", "mediaType"): BAD_MEDIA_TYPES,
    ("content", "size"): [-1, 4, 6, MAX_CONTENT_BYTES + 1],
    ("payload", "size"): [0, -1, 60, 62, 5, MAX_INTEGER],
    ("payload", "digest", "fsverity-sha256"): BAD_HEX,
    ("encryption", "scheme"): ["", "tink-aes256-gcm-hkdf-4kb", "none"],
    ("encryption", "commitment"): [*BAD_BASE64, to_base64(bytes(31)), to_base64(bytes(33)), ""],
    ("encryption", "recipients"): [[]],
    ("encryption", "recipients", 0, "kid"): BAD_HEX,
    ("encryption", "recipients", 0, "alg"): ["", "RSA1_5", "RSA-OAEP", "rsa-oaep-256"],
    ("encryption", "recipients", 0, "encrypted_key"): [*BAD_BASE64, *BAD_KEYS, B64[:-1], B64[:-2] + "B="],
    ("policy", "allow_downgrade_to"): [-1, 142, 143],
    ("attachments",): [[]],
    ("attachments", 0, "name"): BAD_FILE_NAMES,
    ("attachments", 0, "mediaType"): BAD_MEDIA_TYPES,
    ("attachments", 0, "size"): [-1],
    ("attachments", 0, "digest", "sha256"): BAD_HEX,
}


@pytest.mark.parametrize("path", BAD, ids=str)
def test_every_bad_value_is_rejected(path):
    for value in BAD[path]:
        with pytest.raises(FormatError):
            _parse(_with(path, value))
            print("accepted", path, ascii(value))


def test_a_number_with_a_point_is_rejected_even_in_custom_data():
    for path in (("sequence",), ("content", "size"), ("custom", "price")):
        with pytest.raises(FormatError, match="is not an integer"):
            _parse(_with(path, 142.0))


@pytest.mark.parametrize("value", [MAX_INTEGER + 1, 2**64, 10**400], ids=["2^53", "2^64", "10^400"])
def test_integers_beyond_2_53_are_rejected_even_in_custom_data(value):
    for path in (("sequence",), ("custom", "big")):
        with pytest.raises(FormatError, match="beyond 2\\^53-1"):
            _parse(_with(path, value))


def test_the_same_recipient_twice_is_rejected():
    recipients = VALID["encryption"]["recipients"]
    with pytest.raises(FormatError, match="appears twice"):
        _parse(_with(("encryption", "recipients"), recipients * 2))


def test_the_same_attachment_twice_is_rejected():
    with pytest.raises(FormatError, match=r"attachment 'a\.json' appears twice"):
        _parse(_with(("attachments",), VALID["attachments"] * 2))


@pytest.mark.parametrize(("path", "most"), [(("encryption", "recipients"), 1024), (("attachments",), 256)])
def test_lists_end_at_their_caps(path, most):
    def many(n):
        entries = []
        for i in range(n):
            entry = copy.deepcopy(_parent(VALID, path)[path[-1]][0])
            entry["kid" if "kid" in entry else "name"] = f"{i:064x}"
            entries.append(entry)
        return _with(path, entries)

    _parse(many(most))
    with pytest.raises(FormatError, match=f"{most + 1} items, from 1 to {most} are allowed"):
        _parse(many(most + 1))


def test_custom_data_ends_at_64_kib_in_its_compact_encoding():
    fits = {"x": "é" * ((65536 - 8) // 2)}
    assert len(strictjson.encode(fits)) == 65536
    assert _parse(_with(("custom",), fits)).custom == fits
    with pytest.raises(FormatError, match="65537 bytes, at most 65536"):
        _parse(_with(("custom",), {"x": fits["x"] + "y"}))


@pytest.mark.parametrize("kid", ["00" * 32])
@pytest.mark.parametrize("size", [0, 1, 2**40, MAX_CONTENT_BYTES])
def test_sizes_up_to_the_cap_are_accepted(size, kid):
    value = _with(("content", "size"), size)
    value["payload"]["size"] = payload_bytes_of(size)
    assert _parse(value).payload.size == payload_bytes_of(size)


def test_sizes_that_disagree_are_named_with_both_values():
    with pytest.raises(FormatError, match=r"payload\.size: 60 does not fit content of 5 bytes, which takes 61"):
        _parse(_with(("payload", "size"), 60))


@pytest.mark.parametrize("text", BAD_BASE64)
def test_base64_has_one_spelling(text):
    with pytest.raises(FormatError, match="base64"):
        from_base64(text, "x")


@given(st.binary(max_size=100))
def test_base64_comes_back(data):
    assert from_base64(to_base64(data), "x") == data


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=255)
file_names = texts.filter(lambda text: text not in (".", "..") and not set(text) & set("/\\"))
keys = st.binary(min_size=384, max_size=1024)
digests = st.binary(min_size=32, max_size=32)


@st.composite
def statements(draw):
    size = draw(st.integers(0, MAX_CONTENT_BYTES))
    sequence = draw(st.integers(1, MAX_INTEGER))
    return Statement(
        app=draw(names),
        version=draw(texts),
        sequence=sequence,
        channel=draw(names),
        created=draw(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))).replace(
            microsecond=0
        ),
        content=Content(draw(file_names), "application/zip", size),
        payload=Payload(payload_bytes_of(size), draw(digests)),
        encryption=Encryption(
            draw(digests),
            tuple(
                Recipient(kid.hex(), key)
                for kid, key in draw(st.dictionaries(digests, keys, min_size=1, max_size=3)).items()
            ),
        ),
        allow_downgrade_to=draw(st.none() | st.integers(0, sequence - 1)),
        attachments=tuple(
            Attachment(name, "text/plain", n, bytes(32))
            for name, n in draw(st.dictionaries(file_names, st.integers(0, MAX_INTEGER), max_size=3)).items()
        ),
        custom=draw(st.none() | st.dictionaries(st.text(max_size=9).filter(str.isprintable), st.integers(0, 9))),
    )


@given(statements())
def test_any_statement_comes_back_equal(statement):
    assert Statement.parse(statement.encode()) == statement


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_any_other_json_raises_format_error(value):
    with pytest.raises(FormatError):
        Statement.parse(json.dumps(value).encode())


def test_seal_refuses_what_a_reader_would_reject(seal_bytes, recipient):
    for bad in (
        {"app": "no spaces"},
        {"version": ""},
        {"sequence": 0},
        {"sequence": 2**53},
        {"channel": "a/b"},
        {"name": "../x"},
        {"media_type": "zip"},
        {"allow_downgrade_to": 7},
        {"custom": {"price": 1.5}},
        {"custom": {"x": float("nan")}},
        {"custom": {"x": object()}},
        {"custom": {"x": "\ud800"}},
        {"custom": {"x": "y" * 65536}},
        {"recipients": []},
        {"recipients": [recipient.public_key] * 2},
        {"signer": []},
        {"attachments": [Attachment("a", "text/plain", -1, bytes(32))]},
        {"attachments": [Attachment("a", "text/plain", 1, bytes(31))]},
    ):
        with pytest.raises(UsageError):
            seal_bytes(b"x", **bad)


def test_sequence_is_by_default_the_unix_time_of_created(seal_bytes):
    created = datetime(2026, 11, 22, 23, 30, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    _, statement = capseal.inspect(io.BytesIO(seal_bytes(b"", sequence=None, created=created)))
    assert statement.sequence == int(created.timestamp())
    assert statement.created == datetime(2026, 11, 22, 21, 30, tzinfo=UTC)
