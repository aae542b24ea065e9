"""Hostile variants of documents: every member of a JSON text replaced by what no parser expects, and bytes altered."""

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

# JSON texts, not values: most of them no encoder would write.
HOSTILE = (
    "null", "true", "[]", "{}", '""', "0", "-0", "-1", "1.5", "1e999", "-1e999", "NaN", "-Infinity", "1e5",
    str(2**53), str(2**64), "-" + str(2**63), "9" * 17, "9" * 5000,
    "[" * 40 + "]" * 40, "[" * 20000 + "]" * 20000, "[" * 20000, '{"a":' * 20000, '{"a":1,"a":2}',
    '"0001-01-01T00:00:00+05:00"', '"9999-12-31T23:59:59-05:00"', '"0001-01-01T00:00:00Z"', '"9999-99-99T99:99:99Z"',
    '"\\ud800"', '"\\u0000"', '"\\u202e"', '"../../x"', '"/"', '"a\\u00adb"', '"%s%n{0}"', '"' + "a" * 70000 + '"',
    '"=="', '"AAAA"', '"AAA="', '"A"', '"\\u00e9"', '"' + "0" * 64 + '"', '"' + "\\u0663" * 64 + '"',
    '"\\u0663"', '"-1"', '"' + "9" * 5000 + '"', "[null]", "[[]]", "[{}]", '[""]', "[1,2,3]", '{"":null}', "[0,1e999]",
    "[[0,99999999999999999]]", '[["a",-1,"b"]]', '[["a",1]]', "\ufeff1", "'x'", "",
)  # fmt: skip

_INSERTED = (b'"', b"[", b"{", b"\\", b"\xff", b"\0", b"9" * 30, b"\xed\xa0\x80")
_MARK = "@hostile@"


def variants(value: Any) -> Iterator[bytes]:
    """Give the JSON text of a value with each of its parts, itself included, replaced by each hostile text."""
    for marked in (_MARK, *_marked(value)):
        before, _, after = json.dumps(marked, ensure_ascii=False).partition(f'"{_MARK}"')
        for text in HOSTILE:
            yield f"{before}{text}{after}".encode()


def _marked(value: Any) -> Iterator[Any]:
    """Give the value with each of its parts replaced by the mark."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield {**value, name: _MARK}
            yield {other: kept for other, kept in value.items() if other != name}
            yield {**value, f"{name}x": inner}
            for marked in _marked(inner):
                yield {**value, name: marked}
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            for marked in (_MARK, *_marked(inner)):
                yield [*value[:i], marked, *value[i + 1 :]]


@st.composite
def altered(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with a few places overwritten, removed, doubled or cut off."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(changed) - 1)))
        length = draw(st.sampled_from((1, 1, 2, 8, 64)))
        match draw(st.sampled_from(["overwrite", "remove", "double", "cut", "insert"])):
            case "overwrite":
                changed[at : at + length] = draw(st.binary(min_size=length, max_size=length))
            case "remove":
                del changed[at : at + length]
            case "double":
                changed[at:at] = changed[at : at + length]
            case "insert":
                changed[at:at] = draw(
                    st.sampled_from((b'"', b"[", b"{", b"\\", b"\xff", b"\0", b"9" * 30, b"\xed\xa0\x80"))
                )
            case "cut":
                del changed[at:]
    return bytes(changed)
