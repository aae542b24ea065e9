"""Sealed bundles where fleets find them: one file or object, or parts in a folder with the seal beside them."""

import io
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from ..bundle.opened import accept_detached, unwrap_session_key
from ..bundle.reading_order import Steps, Verified, accept_seal
from ..constants import DIGEST_BYTES, MAX_ENVELOPE_BYTES, SEGMENT_BYTES
from ..crypto.keys import Identity
from ..crypto.segment_cipher import Header, StreamKey, check_commitment
from ..errors import FormatError, TruncatedError, UsageError
from ..format.seal import seal_bytes_of
from ..format.tree import segment_count
from ..io.source import open_source
from ..trust.expect import Expect
from ..trust.store import TrustStore
from . import _places as places
from ._jobs import Task
from ._plan import MAX_PART_SEGMENTS, PART_SEGMENTS, Span, parts, tasks
from ._sources import Input, PinnedFile, PinnedObject, StoredParts, pin
from ._work import VerifyWork

T = TypeVar("T")

SEAL = "seal"
"""The last object of a folder of parts: without it the others mean nothing."""


@dataclass(frozen=True, slots=True)
class FleetBundle:
    """A bundle whose seal was authenticated. place: where it is; work: what reads its payload."""

    place: str
    verified: Verified
    work: VerifyWork

    def tasks(self, task_segments: int) -> Iterator[Task[Span]]:
        """Yield the tasks that read all of the payload: each with its span and the entries of that."""
        size = self.verified.statement.payload.size
        entries = self.verified.seal.index
        for span in tasks(segment_count(size), task_segments=task_segments, part_segments=self.work.part_segments):
            expected = entries[span.first * DIGEST_BYTES : span.stop * DIGEST_BYTES]
            yield Task(span, (self.work, span, expected), payload_bytes(span, size))

    def open_key(self, identity: Identity | Sequence[Identity]) -> tuple[StreamKey, Header]:
        """Return what opens the payload, checked against its commitment. Raises RejectedError, OSError."""
        verified = self.verified
        first = memoryview(bytearray(min(SEGMENT_BYTES, verified.statement.payload.size)))
        data = self.work.source.read(0, first)
        verified.check_run(0, data)
        header = Header.parse(data)
        session_key = unwrap_session_key(verified, identity)
        statement = verified.statement
        check_commitment(session_key, header, statement.app, statement.encryption.commitment)
        return StreamKey.of(session_key, header, statement.app), header


def payload_bytes(span: Span, size: int) -> int:
    """Return how many bytes of a payload of that size a span has."""
    return min(span.stop * SEGMENT_BYTES, size) - span.first * SEGMENT_BYTES


def open_fleet_bundle(place: str, *, trust: TrustStore, expect: Expect) -> FleetBundle:
    """Authenticate a bundle's seal; of its payload no more than its size is looked at.

    place: a path or URL of an attached bundle, or of a folder of parts. Raises RejectedError, UsageError,
    TransferError, OSError.
    """
    folder = places.folder_of_parts(place)
    if folder is not None:
        verified = accept_detached(seal_of_parts(place), trust, expect)
        return FleetBundle(place, verified, _stored_parts(folder, verified))
    source = pin(place)
    verified = _pulled(accept_seal(trust, expect), source)
    payload = source.from_offset(len(verified.seal.encode()))
    size = verified.statement.payload.size
    if payload.size != size:
        raise verified.payload_ended(payload.size)
    return FleetBundle(place, verified, VerifyWork(payload, PART_SEGMENTS))


def seal_of_parts(place: str) -> bytes:
    """Return the seal of a folder of parts, read by nobody yet.

    Raises UsageError where it has none, FormatError where it is larger than one of these parts can be, TransferError.
    """
    folder = places.folder_of_parts(place)
    seal = None if folder is None else places.get_all(folder, SEAL, most=_most_seal_bytes(folder))
    if seal is None:
        raise UsageError(f"{place}: holds no seal; its job did not end, or it is no folder of parts")
    return seal


def _most_seal_bytes(folder: str) -> int:
    """Return the size of the largest seal that the parts in a folder can have."""
    # By their names: what stands in place of a part may have any size.
    spans = filter(None, (Span.of_part(one.name) for one in places.listed(folder)))
    segments = sum(span.segments for span in spans)
    return seal_bytes_of(MAX_ENVELOPE_BYTES, segments * SEGMENT_BYTES)


def _pulled(steps: Steps[T], source: PinnedFile | PinnedObject) -> T:
    """Give a reader what it asks for, from the start of a source."""
    position = 0
    try:
        wanted = next(steps)
        while True:
            if position + wanted > source.size:
                raise TruncatedError(
                    f"{source.name}: ends at byte {source.size}, within its seal",
                    expected=position + wanted,
                    actual=source.size,
                )
            data = bytes(source.read(position, memoryview(bytearray(wanted))))
            position += wanted
            wanted = steps.send(data)
    except StopIteration as stop:
        result: T = stop.value
        return result


def _stored_parts(folder: str, verified: Verified) -> VerifyWork:
    """Return what reads the parts of a folder, all of which are there, and nothing else."""
    size = verified.statement.payload.size
    segments = segment_count(size)
    there = {one.name: one.size for one in places.listed(folder) if one.name != SEAL}
    first = next((span for name in there if (span := Span.of_part(name)) and span.first == 0), None)
    if first is None or first.segments > MAX_PART_SEGMENTS:
        raise TruncatedError(f"{folder}: its first part is missing", expected=size, actual=0)
    whole = parts(Span(0, segments), part_segments=first.segments)
    wanted = {part.part_name: payload_bytes(part, size) for part in whole}
    for name in sorted(wanted.keys() | there.keys()):
        if name not in wanted:
            raise FormatError(f"{folder}/{name}: is no part of the payload")
        if there.get(name) != wanted[name]:
            found = there.get(name, 0)
            how = f"{found} bytes" if name in there else "missing"
            raise TruncatedError(
                f"{folder}/{name}: {how}, {wanted[name]} are expected", expected=wanted[name], actual=found
            )
    return VerifyWork(StoredParts(folder, size, first.segments), first.segments)


def source_of(source: Input) -> "io.BufferedReader":
    """Return a pinned source as a file object, read in any order."""
    return io.BufferedReader(_Readable(source), SEGMENT_BYTES)


class _Readable(io.RawIOBase):
    """A pinned source as a raw stream."""

    def __init__(self, source: Input) -> None:
        self.name = source.name
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer)[: max(0, self._source.size - self._at)]
        if view:
            data = self._source.read(self._at, view)
            if data is not view:
                view[:] = data
        self._at += len(view)
        return len(view)


def check_unpackable(source: Input, name: str, media_type: str) -> None:
    """Refuse, before it is sealed, what a device would refuse to unpack, as capseal.seal() does. Raises UsageError."""
    from ..archive.content import check_content

    with closing(open_source(source_of(source))) as opened:
        check_content(opened, name, media_type)
