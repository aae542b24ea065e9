"""encrypt_with_files(): a zip for Capgo's plugin, and the same as single files of which a device fetches what it lacks.

All of them share one session key and one IV, since an answer has room for one.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from tempfile import SpooledTemporaryFile
from typing import IO

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ..archive.check import Archive, ArchiveLimits, check_archive
from ..archive.content import check_content, check_outputs, open_content
from ..archive.local_headers import Member, content_of
from ..bundle.pipeline import Progress
from ..constants import ZIP_MEDIA_TYPE
from ..errors import FormatError, UsageError
from ..io.sink import Sink, open_sink
from ..io.source import PathOrFile, Source
from ..native import processors
from . import _brotli as brotli
from ._cbc import encrypt_stream
from ._keys import CapgoPrivateKey
from ._pack import MAX_FILES, MAX_FILES_BYTES, CapgoFiles, PackedFile, check_file_name
from ._wire import BLOCK_BYTES, CapgoBundle, ChecksumVersion, SessionKey, sign_checksum

_EMPTY = b"\x1b\x00\x06"
"""Brotli of nothing as Node writes it, the one form that the plugin takes for an empty file on every platform."""
_IN_MEMORY_BYTES = 1024 * 1024
_COPY_BYTES = 1024 * 1024


def encrypt_with_files(
    source: PathOrFile | Source,
    sink: str | os.PathLike[str],
    *,
    key: CapgoPrivateKey,
    pack: str | os.PathLike[str],
    files: str | os.PathLike[str],
    deflate: bool = False,
    quality: int = 11,
    jobs: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[CapgoBundle, CapgoFiles]:
    """Encrypt a zip as encrypt() does, and each file of it for itself, under the same session key.

    source: a folder or a zip that can be read at any place; the files are read from the zip itself, so the two never
    differ. pack: where the ciphertexts go, one after the other, each plaintext once; files: the list of them, which
    CapgoFiles.parse() reads. quality: Brotli's, 0 to 11. progress: told of the bytes of each file that is done. Raises
    UsageError where it is no such zip or a name is none for the plugin, SourceChangedError, OSError.
    """
    outputs = [os.fspath(path) for path in (sink, pack, files)]
    if overwrite:
        check_outputs(source, outputs)
    with closing(open_content(source, deflate=deflate, leave_out=outputs)) as opened:
        check_content(opened, opened.name, ZIP_MEDIA_TYPE, in_order=True)
        with (
            open_sink(pack, overwrite=overwrite) as pack_output,
            open_sink(files, overwrite=overwrite) as files_output,
            open_sink(sink, overwrite=overwrite) as output,
        ):
            made = encrypt_opened(
                opened, output, pack_output, files_output, key=key, quality=quality, jobs=jobs, progress=progress
            )
            for one in (pack_output, files_output, output):
                one.commit()
    return made


def encrypt_opened(
    source: Source,
    output: Sink,
    pack: Sink,
    files: Sink,
    *,
    key: CapgoPrivateKey,
    quality: int,
    jobs: int | None,
    progress: Progress | None,
) -> tuple[CapgoBundle, CapgoFiles]:
    """Do so from a zip that stays open, and was checked, to sinks that are not committed."""
    session_key = SessionKey.generate()
    packed = _Packing(source, session_key, key, quality, progress).write(_archive(source), pack, jobs)
    digest, size = encrypt_stream(source, output, session_key)
    encoded = packed.encode()
    if len(encoded) > MAX_FILES_BYTES:
        raise UsageError(
            f"{source.name}: the list of its files has {len(encoded)} bytes, at most {MAX_FILES_BYTES} fit"
        )
    files.write_at(0, memoryview(encoded))
    bundle = CapgoBundle(
        session_key=packed.session_key,
        checksum_v2=sign_checksum(digest, key, ChecksumVersion.V2),
        checksum_v3=sign_checksum(digest, key, ChecksumVersion.V3),
        key_id=key.public_key.key_id,
        size=size,
        digest=digest,
    )
    return bundle, packed


def _archive(source: Source) -> Archive:
    """Return what is in a zip. Raises UsageError."""
    if source.size is None or not source.seekable:
        raise UsageError(f"{source.name}: single files are read from a folder or a zip, not from a stream")
    try:
        archive = check_archive(source.peek, source.size, limits=ArchiveLimits())
        if not 1 <= len(archive.files) <= MAX_FILES:
            raise FormatError(f"{len(archive.files)} files; a manifest has 1 to {MAX_FILES}")
        for member in archive.files:
            check_file_name(member.entry.path, "entry")
    except FormatError as error:
        raise UsageError(f"{source.name}: {error}") from None
    return archive


@dataclass(frozen=True, slots=True)
class _Written:
    """A file's ciphertext, before it has its place. compressed: whether that of its Brotli stream; size: in bytes."""

    data: IO[bytes]
    size: int
    digest: bytes
    compressed: bool


