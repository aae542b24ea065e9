"""Many bundles of a store for other recipients, as after a device's key was lost: each is the old one or the new one.

Workers read the payloads, which takes no secret; the driver opens session keys, wraps them anew, signs, and puts some
seals at once in place of those before. What is new already is left alone, so a job that was killed is run again.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from logging import Logger, getLogger
from typing import TYPE_CHECKING, Any, Protocol, Self

from ..bundle.opened import accept_detached, unwrap_session_key
from ..bundle.reading_order import Verified
from ..bundle.reseal import rewrapped
from ..constants import SEGMENT_BYTES
from ..crypto.keys import Identity, PublicKey, Signer
from ..crypto.segment_cipher import Header, check_commitment
from ..errors import FormatError, RejectedError, UsageError
from ..format.seal import Seal
from ..format.strictjson import Role
from ..http.shapes import AppChannel
from ..server.storage.pointers import Entry
from ..server.storage.records import ReleaseRecord
from ..trust.store import TrustStore
from . import _places as places
from ._engines import Engine
from ._jobs import Report, Task, Watch, results
from ._plan import TASK_SEGMENTS
from ._scrub_work import Finding, Item, RunCheck, ScrubWork, reached, scrub_releases, scrub_run, verdict_on

if TYPE_CHECKING:
    from ..server.catalogue.resealing import Resealing

REFUSED, UNLOGGED, CHANGED = "refused", "unlogged", "changed"

_AT_ONCE = 8
"""Releases in a task, and whose seals are put at once: that is what a kill loses of the driver's work."""


class SealLog(Protocol):
    """The verified release log, as far as other seals are concerned."""

    def has(self, seal: Seal) -> bool:
        """Say whether it holds a seal."""

    def note(self, seal: Seal, *, replaces: Seal) -> None:
        """Say, on disk when it returns, that a seal stands in for another one. Raises RejectedError, OSError."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Some releases. channel: None for all of the app; first, last: sequences."""

    app: str
    channel: str | None = None
    first: int = 0
    last: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what APP, APP@CHANNEL, APP@CHANNEL:SEQUENCE or APP@CHANNEL:FIRST-LAST says. Raises UsageError."""
        place, colon, numbers = text.partition(":")
        app, _, channel = place.partition("@")
        first, dash, last = numbers.partition("-")
        if not app or (colon and not (channel and first.isdecimal() and (last if dash else first).isdecimal())):
            raise UsageError(f"{text}: not APP, APP@CHANNEL, APP@CHANNEL:SEQUENCE or APP@CHANNEL:FIRST-LAST")
        if not colon:
            return cls(app, channel or None)
        return cls(app, channel, int(first), int(last) if dash else int(first))

    def has(self, of: AppChannel, sequence: int) -> bool:
        """Say whether a release is one of them."""
        return (
            self.app == of.app
            and self.channel in (None, of.channel)
            and self.first <= sequence
            and (self.last is None or sequence <= self.last)
        )


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What became of the releases that were selected. renewed, already: how many are, and were before, the new ones.

    findings: why the others stay as they are; added, dropped: fingerprints of recipients, and how many new seals are
    for them where the old ones were not, and the other way round, or would be after a dry run.
    """

    renewed: int
    already: int
    findings: tuple[Finding, ...]
    report: Report
    added: Mapping[str, int]
    dropped: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        found = [one.to_json() for one in self.findings]
        said = {"renewed": self.renewed, "already": self.already, "findings": found}
        return self.report.to_json() | said | {"added": dict(self.added), "dropped": dict(self.dropped)}


