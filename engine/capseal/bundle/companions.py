"""Companions: further payloads that a seal vouches for, each with its own index (docs/format.md, Companions)."""

import os
from contextlib import closing

from ..constants import SEGMENT_BYTES
from ..errors import FormatError, TamperedError, TruncatedError, UsageError
from ..format.signed_index import SignedIndex
from ..format.statement import Companion, Payload
from ..format.strictjson import check_name
from ..format.tree import digest, index_entries
from ..io.source import Source, open_source

_RUN_BYTES = 4 * SEGMENT_BYTES


def describe(path: str | os.PathLike[str], *, media_type: str, name: str | None = None) -> Companion:
    """Return what makes a seal vouch for a file as it is; give it to capseal.seal().

    name: as which it is published, by default that of the file. Reads the file once. Raises UsageError
    where the name cannot stand in a URL or the file is empty, SourceChangedError, OSError.
    """
    try:
        name = check_name(name or os.path.basename(path), "companion")
    except FormatError as error:
        raise UsageError(str(error)) from None
    with closing(open_source(path)) as source:
        size, entries = _read(source)
    if size == 0:
        raise UsageError(f"{os.fspath(path)!r}: empty, there is nothing to vouch for")
    return Companion(name, media_type, size, digest(entries, size))


def checked_index(companion: Companion, source: Source) -> SignedIndex:
    """Return a companion's index, once all of a source was read and is what the seal vouches for.

    Raises TruncatedError, TamperedError, SourceChangedError, OSError.
    """
    size, entries = _read(source)
    if size != companion.size:
        raise TruncatedError(
            f"{source.name}: {size} bytes, the seal vouches for {companion.size} as {companion.name}",
            expected=companion.size,
            actual=size,
        )
    if digest(entries, size) != companion.digest:
        raise TamperedError(f"{source.name}: not what the seal vouches for as {companion.name}, or altered")
    return SignedIndex(Payload(companion.size, companion.digest), entries)


def _read(source: Source) -> tuple[int, bytes]:
    """Read a source to its end and return its size and index."""
    buffer = memoryview(bytearray(_RUN_BYTES))
    size, entries = 0, bytearray()
    while count := source.read_into(size, buffer):
        entries += index_entries(buffer[:count], whole_payload=not entries)
        size += count
    source.check_unchanged()
    return size, bytes(entries)