class _Packing:
    """One pack that is being made."""

    def __init__(
        self, source: Source, session_key: SessionKey, key: CapgoPrivateKey, quality: int, progress: Progress | None
    ) -> None:
        self._source = source
        self._session_key = session_key
        self._key = key
        self._quality = quality
        self._progress = progress

    def write(self, archive: Archive, output: Sink, jobs: int | None) -> CapgoFiles:
        places: dict[tuple[bytes, bool], PackedFile] = {}
        files = []
        at = 0
        for member, written in self._all(archive, jobs or processors()):
            name = member.entry.path + (brotli.SUFFIX if written.compressed else "")
            with written.data as data:
                known = places.get((written.digest, written.compressed))
                if known is None:
                    _copy(data, output, at)
                    v2, v3 = (sign_checksum(written.digest, self._key, version) for version in ChecksumVersion)
                    known = PackedFile(name=name, offset=at, size=written.size, checksum_v2=v2, checksum_v3=v3)
                    places[written.digest, written.compressed] = known
                    at += written.size
            files.append(replace(known, name=name))
            if self._progress is not None:
                self._progress(member.entry.size)
        return CapgoFiles(session_key=self._session_key.sign(self._key), pack_bytes=at, files=tuple(files))

    def _all(self, archive: Archive, jobs: int) -> Iterator[tuple[Member, _Written]]:
        """Yield every file with its ciphertext, in order; few of them wait at a time."""
        waiting: deque[tuple[Member, Future[_Written]]] = deque()
        with ThreadPoolExecutor(jobs) as pool:
            try:
                for member in archive.files:
                    waiting.append((member, pool.submit(self._encrypt, member)))
                    if len(waiting) > 2 * jobs:
                        first, written = waiting.popleft()
                        yield first, written.result()
                while waiting:
                    first, written = waiting.popleft()
                    yield first, written.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _encrypt(self, member: Member) -> _Written:
        size = member.entry.size
        # What ends in `.br` is decompressed on the device, whoever compressed it: so it has to be.
        always = size == 0 or member.entry.path.endswith(brotli.SUFFIX)
        if always or size >= brotli.LEAST_BYTES:
            written, compressed_bytes = self._written(member, compressed=True)
            if always or compressed_bytes <= size - brotli.LEAST_GAIN_BYTES:
                return written
            written.data.close()
        return self._written(member, compressed=False)[0]

    def _written(self, member: Member, *, compressed: bool) -> tuple[_Written, int]:
        """Return a file's ciphertext, and how many bytes were encrypted."""
        hasher = hashlib.sha256()
        encryptor = Cipher(algorithms.AES(self._session_key.key), modes.CBC(self._session_key.iv)).encryptor()
        data = SpooledTemporaryFile(_IN_MEMORY_BYTES)
        size = 0
        for piece in self._pieces(member, hasher.update, compressed=compressed):
            size += len(piece)
            data.write(encryptor.update(piece))
        missing = BLOCK_BYTES - size % BLOCK_BYTES
        data.write(encryptor.update(bytes([missing]) * missing))  # PKCS#7, RFC 5652, section 6.3
        data.seek(0)
        return _Written(data, size + missing, hasher.digest(), compressed), size

    def _pieces(self, member: Member, see: Callable[[bytes], None], *, compressed: bool) -> Iterator[bytes]:
        plain = content_of(self._source.peek, member)
        if not compressed:
            for piece in plain:
                see(piece)
                yield piece
            return
        compressor = brotli.Compressor(quality=self._quality)
        for piece in plain:
            see(piece)
            yield compressor.process(piece)
        yield compressor.finish() if member.entry.size else _EMPTY


def _copy(data: IO[bytes], output: Sink, at: int) -> None:
    while piece := data.read(_COPY_BYTES):
        output.write_at(at, memoryview(piece))
        at += len(piece)
