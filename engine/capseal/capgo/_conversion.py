"""to_capgo(), to_sealed(): a bundle of one format as a bundle of the other, for the time of migration.

Nothing is decrypted to disk on the way.
"""

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ..bundle import reader
from ..bundle import seal as sealing
from ..bundle.opened import SealInput
from ..bundle.pipeline import Progress
from ..crypto.keys import Identity
from ..format.seal import Seal
from ..io.sink import Detached, PathOrFile
from ..io.source import open_source
from ..trust.expect import Expect
from ..trust.store import TrustStore
from ._cbc import Check, Decryptor, Sha256Check, check_size, encrypt, padding_bytes
from ._chunk_threads import CHUNK_BYTES, Chunk, chunk_buffer
from ._keys import CapgoPrivateKey, CapgoPublicKey
from ._wire import BLOCK_BYTES, CapgoBundle, ChecksumVersion, SessionKey, recover_checksum

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def to_capgo(
    bundle: PathOrFile,
    sink: PathOrFile,
    *,
    identity: Identity | Sequence[Identity],
    trust: TrustStore,
    key: CapgoPrivateKey,
    expect: Expect = Expect(),
    seal: SealInput | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> CapgoBundle:
    """Check a sealed bundle and encrypt what is in it for Capgo's plugin.

    bundle, identity, trust, expect, seal: as for capseal.open(); sink, key: as for encrypt().
    Raises RejectedError, OSError.
    """
    with reader.open(bundle, identity=identity, trust=trust, expect=expect, seal=seal) as plain:
        return encrypt(  # what is in it was checked when it was sealed
            cast(BinaryIO, plain), sink, key=key, unpackable=False, overwrite=overwrite, progress=progress
        )


def to_sealed(
    bundle: PathOrFile,
    sink: PathOrFile | Detached,
    *,
    key: CapgoPublicKey,
    session_key: str,
    checksum: str,
    checksum_version: ChecksumVersion = ChecksumVersion.V3,
    **statement: Any,
) -> Seal:
    """Check a Capgo bundle and seal what is in it.

    bundle, key, session_key, checksum: as for decrypt(); sink and every other keyword: as for
    capseal.seal(), `name` by default that of the file. Nothing is signed before the checksum passed.
    Raises RejectedError, UsageError, OSError.
    """
    check = Sha256Check(recover_checksum(checksum, key, checksum_version))
    session = SessionKey.recover(session_key, key)
    statement.setdefault("unpackable", False)  # it is read once, in order, so a zip cannot be checked before
    with PlainFile(bundle, session_key=session, check=check) as plain:
        return sealing.seal(cast(BinaryIO, plain), sink, **statement)


class PlainFile(io.RawIOBase):
    """The plaintext of a Capgo bundle as a binary file; its last bytes are given only once it is checked.

    Read in order only. Where the ciphertext is seekable, so is the end, since the last block tells the
    size. Raises RejectedError, OSError, when it is made or read.
    """

    def __init__(self, source: PathOrFile, *, session_key: SessionKey, check: Check) -> None:
        self._source = open_source(source)
        self.name = self._source.name
        self._decryptor = Decryptor(session_key)
        self._check = check
        self._ciphertext = chunk_buffer()
        self._buffer = chunk_buffer()
        self._ready = self._buffer[:0]  # decrypted, not given yet
        self._taken = 0  # bytes of ciphertext
        self._given = 0  # bytes of plaintext
        self._position = 0
        self._ended = False
        try:
            self._size = self._measure(session_key)
            if self._size == 0:
                self._load()  # nobody will read it
        except BaseException:
            self._source.close()
            raise

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._size is not None

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if self._size is None:
            raise io.UnsupportedOperation(f"{self.name}: the size is not known before the end")
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        if self._position != self._given:
            raise io.UnsupportedOperation(f"{self.name}: at byte {self._given}, cannot read at {self._position}")
        if not self._ready and not self._ended:
            self._load()
        with memoryview(buffer).cast("B") as view:
            count = min(len(view), len(self._ready))
            view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        self._given += count
        self._position = self._given
        return count

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()

    def _load(self) -> None:
        count = self._source.read_into(self._taken, self._ciphertext[:CHUNK_BYTES])
        # A last chunk of padding alone would never be asked for by a reader that knows the size.
        rest = self._source.peek(self._taken + count, BLOCK_BYTES + 1)
        self._ended = len(rest) <= BLOCK_BYTES
        if self._ended:
            self._ciphertext[count : count + len(rest)] = rest
            count += len(rest)
        self._ready = self._decryptor.run(Chunk(self._ciphertext[:count], count, self._ended), self._buffer)
        self._taken += count
        self._check.update(self._ready)
        if self._ended:
            self._source.check_unchanged()
            self._check.finish()

    def _measure(self, session_key: SessionKey) -> int | None:
        check_size(self._source)
        if self._source.size is None or not self._source.seekable:
            return None
        size = self._source.size
        tail = session_key.iv + self._source.peek(max(0, size - 2 * BLOCK_BYTES), 2 * BLOCK_BYTES)
        last = Decryptor(SessionKey(tail[-2 * BLOCK_BYTES : -BLOCK_BYTES], session_key.key))
        buffer = chunk_buffer()
        block = last.run(Chunk(memoryview(tail)[-BLOCK_BYTES:], BLOCK_BYTES, False), buffer)
        return size - padding_bytes(block, size)
