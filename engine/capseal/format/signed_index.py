"""What every segment of a payload must be: the index behind a signed digest (docs/format.md, Tree and index)."""

from dataclasses import dataclass

from ..constants import DIGEST_BYTES, SEGMENT_BYTES
from ..errors import TamperedError, TruncatedError
from .statement import Payload
from .tree import differing, digest, index_entries, segment_count


@dataclass(frozen=True, slots=True)
class SignedIndex:
    """What every segment of a payload must be. entries: 32 bytes per segment, which give the payload's digest."""

    payload: Payload
    entries: bytes

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
            raise TamperedError(
                f"index gives digest {_shown(found)}, {_shown(payload.digest)} is signed; it is corrupt or was altered"
            )
        return cls(payload, entries)

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


def payload_ended(payload: Payload, actual: int) -> TruncatedError:
    """Return the error for a payload of another size than the signed one."""
    expected = payload.size
    how = "ends early" if actual < expected else "goes on after its end"
    return TruncatedError(f"payload {how}: {actual} bytes, the seal says {expected}", expected=expected, actual=actual)


def _shown(digest: bytes) -> str:
    return digest[:8].hex() + "…"
