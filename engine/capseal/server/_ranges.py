"""Range and Content-Range as this server answers them (capseal.http.ranges). No I/O."""

import re
from collections.abc import Mapping

from ..http import ranges
from ..http.problems import CONTENT_RANGE, RANGE
from ..http.shapes import Span
from ._problems import Problem

_CONTENT_RANGE = re.compile(r"bytes (?P<first>[0-9]{1,19})-(?P<last>[0-9]{1,19})/(?P<size>[0-9]{1,19})")


def parse_content_range(header: str, size: int) -> Span:
    """Return the span of `Content-Range: bytes a-b/size` on an upload. Raises Problem 400."""
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is not None:
        first, last = int(match["first"]), int(match["last"])
        if int(match["size"]) == size and first <= last < size:
            return first, last + 1
    raise Problem(CONTENT_RANGE, f"{header[:100]!r} is not a range of the {size} bytes that the seal says")


def wanted_spans(headers: Mapping[str, str], size: int, etag: str, *, most: int) -> list[Span] | None:
    """Return the spans to send, or None for everything. Raises Problem 416."""
    try:
        return ranges.wanted_spans(headers, size, etag, most=most)
    except ranges.UnsatisfiableRangeError as error:
        raise Problem(RANGE, str(error), headers=error.headers) from error
