"""Bytes of a file to a socket, none before its segment was digested and compared: in one call, without the GIL."""

import errno
import os
from dataclasses import dataclass
from typing import Any

from ..constants import DIGEST_BYTES, SEGMENT_BYTES
from . import hashing

try:
    from .._native import ffi as _ffi
    from .._native import lib as _lib

    _lib.capseal_send_checked  # noqa: B018 - is it there?
except (ImportError, AttributeError):  # built without a C compiler, or before this was there
    _ffi = _lib = None

_NOWHERE = -1


@dataclass(slots=True)
class _Span:
    """capseal_checked_span of csrc/file/capseal_checkedsend.h, where there is no compiled module."""

    at: int
    stop: int
    end: int
    held_from: int = 0
    held_to: int = 0


class CheckedSpan:
    """Bytes [start, stop) of a file of whole segments, of which only the last may be short, on their way out.

    What is written is what was digested: it is not read again. At most one thread uses it at a time.
    """

    def __init__(self, file: int, entries: bytes, buffer: memoryview, *, start: int, stop: int, end: int) -> None:
        """Open nothing: file and buffer are the caller's, for as long as this is used.

        file: open for reading; entries: index entries of the file's segments, 32 bytes each; buffer: of a segment,
        which nobody else touches; end: the file's size.
        """
        if not 0 <= start <= stop <= end or len(entries) * SEGMENT_BYTES < end * DIGEST_BYTES:
            raise ValueError(f"bytes {start} to {stop} of {end}, with {len(entries)} bytes of index entries")
        if len(buffer) != SEGMENT_BYTES:
            raise ValueError(f"a buffer of {len(buffer)} bytes is not of a segment")
        self._file = file
        self._entries = entries
        self._buffer = buffer
        number = hashing.kernel_number()
        if _lib is None or number is None:
            self._span: Any = _Span(start, stop, end)
            self._send = self._send_in_python
        else:
            self._span = _ffi.new("capseal_checked_span *", {"at": start, "stop": stop, "end": end})
            self._send = self._send_compiled
        self._number = number

    @property
    def at(self) -> int:
        """Which byte of the file is to be sent next."""
        return int(self._span.at)

    @property
    def segment(self) -> memoryview:
        """What was read of the segment that at is in, where it differed."""
        first = self.at - self.at % SEGMENT_BYTES
        return self._buffer[: min(SEGMENT_BYTES, self._span.end - first)]

    def check(self) -> None:
        """Read and compare the segment that is to be sent next. Raises as send() does."""
        self._told(self._send(_NOWHERE))

    def send(self, to: int) -> int:
        """Write to a descriptor that does not block, until it takes no more; return how many bytes.

        Raises BlockingIOError where it takes nothing now. OSError with EBADMSG where the next segment is not what it
        must be, with ENODATA where the file ends within it, and as reading and writing do; never after it wrote.
        """
        return self._told(self._send(to))

    def _told(self, result: int) -> int:
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result

    def _send_compiled(self, to: int) -> int:
        entries, buffer = _ffi.from_buffer("uint8_t[]", self._entries), _ffi.from_buffer("uint8_t[]", self._buffer)
        return int(_lib.capseal_send_checked(self._number, self._file, self._span, entries, to, buffer))

    def _send_in_python(self, to: int) -> int:
        span, sent = self._span, 0
        try:
            while span.at < span.stop:
                if not span.held_from <= span.at < span.held_to:
                    self._hold()
                if to == _NOWHERE:
                    break
                until = min(span.held_to, span.stop)
                done = os.write(to, self._buffer[span.at - span.held_from : until - span.held_from])
                span.at += done
                sent += done
        except OSError as error:
            return sent or -(error.errno or errno.EIO)
        return sent

    def _hold(self) -> None:
        """Have the segment that at is in in the buffer, compared. Raises OSError."""
        span, number = self._span, self._span.at // SEGMENT_BYTES
        span.held_from = span.held_to = number * SEGMENT_BYTES
        segment = self.segment
        done = 0
        while done < len(segment):
            count = os.preadv(self._file, [segment[done:]], span.held_from + done)
            if count == 0:
                raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
            done += count
        if hashing.segment_digests(segment) != self._entries[number * DIGEST_BYTES :][:DIGEST_BYTES]:
            raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG))
        span.held_to = span.held_from + len(segment)
