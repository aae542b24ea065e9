"""open(): a sealed bundle as a seekable file of plaintext, each segment checked before it is used."""

import io
import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from .acceptance import Expect
from .errors import UsageError
from .keys import Identity
from .params import SEGMENT_BYTES
from .segments import plain_offset, segment_at
from .source import PathOrFile
from .trust import TrustStore
from .unsealing import open_cipher
from .verifying import SealInput, open_bundle

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def open(
    bundle: PathOrFile,
    *,
    identity: Identity | Sequence[Identity],
    trust: TrustStore,
    expect: Expect = Expect(),
    seal: SealInput | None = None,
) -> "SealedFile":
    """Open a sealed bundle for reading its plaintext at any position.

    bundle: a path or a seekable binary file object; the rest is as for unseal(). A read touches only
    the segments that it needs, and checks each against the signed index and its tag. Raises
    RejectedError, here or when a bad segment is read, OSError.
    """
    return SealedFile(bundle, identity=identity, trust=trust, expect=expect, seal=seal)


class SealedFile(io.RawIOBase):
    """The plaintext of a sealed bundle, as a seekable binary file. Safe to share between threads."""

    def __init__(
        self,
        bundle: PathOrFile,
        *,
        identity: Identity | Sequence[Identity],
        trust: TrustStore,
        expect: Expect,
        seal: SealInput | None,
    ) -> None:
        self._opened = ExitStack()  # close() runs even where the rest fails
        with ExitStack() as stack:
            self._source, self.verified = stack.enter_context(
                open_bundle(bundle, trust=trust, expect=expect, seal=seal)
            )
            if not self._source.seekable:
                raise UsageError(f"{self._source.name}: cannot seek; unseal() reads streams")
            self._cipher = open_cipher(self._source, self.verified, identity)
            self._opened = stack.pop_all()
        self._size = self.verified.statement.content.size
        self._lock = threading.Lock()
        self._position = 0
        self._cached = -1  # number of the segment whose plaintext is in _plain
        self._payload = memoryview(bytearray(SEGMENT_BYTES))
        self._plain = memoryview(bytearray(SEGMENT_BYTES))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
        if whence not in bases:
            raise ValueError(f"whence is {whence}, expected 0, 1 or 2")
        position = bases[whence] + offset
        if position < 0:
            raise ValueError(f"cannot seek to {position}, before the start")
        self._position = position
        return position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill the buffer from the current position; fewer bytes only at the end. Raises TamperedError."""
        if self.closed:
            raise ValueError("read from a closed file")
        with memoryview(buffer).cast("B") as view, self._lock:
            done = 0
            position = self._position
            while done < len(view) and position < self._size:
                segment = segment_at(position)
                if segment != self._cached:
                    self._load(segment)
                start = position - plain_offset(segment)
                stop = min(plain_offset(segment + 1), self._size) - plain_offset(segment)
                count = min(len(view) - done, stop - start)
                view[done : done + count] = self._plain[start : start + count]
                done += count
                position += count
            self._position = position  # only now: a read that fails has read nothing
            return done

    def readall(self) -> bytes:
        """Return everything from the current position to the end."""
        return self.read(max(0, self._size - self._position)) or b""

    def close(self) -> None:
        """Close the bundle; a file object that the caller opened stays open."""
        if not self.closed:
            self._opened.close()
        super().close()

    def _load(self, segment: int) -> None:
        size = self.verified.statement.payload.size
        start = segment * SEGMENT_BYTES
        payload = self._payload[: min(SEGMENT_BYTES, size - start)]
        self._cached = -1
        count = self._source.read_into(start, payload)
        if count < len(payload):
            raise self.verified.payload_ended(start + count)
        self.verified.check_run(segment, payload)
        self._cipher.decrypt_run(segment, payload, start + len(payload) == size, self._plain)
        self._cached = segment
