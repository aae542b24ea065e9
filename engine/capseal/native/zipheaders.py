"""The headers of a zip's entries, many in one call: for the zip of a folder, and for one that is rebuilt."""

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

try:
    from .._native import ffi as _ffi
    from .._native import lib as _lib

    _lib.capseal_put_directory_of  # noqa: B018 - is it there?
except (ImportError, AttributeError):  # built without a C compiler, or before this was there
    _ffi = _lib = None


def is_there() -> bool:
    """Say whether there is a compiled form, without which headers are made one by one."""
    return _lib is not None


def put_directory_of(
    piece: memoryview, at: int, start: int, headers: tuple[bytes, bytes, bytes], buffer: bytearray
) -> tuple[int, int, int]:
    """Write what the central directory says of the entries whose local headers lie in a piece of a zip, from `at` on.

    start: offset of the piece in the zip; headers: a local one, and those in the directory of a file and of a folder,
    in which method, CRC, sizes, length of the name and offset are open. Returns how many entries there were, how many
    bytes they take in the buffer, and where it ended (capseal_zipheaders.h says where it does).
    """
    place, count = _ffi.new("size_t *", at), _ffi.new("size_t *")
    views = _ffi.from_buffer("uint8_t[]", piece), _ffi.from_buffer("uint8_t[]", buffer)
    written = _lib.capseal_put_directory_of(views[0], len(piece), start, *headers, place, count, views[1], len(buffer))
    return count[0], written, place[0]


class ZipEntries:
    """What the headers of a zip's entries say, but for the CRC-32, where all of it fits into a plain zip's fields.

    names: a folder's with a final '/'; packed, sizes: bytes; starts: offset of each local header.
    """

    def __init__(
        self,
        names: Sequence[bytes],
        methods: Sequence[int],
        packed: Sequence[int],
        sizes: Sequence[int],
        starts: Sequence[int],
    ) -> None:
        name_at = accumulate([len(name) + 1 for name in names], initial=0)
        self._kept = (  # alive, since a struct in C keeps nothing so
            _ffi.from_buffer(b"\0".join(names) + b"\0"),
            *map(_column, (list(name_at), methods, packed, sizes, starts)),
        )
        self._entries = _ffi.new("capseal_zip_entries *", self._kept)

    def put_local_headers(
        self, first: int, last: int, crcs: Sequence[int], fixed: bytes, start: int, buffer: memoryview
    ) -> None:
        """Write the headers of entries first to last - 1 into a buffer that begins at that offset and holds them.

        crcs: theirs; fixed: one in which method, CRC, sizes and length of the name are open.
        """
        out = _ffi.from_buffer("uint8_t[]", buffer)
        _lib.capseal_put_local_headers(self._entries, first, last, _column(crcs), fixed, start, out)

    def put_directory(self, crcs: Sequence[int], file: bytes, folder: bytes, buffer: bytearray) -> None:
        """Write the central directory into a buffer that it just fills. file, folder: headers of either, as above."""
        out = _ffi.from_buffer("uint8_t[]", buffer)
        _lib.capseal_put_directory(self._entries, len(crcs), _column(crcs), file, folder, out)


def _column(values: Sequence[int]) -> Any:
    return _ffi.from_buffer("int64_t[]", array("q", values))
