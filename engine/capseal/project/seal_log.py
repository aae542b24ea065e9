"""The verified release log, held while seals that it has are replaced by others of the same payloads."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from ..crypto.keys import Signer
from ..errors import UsageError
from ..format.seal import Seal
from ..trust.store import TrustStore
from ._log_writer import LogWriter, writing
from .log import Pending, ReleaseEntry, pending_path, verify_log


class SealLog:
    """Which seals the log has; note() adds those that stand in for others."""

    def __init__(self, writer: LogWriter, signer: Signer, clock: Callable[[], datetime]) -> None:
        self._writer = writer
        self._signer = signer
        self._clock = clock

    def has(self, seal: Seal) -> bool:
        """Return whether the log has a seal."""
        return self._writer.has(seal)

    def note(self, seal: Seal, *, replaces: Seal) -> None:
        """Log a seal that stands in for another one, which the log has. Raises RejectedError, OSError."""
        self._writer.prepare(seal, signer=self._signer, now=self._clock(), replaces=replaces)
        self._writer.count()


@contextmanager
def replacing_seals(
    log: str | os.PathLike[str], *, trust: Sequence[TrustStore], signer: Signer, clock: Callable[[], datetime]
) -> Iterator[SealLog]:
    """Verify a log, entry by entry, and hold it; nobody else writes it meanwhile.

    trust: as for verify_log(), the present store first. Raises UsageError where an entry is pending, RejectedError,
    OSError.
    """
    if not os.path.exists(log):
        raise UsageError(f"{os.fspath(log)}: no such log; only what a release log holds is signed anew")
    with writing(log, trust=trust[0]) as writer:
        if writer.pending is not None and _stands_in(writer.pending):
            # Of a run that was killed. Its seal may be out, and one that is not does no harm in a log.
            writer.settle(lambda pending: True, signer=signer)
        verify_log(log, trust=trust)
        if writer.pending is not None:
            raise UsageError(f"{pending_path(log)}: an entry is pending; the next release settles it")
        yield SealLog(writer, signer, clock)


def _stands_in(pending: Pending) -> bool:
    """Return whether what is pending is a seal in another one's place, which no server or file is asked about."""
    entry = pending.entry
    replaces = entry.replaces if isinstance(entry, ReleaseEntry) else None
    return replaces is not None and pending.server is None and pending.seal == os.curdir
