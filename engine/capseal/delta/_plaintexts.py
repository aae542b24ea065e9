"""Both plaintexts of a recipe in the making, as files without names that are mapped: the page cache has them."""

import hashlib
import mmap
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np

from ..archive.directory import read_end
from ..errors import FormatError, SourceChangedError
from ..io.source import Source
from ..native.matching import Bytes
from ._base import Base
from ._recipe import MAX_DIRECTORY_BYTES
from ._zip_directory import DirectoryMaker

_CHUNK_BYTES = 4 * 1024 * 1024


@contextmanager
def mapped_base(base: Base) -> Iterator[Bytes]:
    """Give the whole base string. Raises SourceChangedError, OSError."""

    def read(at: int, buffer: memoryview) -> int:
        piece = buffer[: base.layout.size - at]
        if piece:
            base.read_into(at, piece)
        return len(piece)

    with tempfile.TemporaryFile(buffering=0) as file:
        _fill(file, read)
        with _mapped(file) as data:
            yield data


@dataclass(frozen=True, slots=True)
class NewContent:
    """What a recipe shall rebuild, for one recipe or several.

    data: the payload's header, if any, and all of the content but a directory that follows from it; digest: SHA-256 of
    header and content; sizes in bytes.
    """

    data: Bytes
    header_bytes: int
    directory_bytes: int
    digest: bytes

    @property
    def bytes(self) -> int:
        """How much is rebuilt."""
        return len(self.data) + self.directory_bytes


@contextmanager
def new_content(source: Source, *, payload_header: bytes = b"") -> Iterator[NewContent]:
    """Give all that a source has, behind a payload's header. Raises SourceChangedError, OSError."""
    header_bytes = len(payload_header)
    sha256 = hashlib.sha256(payload_header)

    def read(at: int, buffer: memoryview) -> int:
        count = source.read_into(at, buffer)
        sha256.update(buffer[:count])
        return count

    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(payload_header)
        size = _fill(file, read)
        if source.size is not None and size != source.size:
            raise SourceChangedError(f"{source.name}: {size} bytes could be read, {source.size} were there before")
        source.check_unchanged()
        with _mapped(file) as data:
            directory_bytes = own_directory_bytes(data[header_bytes:], _directory_at(source))
            yield NewContent(data[: len(data) - directory_bytes], header_bytes, directory_bytes, sha256.digest())


def _directory_at(source: Source) -> int:
    """Return where the directory of a zip starts; its end where it is no zip."""
    size = source.size or 0
    if not source.seekable:
        return size
    try:
        return read_end(source.peek, size).start
    except FormatError:
        return size


def own_directory_bytes(data: Bytes, directory_at: int) -> int:
    """Return how long the directory is that follows from the rest of a zip; 0 where it does not, or is not there.

    directory_at: where it starts.
    """
    if directory_at >= len(data):
        return 0
    view = data.data
    maker = DirectoryMaker(most_bytes=min(MAX_DIRECTORY_BYTES, len(view)))
    try:
        for at in range(0, directory_at, _CHUNK_BYTES):
            maker.feed(view[at : min(directory_at, at + _CHUNK_BYTES)])
        end = maker.finish()
    except FormatError:  # somebody else's zip
        return 0
    return len(end) if len(end) <= MAX_DIRECTORY_BYTES and view[directory_at:] == end else 0


def _fill(file: IO[bytes], read: Callable[[int, memoryview], int]) -> int:
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    at = 0
    while count := read(at, buffer):
        view = buffer[:count]
        while view:
            view = view[file.write(view) :]
        at += count
    return at


@contextmanager
def _mapped(file: IO[bytes]) -> Iterator[Bytes]:
    size = file.seek(0, 2)
    if not size:
        yield np.empty(0, np.uint8)
        return
    # Closed by whoever held it last: arrays may look into it until they are collected.
    yield np.frombuffer(mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ), np.uint8)
