"""What a project's trust store was before: kept beside its configuration, since the release log is read by it.

A folder with a file for each version: the first store as it was, then the updates, as devices follow them.
"""

import os
from collections.abc import Iterable, Iterator

from ..errors import RejectedError, UsageError
from ..format.dsse import Envelope
from ..io.drafts import replace_file, write_new
from ..io.durable import make_folders
from ..trust.store import TrustStore
from ..trust.updates import UPDATE_TYPE, read_update, stores_before

FOLDER = "updates"
_MAX_BYTES = 16 * 1024 * 1024


def keep(folder: str, before: TrustStore, updates: Iterable[bytes]) -> None:
    """Keep a store that gives way to another, and the updates that lead from it, which were accepted.

    folder: of the project. Raises UsageError where another update of a version is there, OSError.
    """
    make_folders(os.path.join(folder, FOLDER))
    if kept(folder, before.version) is None:
        write_new(_path(folder, before.version), before.to_json(), mode=0o644)
    for update in updates:
        version = read_update(update)[1].version
        there = kept(folder, version)
        if there is None:
            write_new(_path(folder, version), update, mode=0o644)
        elif there != update:
            if not _same(there, update):
                raise UsageError(f"{_path(folder, version)}: is not the update to version {version}: move it away")
            replace_file(_path(folder, version), update, mode=0o644)  # signed by more now


def past(folder: str, store: TrustStore) -> Iterator[TrustStore]:
    """Yield the versions of a project's store that came before it, the newest first. Raises FormatError, OSError."""
    return stores_before(store, lambda version: kept(folder, version))


def _path(folder: str, version: int) -> str:
    return os.path.join(folder, FOLDER, f"{version}.json")


def kept(folder: str, version: int) -> bytes | None:
    """Return what is kept of a version: the update that brings it, or the store itself. Raises OSError."""
    try:
        with open(_path(folder, version), "rb") as file:
            return file.read(_MAX_BYTES)
    except FileNotFoundError:
        return None


def _same(one: bytes, other: bytes) -> bool:
    """Tell whether two envelopes are of one update, whoever signed them."""
    try:
        return Envelope.parse(one).payload_of(UPDATE_TYPE) == Envelope.parse(other).payload_of(UPDATE_TYPE)
    except RejectedError:
        return False
