"""Range and the conditional headers (RFC 9110, sections 13 and 14). No I/O."""

import re
from collections.abc import Mapping

from .shapes import Span

_RANGE = re.compile(r"bytes=\s*(?P<specs>[0-9\-, \t]+)", re.IGNORECASE)
_SPEC = re.compile(r"(?P<first>[0-9]{0,19})-(?P<last>[0-9]{0,19})")


class UnsatisfiableRangeError(Exception):
    """No byte of what a Range header asks for exists, or it asks for too many. headers: of the answer."""

    def __init__(self, detail: str, size: int) -> None:
        super().__init__(detail)
        self.headers = {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}


def parse_range(header: str, size: int, *, most: int) -> list[Span] | None:
    """Return the spans that a Range header asks for, or None where it is to be ignored.

    A unit other than bytes, or a header that does not parse, is ignored (RFC 9110, 14.2). Spans that
    touch or overlap are joined, in the place of the first of them (15.3.7.2), so that no byte is sent twice.
    Raises UnsatisfiableRangeError.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        return None
    specs = [spec.strip() for spec in match["specs"].split(",")]
    specs = [spec for spec in specs if spec]
    if len(specs) > most:
        raise UnsatisfiableRangeError(f"{len(specs)} ranges, at most {most} are allowed", size)
    spans: list[Span] = []
    for spec in specs:
        parts = _SPEC.fullmatch(spec)
        if parts is None or not (parts["first"] or parts["last"]):
            return None
        span = _span(parts["first"], parts["last"], size)
        if span is None:
            return None
        if span[0] >= span[1]:
            continue
        _join(spans, span)
    if not spans:
        raise UnsatisfiableRangeError(f"no byte of {header[:100]!r} is inside {size} bytes", size)
    return spans


def _join(spans: list[Span], span: Span) -> None:
    """Add a span to those that do not touch one another."""
    start, stop = span
    touched = [at for at, one in enumerate(spans) if one[0] <= stop and start <= one[1]]
    if not touched:
        spans.append(span)
        return
    whole = min(start, *(spans[at][0] for at in touched)), max(stop, *(spans[at][1] for at in touched))
    for at in reversed(touched[1:]):
        del spans[at]
    spans[touched[0]] = whole


def _span(first: str, last: str, size: int) -> Span | None:
    if not first:
        return max(0, size - int(last)), size
    start = int(first)
    if not last:
        return start, size
    if int(last) < start:
        return None
    return start, min(int(last) + 1, size)


def lists_etag(header: str, etag: str) -> bool:
    """Tell whether an If-Match or If-None-Match header names an entity tag; every tag here is strong."""
    tags = [tag.strip() for tag in header.split(",")]
    return "*" in tags or etag in tags or f"W/{etag}" in tags


def precondition(headers: Mapping[str, str], etag: str) -> int | None:
    """Return 412 or 304 where the conditional headers say so (RFC 9110, 13.2.2)."""
    if "if-match" in headers and not lists_etag(headers["if-match"].replace(f"W/{etag}", ""), etag):
        return 412
    if "if-none-match" in headers and lists_etag(headers["if-none-match"], etag):
        return 304
    return None


def wanted_spans(headers: Mapping[str, str], size: int, etag: str, *, most: int) -> list[Span] | None:
    """Return the spans to send, or None for everything: Range, unless If-Range names another entity.

    Raises UnsatisfiableRangeError.
    """
    if "range" not in headers or headers.get("if-range", etag) != etag:
        return None
    return parse_range(headers["range"], size, most=most)
