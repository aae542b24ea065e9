"""Files that capseal made: they never ship, and may be replaced where they lie in a folder."""

import os
from collections.abc import Collection

from ..constants import MAGIC

_SEAL_ENDINGS = (b".sealed", b".seal")
_PAYLOAD_ENDING = b".payload"


def is_made_by_capseal(place: bytes) -> bool:
    """Say whether a file is a bundle or a seal, whatever its name is, or the payload beside a seal. Raises OSError."""
    siblings = os.listdir(os.path.dirname(place)) if place.endswith(_PAYLOAD_ENDING) else ()
    return _begins_as_seal(place) or is_sealed(place, siblings)


def is_sealed(place: bytes, siblings: Collection[bytes]) -> bool:
    """Say whether a file is what capseal made: a seal, or the payload beside one."""
    if place.endswith(_PAYLOAD_ENDING):
        place = place.removesuffix(_PAYLOAD_ENDING) + b".seal"
        if os.path.basename(place) not in siblings:
            return False
    elif not place.endswith(_SEAL_ENDINGS):
        return False
    return _begins_as_seal(place)


def _begins_as_seal(place: bytes) -> bool:
    with open(place, "rb", buffering=0) as file:
        return file.read(len(MAGIC)) == MAGIC