@dataclass(slots=True)
class _Job:
    """What the driver works with."""

    work: ScrubWork
    resealing: "Resealing"
    runner: asyncio.Runner
    identity: Sequence[Identity]
    recipients: Sequence[PublicKey]
    signers: Sequence[Signer]
    log: SealLog
    dry_run: bool
    todo: dict[str, tuple[Item, ReleaseRecord]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    renewed: int = 0
    already: int = 0
    added: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def wanted(self) -> set[str]:
        """Fingerprints of the recipients that are to be."""
        return {key.fingerprint for key in self.recipients}

    def note_recipients(self, before: set[str]) -> None:
        """Count who is added and dropped where a seal takes the place of one for those before."""
        self.added.update(self.wanted - before)
        self.dropped.update(before - self.wanted)

    def look(self, of: AppChannel, entry: Entry) -> None:
        """See whether a release is to be rewrapped, and may be."""
        item = Item(of, entry, deep=True)
        try:
            record = self.runner.run(self.resealing.record(of, entry))
        except FormatError as error:
            self.findings.append(Finding("record", f"{of.app}@{of.channel}:{entry.sequence}", str(error)))
            return
        verified = self._accepted(item, record)
        if verified is None:
            return
        before = _kids(verified.seal)
        if before == self.wanted:
            self.already += 1
        else:
            self.todo[record.path] = (item, record)
            if self.dry_run:
                self.note_recipients(before)

    def _accepted(self, item: Item, record: ReleaseRecord) -> Verified | None:
        """Return the verdict on a seal that may be signed anew: of whom is trusted now, and in the log."""
        try:
            verified = verdict_on(self.work, item, record.seal_path, most=record.release.seal_bytes)
        except RejectedError as error:
            self.findings.append(Finding("seal", record.seal_path, str(error)))
            return None
        payload = verified.statement.payload
        if (payload.digest.hex(), payload.size) != (record.payload.digest, record.payload.size):
            self.findings.append(Finding("record", record.path, "names another payload than its seal"))
            return None
        # A store could keep what a key signed that was rotated out, or was stolen: nobody logged that.
        if not self.log.has(verified.seal):
            self.findings.append(Finding(UNLOGGED, record.seal_path, "the release log does not hold this seal"))
            return None
        return verified

    def renew(self, paths: Iterable[str]) -> None:
        """Rewrap releases whose payloads are whole. paths: of their records."""
        from ..server.catalogue.resealing import OtherSeal  # here, since it takes what a server needs

        by_channel: dict[AppChannel, list[OtherSeal]] = {}
        before: dict[Entry, set[str]] = {}
        for path in paths:
            item, record = self.todo.pop(path)
            # What is signed anew is what is read and checked now, whatever was there before.
            verified = self._accepted(item, record)
            made = None if verified is None else self._made(item, record, verified)
            if made is not None and verified is not None:
                self.log.note(made, replaces=verified.seal)
                before[item.entry] = _kids(verified.seal)
                by_channel.setdefault(item.of, []).append(OtherSeal(item.entry, record, made))
        for of, others in by_channel.items():
            done = self.runner.run(self.resealing.replace(of, others))
            self.renewed += len(done)
            for other in others:
                if other.entry.sequence in done:
                    self.note_recipients(before[other.entry])
                else:
                    self.findings.append(Finding(CHANGED, other.record.path, "was changed or withdrawn meanwhile"))

    def _made(self, item: Item, record: ReleaseRecord, verified: Verified) -> Seal | None:
        try:
            made = rewrapped(verified.seal, self._session_key(record, verified), self.recipients, self.signers)
            accept_detached(made.encode(), self.work.trust_store(), self.work.expect(item.of))
        except RejectedError as error:
            self.findings.append(Finding(REFUSED, record.seal_path, str(error)))
            return None
        return made

    def _session_key(self, record: ReleaseRecord, verified: Verified) -> bytes:
        statement = verified.statement
        run = next(run for run in record.payload.runs if run.first == 0)
        size = min(SEGMENT_BYTES, statement.payload.size)
        try:
            first = places.get(self.work.store, run.path(record.payload.digest), 0, size)
        except FileNotFoundError as error:
            raise FormatError(f"{record.path}: its first run is gone") from error
        if len(first) < size:
            raise verified.payload_ended(len(first))
        verified.check_run(0, first)
        session_key = unwrap_session_key(verified, self.identity)
        check_commitment(session_key, Header.parse(first), statement.app, statement.encryption.commitment)
        return session_key


def rewrap(
    store: str,
    *,
    select: Sequence[Selection],
    identity: Sequence[Identity],
    recipients: Sequence[PublicKey],
    signers: Sequence[Signer],
    log: SealLog,
    trust: TrustStore,
    engine: Engine,
    role: Role = Role.PRODUCTION,
    task_bytes: int = TASK_SEGMENTS * SEGMENT_BYTES,
    dry_run: bool = False,
    watch: Watch | None = None,
) -> Rewrapped:
    """Rewrap releases of a server's store, and go on after what cannot be; servers may use the store meanwhile.

    store: a folder or URL, the same for every worker. Only a seal that `trust` accepts now and `log` holds is signed
    anew, after every byte of its payload was checked; the log notes each new one before it is served. A release whose
    recipients are those that are wanted is new already. Raises RejectedError where the log refuses an entry,
    UsageError, TransferError, OSError. Needs the extra `server`, too.
    """
    from ..server.catalogue.resealing import Resealing  # here, since it takes what a server needs
    from ..server.storage.objects import Storage

    watch = watch or Watch()
    if not recipients or not signers:
        raise UsageError("rewrapping needs recipients and a signer")
    work = ScrubWork(places.folder_of(store), trust.to_json(), role, task_bytes)
    reached(work)
    with closing(Storage.open(store, may_be_new=False)) as storage, asyncio.Runner() as runner:
        resealing = Resealing(storage, log=_LOG)
        job = _Job(work, resealing, runner, identity, recipients, signers, log, dry_run)
        for of, entry in _selected(resealing, runner, select):
            job.look(of, entry)
        tasks = [*_tasks(job)]
        watch.progress = replace(watch.progress, bytes=sum(task.size for task in tasks))
        if dry_run:
            report = Report.planned("rewrap", engine, tasks, place=store)
        else:
            _renew_all(job, engine, tasks, watch)
            report = Report.of("rewrap", engine, watch, place=store)
    findings = tuple(sorted(set(job.findings), key=lambda one: (one.path, one.kind)))
    return Rewrapped(job.renewed, job.already, findings, report, job.added, job.dropped)


def _kids(seal: Seal) -> set[str]:
    return {one.kid for one in seal.statement.encryption.recipients}


_LOG: Logger = getLogger("capseal.server")


def _selected(
    resealing: "Resealing", runner: asyncio.Runner, select: Sequence[Selection]
) -> Iterator[tuple[AppChannel, Entry]]:
    for of in runner.run(resealing.channels()):
        for entry in runner.run(resealing.entries(of)):
            if any(one.has(of, entry.sequence) for one in select):
                yield of, entry


def _tasks(job: _Job) -> Iterator[Task[str]]:
    """Yield tasks of some releases each."""
    todo = [*job.todo.values()]
    for at in range(0, len(todo), _AT_ONCE):
        some = todo[at : at + _AT_ONCE]
        sizes = (one.size for _, record in some for one in (record.payload, *record.companions.values()))
        yield Task(f"{len(some)} releases", (job.work, tuple(item for item, _ in some)), sum(sizes))


def _renew_all(job: _Job, engine: Engine, tasks: Sequence[Task[str]], watch: Watch) -> None:
    later: list[tuple[str, RunCheck]] = []
    with closing(results(engine, scrub_releases, tasks, watch=watch)) as done:
        for _, looked in done:
            job.findings += looked.findings
            later += looked.later
            waits = {path for path, _ in looked.later}
            job.renew([path for path in looked.sound if path not in waits])
    # Those too large for one task: each is whole where all of its runs are.
    left = {path: sum(one == path for one, _ in later) for path, _ in later}
    checks = [Task(path, (job.work, check), 0) for path, check in later]
    with closing(results(engine, scrub_run, checks, watch=watch)) as read:
        for task, found in read:
            job.findings += found
            left[task.what] -= not found
            if left[task.what] == 0:
                job.renew([task.what])
