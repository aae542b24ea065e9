"""Where bytes of a new file stand in an old one: a thin call into csrc/match/.

The one part of the compiled module that is given plaintext, on the publisher's own machine (docs/threats.md). It has no
fallback: without the compiled module no recipe can be made, but all can be applied.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

try:
    from .._native import ffi as _ffi
    from .._native import lib as _lib

    _lib.capseal_match_find  # noqa: B018 - is it there?
except (ImportError, AttributeError):  # built without a C compiler, or before this was there
    _ffi = _lib = None

WINDOW_BYTES = 32
_EMPTY = 0xFFFFFFFF
_LEAST_STEP_BYTES = 16
_MAX_WINDOWS = 1 << 26  # with table and filter, 640 MiB of memory
_ROWS_AT_ONCE = 1 << 16

MISSING = (
    "to make a recipe from an earlier version takes the compiled module, which is not there: "
    "install a C compiler and Python's headers (Debian: gcc python3-dev), then capseal again"
)

Bytes = NDArray[np.uint8]
Rows = NDArray[np.int64]
"""n x 3: offset in the new file, offset in the base, bytes; in the order of the new file, where none overlap."""


def is_there() -> bool:
    """Say whether there is the compiled module, without which no recipe from an earlier version can be made."""
    return _lib is not None


def find_matches(base: Bytes, fresh: Bytes, *, least_bytes: int) -> Iterator[Rows]:
    """Find what of a new file stands in the base too, in matches of at least so many bytes; give them in batches.

    Takes 9 bytes of memory for each 16 of the base, at most 640 MiB. Raises UsageError without the compiled module.
    """
    if _lib is None:
        raise UsageError(MISSING)
    step = _LEAST_STEP_BYTES
    while len(base) // step > _MAX_WINDOWS:
        step *= 2
    bits = max(10, (2 * (len(base) // step) - 1).bit_length())
    table = np.full(1 << bits, _EMPTY, np.uint32)
    marks = np.zeros(1 << bits, np.uint8)
    index = _ffi.new("capseal_match_index *")
    index.base, index.base_bytes, index.step, index.table_bits = _at(base), len(base), step, bits
    index.table, index.filter = _ffi.from_buffer("uint32_t[]", table), _ffi.from_buffer("uint8_t[]", marks)
    if error := _lib.capseal_match_enter(index):
        raise ValueError(f"the compiled module refused a base of {len(base)} bytes with {-error}")
    place = _ffi.new("capseal_match_place *")
    start = _at(fresh)
    while True:
        rows = np.empty((_ROWS_AT_ONCE, 3), np.int64)
        room = _ffi.from_buffer("uint64_t[]", rows)
        count = _lib.capseal_match_find(index, start, len(fresh), least_bytes, place, room, _ROWS_AT_ONCE)
        yield rows[:count]
        if count < _ROWS_AT_ONCE:
            return


def _at(data: Bytes) -> Any:
    return _ffi.from_buffer("uint8_t[]", data)
