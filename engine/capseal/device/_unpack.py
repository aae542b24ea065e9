"""Unpacking: a verified archive or single file becomes a folder, and a manifest of it.

Regular files and folders only. Everything that an archive declares is checked before the first byte is
written, and everything is written below one open folder, where no link is followed and nothing is
replaced.
"""

import errno
import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, cast

from ..archive.check import Archive, ArchiveLimits, check_archive
from ..archive.directory import ReadAt
from ..archive.local_headers import Member, content_of
from ..archive.names import check_path
from ..bundle.reader import SealedFile
from ..constants import ZIP_MEDIA_TYPE
from ..errors import FormatError
from ..io import durable
from ..io.durable import FOLDER, sync, write_in
from ._manifest import CONTENT, MANIFEST, SEAL, ContentFile, ContentManifest

if TYPE_CHECKING:
    from ..io.many_files import SyncedTogether

    _Syncing = durable.SyncedOneByOne | SyncedTogether

_CHUNK_BYTES = 1024 * 1024
_MAX_MODE = 0o755  # no set-uid, no set-gid, nobody else writes
_DEFAULT_MODE = 0o644
_FEW_FILES = 16
"""So many are synced one by one, of more all at once: that also writes what others left unwritten on the disk."""

_CHECK = 1
"""Raise it whenever something is allowed that was refused: what an earlier check refused is tried once more then."""


def name_of_check(limits: ArchiveLimits) -> str:
    """Return what the state calls a refusal by this check with these limits."""
    return f"archive check {_CHECK}, {limits.content_bytes} bytes, {limits.entries} entries, ratio {limits.ratio}"


def fill(folder: str, content: SealedFile, *, limits: ArchiveLimits) -> str:
    """Fill a bundle's new folder, durably, and return the SHA-256 of its manifest, hex. Raises FormatError, OSError."""
    verified = content.verified
    described = verified.statement.content
    fd = os.open(folder, FOLDER)
    try:
        os.mkdir(CONTENT, 0o755, dir_fd=fd)
        below = os.open(CONTENT, FOLDER, dir_fd=fd)
        try:
            manifest = unpack(content, described.name, described.media_type, below, limits=limits).encode()
        finally:
            os.close(below)
        write_in(fd, MANIFEST, manifest)
        write_in(fd, SEAL, verified.seal.encode())
        sync(fd)
    finally:
        os.close(fd)
    return hashlib.sha256(manifest).hexdigest()


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
        _check_room(folder, [size], folders=0)
        synced = durable.SyncedOneByOne()
        from zlib_ng.zlib_ng import crc32  # here, since a zip says it

        crc = 0

        def chunks() -> Iterator[bytes]:
            nonlocal crc
            while chunk := reader.read(_CHUNK_BYTES):
                crc = crc32(chunk, crc)
                yield chunk

        file = replace(_write(folder, name, chunks(), _DEFAULT_MODE, synced), crc=crc)
        synced.add_folder(folder)
        return ContentManifest(frozenset(), {name: file})


def _read_at(reader: BinaryIO) -> ReadAt:
    def read_at(offset: int, size: int) -> bytes:
        reader.seek(offset)
        return reader.read(size)

    return read_at


def _unpack_zip(read_at: ReadAt, size: int, folder: int, limits: ArchiveLimits) -> ContentManifest:
    archive: Archive = check_archive(read_at, size, limits=limits)
    files = archive.files
    _check_room(folder, [member.entry.size for member in files], folders=len(archive.folders))
    with closing(_OpenFolders(folder)) as folders, _syncing(folder, len(files)) as synced:
        for path in archive.folders:
            _make_folder(folders, path)
        if isinstance(synced, durable.SyncedOneByOne) or not synced.takes_closed:
            found = {member.entry.path: _extract(read_at, member, folders, synced) for member in files}
        else:
            found = _extract_in_runs(read_at, files, folder, folders, synced)
        for path in ["", *archive.folders]:
            synced.add_folder(folders.open(path))
    return ContentManifest(frozenset(archive.folders), found)


