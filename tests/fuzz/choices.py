"""Decisions taken from bytes, so that a coverage-guided fuzzer steers what a target draws."""

import hashlib
from random import Random


class Choices(Random):
    """Draws from bytes, and behind their end from numbers that those bytes determine."""

    def __new__(cls, data: bytes) -> "Choices":
        return super().__new__(cls)

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._rest: Random | None = None
        super().__init__()

    def getrandbits(self, k: int) -> int:
        """Return the next k bits."""
        size = (k + 7) // 8
        piece = self._data[self._at : self._at + size]
        self._at += size
        if len(piece) < size:
            if self._rest is None:
                self._rest = Random(hashlib.sha256(self._data).digest())
            piece += self._rest.randbytes(size - len(piece))
        return int.from_bytes(piece, "little") >> (8 * size - k)

    def random(self) -> float:
        """Return a number below 1; two bytes are fine enough for what is drawn here."""
        return self.getrandbits(16) / (1 << 16)

    def randbytes(self, n: int) -> bytes:
        """Return n bytes."""
        return self.getrandbits(8 * n).to_bytes(n, "little") if n else b""
