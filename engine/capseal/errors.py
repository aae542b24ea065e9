"""Every exception that capseal raises on purpose.

CapsealError
├── RejectedError            the bundle is not acceptable
│   ├── FormatError            bytes do not parse                      .offset
│   ├── SignatureError         no sufficient trusted signature
│   ├── TamperedError          a digest or tag does not match          .segment .offset
│   ├── TruncatedError         ended early, or bytes after the end     .expected .actual
│   ├── NotForUsError          wrong app, channel, role; no recipient key
│   ├── RollbackError          sequence at or below what was trusted   .floor .sequence
│   └── StaleError             nothing fresh says that this is current
├── KeyFileError             a key, passphrase or trust store cannot be used
├── SourceChangedError       the input changed while it was being read
├── TransferError            network; safe to retry
└── UsageError(RuntimeError) the caller's mistake, e.g. write after finish

A RejectedError says "this bundle is bad"; anything else, OSError included, says "could not check".
"""


class CapsealError(Exception):
    """Base of every exception that capseal raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle an error with its members, as a pool of processes does to bring it home."""
        return CapsealError._restored, (type(self), self.args, self.__dict__)

    @staticmethod
    def _restored(
        kind: "type[CapsealError]", arguments: tuple[object, ...], members: dict[str, object]
    ) -> "CapsealError":
        error = kind.__new__(kind, *arguments)
        error.__dict__.update(members)
        return error


class RejectedError(CapsealError):
    """The bundle is not acceptable; nothing of it may be used."""


class FormatError(RejectedError):
    """Bytes do not parse as docs/format.md says.

    offset: where in the parsed bytes, or None where no one place is to blame.
    """

    def __init__(self, message: str, *, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


class SignatureError(RejectedError):
    """No sufficient signature by trusted keys."""


class TamperedError(RejectedError):
    """A digest, commitment or tag does not match what was signed.

    segment: number of the segment, offset: its first byte in the payload; None where no one
    segment is to blame.
    """

    def __init__(self, message: str, *, segment: int | None = None, offset: int | None = None) -> None:
        super().__init__(message)
        self.segment = segment
        self.offset = offset


class TruncatedError(RejectedError):
    """The input ended early, or went on after its signed end. expected, actual: sizes in bytes."""

    def __init__(self, message: str, *, expected: int, actual: int) -> None:
        super().__init__(message)
        self.expected = expected
        self.actual = actual


class NotForUsError(RejectedError):
    """Signed and whole, but for another app, channel or role, or for other recipients."""


class RollbackError(RejectedError):
    """The sequence is at or below the floor that was trusted before."""

    def __init__(self, message: str, *, floor: int, sequence: int) -> None:
        super().__init__(message)
        self.floor = floor
        self.sequence = sequence


class StaleError(RejectedError):
    """Nothing fresh says that this is current: the head has expired or is missing, or the bundle is too old."""


class KeyFileError(CapsealError):
    """A key file, passphrase or trust store cannot be used."""


class SourceChangedError(CapsealError):
    """The input changed while it was being read."""


class TransferError(CapsealError):
    """The network failed; the same call may succeed later."""


class UsageError(CapsealError, RuntimeError):
    """The caller's mistake, such as feeding a verifier that has finished."""
