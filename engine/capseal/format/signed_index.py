"""What every segment of a payload must be: the index behind a signed digest (docs/format.md, Tree and index)."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..constants import BLOCK_BYTES, DIGEST_BYTES, SEGMENT_BYTES
from ..errors import TamperedError, TruncatedError
from .statement import Payload
from .tree import differing, digest, index_entries, level_above, segment_count

WHOLE_INDEX_BYTES: Final = 8 * 1024**2
"""A larger index, of a payload of more than 128 GiB, is not held in memory where it can be loaded again."""

Load = Callable[[int, int], bytes | memoryview]
"""load(offset, size) returns that many bytes of an index, fewer where it ends; nobody vouches for where it lies."""

_KEPT_BLOCKS = 16


class HeldEntries:
    """The entries of a large index, by slices: in memory is the level of the tree above them, 1/128 of them.

    Each block is held against its digest there whenever it is loaded; some that were used last are kept.
    """

    __slots__ = ("_kept", "_level", "_load", "_lock", "_size")

    def __init__(self, level: bytes, size: int, load: Load) -> None:
        """level: gives the signed digest; size: of all entries, in bytes."""
        self._level = level
        self._size = size
        self._load = load
        self._kept: dict[int, bytes] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, span: slice) -> bytes:
        """Return entries by their offset in bytes. Raises TamperedError, TruncatedError, and what loading them does."""
        start, stop, _ = span.indices(self._size)
        if start >= stop:
            return b""
        first, last = start // BLOCK_BYTES, (stop - 1) // BLOCK_BYTES
        whole = self._blocks(first, last + 1)
        return whole[start - first * BLOCK_BYTES : stop - first * BLOCK_BYTES]

    @property
    def memory_bytes(self) -> int:
        """What they take in memory."""
        return len(self._level) + _KEPT_BLOCKS * BLOCK_BYTES

    def _blocks(self, first: int, stop: int) -> bytes:
        if stop - first > _KEPT_BLOCKS:
            return self._loaded(first, stop)
        with self._lock:
            kept = [self._kept.get(number) for number in range(first, stop)]
        if all(block is not None for block in kept):
            return b"".join(block for block in kept if block is not None)
        data = self._loaded(first, stop)
        with self._lock:
            for number in range(first, stop):
                at = (number - first) * BLOCK_BYTES
                self._kept.pop(number, None)
                self._kept[number] = data[at : at + BLOCK_BYTES]
            while len(self._kept) > _KEPT_BLOCKS:
                del self._kept[next(iter(self._kept))]
        return data

    def _loaded(self, first: int, stop: int) -> bytes:
        offset = first * BLOCK_BYTES
        expected = min(stop * BLOCK_BYTES, self._size) - offset
        data = bytes(self._load(offset, expected))
        if len(data) != expected:
            raise TruncatedError(
                f"index ends at byte {offset + len(data)}, {offset + expected} are expected",
                expected=offset + expected,
                actual=offset + len(data),
            )
        if level_above(data) != self._level[first * DIGEST_BYTES : stop * DIGEST_BYTES]:
            raise TamperedError(
                f"index differs from the signed digest between its bytes {offset} and {offset + expected}; "
                "it is corrupt or was altered"
            )
        return data


@dataclass(frozen=True, slots=True)
class SignedIndex:
    """What every segment of a payload must be. entries: 32 bytes per segment, which give the payload's digest."""

    payload: Payload
    entries: bytes | HeldEntries

    @classmethod
    def checked(cls, payload: Payload, entries: bytes) -> "SignedIndex":
        """Return the index of a payload whose size and digest are signed. Raises TruncatedError, TamperedError."""
        expected = DIGEST_BYTES * segment_count(payload.size)
        if len(entries) != expected:
            raise TruncatedError(
                f"index has {len(entries)} bytes, a payload of {payload.size} bytes needs {expected}",
                expected=expected,
                actual=len(entries),
            )
        found = digest(entries, payload.size)
        if found != payload.digest:
            raise _no_index(found, payload.digest)
        return cls(payload, entries)

    @classmethod
    def held(cls, payload: Payload, level: bytes, load: Load) -> "SignedIndex":
        """Return the index of a payload of more than one segment, by the level above it. Raises TamperedError."""
        size = DIGEST_BYTES * segment_count(payload.size)
        if size <= DIGEST_BYTES or digest(level, payload.size) != payload.digest:
            raise _no_index(digest(level, payload.size), payload.digest)
        return cls(payload, HeldEntries(level, size, load))

    def whole(self) -> bytes:
        """Return all entries."""
        return self.entries[:]

    @property
    def memory_bytes(self) -> int:
        """What it takes in memory."""
        return self.entries.memory_bytes if isinstance(self.entries, HeldEntries) else len(self.entries)

    def check_run(self, first: int, data: memoryview) -> None:
        """Raise TamperedError at the first segment of a run that differs."""
        self.check_entries(first, index_entries(data, whole_payload=self.payload.size == len(data)))

    def check_entries(self, first: int, found: bytes) -> None:
        """The same for segments whose index entries were computed already, 32 bytes each."""
        start = first * DIGEST_BYTES
        compare_entries(first, found, self.entries[start : start + len(found)])

    def payload_ended(self, actual: int) -> TruncatedError:
        """Return the error for a payload of another size than the signed one."""
        return payload_ended(self.payload, actual)


def compare_entries(first: int, found: bytes, expected: bytes) -> None:
    """Raise TamperedError at the first of the segments from `first` on whose entry is not the expected one.

    found, expected: 32 bytes for each.
    """
    if found == expected:
        return
    at = int(differing(found, expected)[0])
    ours, signed = _shown(found[at * DIGEST_BYTES :]), _shown(expected[at * DIGEST_BYTES :])
    segment = first + at
    offset = segment * SEGMENT_BYTES
    raise TamperedError(
        f"segment {segment} at byte {offset}: digest {ours} differs from {signed} in the signed index; "
        "the payload is corrupt or was altered",
        segment=segment,
        offset=offset,
    )


def _no_index(found: bytes, signed: bytes) -> TamperedError:
    return TamperedError(
        f"index gives digest {_shown(found)}, {_shown(signed)} is signed; it is corrupt or was altered"
    )


def payload_ended(payload: Payload, actual: int) -> TruncatedError:
    """Return the error for a payload of another size than the signed one."""
    expected = payload.size
    how = "ends early" if actual < expected else "goes on after its end"
    return TruncatedError(f"payload {how}: {actual} bytes, the seal says {expected}", expected=expected, actual=actual)


def _shown(digest: bytes) -> str:
    return digest[:8].hex() + "…"
