"""Writing the release log: an entry is on disk as pending before anybody can have the release, and then it counts."""

import os
from collections.abc import Callable, Iterator
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
from ..io.drafts import replace_file
from ..io.durable import appending, remove_file, sync, told_as
from ..trust.signing import sign
from ..trust.store import TrustStore
from .log import ENTRY_TYPE, FIRST, Entry, Pending, ReleaseEntry, chain, check_signed, load_pending, pending_path


class LogWriter:
    """One log, held by this process until the block of writing() ends."""

    def __init__(self, file: FileIO, path: str, trust: TrustStore | None) -> None:
        self.path = path
        self._file = file
        self._trust = trust
        self.pending = load_pending(path)
        tail_start, tail = _last_line(file)
        if tail and self.pending is not None and any(line.startswith(tail) for line in self.pending.lines):
            # The power went while this line was added; the line is still pending, so nothing is lost.
            file.truncate(tail_start)
        self.last: Entry | None = None
        self._digest = FIRST
        self._sequences: dict[tuple[str, str], int] = {}
        self._seals: dict[str, str] = {}
        self._released: dict[tuple[str, str], list[ReleaseEntry]] = {}
        began: dict[int, datetime] = {}
        counted = None if self.pending is None else sha256(self.pending.line).hexdigest()
        begun = sha256(self.pending.first).hexdigest() if self.pending is not None and self.pending.first else None
        file.seek(0)
        reader = BufferedReader(file)
        try:
            for _, entry, digest in chain(reader, path):
                self.last, self._digest = entry, digest
                if not isinstance(entry, ReleaseEntry):
                    began[entry.trust] = entry.time
                else:
                    place = entry.app, entry.channel
                    if not self._is_undone(entry, began.get(entry.trust)):
                        self._sequences[place] = max(entry.sequence, self._sequences.get(place, 0))
                    self._seals[entry.seal] = entry.payload
                    self._released.setdefault(place, []).append(entry)
                if digest == counted:
                    self.drop()
                elif self.pending is not None and self.pending.first is not None and digest == begun:
                    self.pending = replace(self.pending, first=None)
        finally:
            reader.detach()  # else it would close the file
        last_version = 1 if self.last is None else self.last.trust
        self.version = last_version if trust is None else trust.version
        if self.version < last_version:
            raise UsageError(
                f"{path}: the last entry is under trust store version {last_version}, the store here has version "
                f"{self.version}: 'capseal trust apply' brings it up to date"
            )

    def _is_undone(self, entry: ReleaseEntry, began: datetime | None) -> bool:
        """Say whether a restart took back what an entry did to sequences: it is higher, under a store of before.

        began: when the log notes that the entry's version of the store began; None where it began with that. The
        entry's own time is what whoever signed it liked.
        """
        restart = None if self._trust is None else self._trust.restart
        if self._trust is None or restart is None or entry.trust == self._trust.version:
            return False
        return entry.sequence > restart.sequence and (began is None or began < restart.created)

    def sequence_after(self, app: str, channel: str) -> int:
        """Return the lowest sequence that the log has nothing at or above of that counts, for an app and channel."""
        return self._sequences.get((app, channel), 0) + 1

    def undone(self, app: str, channel: str) -> set[int]:
        """Return the sequences of an app and channel above what counts: a restart took them back."""
        counts = self._sequences.get((app, channel), 0)
        return {entry.sequence for entry in self._released.get((app, channel), ()) if entry.sequence > counts}

    def check_new(self, app: str, channel: str, *, version: str | None, sequence: int | None) -> None:
        """Raise UsageError where the log has a release of that version or sequence, for an app and channel.

        version, sequence: None where it may have one.
        """
        for entry in self._released.get((app, channel), ()):
            if entry.sequence == sequence or entry.version == version:
                what = f"{app} {entry.version} on {channel} was released before, with sequence {entry.sequence}"
                other = "sequence" if entry.sequence == sequence else "--version"
                raise UsageError(f"{self.path}: {what}: another release takes another {other}")

    def has(self, seal: Seal) -> bool:
        """Return whether the log has a seal."""
        return _digest(seal) in self._seals

    def begin_store(self, *, signer: Signer, now: datetime) -> bool:
        """Note that the version of the trust store begins, if the log is under an older one; return whether it was.

        Raises UsageError where an entry is pending, SignatureError where the signer is not the new store's, OSError.
        """
        if self.last is None or self.version == self.last.trust:
            return False
        if self.pending is not None:
            raise UsageError(f"{pending_path(self.path)}: an entry is pending; the next release settles it")
        entry = Entry(number=self._number, previous=self._digest, time=self._time(now), trust=self.version)
        self._keep(Pending(self._signed(entry, signer), os.curdir, None))
        self.count()
        return True

    def prepare(
        self,
        seal: Seal,
        *,
        signer: Signer,
        now: datetime,
        seal_path: str | None = None,
        server: str | None = None,
        replaces: Seal | None = None,
    ) -> ReleaseEntry:
        """Sign the entry of a release, and keep it as pending; return it.

        now: the entry is of that time, or of that of the entry before if this is later: time in a log does not go
        backwards, whatever clocks do. seal_path: where the seal will be, for settle(). replaces: the seal in whose
        place this one is. Where the trust store has a newer version, an entry that says so comes first. Raises
        SignatureError where the log would not verify with the entry: nothing is written then. Raises OSError.
        """
        statement = seal.statement
        now = now.astimezone(UTC).replace(microsecond=0)
        entry = ReleaseEntry(
            number=self._number,
            previous=self._digest,
            time=self._time(now),
            trust=self.version,
            app=statement.app,
            channel=statement.channel,
            version=statement.version,
            sequence=statement.sequence,
            payload=statement.payload.digest.hex(),
            seal=_digest(seal),
            signers=tuple(signature.keyid for signature in seal.envelope.signatures),
            replaces=None if replaces is None else _digest(replaces),
        )
        try:
            pending = self._after_store(entry, signer)
        except SignatureError as error:
            if entry.time == now:
                raise
            times = f"the entry before is of {shown_time(entry.time)}, the clock says {shown_time(now)}"
            raise SignatureError(f"{error}; {times}: one of them is wrong") from error
        folder = os.path.dirname(self.path) or os.curdir
        at = os.curdir if seal_path is None else os.path.relpath(seal_path, folder)
        self._keep(replace(pending, seal=at, server=server))
        return pending.release

    def _after_store(self, entry: ReleaseEntry, signer: Signer) -> Pending:
        """Return a release's entry signed, and what has to come before it where the trust store is a newer one."""
        first, number, previous = None, self._number, self._digest
        if self.last is not None and self.version > self.last.trust:
            begins = Entry(number=number, previous=previous, time=entry.time, trust=self.version)
            first = self._signed(begins, signer)
            number, previous = number + 1, sha256(first).hexdigest()
        entry = replace(entry, number=number, previous=previous, trust=self.version)
        return Pending(self._signed(entry, signer), os.curdir, None, first)

    @property
    def _number(self) -> int:
        return 1 if self.last is None else self.last.number + 1

    def _time(self, now: datetime) -> datetime:
        now = now.astimezone(UTC).replace(microsecond=0)
        return now if self.last is None else max(now, self.last.time)

    def _keep(self, pending: Pending) -> None:
        self.pending = pending
        replace_file(pending_path(self.path), self.pending.encode(), mode=0o644)

    def count(self) -> None:
        """Add what is pending to the log: its release came about. Raises OSError."""
        if self.pending is None:
            raise UsageError(f"{self.path}: no entry is pending")
        with told_as(self.path):
            self._file.write(b"".join(line + b"\n" for line in self.pending.lines))
            sync(self._file.fileno())
        self.last, self._digest = self.pending.entry, sha256(self.pending.line).hexdigest()
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
        if isinstance(entry, ReleaseEntry) and not came_about(self.pending):
            self.drop()
            return
        fits = self.pending.follows(self._number, self._digest)
        if isinstance(entry, ReleaseEntry) and not (fits and entry.trust == self.version):
            if signer is None:
                return
            again = self._after_store(replace(entry, time=self._time(entry.time)), signer)
            self._keep(replace(again, seal=self.pending.seal, server=self.pending.server))
        elif not fits:
            self.drop()  # that a store begins, the next entry notes
            return
        else:
            self._check(Envelope.parse(self.pending.line), entry)
        self.count()

    def _signed(self, entry: Entry, signer: Signer) -> bytes:
        envelope = sign(ENTRY_TYPE, entry.encode(), [signer])
        self._check(envelope, entry)
        return envelope.encode()

    def _check(self, envelope: Envelope, entry: Entry) -> None:
        if self._trust is not None:
            check_signed(envelope, entry, [self._trust], self.path)


def _digest(seal: Seal) -> str:
    return sha256(seal.encode()).hexdigest()


def _last_line(file: FileIO) -> tuple[int, bytes]:
    """Return where the last line that has no end starts, and the line: empty where every line has one."""
    size = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, size - MAX_ENVELOPE_BYTES - 1))
    end = file.read(size - start)
    return start + end.rfind(b"\n") + 1, end[end.rfind(b"\n") + 1 :]


@contextmanager
def writing(path: str | os.PathLike[str], *, trust: TrustStore | None = None) -> Iterator[LogWriter]:
    """Give a log, made where it is missing, to be added to; others wait meanwhile.

    trust: the present store, which what is added must verify with. The lines before are checked for being a chain, not
    for their signatures. Raises FormatError, TamperedError, TruncatedError where the log is damaged, OSError.
    """
    with appending(path, mode=0o644) as file:
        yield LogWriter(file, os.fspath(path), trust)
