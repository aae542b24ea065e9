"""A server's store among what is to ship, told by the file that says so (docs/server.md, Storage)."""

import os
import re
from typing import Final

from ..errors import UsageError

STORE_FILE: Final = b"store.json"

_STORE_TYPE = re.compile(rb'\s*\{\s*"type"\s*:\s*"capseal-store-')
"""How it begins, which an app's own file of that name does not."""
_READ_BYTES = 256


def check_no_store(folder: str) -> None:
    """Raise UsageError where a folder is one that `capseal serve` keeps releases in, OSError."""
    if is_store(os.fsencode(folder)):
        raise UsageError(
            f"{folder}: a server's store, as its {STORE_FILE.decode()} says, and not what ships; "
            "keep app and store in folders of their own"
        )


def is_store(folder: bytes) -> bool:
    """Return whether a folder is a server's store. Raises OSError."""
    place = os.path.join(folder, STORE_FILE)
    if not os.path.isfile(place):
        return False
    with open(place, "rb") as file:
        return _STORE_TYPE.match(file.read(_READ_BYTES)) is not None
