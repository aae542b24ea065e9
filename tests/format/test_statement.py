"""The statement: exact bytes in, values out, and every rule that rejects."""

import copy
import io
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

import capseal
from capseal import Attachment, Companion, Expect, FormatError, NotForUsError, Requires, Role, Statement, UsageError
from capseal.constants import MAX_INTEGER
from capseal.format import strictjson
from capseal.format.requires import version_numbers
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
    "role": "production",
    "created": "2026-11-22T21:30:00Z",
    "content": {"name": "dist.zip", "mediaType": "application/zip", "size": 5},
    "payload": {"size": 61, "digest": {"fsverity-sha256": "00" * 32}},
    "encryption": {
        "scheme": "tink-aes256-gcm-hkdf-512kb",
        "commitment": to_base64(bytes(32)),
        "recipients": [{"kid": KID, "alg": "RSA-OAEP-256", "encrypted_key": B64}],
    },
    "requires": {"native": {"min": "1.4", "below": "2.0.0"}, "platforms": ["android", "ios"]},
    "policy": {"allow_downgrade_to": 141},
    "attachments": [
        {"name": "a.json", "mediaType": "application/json", "size": 3, "digest": {"sha256": "11" * 32}},
        {"name": "a.pack", "mediaType": "application/x", "size": 7, "digest": {"fsverity-sha256": "22" * 32}},
        {
            "name": "b.delta",
            "mediaType": "application/y",
            "size": 56,
            "digest": {"fsverity-sha256": "33" * 32},
            "encryption": {"scheme": "tink-aes256-gcm-hkdf-512kb"},
        },
    ],
    "custom": {"notes": ["x", 1, None, True, {"y": {}}]},
}
OPTIONAL = ("requires", "policy", "attachments", "custom")
MAY_BE_ABSENT = {
    *((name,) for name in OPTIONAL),
    *(("requires", name) for name in ("native", "platforms")),
    *(("requires", "native", bound) for bound in ("min", "below")),
    ("attachments", 2, "encryption"),
}
# Which digest there is tells an attachment from a companion.
DIGESTS_OF_COMPANIONS = {("attachments", i, "digest", "fsverity-sha256") for i in (1, 2)}


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


@pytest.mark.parametrize("path", [path for path in PATHS if path not in MAY_BE_ABSENT | DIGESTS_OF_COMPANIONS], ids=str)
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


@pytest.mark.parametrize(
    "path", [*PATHS, ("encryption", "recipients", 0), *(("attachments", i) for i in range(3)), ("custom",)], ids=str
)
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
BAD_VERSIONS = ["", "01", "1.04", "1.2.3.4.5", "1.", ".1", "1..2", "v1", "1.4-beta", " 1", "1\n", "-1", "٣", "1" * 16]
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
    ("role",): ["", "Production", "staging", "production "],
    ("requires",): [{}],
    ("requires", "native"): [{}],
    ("requires", "native", "min"): [*BAD_VERSIONS, "2", "2.0.0.0", "3"],
    ("requires", "native", "below"): [*BAD_VERSIONS, "1.4", "1.4.0.0", "0"],
    ("requires", "platforms"): [[], ["ios", "ios"], [f"p{i}" for i in range(17)], [7]],
    ("requires", "platforms", 0): [*BAD_NAMES, "iOS"],
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
    ("attachments", 0, "digest"): [{}, {"md5": "11"}, {"sha256": "11" * 32, "fsverity-sha256": "11" * 32}],
    ("attachments", 1, "digest"): [{}],
    ("attachments", 1, "name"): [*BAD_NAMES, "a%20b", "a+b", "a.json"],
    ("attachments", 1, "mediaType"): BAD_MEDIA_TYPES,
    ("attachments", 1, "size"): [-1, 0, 2**51, MAX_INTEGER],
    ("attachments", 1, "digest", "fsverity-sha256"): BAD_HEX,
    ("attachments", 2, "size"): [1, 55, 524289, 524304, 2**51],
    ("attachments", 2, "encryption", "scheme"): ["", "tink-aes256-gcm-hkdf-4kb", "none"],
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
    one = VALID["attachments"][0]
    for other in (one, one | {"size": one["size"] + 1}):
        with pytest.raises(FormatError, match=r"attachment 'a\.json' appears twice"):
            _parse(_with(("attachments",), [one, other]))


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


def test_companions_end_at_their_caps():
    def many(n, size=1):
        first, one, _ = VALID["attachments"]
        return _with(("attachments",), [first, *(one | {"name": f"c{i}", "size": size} for i in range(n))])

    assert len(_parse(many(64)).companions) == 64
    with pytest.raises(FormatError, match="65 companions, at most 64 are allowed"):
        _parse(many(65))
    assert _parse(many(1, 2**51 - 61)).companions[0].size == 2**51 - 61
    for count, size in ((1, 2**51 - 60), (2, 2**50)):
        with pytest.raises(FormatError, match=rf"payload and companions of \d+ bytes, at most {2**51} are allowed"):
            _parse(many(count, size))


def test_an_attachment_with_an_fs_verity_digest_is_a_companion():
    statement = _parse(VALID)
    assert [attachment.name for attachment in statement.attachments] == ["a.json"]
    assert statement.companions == (
        Companion("a.pack", "application/x", 7, b"\x22" * 32),
        Companion("b.delta", "application/y", 56, b"\x33" * 32, sealed=True),
    )
    assert statement.companions[0].payload == Payload(7, b"\x22" * 32)
    for broken, unknown in (({"encryption": {"scheme": "x"}}, "encryption"), ({"extra": 1}, "extra")):
        with pytest.raises(FormatError, match=f"unknown member '{unknown}'"):
            _parse(_with(("attachments", 0), VALID["attachments"][0] | broken))


