"""A sealed bundle that is nowhere: its seal is kept, its payload is made again whenever it is read."""

import io
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import BinaryIO, cast

from ..bundle.seal import seal
from ..constants import KEY_BYTES, NONCE_PREFIX_BYTES, SALT_BYTES, SEGMENT_BYTES
from ..crypto.keys import PublicKey, Signer
from ..crypto.segment_cipher import Header, SegmentCipher, check_commitment
from ..format.seal import Seal
from ..format.segment_layout import plain_offset
from ..format.tree import segment_count
from ..io.zip_stream import ZipStream


class FolderBundle:
    """A folder, sealed. Nothing of it is stored but the seal, the session key and the names of its files.

    Whoever passes on what read() returns must check it against the signed index first: a file that
    changed since would otherwise be encrypted with a nonce that was used before. The server does so
    (verify_reads), so that no segment but the sealed one ever leaves.
    """

    def __init__(self, archive: ZipStream, sealed: Seal, cipher: SegmentCipher) -> None:
        self.seal = sealed
        self._archive = archive
        self._cipher = cipher

    @classmethod
    def make(
        cls,
        folder: str,
        *,
        signer: Signer,
        recipients: Sequence[PublicKey],
        app: str,
        channel: str,
        sequence: int,
        version: str,
        created: datetime,
    ) -> "FolderBundle":
        """Seal a folder in one pass. Raises SourceChangedError, UsageError, OSError."""
        salt, prefix = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_PREFIX_BYTES)
        session_key = secrets.token_bytes(KEY_BYTES)
        drawn = iter((salt, prefix, session_key))
        archive = ZipStream(folder)
        sealed = seal(
            folder,
            cast(BinaryIO, _Nowhere()),
            signer=signer,
            recipients=recipients,
            app=app,
            channel=channel,
            sequence=sequence,
            version=version,
            created=created,
            entropy=lambda _: next(drawn),
        )
        header = Header(salt, prefix)
        # seal() draws in that order; were it another, the statement would commit to another key.
        check_commitment(session_key, header, app, sealed.statement.encryption.commitment)
        return cls(archive, sealed, SegmentCipher(session_key, header, app))

    def read(self, offset: int, size: int) -> memoryview:
        """Return bytes of the payload: fewer only at its end. Raises SourceChangedError, OSError."""
        statement = self.seal.statement
        total, content = statement.payload.size, statement.content.size
        stop = min(offset + size, total)
        if offset >= stop:
            return memoryview(b"")
        first, last = offset // SEGMENT_BYTES, (stop - 1) // SEGMENT_BYTES
        start = plain_offset(first)
        end = min(plain_offset(last + 1), content)
        plain = self._archive.read_at(start, end - start)
        out = memoryview(bytearray((last + 1 - first) * SEGMENT_BYTES))
        run = self._cipher.encrypt_run(first, memoryview(plain), last + 1 == segment_count(total), out)
        return run[offset - first * SEGMENT_BYTES : stop - first * SEGMENT_BYTES]


class _Nowhere(io.RawIOBase):
    """A file that forgets what is written to it."""

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return offset

    def write(self, data: object, /) -> int:
        with memoryview(data) as view:  # type: ignore[arg-type]
            return view.nbytes
