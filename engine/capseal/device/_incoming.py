"""A sealed bundle on its way in: first its seal, then every byte of its payload, all through one handle."""

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, BinaryIO

from ..bundle.pipeline import Progress
from ..bundle.reader import SealedFile
from ..bundle.reader import open as open_sealed
from ..bundle.reading_order import Verified
from ..bundle.verify import SealInput, Verifier, accept_detached, open_bundle, verify
from ..crypto.keys import Identity
from ..errors import SourceChangedError
from ..io.source import PathOrFile, Source, open_source
from ..trust.expect import Expect
from ..trust.store import TrustStore

_CHUNK_BYTES = 1024 * 1024


class Arrival:
    """A bundle whose seal is authenticated and whose payload is not yet.

    A regular file is used where it is. Anything else is a stream, of which only what was verified is
    written, to a file without a name that goes when it is closed. verified: the seal's verdict.
    """

    verified: Verified

    def __init__(
        self, file: BinaryIO, *, seal: bytes | None, trust: TrustStore, expect: Expect, spool: IO[bytes] | None
    ) -> None:
        self._file = file
        self._seal = seal
        self._trust = trust
        self._expect = expect
        self._spool = spool
        if spool is None:
            with open_bundle(file, trust=trust, expect=expect, seal=seal) as (_, self.verified):
                return
        self._source: Source = open_source(file)
        self._position = 0
        self._verifier = Verifier(trust=trust, expect=expect, seal=seal)
        while self._verifier.verified is None:
            if not self._receive(spool):
                self._verifier.finish()  # raises what is missing
        self.verified = self._verifier.verified

    def open(self, identity: Identity | Sequence[Identity], *, progress: Progress | None) -> SealedFile:
        """Check all of the payload, then open its plaintext, of which every segment is checked again.

        Raises RejectedError, SourceChangedError, OSError.
        """
        handle: BinaryIO | IO[bytes] = self._file
        if self._spool is None:
            verify(self._file, trust=self._trust, expect=self._expect, seal=self._seal, progress=progress)
        else:
            handle = self._spool
            while count := self._receive(self._spool):
                if progress is not None:
                    progress(count)
            self._verifier.finish()
            handle.seek(0)
        content = open_sealed(
            handle,  # type: ignore[arg-type]
            identity=identity,
            trust=self._trust,
            expect=self._expect,
            seal=self._seal,
        )
        if content.verified.seal != self.verified.seal:
            content.close()
            raise SourceChangedError(f"{content.verified.statement.content.name}: seal changed while it was being read")
        return content

    def _receive(self, spool: IO[bytes]) -> int:
        """Take the next bytes of the stream and write what they make verified; return their number."""
        buffer = bytearray(_CHUNK_BYTES)
        count = self._source.read_into(self._position, memoryview(buffer))
        self._position += count
        view = memoryview(self._verifier.feed(memoryview(buffer)[:count]))
        while view:
            view = view[spool.write(view) :]
        return count


@contextmanager
def arrive(
    source: PathOrFile, *, seal: SealInput | None, trust: TrustStore, expect: Expect, staging: str
) -> Iterator[Arrival]:
    """Open a bundle and authenticate its seal. staging: folder for what a stream brings.

    Raises RejectedError, OSError, and what the stream raises.
    """
    detached = None if seal is None else accept_detached(seal, trust, expect).seal.encode()
    with ExitStack() as stack:
        named = isinstance(source, str | os.PathLike)
        file: BinaryIO = stack.enter_context(open(source, "rb")) if named else source  # type: ignore[assignment, arg-type]
        spool = None if _is_regular(file) else stack.enter_context(tempfile.TemporaryFile(dir=staging, buffering=0))
        yield Arrival(file, seal=detached, trust=trust, expect=expect, spool=spool)


def _is_regular(file: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (OSError, AttributeError):
        return False
