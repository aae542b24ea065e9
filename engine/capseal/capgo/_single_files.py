"""write_manifest(): a folder as single files for delta updates, each compressed, encrypted and listed.

All of them share one session key and one IV, so equal first blocks show as equal ciphertext: that is
the format's doing, not a choice made here.
"""

import errno
import hashlib
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..archive.content import check_file_of_folder
from ..bundle.pipeline import Progress
from ..errors import SourceChangedError, UsageError
from ..io.durable import new_folder
from ..io.sink import StreamSink
from ..io.source import FileSource, StreamSource, open_source
from ..native import processors
from . import _brotli as brotli
from ._cbc import encrypt_stream
from ._keys import CapgoPrivateKey
from ._manifest import CapgoManifest, ManifestEntry
from ._wire import ChecksumVersion, SessionKey, sign_checksum

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FILES_FOLDER = "files"
MANIFEST_FILE = "manifest.json"
IGNORED_NAMES = frozenset((".DS_Store", ".git", ".gitignore", "node_modules", "package-lock.json", "tsconfig.json"))

_READ_BYTES = 256 * 1024


def write_manifest(
    folder: str | os.PathLike[str],
    sink: str | os.PathLike[str],
    *,
    key: CapgoPrivateKey,
    base_url: str,
    session_key: str | None = None,
    quality: int = 11,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> CapgoManifest:
    """Write a folder's files, compressed and encrypted, and `manifest.json` into a new folder.

    sink: the new folder, which appears only when everything is in it; its `files` are what `base_url`
    must serve. session_key: the text of the bundle that the same release offers as a zip, since an answer
    has room for one; a new one where there is none. quality: Brotli's, 0 to 11. Empty files and those
    that Capgo leaves out too are skipped. progress: told of the bytes of each file that is done. Raises
    UsageError, RejectedError, SourceChangedError, OSError.
    """
    target = os.path.abspath(sink)
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(sink))
    if session_key is None:
        session = SessionKey.generate()
        session_key = session.sign(key)
    else:
        session = SessionKey.recover(session_key, key.public_key)
    found = sorted(_scan(os.fspath(folder), ""))
    skipped = tuple(name for name, wanted in found if not wanted)
    names = [_checked(name) for name, wanted in found if wanted]
    with new_folder(target) as part:
        os.mkdir(os.path.join(part, FILES_FOLDER))

        def write(name: str) -> ManifestEntry:
            stored, digest = _write_file(
                os.path.join(folder, name), os.path.join(part, FILES_FOLDER), name, session, quality
            )
            return ManifestEntry(
                name=stored,
                checksum_v2=sign_checksum(digest, key, ChecksumVersion.V2),
                checksum_v3=sign_checksum(digest, key, ChecksumVersion.V3),
                url=f"{base_url.rstrip('/')}/{quote(stored)}",
            )

        entries = []
        with ThreadPoolExecutor(jobs or processors()) as pool:
            for name, entry in zip(names, pool.map(write, names), strict=True):
                entries.append(entry)
                if progress is not None:
                    progress(os.path.getsize(os.path.join(folder, name)))
        manifest = CapgoManifest(
            session_key=session_key, key_id=key.public_key.key_id, entries=tuple(entries), skipped=skipped
        )
        with open(os.path.join(part, MANIFEST_FILE), "xb") as file:
            file.write(manifest.encode())
    return manifest


def _scan(folder: str, prefix: str) -> Iterator[tuple[str, bool]]:
    """Yield every file's path below the folder, and whether the plugin is to have it."""
    with os.scandir(folder) as children:
        for child in children:
            name = prefix + child.name
            if child.name in IGNORED_NAMES:
                yield name, False
            elif child.is_dir(follow_symlinks=False):
                yield from _scan(child.path, f"{name}/")
            elif child.is_file(follow_symlinks=False):
                # The plugin takes an encrypted empty file for a failed decryption.
                yield name, child.stat().st_size > 0
            else:
                raise UsageError(f"{child.path}: neither a file nor a folder; links are not followed")


def _checked(name: str) -> str:
    if " " in name or "\\" in name or not name.isprintable():
        raise UsageError(f"{name!r}: Capgo's manifests have no room for spaces, backslashes or control characters")
    return name


def _write_file(path: str, folder: str, name: str, session_key: SessionKey, quality: int) -> tuple[str, bytes]:
    """Write one file, compressed where that helps; return the name that it is stored as, and its digest."""
    with closing(open_source(path)) as source:
        if not isinstance(source, FileSource) or source.size is None:
            raise UsageError(f"{path}: not a regular file")
        check_file_of_folder(path)
        # What ends in `.br` is decompressed on the device, whoever compressed it: so it has to be.
        always = name.endswith(brotli.SUFFIX)
        if always or source.size >= brotli.LEAST_BYTES:
            stored = os.path.join(folder, name + brotli.SUFFIX)
            os.makedirs(os.path.dirname(stored), exist_ok=True)
            compressed = BrotliStream(source, quality)
            with open(stored, "xb", buffering=0) as file:
                stream = StreamSource(compressed, path, close=compressed.close)
                _, size = encrypt_stream(stream, StreamSink(file), session_key)
            if always or size <= source.size - brotli.LEAST_GAIN_BYTES:
                return name + brotli.SUFFIX, compressed.digest
            os.unlink(stored)
        stored = os.path.join(folder, name)
        os.makedirs(os.path.dirname(stored), exist_ok=True)
        with open(stored, "xb", buffering=0) as file:
            digest, _ = encrypt_stream(source, StreamSink(file), session_key)
        return name, digest


class BrotliStream(io.RawIOBase):
    """A source, compressed while it is read. digest: SHA-256 of the source, once it was read to its end."""

    def __init__(self, source: FileSource, quality: int) -> None:
        self.digest = b""
        self._source = source
        self._hasher = hashlib.sha256()
        self._compressor = brotli.Compressor(quality=quality)
        self._offset = 0
        self._ready = b""
        self._position = 0  # in _ready
        self._input = memoryview(bytearray(_READ_BYTES))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        while self._position == len(self._ready) and not self.digest:
            self._ready, self._position = self._next(), 0
        with memoryview(buffer).cast("B") as view:
            count = min(len(view), len(self._ready) - self._position)
            view[:count] = self._ready[self._position : self._position + count]
        self._position += count
        return count

    def _next(self) -> bytes:
        count = self._source.read_into(self._offset, self._input)
        self._offset += count
        self._hasher.update(self._input[:count])
        if count:
            return bytes(self._compressor.process(self._input[:count]))
        if self._offset != self._source.size:
            raise SourceChangedError(
                f"{self._source.name}: {self._offset} bytes were read, {self._source.size} were there at first"
            )
        self._source.check_unchanged()
        self.digest = self._hasher.digest()
        return bytes(self._compressor.finish())
