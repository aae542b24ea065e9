"""JSON as the format allows it, and the values in it, of which each has one spelling (docs/format.md, Conventions).

UTF-8, no duplicate members, no floats, integers up to 2^53-1 (RFC 8259, RFC 7493). Every check takes a
value and its place, for messages, and returns the value or raises FormatError.
"""

import binascii
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from ..constants import MAX_INTEGER, MAX_NESTING, MAX_TEXT_CHARS
from ..errors import FormatError

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
# The hours by the pattern: from 3.14 on, Python takes 24:00:00 for the next midnight.
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z")


class Role(StrEnum):
    """What a key may vouch for, and what a bundle is meant for."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


def parse(data: bytes, where: str) -> Any:
    """Parse one JSON text strictly. where: what it is, for messages. Raises FormatError."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{where} at byte {error.start}: not UTF-8", offset=error.start) from None
    try:
        value = _DECODER.decode(text)
        _check_nesting(value)
        # Escapes can spell lone surrogates, which no UTF-8 text can hold. Without them there are none, and of a
        # large text the encoder would not let go of the interpreter's lock.
        if "\\u" in text:
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

    def role(self, name: str) -> Role:
        """Return a role."""
        text = self.take(name, str)
        try:
            return Role(text)
        except ValueError:
            known = " or ".join(repr(role.value) for role in Role)
            raise FormatError(f"{self.place(name)}: {text[:64]!r} is unknown, expected {known}") from None

    def base64(self, name: str) -> bytes:
        """Return the bytes of a base64 member."""
        return from_base64(self.take(name, str), self.place(name))

    def time(self, name: str) -> datetime:
        """Return a member that is a time: UTC, whole seconds."""
        text = self.take(name, str)
        try:
            # The spelling first: a time with another offset than Z can lie beyond the calendar when it is moved to UTC.
            if _TIME.fullmatch(text):
                return datetime.fromisoformat(text)
        except ValueError:
            pass
        raise FormatError(f"{self.place(name)}: {text[:64]!r} is not a time such as 2026-11-22T21:30:00Z")

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


def check_name(value: str, place: str) -> str:
    """Return an app id or channel name: letters, digits, '.', '_' and '-', at most 128."""
    if not _NAME.fullmatch(value):
        raise FormatError(
            f"{place}: {value[:64]!r} is not a name of 1 to 128 letters, digits, '.', '_' or '-' "
            "that starts with a letter or digit"
        )
    return value


def check_text(value: str, place: str) -> str:
    """Return a short printable string."""
    if not 1 <= len(value) <= MAX_TEXT_CHARS or not value.isprintable():
        raise FormatError(f"{place}: {value[:64]!r} is not 1 to {MAX_TEXT_CHARS} printable characters")
    return value


def check_file_name(value: str, place: str) -> str:
    """Return a file's bare name."""
    if value in (".", "..") or "/" in value or "\\" in value:
        raise FormatError(f"{place}: {value[:64]!r} is not a bare file name")
    return check_text(value, place)


def check_media_type(value: str, place: str) -> str:
    """Return a media type without parameters, in lower case (RFC 6838, section 4.2)."""
    if not _MEDIA_TYPE.fullmatch(value):
        raise FormatError(f"{place}: {value[:64]!r} is not a media type")
    return value


def check_fingerprint(value: str, place: str) -> str:
    """Return a key fingerprint: 64 hex digits in lower case."""
    if not _FINGERPRINT.fullmatch(value):
        raise FormatError(f"{place}: {value[:72]!r} is not 64 hex digits in lower case")
    return value


def shown_time(time: datetime) -> str:
    """Return a time as the format writes it: UTC, whole seconds."""
    # Not strftime(), which writes the year 26 as "26" on some platforms.
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def to_base64(data: bytes) -> str:
    """Return padded standard base64 (RFC 4648, section 4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def from_base64(value: str, place: str) -> bytes:
    """Decode base64 in its one canonical spelling."""
    try:
        data = binascii.a2b_base64(value, strict_mode=True)
    except (binascii.Error, ValueError):
        raise FormatError(f"{place}: not base64") from None
    if to_base64(data) != value:
        raise FormatError(f"{place}: not the canonical base64 of its bytes")
    return data
