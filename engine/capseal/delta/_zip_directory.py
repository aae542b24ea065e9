"""The directory of one of capseal's own zips, made again from the zip as it passes (docs/delta.md, Directory)."""

from ..archive.headers import (
    MOST_ENTRY_BYTES,
    directory_entry,
    end_records,
    local_header_length,
    put_directory_entries,
    read_local_header,
)
from ..archive.local_headers import LOCAL
from ..errors import FormatError


class DirectoryMaker:
    """Is fed what stands in front of the directory, in order, and gives the directory.

    most_bytes: how large it may become. Memory: the directory, and 128 KiB.
    """

    def __init__(self, *, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._entries = bytearray()
        self._made = bytearray(2 * MOST_ENTRY_BYTES)  # entries that were made together last
        self._count = 0
        self._at = 0  # of what comes next
        self._next = 0  # where the next header starts
        self._head = bytearray()  # of a header that has come in part

    def feed(self, piece: memoryview) -> None:
        """Take what comes next. Raises FormatError where it is no zip of capseal's own making."""
        start, self._at = self._at, self._at + len(piece)
        while self._next + len(self._head) < self._at:
            if not self._head:
                count, made_bytes, after = put_directory_entries(piece, self._next - start, start, self._made)
                if count:
                    self._next = start + after
                    self._take(count, memoryview(self._made)[:made_bytes])
                    continue
            done = self._next + len(self._head) - start
            needed = LOCAL.size
            if len(self._head) >= LOCAL.size:
                needed = local_header_length(bytes(self._head[: LOCAL.size])) or 0
            self._head += piece[done : done + needed - len(self._head)]
            if len(self._head) < needed:
                return
            if needed == LOCAL.size and (local_header_length(bytes(self._head)) or 0) > needed:
                continue  # the name comes now
            self._take_one(bytes(self._head))

    def finish(self) -> bytes:
        """Return the directory and the end records. Raises FormatError unless the last entry has just ended."""
        if self._at != self._next or self._head:
            raise FormatError(f"recipe: its zip ends at byte {self._at}, in the middle of entry {self._count}")
        return bytes(self._entries) + end_records(self._count, len(self._entries), self._at)

    def _take_one(self, head: bytes) -> None:
        found = read_local_header(head)
        if found is None:
            raise FormatError(f"recipe: no header of capseal's own at byte {self._next} of the zip that it rebuilds")
        name, method, crc, packed, size = found
        entry = directory_entry((name, method, crc, packed, size, self._next))
        self._next += len(head) + packed
        self._head.clear()
        self._take(1, memoryview(entry))

    def _take(self, count: int, entries: memoryview) -> None:
        if len(self._entries) + len(entries) > self._most_bytes:
            raise FormatError(f"recipe: its zip's directory has more than the {self._most_bytes} bytes declared")
        self._entries += entries
        self._count += count
