"""encrypt(), decrypt(), verify(): AES-128-CBC as Capgo writes it, in one pass and constant memory."""

import hashlib
import os
import secrets
import warnings
import zlib
from collections.abc import Callable
from contextlib import closing
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ..archive.content import check_content, check_outputs, open_content
from ..bundle.pipeline import Progress
from ..constants import ZIP_MEDIA_TYPE
from ..errors import TamperedError, TruncatedError
from ..io.sink import PathOrFile, Sink, open_sink
from ..io.source import Source, open_source
from ._chunk_threads import CHUNK_BYTES, Chunk, ChunkBuffers, run_steps
from ._keys import CapgoPrivateKey, CapgoPublicKey
from ._wire import BLOCK_BYTES, CapgoBundle, ChecksumVersion, SessionKey, parse_crc32, recover_checksum, sign_checksum


class InsecureFormatWarning(UserWarning):
    """The format that was read protects nothing by today's measure."""


def encrypt(
    source: PathOrFile | Source,
    sink: PathOrFile,
    *,
    key: CapgoPrivateKey,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
    deflate: bool = False,
    unpackable: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> CapgoBundle:
    """Encrypt a zip for Capgo's plugin and return what the update server must know about it.

    source: a path, a readable binary file object, or a folder (zipped on the way, its entries stored,
    or deflated). sink: a path or a writable binary file object. unpackable: as for capseal.seal().
    Raises UsageError where it is no zip that can be unpacked, SourceChangedError, OSError.
    """
    leave_out = [os.fspath(sink)] if isinstance(sink, str | os.PathLike) else []
    if overwrite:
        check_outputs(source, leave_out)
    session_key = SessionKey.generate(entropy)
    with (
        closing(open_content(source, deflate=deflate, leave_out=leave_out)) as opened,
        open_sink(sink, overwrite=overwrite) as output,
    ):
        if unpackable and opened.name.lower().endswith(".zip"):
            check_content(opened, opened.name, ZIP_MEDIA_TYPE, in_order=True)
        digest, size = encrypt_stream(opened, output, session_key, progress=progress)
        output.commit()
    return CapgoBundle(
        session_key=session_key.sign(key),
        checksum_v2=sign_checksum(digest, key, ChecksumVersion.V2),
        checksum_v3=sign_checksum(digest, key, ChecksumVersion.V3),
        key_id=key.public_key.key_id,
        size=size,
        digest=digest,
    )


def encrypt_stream(
    source: Source, output: Sink, session_key: SessionKey, *, progress: Progress | None = None
) -> tuple[bytes, int]:
    """Write the ciphertext of a source; return the SHA-256 and the size of what was read."""
    encryptor = Cipher(algorithms.AES(session_key.key), modes.CBC(session_key.iv)).encryptor()
    if source.size is not None:
        output.expect(source.size + BLOCK_BYTES - source.size % BLOCK_BYTES)
    hasher = hashlib.sha256()
    taken = written = 0

    def read_and_hash(buffers: ChunkBuffers, _: Chunk) -> Chunk:
        nonlocal taken
        chunk = _read(source, taken, buffers.source)
        hasher.update(chunk.data)
        taken += chunk.taken
        return chunk

    def encrypt_it(buffers: ChunkBuffers, chunk: Chunk) -> Chunk:
        data = chunk.data
        if chunk.last:
            missing = BLOCK_BYTES - chunk.taken % BLOCK_BYTES
            data = buffers.source[: chunk.taken + missing]
            data[chunk.taken :] = bytes([missing]) * missing  # PKCS#7, RFC 5652, section 6.3
        count = encryptor.update_into(data, buffers.result)
        return Chunk(buffers.result[:count], chunk.taken, chunk.last)

    def write(_: ChunkBuffers, chunk: Chunk) -> Chunk:
        nonlocal written
        output.write_at(written, chunk.data)
        written += len(chunk.data)
        if progress is not None:
            progress(chunk.taken)
        return chunk

    run_steps(read_and_hash, encrypt_it, write)
    source.check_unchanged()
    return hasher.digest(), taken


def decrypt(
    source: PathOrFile,
    sink: PathOrFile,
    *,
    key: CapgoPublicKey,
    session_key: str,
    checksum: str,
    checksum_version: ChecksumVersion = ChecksumVersion.V3,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> int:
    """Decrypt a bundle, check its checksum, and return the size of the plaintext in bytes.

    session_key, checksum: the texts that came with it. sink: a path, which appears only when everything
    checked out, or a binary file object, which is given bytes that nothing vouches for before the return:
    the format cannot check a part. Raises RejectedError, OSError.
    """
    check = Sha256Check(recover_checksum(checksum, key, checksum_version))
    session = SessionKey.recover(session_key, key)
    return _decrypt(source, sink, session, check, overwrite=overwrite, progress=progress)


def decrypt_v1(
    source: PathOrFile,
    sink: PathOrFile,
    *,
    key: CapgoPrivateKey,
    session_key: str,
    checksum: str,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> int:
    """Decrypt a bundle of the format's first generation, with a warning; otherwise as decrypt().

    key: the private key, which v1 puts into the app; checksum: the CRC32 in hex. Writing v1 is not
    offered. Raises RejectedError, OSError.
    """
    warnings.warn(V1_WARNING, InsecureFormatWarning, stacklevel=2)
    check = Crc32Check(parse_crc32(checksum))
    session = SessionKey.unwrap_v1(session_key, key)
    return _decrypt(source, sink, session, check, overwrite=overwrite, progress=progress)


V1_WARNING = (
    "v1 of Capgo's format vouches for nothing: everyone can encrypt for the key, and a CRC32 is no "
    "protection; trust this plaintext only as far as the way it came"
)


def verify(
    source: PathOrFile,
    *,
    key: CapgoPublicKey,
    session_key: str,
    checksum: str,
    checksum_version: ChecksumVersion = ChecksumVersion.V3,
    progress: Progress | None = None,
) -> int:
    """Check a bundle as decrypt() does, without writing it. Raises RejectedError, OSError."""
    check = Sha256Check(recover_checksum(checksum, key, checksum_version))
    session = SessionKey.recover(session_key, key)
    return _decrypt(source, None, session, check, overwrite=False, progress=progress)


class Check(Protocol):
    """What a plaintext must be."""

    def update(self, data: memoryview) -> None:
        """Take the next bytes."""

    def finish(self) -> None:
        """Raise TamperedError unless the bytes taken are the expected ones."""


class Sha256Check:
    """The checksum of v2 and v3."""

    def __init__(self, expected: bytes) -> None:
        self._expected = expected
        self._hasher = hashlib.sha256()

    def update(self, data: memoryview) -> None:
        self._hasher.update(data)

    def finish(self) -> None:
        found = self._hasher.digest()
        if found != self._expected:
            raise _wrong_checksum("SHA-256", found.hex(), self._expected.hex())


class Crc32Check:
    """The checksum of v1."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._found = 0

    def update(self, data: memoryview) -> None:
        self._found = zlib.crc32(data, self._found)

    def finish(self) -> None:
        if self._found != self._expected:
            raise _wrong_checksum("CRC32", f"{self._found:08x}", f"{self._expected:08x}")


def _wrong_checksum(algorithm: str, found: str, expected: str) -> TamperedError:
    return TamperedError(
        f"plaintext: {algorithm} is {found}, the checksum says {expected}; the bundle is corrupt or was altered"
    )


def _decrypt(
    source: PathOrFile,
    sink: PathOrFile | None,
    session_key: SessionKey,
    check: Check,
    *,
    overwrite: bool,
    progress: Progress | None,
) -> int:
    with closing(open_source(source)) as opened:
        check_size(opened)
        if sink is None:
            return _decrypt_stream(opened, None, session_key, check, progress)
        with open_sink(sink, overwrite=overwrite) as output:
            size = _decrypt_stream(opened, output, session_key, check, progress)
            output.commit()
            return size


def _decrypt_stream(
    source: Source, output: Sink | None, session_key: SessionKey, check: Check, progress: Progress | None
) -> int:
    decryptor = Decryptor(session_key)
    taken = written = 0

    def read_and_decrypt(buffers: ChunkBuffers, _: Chunk) -> Chunk:
        nonlocal taken
        chunk = _read(source, taken, buffers.source)
        taken += chunk.taken
        return Chunk(decryptor.run(chunk, buffers.result), chunk.taken, chunk.last)

    def hash_it(_: ChunkBuffers, chunk: Chunk) -> Chunk:
        check.update(chunk.data)
        return chunk

    def write(_: ChunkBuffers, chunk: Chunk) -> Chunk:
        nonlocal written
        if output is not None:
            output.write_at(written, chunk.data)
        written += len(chunk.data)
        if progress is not None:
            progress(chunk.taken)
        return chunk

    run_steps(read_and_decrypt, hash_it, write)
    source.check_unchanged()
    check.finish()
    return written


class Decryptor:
    """Decrypts chunk after chunk, and takes the padding off the last."""

    def __init__(self, session_key: SessionKey) -> None:
        self._cipher = Cipher(algorithms.AES(session_key.key), modes.CBC(session_key.iv)).decryptor()
        self._taken = 0

    def run(self, chunk: Chunk, out: memoryview) -> memoryview:
        """Return the plaintext, a part of `out`. Raises TruncatedError, TamperedError."""
        self._taken += chunk.taken
        if self._taken % BLOCK_BYTES or not self._taken:
            raise _ended_early(self._taken)
        count = self._cipher.update_into(chunk.data, out)
        if chunk.last:
            count -= padding_bytes(out[count - BLOCK_BYTES : count], self._taken)
        return out[:count]


def padding_bytes(block: memoryview, end: int) -> int:
    """Return how much of a last plaintext block is padding. end: its end in the ciphertext. Raises TamperedError."""
    count = block[-1]
    if not 1 <= count <= BLOCK_BYTES or bytes(block[-count:]) != bytes([count]) * count:
        raise TamperedError(
            f"ciphertext at byte {end - BLOCK_BYTES}: the last block has no padding; "
            "the bundle is cut short, corrupt, or not encrypted with this session key",
            offset=end - BLOCK_BYTES,
        )
    return count


def check_size(source: Source) -> None:
    """Raise TruncatedError where the size alone shows that a source is no whole ciphertext."""
    if source.size is not None and (source.size % BLOCK_BYTES or not source.size):
        raise _ended_early(source.size)


def _ended_early(actual: int) -> TruncatedError:
    expected = max(BLOCK_BYTES, -(-actual // BLOCK_BYTES) * BLOCK_BYTES)
    return TruncatedError(
        f"ciphertext: {actual} bytes, expected at least {BLOCK_BYTES} and a multiple of {BLOCK_BYTES}; "
        "it is cut short or not encrypted",
        expected=expected,
        actual=actual,
    )


def _read(source: Source, offset: int, buffer: memoryview) -> Chunk:
    count = source.read_into(offset, buffer[:CHUNK_BYTES])
    return Chunk(buffer[:count], count, count < CHUNK_BYTES or not source.peek(offset + count, 1))
