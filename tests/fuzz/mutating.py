"""Small changes to bytes and JSON values, drawn from a random.Random: the alphabet of every target."""

import json
from random import Random
from typing import Any

from support.hostile import HOSTILE

SHORT = tuple(text for text in HOSTILE if len(text) <= 200)
LONG = tuple(text for text in HOSTILE if len(text) > 200)
NUMBERS = (0, 1, 2, 3, 7, 16, 32, 39, 40, 41, 56, 57, 255, 256, 4095, 4096, 4097, 65535, 65536, 524287, 524288, 524289)
NUMBERS += (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**51, 2**53 - 1, 2**53, 2**63, 2**64)
TEXTS = (
    "", "a", "A", ".", "..", "a/b", "a\\b", "é", "\u200b", "\u0000", "a\n", " a", "a ", "production", "development",
    "application/zip", "application/json", "0" * 64, "f" * 64, "2026-11-22T21:30:00Z", "2026-02-30T00:00:00Z",
    "RSA-OAEP-256", "1.0.0", "1.0", "01.0", "com.example.game", "dist.zip", "x" * 127, "x" * 128, "x" * 129,
    "x" * 255, "x" * 256, "AAAA", "AAA=", "ios",
)  # fmt: skip
_RAW = "@raw%d@"
_TWICE = "@twice@"


def often(r: Random, share: float) -> bool:
    """Whether something that happens in that share of cases happens in this one."""
    return r.random() < share


def mutate_bytes(r: Random, data: bytes, times: int = 0) -> bytes:
    """Return bytes with a few places changed, removed, doubled, cut or added."""
    changed = bytearray(data)
    for _ in range(times or r.choice((1, 1, 1, 2, 4))):
        at, length = r.randrange(len(changed) + 1), r.choice((1, 1, 1, 2, 4, 8, 32))
        match r.randrange(9):
            case 0 if at < len(changed):
                changed[at] ^= 1 << r.randrange(8)
            case 1 if at < len(changed):
                changed[at] = r.choice((0, 1, 0x7F, 0x80, 0xFF, r.randrange(256)))
            case 2:
                changed[at:at] = r.randbytes(length)
            case 3:
                del changed[at : at + length]
            case 4:
                changed[at:at] = changed[at : at + length]
            case 5 if often(r, 0.3):
                del changed[at:]
            case 6:
                size = r.choice((1, 2, 4, 8))
                number = r.choice(NUMBERS) % (1 << 8 * size)
                changed[at : at + size] = number.to_bytes(size, r.choice(("little", "big")))
            case 7:
                changed += bytes(length) if often(r, 0.5) else r.randbytes(length)
            case 8:
                other = r.randrange(len(changed) + 1)
                changed[at : at + length] = changed[other : other + length]
    return bytes(changed)


def mutate_text(r: Random, text: str) -> str:
    """Return a text that differs a little: what checks of spelling must see."""
    match r.randrange(8):
        case 0:
            return r.choice(TEXTS)
        case 1:
            return text.swapcase()
        case 2:
            return text[: r.randrange(len(text) + 1)]
        case 3:
            return text + r.choice(("a", "0", "=", " ", "\n", "Z", ".", "\u00e9", "\u0663", text))
        case 4:
            return r.choice((" ", "0", "-", "+", "\ufeff")) + text
        case 5 if text:
            at = r.randrange(len(text))
            return text[:at] + r.choice("aZ09+/=-_. :\u00e9\u2028") + text[at + 1 :]
        case 6 if text:
            at = r.randrange(len(text))
            return text[:at] + text[at + 1 :]
    return text[::-1]


def mutate_value(r: Random, value: Any) -> Any:
    """Return another JSON value of, mostly, the same kind."""
    match value:
        case bool():
            return r.choice((not value, None, 0, "true"))
        case int():
            return r.choice((value + 1, value - 1, -value, value * 2, r.choice(NUMBERS), str(value)))
        case str():
            return mutate_text(r, value)
        case list():
            return _mutate_list(r, value)
        case dict():
            return r.choice(({}, [value], None, dict(reversed(value.items()))))
    return r.choice((0, "", [], {}, False))


def _mutate_list(r: Random, value: list[Any]) -> list[Any]:
    match r.randrange(6):
        case 0:
            return []
        case 1:
            return value + value[:1]
        case 2:
            return value[1:]
        case 3:
            return value[::-1]
        case 4:
            return value * r.choice((2, 9, 17))
    return [*value, r.choice((0, "", None, [], {}))]


def mutate_json(r: Random, value: Any, times: int = 0) -> bytes:
    """Return the JSON text of a value, which is changed in place, with some of its parts altered or replaced."""
    raw: list[str] = []
    slots = _slots(value)
    for _ in range(times or r.choice((1, 1, 1, 2, 3))):
        if not slots:
            break
        parent, key = r.choice(slots)
        try:
            old = parent[key]
        except (KeyError, IndexError):
            continue  # an earlier change took it away
        match r.randrange(10):
            case 0 | 1:
                parent[key] = _RAW % len(raw)
                raw.append(r.choice(LONG) if often(r, 0.005) else r.choice(SHORT))
            case 2:
                del parent[key]
            case 3:
                other, name = r.choice(slots)
                if type(other) is type(parent) and (name in other if type(other) is dict else name < len(other)):
                    parent[key] = json.loads(json.dumps(other[name]))
            case 4 if type(parent) is dict:
                parent[r.choice((mutate_text(r, key), "x", "custom", key + _TWICE))] = old
            case 5 if type(parent) is dict:
                parent[mutate_text(r, key)] = parent.pop(key)
            case _:
                parent[key] = mutate_value(r, old)
    return _encoded(r, value, raw)


def _encoded(r: Random, value: Any, raw: list[str]) -> bytes:
    style: dict[str, Any] = {"ensure_ascii": False, "separators": (",", ":")}
    if often(r, 0.03):
        style = r.choice(({"ensure_ascii": True}, {"indent": 1}, {"separators": (", ", ": ")}))
    text = json.dumps(value, **style)
    if _TWICE in text:
        text = text.replace(_TWICE, "")
    for number, other in enumerate(raw):
        text = text.replace(f'"{_RAW % number}"', other)
    return text.encode("utf-8", "surrogatepass")


def _slots(value: Any) -> list[tuple[Any, Any]]:
    """Return every place of a JSON value as its parent and key."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if type(one) is dict:
            found += ((one, key) for key in one)
            waiting += one.values()
        elif type(one) is list:
            found += ((one, i) for i in range(len(one)))
            waiting += one
    return found
