"""What a worker does: seal, verify or unseal a span of segments. Each is a function of its arguments alone.

What it is given goes through pickle and shows no secret; what it returns is public. Doing it again, anywhere, gives
the same bytes.
"""

from dataclasses import dataclass

from ..bundle.pipeline import RUN_SEGMENTS
from ..constants import DIGEST_BYTES, SEGMENT_BYTES
from ..crypto.segment_cipher import Header, SegmentCipher, StreamKey
from ..errors import SourceChangedError, TamperedError
from ..format.segment_layout import payload_bytes_of, plain_offset
from ..format.signed_index import compare_entries
from ..format.tree import index_entries, segment_count
from ._claims import Claims
from ._outputs import Output
from ._plan import Span, parts
from ._sources import Input

_CLAIMED_SIZE_BYTES = 8


@dataclass(frozen=True, slots=True)
class SealWork:
    """What is to be sealed. header: the payload's first 40 bytes; resumed: some of it may have been sent before."""

    source: Input
    output: Output
    claims: Claims
    header: bytes
    key: StreamKey
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class VerifyWork:
    """What is to be verified. source: a payload, all of it."""

    source: Input
    part_segments: int


@dataclass(frozen=True, slots=True)
class UnsealWork:
    """What is to be verified and opened."""

    verify: VerifyWork
    output: Output
    header: bytes
    key: StreamKey


def seal_span(work: SealWork, span: Span) -> bytes:
    """Encrypt, claim and store a span, part by part; return its index entries, 32 bytes per segment.

    Raises SourceChangedError, TamperedError where the destination holds something else, TransferError, OSError.
    """
    cipher = SegmentCipher.of_stream(work.key, Header.parse(work.header))
    most = min(span.segments, work.output.part_segments)
    plain, out = _buffer(most), _buffer(most)
    entries = bytearray()
    for part in parts(span, part_segments=work.output.part_segments):
        work.claims.check_open()
        sent = _sent_before(work, part) if work.resumed else None
        if sent is not None and work.source.is_told:
            entries += sent
            continue
        payload, found = _encrypted(work.source, cipher, part, plain, out)
        # Before the first byte of it leaves: a store that refuses a part has seen it all the same.
        work.claims.claim(part.part_name, len(payload).to_bytes(_CLAIMED_SIZE_BYTES, "big") + found)
        if sent is not None:
            entries += found  # the source still has what was sent of it
            continue
        there = work.output.put(part, payload, part.first * SEGMENT_BYTES)
        if there is not None and there != payload:
            raise TamperedError(
                f"{part.part_name}: the destination holds other bytes than what was claimed and sent",
                segment=part.first,
                offset=part.first * SEGMENT_BYTES,
            )
        entries += found
    return bytes(entries)


def _sent_before(work: SealWork, part: Span) -> bytes | None:
    """Return the index entries of a part that is there as it was claimed, or None where it has to be sent.

    Raises SourceChangedError where it is there and nobody claimed it.
    """
    there = work.output.size_of(part)  # before its claim, which came first
    said = work.claims.said(part.part_name)
    if said is None and there is not None:
        raise SourceChangedError(
            f"{part.part_name}: was sent, and its claim is gone; without it nobody can tell whether the source changed"
        )
    if said is None or len(said) != _CLAIMED_SIZE_BYTES + part.segments * DIGEST_BYTES:
        return None
    size = int.from_bytes(said[:_CLAIMED_SIZE_BYTES], "big")
    return said[_CLAIMED_SIZE_BYTES:] if there == size else None


def _encrypted(
    source: Input, cipher: SegmentCipher, part: Span, plain: memoryview, out: memoryview
) -> tuple[memoryview, bytes]:
    """Return a part's ciphertext, in `out`, and its index entries: run by run, each while it is in the cache."""
    total = segment_count(payload_bytes_of(source.size))
    stop = min(plain_offset(part.stop), source.size)
    # One request for what is far away.
    whole = None if source.near else source.read(plain_offset(part.first), plain[: stop - plain_offset(part.first)])
    entries = bytearray()
    size = 0
    for run in parts(part, part_segments=RUN_SEGMENTS):
        start, end = plain_offset(run.first), min(plain_offset(run.stop), stop)
        if whole is None:
            data = source.read(start, plain[: end - start])
        else:
            data = whole[start - plain_offset(part.first) : end - plain_offset(part.first)]
        payload = cipher.encrypt_run(run.first, data, run.stop == total, out[size:])
        entries += index_entries(payload, whole_payload=total == 1)
        size += len(payload)
    return out[:size], bytes(entries)


def verify_span(work: VerifyWork, span: Span, expected: bytes) -> int:
    """Compare a span with its entries in the signed index, 32 bytes per segment; return how many bytes it has.

    Raises TamperedError, TruncatedError, SourceChangedError, TransferError, OSError.
    """
    done = 0
    buffer = _buffer(min(span.segments, work.part_segments))
    for part in parts(span, part_segments=work.part_segments):
        for _, data in _checked_runs(work, part, expected[(part.first - span.first) * DIGEST_BYTES :], buffer):
            done += len(data)
    return done


def unseal_span(work: UnsealWork, span: Span, expected: bytes) -> int:
    """Verify a span as verify_span() does, write its plaintext, and return how many bytes of payload it has."""
    cipher = SegmentCipher.of_stream(work.key, Header.parse(work.header))
    source = work.verify.source
    total = segment_count(source.size)
    most = min(span.segments, work.verify.part_segments)
    buffer, out = _buffer(most), _buffer(min(most, RUN_SEGMENTS))
    done = 0
    for part in parts(span, part_segments=work.verify.part_segments):
        for run, data in _checked_runs(work.verify, part, expected[(part.first - span.first) * DIGEST_BYTES :], buffer):
            plain = cipher.decrypt_run(run.first, data, run.stop == total, out)
            work.output.put(run, plain, plain_offset(run.first))
            done += len(data)
    return done


def _checked_runs(work: VerifyWork, part: Span, expected: bytes, buffer: memoryview) -> "list[tuple[Span, memoryview]]":
    """Return the runs of a part, each compared with its entries first."""
    source = work.source
    start, stop = part.first * SEGMENT_BYTES, min(part.stop * SEGMENT_BYTES, source.size)
    data = source.read(start, buffer[: stop - start])
    runs = []
    for run in parts(part, part_segments=RUN_SEGMENTS):
        at = (run.first - part.first) * SEGMENT_BYTES
        piece = data[at : at + run.segments * SEGMENT_BYTES]
        entries_at = (run.first - part.first) * DIGEST_BYTES
        found = index_entries(piece, whole_payload=len(piece) == source.size)
        compare_entries(run.first, found, expected[entries_at : entries_at + run.segments * DIGEST_BYTES])
        runs.append((run, piece))
    return runs


def _buffer(segments: int) -> memoryview:
    return memoryview(bytearray(segments * SEGMENT_BYTES))
