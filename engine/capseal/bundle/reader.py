"""open(): a sealed bundle as a seekable file of plaintext, each segment checked before it is used."""

import errno
import io
import os
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ..constants import SEGMENT_BYTES
from ..crypto.keys import IdentityOrPath
from ..errors import UsageError
from ..format.segment_layout import plain_offset, segment_at
from ..format.signed_index import WHOLE_INDEX_BYTES
from ..format.tree import segment_count
from ..io.source import PathFileOrBytes
from ..native import processors
from ..trust.expect import Expect
from ..trust.store import TrustOrPath
from .opened import OpenedBundle, SealInput, open_bundle

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def open(
    bundle: PathFileOrBytes,
    *,
    identity: IdentityOrPath | Sequence[IdentityOrPath],
    trust: TrustOrPath,
    expect: Expect = Expect(),
    seal: SealInput | None = None,
) -> "SealedFile":
    """Open a sealed bundle for reading its plaintext at any position.

    bundle: a path or a seekable binary file object; the rest is as for unseal(). A read touches only
    the segments that it needs, and checks each against the signed index and its tag. Of an index of more than 8 MiB
    only the level above it is in memory; its blocks are loaded and checked as they are needed. Raises
    RejectedError, here or when a bad segment is read, OSError.
    """
    opened = open_bundle(bundle, trust=trust, expect=expect, seal=seal, whole_index_bytes=WHOLE_INDEX_BYTES)
    return SealedFile(opened, identity=identity, owned=True)


_NONE = -2  # no segment, nor the one before any
_AHEAD_SEGMENTS = 8
_STREAK_SEGMENTS = 4
"""Read-ahead starts after so many segments in a row: more than a read of 1 MiB ever touches."""


class SealedFile(io.RawIOBase):
    """The plaintext of a sealed bundle, as a seekable binary file. Safe to share between threads."""

    def __init__(
        self, opened: OpenedBundle, *, identity: IdentityOrPath | Sequence[IdentityOrPath], owned: bool = False
    ) -> None:
        """owned: close the bundle in the end too, or at once where it cannot be read."""
        # First what close() needs: it runs even where opening fails.
        self._owned = ExitStack()
        if owned:
            self._owned.enter_context(opened)
        self._lock = threading.Lock()
        self._position = 0
        self._streak = 0  # segments read one after the other, the current one included
        self._current = _Slot()
        self._spare: list[_Slot] = []
        self._ahead: deque[tuple[int, Future[_Slot]]] = deque()
        self._pool: ThreadPoolExecutor | None = None
        self._source = opened.source
        self.verified = opened.verified
        self._size = self.verified.statement.content.size
        try:
            if not self._source.seekable:
                raise UsageError(f"{self._source.name}: cannot seek; unseal() reads streams")
            self._cipher = opened.open_cipher(identity)
        except BaseException:
            self._owned.close()
            raise

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
            raise OSError(errno.EINVAL, f"cannot seek to {position}, before the start")
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
                if segment != self._current.segment:
                    self._move_to(segment)
                start = position - plain_offset(segment)
                stop = min(plain_offset(segment + 1), self._size) - plain_offset(segment)
                count = min(len(view) - done, stop - start)
                view[done : done + count] = self._current.plain[start : start + count]
                done += count
                position += count
            self._position = position  # only now: a read that fails has read nothing
            return done

    def readall(self) -> bytes:
        """Return everything from the current position to the end."""
        return self.read(max(0, self._size - self._position)) or b""

    def close(self) -> None:
        """Close the bundle, where it is owned; a file object that the caller opened stays open."""
        if not self.closed:
            self._forget_ahead()
            if self._pool is not None:
                self._pool.shutdown()
            self._owned.close()
        super().close()

    def _move_to(self, segment: int) -> None:
        """Make that segment the current one; in a sequential read, have the next ones loaded meanwhile."""
        self._streak = self._streak + 1 if segment == self._current.segment + 1 else 1
        if self._ahead and self._ahead[0][0] == segment:
            loaded = self._ahead.popleft()[1].result()
            self._spare.append(self._current)
            self._current = loaded
        else:
            self._forget_ahead()
            self._load(segment, self._current)
        if self._streak > _STREAK_SEGMENTS and not self._source.ordered:
            self._read_ahead(segment)

    def _read_ahead(self, segment: int) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(processors(), "capseal-read")
        upcoming = self._ahead[-1][0] + 1 if self._ahead else segment + 1
        last = segment_count(self.verified.statement.payload.size) - 1
        for number in range(upcoming, min(segment + _AHEAD_SEGMENTS, last) + 1):
            slot = self._spare.pop() if self._spare else _Slot()
            try:
                future = self._pool.submit(self._load, number, slot)
            except RuntimeError:  # no thread can be started, or the interpreter is ending: it is read when it is due
                # Where other threads run, one of them may fill the slot all the same: nobody else gets it.
                self._streak = 0
                return
            self._ahead.append((number, future))

    def _forget_ahead(self) -> None:
        for _, future in self._ahead:
            future.cancel()
        self._ahead.clear()

    def _load(self, segment: int, slot: "_Slot") -> "_Slot":
        """Read, check and decrypt a segment into a slot; a failed slot holds no segment."""
        slot.segment = _NONE
        size = self.verified.statement.payload.size
        start = segment * SEGMENT_BYTES
        payload = slot.payload[: min(SEGMENT_BYTES, size - start)]
        count = self._source.read_into(start, payload)
        if count < len(payload):
            raise self.verified.payload_ended(start + count)
        self.verified.check_run(segment, payload)
        self._cipher.decrypt_run(segment, payload, start + len(payload) == size, slot.plain)
        slot.segment = segment
        return slot


class _Slot:
    """Buffers for one segment. segment: the number of the one whose plaintext is in `plain`."""

    __slots__ = ("payload", "plain", "segment")

    def __init__(self) -> None:
        self.segment = _NONE
        self.payload = memoryview(bytearray(SEGMENT_BYTES))
        self.plain = memoryview(bytearray(SEGMENT_BYTES))
