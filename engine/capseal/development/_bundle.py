"""A sealed bundle that is nowhere: its seal is kept, its payload is made again whenever it is read."""

from collections.abc import Sequence
from datetime import datetime

from ..archive.folder_zip import FolderZip
from ..bundle.plan import OPEN_ENCRYPTION, OPEN_PAYLOAD, SealingPlan
from ..bundle.seal import encrypt_payload
from ..constants import SEGMENT_BYTES
from ..crypto.keys import PublicKey, Signer
from ..crypto.segment_cipher import SegmentCipher
from ..format.seal import Seal
from ..format.segment_layout import plain_offset
from ..format.statement import Content, Statement
from ..format.strictjson import Role
from ..format.tree import segment_count


class FolderBundle:
    """A folder, sealed. Nothing of it is stored but the seal, the session key and the names of its files.

    Whoever passes on what read() returns must check it against the signed index first: a file that
    changed since would otherwise be encrypted with a nonce that was used before. FolderPayload does
    so, so that no segment but the sealed one ever leaves.
    """

    def __init__(self, archive: FolderZip, sealed: Seal, cipher: SegmentCipher) -> None:
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
        archive = FolderZip(folder)
        plan = SealingPlan.make(
            Statement(
                app=app,
                version=version,
                sequence=sequence,
                channel=channel,
                role=Role.DEVELOPMENT,
                created=created.replace(microsecond=0),
                content=Content(archive.name, "application/zip", archive.size or 0),
                payload=OPEN_PAYLOAD,
                encryption=OPEN_ENCRYPTION,
            ),
            recipients=recipients,
        )
        cipher = plan.cipher
        index, content_bytes = encrypt_payload(archive, cipher)
        return cls(archive, plan.sign(index, content_bytes, [signer]), cipher)

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
        plain = self._archive.peek(start, end - start)
        out = memoryview(bytearray((last + 1 - first) * SEGMENT_BYTES))
        run = self._cipher.encrypt_run(first, memoryview(plain), last + 1 == segment_count(total), out)
        return run[offset - first * SEGMENT_BYTES : stop - first * SEGMENT_BYTES]
