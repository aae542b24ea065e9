"""Where segments lie in plaintext and payload (docs/format.md, Payload); sizes and offsets are in bytes."""

from ..constants import HEADER_BYTES, MAX_SEGMENTS, SEGMENT_BYTES, TAG_BYTES
from ..errors import FormatError

PLAIN_BYTES = SEGMENT_BYTES - TAG_BYTES
"""Plaintext bytes of every full segment but the first."""

FIRST_PLAIN_BYTES = PLAIN_BYTES - HEADER_BYTES
"""Plaintext bytes of a full first segment, which also holds the header."""

MAX_CONTENT_BYTES = MAX_SEGMENTS * PLAIN_BYTES - HEADER_BYTES


def payload_bytes_of(content_bytes: int) -> int:
    """Return the payload's size for that many plaintext bytes."""
    segments = -(-(content_bytes + HEADER_BYTES) // PLAIN_BYTES)  # never 0: the header counts
    return HEADER_BYTES + content_bytes + segments * TAG_BYTES


def content_bytes_of(payload_bytes: int, place: str) -> int:
    """Return how many plaintext bytes a payload of that size holds. Raises FormatError where none has that size."""
    segments = -(-payload_bytes // SEGMENT_BYTES)
    content_bytes = payload_bytes - HEADER_BYTES - segments * TAG_BYTES
    if content_bytes < 0 or payload_bytes_of(content_bytes) != payload_bytes:
        raise FormatError(f"{place}: {payload_bytes} bytes are no stream of whole segments, each with its tag")
    return content_bytes


def plain_offset(segment: int) -> int:
    """Return the offset in the plaintext of a segment's first byte."""
    return max(0, segment * PLAIN_BYTES - HEADER_BYTES)


def segment_at(plain_position: int) -> int:
    """Return the number of the segment that holds that plaintext offset."""
    return (plain_position + HEADER_BYTES) // PLAIN_BYTES
