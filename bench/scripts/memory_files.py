"""Files in memory whose reads and writes cost as little as can be."""

import io
from typing import Any


class FreeSource(io.RawIOBase):
    """A seekable file of that many bytes whose reads cost nothing: the buffer keeps what it holds."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size - self._position)
        self._position += count
        return count


class MemorySource(FreeSource):
    """The same over real bytes, which are copied."""

    def __init__(self, data: memoryview) -> None:
        super().__init__(len(data))
        self._data = data

    def readinto(self, buffer: Any) -> int:
        start = self._position
        count = super().readinto(buffer)
        buffer[:count] = self._data[start : start + count]
        return count


class FreeSink(io.RawIOBase):
    """A seekable file that drops what is written."""

    def __init__(self) -> None:
        self._position = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset
        return offset

    def write(self, data: Any) -> int:
        self._position += len(data)
        return len(data)


class KeptSink(FreeSink):
    """A file in memory, to make a bundle that can be verified."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._data = bytearray(size)
        self._end = 0

    def write(self, data: Any) -> int:
        self._data[self._position : self._position + len(data)] = data
        count = super().write(data)
        self._end = max(self._end, self._position)
        return count

    def bundle(self) -> memoryview:
        """What was written."""
        return memoryview(self._data)[: self._end]
