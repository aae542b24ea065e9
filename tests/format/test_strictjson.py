"""JSON as the format allows it, and nothing more."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capseal import FormatError, UsageError
from capseal.constants import MAX_INTEGER, MAX_NESTING
from capseal.format import strictjson
from capseal.format.strictjson import Members

integers = st.integers(-MAX_INTEGER, MAX_INTEGER)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | integers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_what_was_encoded_parses_to_the_same_value(value):
    assert strictjson.parse(strictjson.encode(value), "x") == value


@given(values)
def test_the_encoding_of_a_value_is_unique(value):
    encoded = strictjson.encode(value)
    assert strictjson.encode(strictjson.parse(encoded, "x")) == encoded


@given(st.binary(max_size=200) | texts.map(str.encode))
def test_any_bytes_parse_or_raise_format_error(data):
    try:
        value = strictjson.parse(data, "x")
    except FormatError:
        return
    assert json.loads(data) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"1.0", "number 1.0 is not an integer"),
        (b"1e3", "number 1e3 is not an integer"),
        (b"-0", "number -0 is not an integer"),
        (b"NaN", "number NaN is not an integer"),
        (b"-Infinity", "number -Infinity is not an integer"),
        (b"9007199254740992", "beyond 2^53-1"),
        (b"-9007199254740992", "beyond 2^53-1"),
        (b"9" * 5000, "beyond 2^53-1"),
        (b'{"a":1,"a":1}', "member 'a' appears twice"),
        (b'{"x":{"a":1,"\\u0061":2}}', "member 'a' appears twice"),
        (b'"\\ud800"', "lone surrogate"),
        (b'{"\\udfff":1}', "lone surrogate"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\xff"', "byte 1: not UTF-8"),
        (b'\xef\xbb\xbf"bom"', "character 0"),
        (b'"a\nb"', "control character"),
        (b"01", "character 1"),
        (b"[1,]", "character"),
        (b'{"a":1} {}', "character 8"),
        (b"", "character 0"),
        (b"'a'", "character 0"),
        (b"True", "character 0"),
    ],
)
def test_forbidden_json_is_rejected(text, message):
    with pytest.raises(FormatError, match=r"(?i)" + message.replace("^", r"\^")):
        strictjson.parse(text, "x")


@pytest.mark.parametrize("value", [MAX_INTEGER, -MAX_INTEGER, 0])
def test_the_largest_integers_are_accepted(value):
    assert strictjson.parse(str(value).encode(), "x") == value


def test_a_surrogate_pair_is_one_character():
    assert strictjson.parse(b'"\\ud83d\\ude00"', "x") == "\N{GRINNING FACE}"


def _nested(levels: int) -> bytes:
    return b'{"a":[' * (levels // 2) + b"[]" * (levels % 2) + b"]}" * (levels // 2)


@pytest.mark.parametrize("levels", [MAX_NESTING - 1, MAX_NESTING])
def test_nesting_up_to_the_cap_is_accepted(levels):
    strictjson.parse(_nested(levels), "x")


@pytest.mark.parametrize("levels", [MAX_NESTING + 1, 900, 990, 1000, 100_000, 170_000])
def test_nesting_beyond_the_cap_is_a_format_error_wherever_the_interpreter_stops(levels):
    with pytest.raises(FormatError, match="nested deeper than 32 levels"):
        strictjson.parse(_nested(levels), "x")


def test_deeply_nested_custom_data_is_the_callers_mistake(seal_bytes):
    value: object = 1
    for _ in range(5000):
        value = [value]
    with pytest.raises(UsageError):
        seal_bytes(b"", custom={"x": value})


def test_finding_the_duplicate_among_many_members_takes_no_quadratic_time():
    names = [f"{i:05x}" for i in range(90_000)]
    data = ("{" + ",".join(f'"{name}":0' for name in [*names, names[-1]]) + "}").encode()
    start = time.perf_counter()
    with pytest.raises(FormatError, match="member '15f8f' appears twice"):
        strictjson.parse(data, "x")
    # It took two minutes once, before any signature was looked at.
    assert time.perf_counter() - start < 5


def test_members_are_checked_by_name_and_by_exact_type():
    members = strictjson.Members({"a": True, "b": [1]}, "x", required=("a",), optional=("b",))
    assert members.take("a", bool) is True
    with pytest.raises(FormatError, match=r"x\.a: expected an integer, found a boolean"):
        members.integer("a", least=0)
    with pytest.raises(FormatError, match=r"x\.b: 1 items, from 2 to 3 are allowed"):
        members.array("b", least=2, most=3)
    with pytest.raises(FormatError, match="x: member 'a' is missing"):
        strictjson.Members({}, "x", required=("a",))
    with pytest.raises(FormatError, match="x: unknown member 'c'"):
        strictjson.Members({"a": 1, "c": 1}, "x", required=("a",))
    with pytest.raises(FormatError, match="x: expected an object, found an array"):
        strictjson.Members([], "x", required=())


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+05:00",  # in UTC before the first year, and so an OverflowError of datetime's
        "9999-12-31T23:59:59-05:00",
        "2026-11-22T21:30:00+00:00",
        "2026-11-22T21:30:00",
        "2026-11-22 21:30:00Z",
        "2026-11-22T21:30:00Z\n",
        "2026-11-22T24:00:00Z",
        "2026-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "２026-11-22T21:30:00Z",
        "2026-W47-7T21:30:00Z",
        "20261122T213000Z",
    ],
)
def test_a_time_has_one_spelling(text):
    with pytest.raises(FormatError, match=r"x\.t: .* is not a time such as 2026-11-22T21:30:00Z"):
        Members({"t": text}, "x", required=("t",)).time("t")


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "0026-11-22T21:30:00Z", "9999-12-31T23:59:59Z"])
def test_the_first_and_the_last_time_of_the_calendar_are_times(text):
    assert strictjson.shown_time(Members({"t": text}, "x", required=("t",)).time("t")) == text
