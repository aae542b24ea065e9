"""Unpacking: a verified archive or single file becomes a folder, and a manifest of it.

Regular files and folders only. Everything that an archive declares is checked before the first byte is
written, and everything is written below one open folder, where no link is followed and nothing is
replaced.
"""

import errno
import hashlib
import io
import os
from collections.abc import Iterable
from typing import BinaryIO, cast

from ..archive.check import ZIP_MEDIA_TYPE, Archive, ArchiveLimits, check_archive
from ..archive.directory import ReadAt
from ..archive.local_headers import Member, content_of
from ..archive.names import check_path
from ..errors import FormatError
from ..io import durable
from ._manifest import ContentFile, ContentManifest

_CHUNK_BYTES = 1024 * 1024
_MAX_MODE = 0o755  # no set-uid, no set-gid, nobody else writes
_DEFAULT_MODE = 0o644


def unpack(content: io.RawIOBase, name: str, media_type: str, folder: int, *, limits: ArchiveLimits) -> ContentManifest:
    """Unpack content into an open, empty folder, make all of it durable, and return its manifest.

    content: seekable, and closed afterwards; a zip by its media type, else one file of that name.
    Raises FormatError where its bytes prove that it must not be unpacked, OSError, and what reading the
    content raises.
    """
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    with io.BufferedReader(content, _CHUNK_BYTES) as reader:
        if media_type == ZIP_MEDIA_TYPE:
            return _unpack_zip(_read_at(cast(BinaryIO, reader)), size, folder, limits)
        check_path(name)
        if size > limits.content_bytes:
            raise FormatError(f"content of {size} bytes, at most {limits.content_bytes} are allowed")
        _check_room(folder, size)
        file = _write(folder, name, iter(lambda: reader.read(_CHUNK_BYTES), b""), _DEFAULT_MODE)
        durable.sync(folder)
        return ContentManifest(frozenset(), {name: file})


def _read_at(reader: BinaryIO) -> ReadAt:
    def read_at(offset: int, size: int) -> bytes:
        reader.seek(offset)
        return reader.read(size)

    return read_at


def _unpack_zip(read_at: ReadAt, size: int, folder: int, limits: ArchiveLimits) -> ContentManifest:
    archive: Archive = check_archive(read_at, size, limits=limits)
    _check_room(folder, archive.content_bytes)
    for path in archive.folders:
        _make_folder(folder, path)
    files = {member.entry.path: _extract(read_at, member, folder) for member in archive.files}
    for path in ["", *archive.folders]:
        fd = _open_folder(folder, path)
        try:
            durable.sync(fd)
        finally:
            os.close(fd)
    return ContentManifest(frozenset(archive.folders), files)


def _check_room(folder: int, needed: int) -> None:
    room = os.fstatvfs(folder)
    free = room.f_bavail * room.f_frsize
    if needed > free:
        raise OSError(errno.ENOSPC, f"content takes {needed} bytes, {free} are free")


def _open_folder(root: int, path: str) -> int:
    """Open a folder below the root, following no link."""
    fd = os.open(".", durable.FOLDER, dir_fd=root)
    for part in path.split("/") if path else []:
        try:
            below = os.open(part, durable.FOLDER, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def _make_folder(root: int, path: str) -> None:
    parent, _, name = path.rpartition("/")
    fd = _open_folder(root, parent)
    try:
        os.mkdir(name, _MAX_MODE, dir_fd=fd)
    finally:
        os.close(fd)


def _extract(read_at: ReadAt, member: Member, root: int) -> ContentFile:
    parent, _, name = member.entry.path.rpartition("/")
    mode = member.entry.mode & _MAX_MODE | 0o600 if member.entry.mode else _DEFAULT_MODE
    fd = _open_folder(root, parent)
    try:
        return _write(fd, name, content_of(read_at, member), mode)
    finally:
        os.close(fd)


def _write(folder: int, name: str, chunks: Iterable[bytes], mode: int) -> ContentFile:
    """Write one new file, durably."""
    digest = hashlib.sha256()
    size = 0
    fd = durable.create(name, folder=folder, mode=mode)
    with os.fdopen(fd, "wb", buffering=0) as file:
        for chunk in chunks:
            size += len(chunk)
            digest.update(chunk)
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) :]
        durable.sync(fd)
    return ContentFile(size, digest.hexdigest())
