"""Private keys in what is to be shipped: PEM anywhere in a file, in UTF-8 or UTF-16, found as the file is read.

Code and notes that speak of keys have the label alone, but never as the first thing; a key has its data behind it.
"""

import os
import re

from ..errors import UsageError
from ..native.search import contains

_TELLTALE = b"PRIVATE KEY"  # without its dashes, whose runs in other text would slow the search down
_RARE = _TELLTALE.index(b"V")  # of its letters the one that texts have least
_SEAM_BYTES = 2 * 4096  # a label, line breaks and the start of the data behind them, in UTF-16

KEY_ENDINGS = (b".pem", b".key", b".p8", b".capgo_key_v2", b".capgo_key")
MAX_KEY_BYTES = 64 * 1024
"""A larger file is more than a key, whatever its name is."""

LABEL = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----")
_DASHES = rb"(?:-{5}|(?:\\+(?:u00|x)2[dD]|&\#(?:45|x2[dD]);){5})"  # escaped in JSON, in code, in HTML
_KEY = re.compile(
    _DASHES
    + rb"""BEGIN\ [A-Z0-9\ ]*PRIVATE\ KEY(?:\ BLOCK)?"""
    + _DASHES
    + rb"""
    (?: \s
        | \\+ (?: [rn\r\n] | u000[AaDd] | x0[AaDd] )  # line breaks in code, in JSON that is in JSON
        | ["'`] \s* (?: [+,.] \s* )? ["'`] | \$\{\w{0,64}\}  # what makes lines one text in code
        | <br\s?/?> | &\#(?:1[03]|x[AaDd]);  # and in HTML
        | \# | // | \*  # lines of a comment
        | (?: [A-Za-z][A-Za-z0-9-]{0,31} : [^\n]{0,200} \n ){1,8} \r? \n  # headers (RFC 1421, 4.4)
    )*
    (?: [A-Za-z0-9+/]{16} | (?: [A-Za-z0-9+/]{8,} \s{1,8} ){2} | Proc-Type: )""",
    re.VERBOSE,
)


def hints_at_private_key(data: memoryview | bytes) -> bool:
    """Say whether any of the files in a stretch of data may hold a private key: nearly always none, at once."""
    return contains(data, _TELLTALE, rare=_RARE)


def holds_private_key(data: bytes) -> bool:
    """Say whether a file, or a file's start, holds a private key in PEM: its label and what follows it."""
    return hints_at_private_key(data) and bool(LABEL.match(data) or _has_key(data))


def refuse_label(place: bytes) -> None:
    """Raise UsageError where a small file has the label of a private key anywhere; OSError."""
    with open(place, "rb") as file:
        if LABEL.search(file.read(MAX_KEY_BYTES)):
            raise private_key_found(os.fsdecode(place))


def private_key_found(path: str) -> UsageError:
    """Return the error of a folder in which that file is, or holds, a private key."""
    return UsageError(f"{path}: a private key, which would be shipped; move it out of the folder")


class KeySearch:
    """Looks for a private key in a file that is given piece by piece."""

    def __init__(self) -> None:
        self._end: bytes | None = None

    def feed(self, piece: bytes) -> bool:
        """Say whether one was found in this piece, or where it begins in the one before."""
        before, self._end = self._end, piece[-_SEAM_BYTES:]
        if before is None:
            return holds_private_key(piece)
        if len(piece) < _SEAM_BYTES:
            self._end = (before + piece)[-_SEAM_BYTES:]
        return any(hints_at_private_key(part) and _has_key(part) for part in (before + piece[:_SEAM_BYTES], piece))


def _has_key(data: bytes) -> bool:
    # Of UTF-16 every second byte, whichever they are.
    return any(_KEY.search(part) for part in (data, data[::2], data[1::2]))
