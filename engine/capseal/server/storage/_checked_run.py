"""Bytes of one stored run on their way to a socket: read, checked and written by whatever thread has the time."""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ...constants import DIGEST_BYTES, SEGMENT_BYTES
from ...errors import TransferError
from ...format.signed_index import SignedIndex
from ...native.checkedsend import CheckedSpan
from .buffers import Buffers
from .stored_runs import StoredRun


class CheckedRun:
    """Bytes of a payload that lie in one stored run, sent segment by segment, each once it was checked.

    close() it: file and buffer are let go of once no thread uses them any more.
    """

    def __init__(
        self, index: SignedIndex, run: StoredRun, file: int, buffers: Buffers, *, start: int, stop: int
    ) -> None:
        """Take bytes [start, stop) of a payload of more than one block, whose entry would be its leaf.

        file: the run's, open, and this object's from now on; buffers: of a segment each.
        """
        self._index = index
        self._run = run
        self._file = file
        self._buffers = buffers
        self._buffer: memoryview | None = buffers.take()
        self._is_closed = False
        self._in_use = threading.Lock()
        base = run.first * SEGMENT_BYTES
        self._span = CheckedSpan(
            file,
            index.entries[run.first * DIGEST_BYTES : run.stop * DIGEST_BYTES],
            self._buffer,
            start=start - base,
            stop=stop - base,
            end=run.bytes_of(index.payload.size),
        )
        self.size = stop - start

    def check_first(self) -> None:
        """Read and check the first segment, before anything is sent. Raises RejectedError, TransferError, OSError."""
        with self._used() as is_open:
            if is_open:
                self._span.check()

    def push(self, to: int) -> int:
        """Write what a socket takes just now; return how many bytes: none where this is closed.

        Raises BlockingIOError where it takes nothing; RejectedError, TransferError, OSError: nothing wrong was written.
        """
        with self._used() as is_open:
            return self._span.send(to) if is_open else 0

    def close(self) -> None:
        """Let go of file and buffer, now or by the thread that uses them."""
        self._is_closed = True
        self._release_unless_used()

    @contextmanager
    def _used(self) -> Iterator[bool]:
        try:
            with self._in_use:
                try:
                    yield not self._is_closed
                except OSError as error:
                    self._explain(error)
                    raise
        finally:
            if self._is_closed:
                self._release_unless_used()

    def _explain(self, error: OSError) -> None:
        """Raise what is wrong with the stored run, where that is what an error says."""
        path = self._run.path(self._index.payload.digest.hex())
        number = self._span.at // SEGMENT_BYTES
        if error.errno == errno.ENODATA:
            expected = number * SEGMENT_BYTES + len(self._span.segment)
            size = os.fstat(self._file).st_size
            raise TransferError(f"storage: {path} ends at byte {size}, {expected} are expected") from error
        if error.errno == errno.EBADMSG:
            self._index.check_run(self._run.first + number, self._span.segment)

    def _release_unless_used(self) -> None:
        if not self._in_use.acquire(blocking=False):
            return  # whoever uses it looks again afterwards
        try:
            if self._buffer is not None:
                os.close(self._file)
                self._buffers.give(self._buffer)
                self._buffer = None
        finally:
            self._in_use.release()