def test_a_sealed_companion_has_a_size_that_a_stream_can_have():
    for content in (0, 1, 524231, 524232, 524233, 2**40):
        _parse(_with(("attachments", 2, "size"), payload_bytes_of(content)))
    with pytest.raises(FormatError, match=r"attachments\[2\].size: 524304 bytes are no stream"):
        _parse(_with(("attachments", 2, "size"), 524288 + 16))


@pytest.mark.parametrize(
    ("native", "fits"),
    [
        ("1.4", 1), ("1.4.0.0", 1), ("1.3.999", 0), ("1", 0), ("1.10", 1),
        ("2", 0), ("1.99.99.99", 1), ("2.0.0.1", 0), ("10", 0),
    ],
)  # fmt: skip
def test_native_versions_compare_as_numbers_and_missing_ones_are_zero(native, fits):
    statement = _parse(VALID)
    if fits:
        Expect(native=native).check(statement)
        return
    with pytest.raises(NotForUsError, match=f"here is {native}"):
        Expect(native=native).check(statement)


def test_what_a_reader_is_not_told_fits_and_an_unknown_platform_does_not():
    statement = _parse(VALID)
    Expect().check(statement)
    Expect(platform="ios").check(statement)
    with pytest.raises(NotForUsError, match="bundle is for platform android or ios, here is 'web'"):
        Expect(platform="web").check(statement)
    free = _parse({name: value for name, value in VALID.items() if name != "requires"})
    Expect(native="0", platform="web").check(free)
    with pytest.raises(UsageError, match=r"'1\.4-beta' is not 1 to 4 integers"):
        Expect(native="1.4-beta")


def test_a_reader_that_demands_production_refuses_a_statement_for_development():
    statement = _parse(_with(("role",), "development"))
    with pytest.raises(NotForUsError, match="meant for development, production is demanded"):
        Expect().check(statement)
    Expect(role=Role.DEVELOPMENT).check(statement)
    Expect(role=Role.DEVELOPMENT).check(_parse(VALID))


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
    del value["attachments"]  # companions would count
    value["payload"]["size"] = payload_bytes_of(size)
    assert _parse(value).payload.size == payload_bytes_of(size)


def test_sizes_that_disagree_are_named_with_both_values():
    for size in (60, 62):
        with pytest.raises(
            FormatError, match=rf"payload\.size: {size} does not fit content of 5 bytes, which takes 61"
        ):
            _parse(_with(("payload", "size"), size))


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
other_names = file_names.map(lambda name: "é" + name[:254])  # which no companion has
keys = st.binary(min_size=384, max_size=1024)
digests = st.binary(min_size=32, max_size=32)


versions = st.lists(st.integers(0, 10**15 - 1), min_size=1, max_size=4).map(lambda n: ".".join(map(str, n)))
platforms = st.lists(names.map(str.lower), unique=True, max_size=16).map(tuple)


@st.composite
def requirements(draw):
    bounds = sorted((draw(versions), draw(versions)), key=version_numbers)
    low, high = bounds if version_numbers(bounds[0]) < version_numbers(bounds[1]) else (bounds[0], None)
    low, high = draw(st.sampled_from([(low, high), (low, None), (None, high), (None, None)]))
    found = draw(platforms)
    return Requires(native_min=low, native_below=high, platforms=found if low or high or found else ("web",))


@st.composite
def statements(draw):
    size = draw(st.integers(0, MAX_CONTENT_BYTES - 2**41))
    sizes = st.tuples(st.integers(1, 2**38), st.booleans())  # payload and companions share 2 PiB
    sequence = draw(st.integers(1, MAX_INTEGER))
    return Statement(
        app=draw(names),
        version=draw(texts),
        sequence=sequence,
        channel=draw(names),
        role=draw(st.sampled_from(Role)),
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
        requires=draw(st.none() | requirements()),
        allow_downgrade_to=draw(st.none() | st.integers(0, sequence - 1)),
        attachments=tuple(
            Attachment(name, "text/plain", n, bytes(32))
            for name, n in draw(st.dictionaries(other_names, st.integers(0, MAX_INTEGER), max_size=3)).items()
        ),
        companions=tuple(
            Companion(name, "text/plain", payload_bytes_of(n) if sealed else n, bytes(32), sealed)
            for name, (n, sealed) in draw(st.dictionaries(names, sizes, max_size=3)).items()
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
        {"companions": [Companion("a b", "text/plain", 1, bytes(32))]},
        {"companions": [Companion("a", "text/plain", 0, bytes(32))]},
        {"companions": [Companion("a", "text/plain", 2**51, bytes(32))]},
        {
            "companions": [Companion("a", "text/plain", 1, bytes(32))],
            "attachments": [Attachment("a", "a/b", 1, bytes(32))],
        },
        {"requires": Requires()},
        {"requires": Requires(native_min="1.04")},
        {"requires": Requires(native_min="2", native_below="2.0")},
        {"requires": Requires(platforms=("iOS",))},
        {"role": "staging"},
    ):
        with pytest.raises(UsageError):
            seal_bytes(b"x", **bad)


def test_sequence_is_by_default_the_unix_time_of_created(seal_bytes):
    created = datetime(2026, 11, 22, 23, 30, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    _, statement = capseal.inspect(io.BytesIO(seal_bytes(b"", sequence=None, created=created)))
    assert statement.sequence == int(created.timestamp())
    assert statement.created == datetime(2026, 11, 22, 21, 30, tzinfo=UTC)
