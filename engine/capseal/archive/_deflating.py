"""Deflating the files of a folder: each once, several at a time, kept in a file without a name until it is needed.

By zlib-ng at level 7: a third of the time of zlib's level 9, and not half a percent larger (bench/README.md).
"""

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from zlib_ng import zlib_ng

_LEVEL = 7
_RAW = -15
_CHUNK_BYTES = 1024 * 1024
_WHOLE_BYTES = 8 * _CHUNK_BYTES  # what is held in memory at once, by each thread
_PROBE_BYTES = 64 * 1024
_PROBE_SHRINKS = 0.97

Chunks = Callable[[int], Iterator[bytes]]
"""Gives what the file of that number holds. Raises SourceChangedError, OSError."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What became of one file. at: where its deflated data is in the spool; None where it did not shrink."""

    crc: int
    size: int
    at: int | None


class Deflated:
    """The deflated data of many files. Safe to read from several threads."""

    def __init__(self) -> None:
        self._spool = tempfile.TemporaryFile(buffering=0)
        self._lock = threading.Lock()
        self._end = 0

    def pack(self, sizes: Sequence[int], chunks: Chunks, *, jobs: int) -> list[Packed]:
        """Deflate every file, one of size -1 excepted. Raises what reading raises, OSError."""
        with ThreadPoolExecutor(jobs) as threads:
            futures = [threads.submit(self._pack, size, chunks(number)) for number, size in enumerate(sizes)]
            try:
                return [future.result() for future in futures]
            except BaseException:
                for future in futures:
                    future.cancel()
                raise

    def read(self, packed: Packed, offset: int, size: int) -> bytes:
        """Return part of a file's deflated data."""
        return os.pread(self._spool.fileno(), size, (packed.at or 0) + offset)

    def close(self) -> None:
        """Forget everything."""
        self._spool.close()

    def _pack(self, size: int, chunks: Iterator[bytes]) -> Packed:
        if size <= 0:
            return Packed(0, max(0, size), None)
        if size <= _WHOLE_BYTES:
            data = b"".join(chunks)
            crc = zlib_ng.crc32(data)
            if not _shrinks(data[:_PROBE_BYTES]):
                return Packed(crc, size, None)
            packer = zlib_ng.compressobj(_LEVEL, zlib_ng.DEFLATED, _RAW)
            result = packer.compress(data) + packer.flush()
            return Packed(crc, len(result), self._append(result)) if len(result) < size else Packed(crc, size, None)
        return self._pack_large(size, chunks)

    def _pack_large(self, size: int, chunks: Iterator[bytes]) -> Packed:
        """Deflate a file that is too large to be held, straight into the spool, where no other may write meanwhile."""
        with self._lock:
            crc = packed = 0
            packer = None
            start = self._end
            for number, chunk in enumerate(chunks):
                crc = zlib_ng.crc32(chunk, crc)
                if number == 0 and _shrinks(chunk[:_PROBE_BYTES]):
                    packer = zlib_ng.compressobj(_LEVEL, zlib_ng.DEFLATED, _RAW)
                if packer is not None:
                    packed += self._write(start + packed, packer.compress(chunk))
            if packer is not None:
                packed += self._write(start + packed, packer.flush())
            if packer is None or packed >= size:
                os.ftruncate(self._spool.fileno(), start)
                return Packed(crc, size, None)
            self._end = start + packed
            return Packed(crc, packed, start)

    def _append(self, data: bytes) -> int:
        with self._lock:
            start = self._end
            self._end += len(data)
        self._write(start, data)
        return start

    def _write(self, at: int, data: bytes) -> int:
        view = memoryview(data)
        while view:
            try:
                count = os.pwrite(self._spool.fileno(), view, at)
            except OSError as error:
                raise OSError(error.errno, error.strerror, f"temporary file in {tempfile.gettempdir()}") from None
            at += count
            view = view[count:]
        return len(data)


def _shrinks(head: bytes) -> bool:
    """Say whether it is worth while: what is packed already (images, fonts, video) looks so from its start."""
    return len(head) < _PROBE_BYTES or len(zlib_ng.compress(head, 1, _RAW)) < _PROBE_SHRINKS * len(head)
