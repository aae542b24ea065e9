"""Unpacking: a verified archive or single file becomes a folder, and a manifest of it.

Regular files and folders only. Everything that an archive declares is checked before the first byte is
written, and everything is written below one open folder, where no link is followed and nothing is
replaced.
"""

import errno
import hashlib
import io
import os
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from ..errors import FormatError
from ._manifest import ContentFile, ContentManifest

ZIP_MEDIA_TYPE = "application/zip"

_MAX_PATH_BYTES = 1024
_MAX_NAME_BYTES = 255
_MAX_DEPTH = 64
_MAX_DIRECTORY_BYTES = 32 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
_LOCAL_HEADER_BYTES = 30
_ENCRYPTED = 1 << 0
_UTF8_NAME = 1 << 11
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_MODE = 0o755  # no set-uid, no set-gid, nobody else writes

_NOT_A_ZIP = (
    zipfile.BadZipFile,
    RuntimeError,
    EOFError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What zipfile raises at an archive that it cannot read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """What a bundle may unpack to.

    content_bytes: size of all files together; entries: files and folders; ratio: content bytes per
    byte of the archive (deflate can reach 1032).
    """

    content_bytes: int = 64 * 1024**3
    entries: int = 100_000
    ratio: int = 100


@dataclass(frozen=True, slots=True)
class _Entry:
    """One member that passed. path: without a final '/'; mode: for a file."""

    path: str
    info: zipfile.ZipInfo
    mode: int

    @property
    def parent(self) -> str:
        return self.path.rpartition("/")[0]


def unpack(content: io.RawIOBase, name: str, media_type: str, folder: int, *, limits: ArchiveLimits) -> ContentManifest:
    """Unpack content into an open, empty folder, make all of it durable, and return its manifest.

    content: seekable, and closed afterwards; a zip by its media type, else one file of that name.
    Raises FormatError where it must not be unpacked, OSError, and what reading the content raises.
    """
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    if media_type == ZIP_MEDIA_TYPE:
        return _unpack_zip(content, size, folder, limits)
    _check_path(name)
    if size > limits.content_bytes:
        raise FormatError(f"content of {size} bytes, at most {limits.content_bytes} are allowed")
    _check_room(folder, size)
    file = _write(folder, name, io.BufferedReader(content, _CHUNK_BYTES), 0o644, size)
    os.fsync(folder)
    return ContentManifest(frozenset(), {name: file})


def _unpack_zip(content: io.RawIOBase, size: int, folder: int, limits: ArchiveLimits) -> ContentManifest:
    try:
        archive = zipfile.ZipFile(_Bounded(content, _CHUNK_BYTES))
    except _NOT_A_ZIP as error:
        raise FormatError(f"archive: not a usable zip: {error}") from error
    with archive:
        entries = _check_archive(archive, size, limits)
        folders = _folders(entries)
        _check_room(folder, sum(entry.info.file_size for entry in entries))
        for path in folders:
            _make_folder(folder, path)
        files = {}
        for entry in entries:
            if not entry.info.is_dir():
                files[entry.path] = _extract(archive, entry, folder)
        for path in ["", *folders]:
            fd = _open_folder(folder, path)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
    return ContentManifest(frozenset(folders), files)


class _Bounded(io.BufferedReader):
    """What zipfile reads from: it would read a central directory of any declared size into memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_DIRECTORY_BYTES:
            raise FormatError(f"archive: directory of {size} bytes, at most {_MAX_DIRECTORY_BYTES} are allowed")
        return super().read(size)


def _check_archive(archive: zipfile.ZipFile, archive_bytes: int, limits: ArchiveLimits) -> list[_Entry]:
    infos = archive.infolist()
    if len(infos) > limits.entries:
        raise FormatError(f"archive: {len(infos)} entries, at most {limits.entries} are allowed")
    entries = [_check_entry(info) for info in infos]
    total = sum(info.file_size for info in infos)
    if total > limits.content_bytes:
        raise FormatError(f"archive: unpacks to {total} bytes, at most {limits.content_bytes} are allowed")
    if total > limits.ratio * archive_bytes:
        raise FormatError(
            f"archive: {archive_bytes} bytes unpack to {total}, at most {limits.ratio} times as many are allowed"
        )
    _check_overlaps(infos, archive.start_dir)
    _check_names(entries)
    return entries


def _check_entry(info: zipfile.ZipInfo) -> _Entry:
    name = info.orig_filename  # zipfile cuts filename at a NUL
    shown = f"archive entry {name[:64]!r}"
    if not (name.isascii() or info.flag_bits & _UTF8_NAME):
        raise FormatError(f"{shown}: the name is neither ASCII nor marked as UTF-8")
    if info.flag_bits & _ENCRYPTED:
        raise FormatError(f"{shown}: encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FormatError(f"{shown}: compression method {info.compress_type}, only stored and deflated are allowed")
    unix_mode = info.external_attr >> 16
    kind = stat.S_IFMT(unix_mode)
    if kind not in (0, stat.S_IFDIR if name.endswith("/") else stat.S_IFREG):
        raise FormatError(f"{shown}: mode {unix_mode:o} is neither a regular file's nor a folder's")
    if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        raise FormatError(f"{shown}: stored with {info.compress_size} bytes but unpacks to {info.file_size}")
    if name.endswith("/") and info.file_size:
        raise FormatError(f"{shown}: a folder with {info.file_size} bytes")
    path = name.removesuffix("/")
    _check_path(path)
    mode = unix_mode & _MAX_MODE | 0o600 if kind else 0o644
    return _Entry(path, info, mode)


def _check_path(path: str) -> None:
    shown = f"name {path[:64]!r}"
    if not path or path.startswith("/") or (path[0].isalpha() and path[1:2] == ":"):
        raise FormatError(f"{shown}: empty or absolute")
    if "\\" in path or not path.isprintable():
        raise FormatError(f"{shown}: has a backslash or an unprintable character")
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise FormatError(f"{shown}: has an empty part, '.' or '..'")
    sizes = [len(part.encode()) for part in parts]
    if max(sizes) > _MAX_NAME_BYTES or len(path.encode()) > _MAX_PATH_BYTES or len(parts) > _MAX_DEPTH:
        raise FormatError(
            f"{shown}: {len(path.encode())} bytes, {max(sizes)} in a part, {len(parts)} parts; "
            f"at most {_MAX_PATH_BYTES}, {_MAX_NAME_BYTES} and {_MAX_DEPTH} are allowed"
        )


def _check_names(entries: Collection[_Entry]) -> None:
    """Refuse names that are one name on a file system that ignores case or Unicode form."""
    spelling: dict[str, str] = {}
    named: set[str] = set()
    for entry in entries:
        key = _caseless(entry.path)
        if key in named:
            raise FormatError(f"archive entry {entry.path[:64]!r}: appears twice, as that or as {spelling[key][:64]!r}")
        named.add(key)
        for path in _lineage(entry.path):
            other = spelling.setdefault(_caseless(path), path)
            if other != path:
                raise FormatError(f"archive entry {path[:64]!r}: the same name as {other[:64]!r} on some file systems")
    folders = set(_folders(entries))
    for entry in entries:
        if not entry.info.is_dir() and entry.path in folders:
            raise FormatError(f"archive entry {entry.path[:64]!r}: appears as a file and as a folder")


def _lineage(path: str) -> Iterator[str]:
    """Iterate over a path and every folder that it is in."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def _caseless(path: str) -> str:
    """Return the key of canonical caseless matching (The Unicode Standard, section 3.13, D145)."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def _check_overlaps(infos: Iterable[zipfile.ZipInfo], directory: int) -> None:
    """Refuse entries that share bytes: how small archives are made to hold a lot."""
    previous_end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < previous_end:
            raise FormatError(
                f"archive entry {info.orig_filename[:64]!r}: starts at byte {info.header_offset}, "
                f"the entry before ends at {previous_end}"
            )
        previous_end = info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size
    if previous_end > directory:
        raise FormatError(f"archive: entries end at byte {previous_end}, the directory starts at {directory}")


def _folders(entries: Iterable[_Entry]) -> list[str]:
    """Return every folder, named or implied, parents first."""
    folders: set[str] = set()
    for entry in entries:
        folders.update(_lineage(entry.path if entry.info.is_dir() else entry.parent))
    return sorted(folders)


def _check_room(folder: int, needed: int) -> None:
    room = os.fstatvfs(folder)
    free = room.f_bavail * room.f_frsize
    if needed > free:
        raise OSError(errno.ENOSPC, f"content takes {needed} bytes, {free} are free")


def _open_folder(root: int, path: str) -> int:
    """Open a folder below the root, following no link."""
    fd = os.open(".", _FOLDER, dir_fd=root)
    for part in path.split("/") if path else []:
        try:
            below = os.open(part, _FOLDER, dir_fd=fd)
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


def _extract(archive: zipfile.ZipFile, entry: _Entry, root: int) -> ContentFile:
    fd = _open_folder(root, entry.parent)
    try:
        with archive.open(entry.info) as file:
            return _write(fd, entry.path.rpartition("/")[2], file, entry.mode, entry.info.file_size)
    except _NOT_A_ZIP as error:
        raise FormatError(f"archive entry {entry.path[:64]!r}: cannot be unpacked: {error}") from error
    finally:
        os.close(fd)


def _write(folder: int, name: str, source: IO[bytes] | io.BufferedReader, mode: int, size: int) -> ContentFile:
    """Write one new file of exactly that size, durably."""
    digest = hashlib.sha256()
    done = 0
    fd = os.open(name, _NEW_FILE, mode, dir_fd=folder)
    with os.fdopen(fd, "wb", buffering=0) as file:
        while chunk := source.read(min(_CHUNK_BYTES, size - done + 1)):
            done += len(chunk)
            if done > size:
                break
            digest.update(chunk)
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) :]
        if done != size:
            raise FormatError(f"archive entry {name[:64]!r}: {done} bytes, {size} were declared")
        os.fsync(fd)
    return ContentFile(size, digest.hexdigest())