def _syncing(folder: int, files: int) -> "_Syncing":
    if files <= _FEW_FILES:
        return durable.SyncedOneByOne()
    from ..io.many_files import SyncedTogether

    return SyncedTogether(folder)


class _OpenFolders:
    """The way from an open root to the folder asked for last, open: most files lie where the one before lay."""

    def __init__(self, root: int) -> None:
        self._way = [("", os.open(".", durable.FOLDER, dir_fd=root))]  # each folder's name and descriptor
        self._path = ""

    def open(self, path: str) -> int:
        """Return the descriptor of a folder, to be used until the next call. Follows no link. Raises OSError."""
        if path != self._path:
            parts = path.split("/") if path else []
            for level, part in enumerate(parts, 1):
                if level < len(self._way) and self._way[level][0] == part:
                    continue
                self._close_from(level)
                self._way.append((part, os.open(part, durable.FOLDER, dir_fd=self._way[-1][1])))
            self._close_from(len(parts) + 1)
            self._path = path
        return self._way[-1][1]

    def close(self) -> None:
        """Close all."""
        self._close_from(0)

    def _close_from(self, level: int) -> None:
        self._path = "/"  # none has that one, should something fail on the way to the next
        while len(self._way) > level:
            os.close(self._way.pop()[1])


def _check_room(folder: int, sizes: Sequence[int], *, folders: int) -> None:
    """Raise OSError where files of those sizes, in bytes, and so many folders will not fit."""
    room = os.fstatvfs(folder)
    block = room.f_frsize
    needed = sum(-(-size // block) for size in sizes) + folders
    if needed > room.f_bavail:
        raise OSError(errno.ENOSPC, f"content takes {needed * block} bytes, {room.f_bavail * block} are free")
    names = len(sizes) + folders
    if room.f_files and names > room.f_favail:  # some file systems make them as they need them, and say 0
        raise OSError(errno.ENOSPC, f"content has {names} files and folders, there is room for {room.f_favail}")


def _make_folder(folders: _OpenFolders, path: str) -> None:
    parent, _, name = path.rpartition("/")
    os.mkdir(name, _MAX_MODE, dir_fd=folders.open(parent))


def _extract_in_runs(
    read_at: ReadAt, files: Sequence[Member], root: int, folders: _OpenFolders, synced: "_Syncing"
) -> dict[str, ContentFile]:
    from ._runs import FileMaker, runs, take_run  # here, since few files do without

    found: dict[str, ContentFile] = {}
    with closing(_OpenFolders(root)) as of_maker, FileMaker(of_maker.open) as maker:
        for folder, run in runs(files):
            if folder is None:
                found |= {member.entry.path: _extract(read_at, member, folders, synced) for member in run}
            else:
                new, content = take_run(read_at, run, [_mode_of(member) for member in run])
                maker.make(folder, new)
                found |= content
    return found


def _mode_of(member: Member) -> int:
    return member.entry.mode & _MAX_MODE | 0o600 if member.entry.mode else _DEFAULT_MODE


def _extract(read_at: ReadAt, member: Member, folders: _OpenFolders, synced: "_Syncing") -> ContentFile:
    parent, _, name = member.entry.path.rpartition("/")
    written = _write(folders.open(parent), name, content_of(read_at, member), _mode_of(member), synced)
    return replace(written, crc=member.entry.crc)  # which content_of() compared


def _write(folder: int, name: str, chunks: Iterable[bytes], mode: int, synced: "_Syncing") -> ContentFile:
    """Write one new file."""
    digest = hashlib.sha256()
    size = 0
    fd = durable.create(name, folder=folder, mode=mode)
    try:
        for chunk in chunks:
            size += len(chunk)
            digest.update(chunk)
            durable.write_all(fd, chunk)
    except BaseException:
        os.close(fd)
        raise
    synced.add_file(fd)
    return ContentFile(size, digest.hexdigest())
