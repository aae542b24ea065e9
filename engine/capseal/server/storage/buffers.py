"""Memory that is used again: the first touch of fresh pages costs as much as to hash what is put there."""

import mmap


class Buffers:
    """Buffers of one size, kept for whoever needs one next, in any thread."""

    def __init__(self, size_bytes: int, *, most: int) -> None:
        """most: how many are kept while nobody uses them."""
        self._size_bytes = size_bytes
        self._most = most
        self._spare: list[memoryview] = []

    def take(self) -> memoryview:
        """Return a buffer whose content is whatever it was."""
        # Neither a bytearray, which is zeroed at once, nor NumPy's huge pages, each zeroed when it is first
        # touched: both hold up whoever asks for milliseconds.
        try:
            return self._spare.pop()
        except IndexError:
            return memoryview(mmap.mmap(-1, self._size_bytes))

    def give(self, buffer: memoryview) -> None:
        """Take a buffer back that nobody else reads any more."""
        if len(self._spare) < self._most:
            self._spare.append(buffer)
