"""JSON as the format allows it: UTF-8, no duplicate members, no floats, integers up to 2^53-1 (RFC 8259, RFC 7493)."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Any, NoReturn, TypeVar

from ..constants import MAX_INTEGER, MAX_NESTING
from ..errors import FormatError

T = TypeVar("T")


def parse(data: bytes, where: str) -> Any:
    """Parse one JSON text strictly. where: what it is, for messages. Raises FormatError."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{where} at byte {error.start}: not UTF-8", offset=error.start) from None
    try:
        value = _DECODER.decode(text)
        _check_nesting(value)
        # Escapes can spell lone surrogates, which no UTF-8 text can hold.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise FormatError(f"{where} at character {error.pos}: {error.msg}", offset=error.pos) from None
    except UnicodeEncodeError:
        raise FormatError(f"{where}: lone surrogate in a string") from None
    except RecursionError:
        raise FormatError(f"{where}: nested deeper than {MAX_NESTING} levels") from None
    except _ForbiddenError as error:
        raise FormatError(f"{where}: {error}") from None
    return value


def encode(value: object) -> bytes:
    """Return the one encoding that we write: UTF-8, no white space, members as ordered in `value`."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


class _ForbiddenError(Exception):
    """A construct that JSON has and the format has not."""


def _reject_number(text: str) -> NoReturn:
    raise _ForbiddenError(f"number {text[:32]} is not an integer")


def _integer(text: str) -> int:
    if len(text) > 17 or abs(value := int(text)) > MAX_INTEGER:
        raise _ForbiddenError(f"integer {text[:32]} is beyond 2^53-1")
    if text == "-0":
        raise _ForbiddenError("number -0 is not an integer")
    return value


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        counts = Counter(name for name, _ in members)
        twice = next(name for name in counts if counts[name] > 1)
        raise _ForbiddenError(f"member {twice[:64]!r} appears twice")
    return value


def _check_nesting(value: Any) -> None:
    # Deterministic: the interpreter's own limit depends on who calls, and on its version.
    level = [value] if type(value) in (dict, list) else []
    for _ in range(MAX_NESTING):
        children = (child for item in level for child in (item.values() if type(item) is dict else item))
        level = [child for child in children if type(child) in (dict, list)]
        if not level:
            return
    raise _ForbiddenError(f"nested deeper than {MAX_NESTING} levels")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_reject_number, parse_int=_integer, parse_constant=_reject_number
)


class Members:
    """The members of one JSON object, taken one by one; what is missing, extra or mistyped raises FormatError."""

    def __init__(self, value: Any, where: str, *, required: Collection[str], optional: Iterable[str] = ()) -> None:
        if type(value) is not dict:
            raise FormatError(f"{where}: expected an object, found {_kind(value)}")
        for name in required:
            if name not in value:
                raise FormatError(f"{where}: member {name!r} is missing")
        for name in value:
            if name not in required and name not in optional:
                raise FormatError(f"{where}: unknown member {name[:64]!r}")
        self._value: dict[str, Any] = value
        self._where = where

    def __contains__(self, name: str) -> bool:
        return name in self._value

    def place(self, name: str) -> str:
        """Return how messages name that member."""
        return f"{self._where}.{name}"

    def take(self, name: str, kind: type[T]) -> T:
        """Return a member of exactly that JSON type."""
        value = self._value[name]
        if type(value) is not kind:
            raise FormatError(f"{self.place(name)}: expected {_NAMES[kind]}, found {_kind(value)}")
        return value

    def text(self, name: str, check: Callable[[str, str], str]) -> str:
        """Return a string member that passed `check(value, place)`."""
        return check(self.take(name, str), self.place(name))

    def integer(self, name: str, *, least: int, most: int = MAX_INTEGER) -> int:
        """Return an integer member within bounds."""
        value = self.take(name, int)
        if not least <= value <= most:
            raise FormatError(f"{self.place(name)}: {value} is not from {least} to {most}")
        return value

    def array(self, name: str, *, least: int, most: int) -> list[Any]:
        """Return an array member with an allowed number of items."""
        value: list[Any] = self.take(name, list)
        if not least <= len(value) <= most:
            raise FormatError(f"{self.place(name)}: {len(value)} items, from {least} to {most} are allowed")
        return value


_NAMES: dict[type, str] = {
    str: "a string",
    int: "an integer",
    list: "an array",
    dict: "an object",
    bool: "a boolean",
    type(None): "null",
}


def _kind(value: Any) -> str:
    return _NAMES[type(value)]
