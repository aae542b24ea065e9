"""Whole numbers of 1 to 8 bytes, 7 bits each, the low ones first, the shortest form only (docs/delta.md, Numbers)."""

from collections.abc import Iterable

from ..errors import FormatError

_MAX_BYTES = 8


def put_varints(out: bytearray, numbers: Iterable[int]) -> None:
    """Append numbers from 0 to 2^56 - 1."""
    for number in numbers:
        rest = number
        while rest > 0x7F:
            out.append(rest & 0x7F | 0x80)
            rest >>= 7
        out.append(rest)


def unsigned(number: int) -> int:
    """Return the number that stands for a signed one: 0, -1, 1, -2 … are 0, 1, 2, 3 …"""
    return 2 * number if number >= 0 else -2 * number - 1


def signed(numbers: Iterable[int]) -> list[int]:
    """Return the signed numbers that some stand for."""
    return [-(number + 1 >> 1) if number & 1 else number >> 1 for number in numbers]


class Varints:
    """The numbers of some bytes, taken in order. where: what they are, for messages."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._where = where
        self._at = 0

    def one(self) -> int:
        """Take one. Raises FormatError."""
        return self.many(1)[0]

    def count(self, what: str) -> int:
        """Take a count of things of at least a byte each, which must be there. Raises FormatError."""
        number = self.one()
        if number > len(self._data) - self._at:
            raise FormatError(f"{self._where}: {number} {what} in {len(self._data)} bytes", offset=self._at)
        return number

    def many(self, count: int) -> list[int]:
        """Take so many. Raises FormatError."""
        data, at, numbers = self._data, self._at, []
        try:
            for _ in range(count):
                byte = data[at]
                at += 1
                if byte < 0x80:
                    numbers.append(byte)
                    continue
                second = data[at]
                if 0 < second < 0x80:  # most are this short
                    at += 1
                    numbers.append(byte & 0x7F | second << 7)
                    continue
                number, shift, start = byte & 0x7F, 7, at - 1
                while byte >= 0x80 and at - start < _MAX_BYTES:
                    byte = data[at]
                    at += 1
                    number |= (byte & 0x7F) << shift
                    shift += 7
                if byte == 0 or byte >= 0x80:
                    raise FormatError(
                        f"{self._where}: the number at byte {start} is not in its shortest form",
                        offset=start,
                    )
                numbers.append(number)
        except IndexError:
            raise FormatError(f"{self._where}: {len(data)} bytes end in the middle of a number", offset=at) from None
        self._at = at
        return numbers

    def finish(self) -> None:
        """Raise FormatError unless all bytes are taken."""
        if self._at != len(self._data):
            raise FormatError(
                f"{self._where}: {len(self._data)} bytes, instructions end at {self._at}", offset=self._at
            )
