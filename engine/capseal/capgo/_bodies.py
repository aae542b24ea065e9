"""What plugins post: JSON of bounded size, whose members are not authenticated. No I/O."""

import json
from collections.abc import Mapping
from typing import Any

from ..errors import FormatError


def parse_body(body: bytes, place: str, *, most: int) -> Any:
    """Return the JSON value of a body of at most so many bytes. place: what it is called. Raises FormatError."""
    if len(body) > most:
        raise FormatError(f"{place}: {len(body)} bytes, at most {most} are allowed")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise FormatError(f"{place}: not JSON") from None


def text_of(value: Mapping[str, Any], name: str, place: str) -> str:
    """Return a member that is a text and not empty. Raises FormatError."""
    text = value.get(name)
    if type(text) is not str or not text:
        raise FormatError(f"{place}.{name}: expected a string that is not empty")
    return text
