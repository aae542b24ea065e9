"""What a storage says of an object: in a listing, and as it was when it was read."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore import UpdateVersion


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of a listing. size: bytes."""

    path: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as it was when it was read, which is what swap() demands to be there still."""

    data: bytes
    modified: datetime
    e_tag: str | None
    version: str | None

    @property
    def mode(self) -> "UpdateVersion":
        """How obstore is told."""
        # A member that is None is an error to it, not one that is missing.
        said: UpdateVersion = {}
        if self.e_tag is not None:
            said["e_tag"] = self.e_tag
        if self.version is not None:
            said["version"] = self.version
        return said
