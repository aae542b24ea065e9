"""Writing the release log: an entry is on disk as pending before anybody can have the release, and then it counts."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from io import BufferedReader, FileIO

from ..constants import MAX_ENVELOPE_BYTES
from ..crypto.keys import Signer
from ..errors import SignatureError, UsageError
from ..format.dsse import Envelope
from ..format.seal import Seal
from ..format.strictjson import shown_time
from ..io.durable import appending, remove_file, replace_file, sync, told_as
from ..trust.signing import sign
from ..trust.store import TrustStore
from .log import ENTRY_TYPE, FIRST, Entry, Pending, chain, check_signed, load_pending, pending_path


class LogWriter:
    """One log, held by this process until the block of writing() ends."""

    def __init__(self, file: FileIO, path: str, trust: Sequence[TrustStore] | None) -> None:
        self.path = path
        self._file = file
        self._trust = trust
        self.pending = load_pending(path)
        tail_start, tail = _last_line(file)
        if tail and self.pending is not None and self.pending.line.startswith(tail):
            # The power went while this line was added; the line is still pending, so nothing is lost.
            file.truncate(tail_start)
        self.last: Entry | None = None
        self._digest = FIRST
        self._sequences: dict[tuple[str, str], int] = {}
        counted = None if self.pending is None else sha256(self.pending.line).hexdigest()
        file.seek(0)
        reader = BufferedReader(file)
        try:
            for _, entry, digest in chain(reader, path):
                self.last, self._digest = entry, digest
                place = entry.app, entry.channel
                self._sequences[place] = max(entry.sequence, self._sequences.get(place, 0))
                if digest == counted:
                    self.drop()
        finally:
            reader.detach()  # else it would close the file

    def sequence_after(self, app: str, channel: str) -> int:
        """Return the lowest sequence that the log has nothing at or above of, for an app and channel."""
        return self._sequences.get((app, channel), 0) + 1

    def prepare(
        self, seal: Seal, *, signer: Signer, now: datetime, seal_path: str | None = None, server: str | None = None
    ) -> Entry:
        """Sign the entry of a release, and keep it as pending; return it.

        now: the entry is of that time, or of that of the entry before if this is later: time in a log does not go
        backwards, whatever clocks do. seal_path: where the seal will be, for settle(). Raises SignatureError where
        the log would not verify with the entry: nothing is written then. Raises OSError.
        """
        statement = seal.statement
        now = now.astimezone(UTC).replace(microsecond=0)
        entry = Entry(
            number=1 if self.last is None else self.last.number + 1,
            previous=self._digest,
            time=now if self.last is None else max(now, self.last.time),
            app=statement.app,
            channel=statement.channel,
            version=statement.version,
            sequence=statement.sequence,
            payload=statement.payload.digest.hex(),
            seal=sha256(seal.encode()).hexdigest(),
            signers=tuple(signature.keyid for signature in seal.envelope.signatures),
        )
        try:
            line = self._signed(entry, signer)
        except SignatureError as error:
            if entry.time == now:
                raise
            times = f"the entry before is of {shown_time(entry.time)}, the clock says {shown_time(now)}"
            raise SignatureError(f"{error}; {times}: one of them is wrong") from error
        folder = os.path.dirname(self.path) or os.curdir
        self.pending = Pending(line, os.curdir if seal_path is None else os.path.relpath(seal_path, folder), server)
        replace_file(pending_path(self.path), self.pending.encode(), mode=0o644)
        return entry

    def count(self) -> None:
        """Add what is pending to the log: its release came about. Raises OSError."""
        if self.pending is None:
            raise UsageError(f"{self.path}: no entry is pending")
        with told_as(self.path):
            self._file.write(self.pending.line + b"\n")
            sync(self._file.fileno())
        self.drop()

    def go_by_folder(self) -> None:
        """Let what is pending be settled by the seal in the folder: no server can have taken it. Raises OSError."""
        if self.pending is not None:
            self.pending = replace(self.pending, server=None)
            replace_file(pending_path(self.path), self.pending.encode(), mode=0o644)

    def drop(self) -> None:
        """Forget what is pending: its release did not come about, or is in the log. Raises OSError."""
        self.pending = None
        remove_file(pending_path(self.path))

    def settle(self, came_about: Callable[[Pending], bool], *, signer: Signer | None) -> None:
        """Add what an earlier run left pending, or drop it, whichever it is.

        came_about: asks whether the release did. signer: signs the entry anew where others were added meanwhile;
        without one it stays pending then.
        Raises what came_about does; the entry stays pending then. Raises RejectedError, OSError.
        """
        if self.pending is None:
            return
        entry = self.pending.entry
        if not came_about(self.pending):
            self.drop()
            return
        number = 1 if self.last is None else self.last.number + 1
        if (entry.number, entry.previous) != (number, self._digest):
            if signer is None:
                return
            time = entry.time if self.last is None else max(entry.time, self.last.time)
            line = self._signed(replace(entry, number=number, previous=self._digest, time=time), signer)
            self.pending = replace(self.pending, line=line)
            replace_file(pending_path(self.path), self.pending.encode(), mode=0o644)
        else:
            self._check(Envelope.parse(self.pending.line), entry)
        self.count()

    def _signed(self, entry: Entry, signer: Signer) -> bytes:
        envelope = sign(ENTRY_TYPE, entry.encode(), [signer])
        self._check(envelope, entry)
        return envelope.encode()

    def _check(self, envelope: Envelope, entry: Entry) -> None:
        if self._trust is not None:
            check_signed(envelope, entry, self._trust, self.path)


def _last_line(file: FileIO) -> tuple[int, bytes]:
    """Return where the last line that has no end starts, and the line: empty where every line has one."""
    size = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, size - MAX_ENVELOPE_BYTES - 1))
    end = file.read(size - start)
    return start + end.rfind(b"\n") + 1, end[end.rfind(b"\n") + 1 :]


@contextmanager
def writing(path: str | os.PathLike[str], *, trust: Sequence[TrustStore] | None = None) -> Iterator[LogWriter]:
    """Give a log, made where it is missing, to be added to; others wait meanwhile.

    trust: what is added must verify with one of these stores. The lines before are checked for being a chain, not for
    their signatures. Raises FormatError, TamperedError, TruncatedError where the log is damaged, OSError.
    """
    with appending(path, mode=0o644) as file:
        yield LogWriter(file, os.fspath(path), trust)
