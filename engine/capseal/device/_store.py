"""DeviceStore: takes updates in, and chooses at every start what to run (docs/device.md).

Whatever fails, the device runs what it ran before, or an older confirmed bundle, or at last the
built-in one.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ..archive.check import ArchiveLimits
from ..bundle.opened import OpenedBundle, SealInput, open_bundle
from ..bundle.pipeline import Progress
from ..bundle.reader import SealedFile
from ..crypto.keys import Identity
from ..errors import (
    CapsealError,
    FormatError,
    RejectedError,
    StaleError,
    TamperedError,
    TruncatedError,
    UsageError,
)
from ..format.strictjson import Role
from ..io.source import PathOrFile
from ..trust.expect import Expect
from ..trust.store import TrustStore
from ._disk import Disk
from ._manifest import CONTENT, MANIFEST, check_copy, check_present
from ._state import (
    BY_COPY,
    BY_TRIAL,
    Checked,
    Download,
    Failure,
    InstalledBundle,
    Problem,
    Running,
    State,
    Status,
    Trial,
)
from ._unpack import fill, name_of_check

if TYPE_CHECKING:
    from ..client import FoundRelease
    from ..trust.heads import Current
    from ._heads import Heads, RecallOf

_DEFAULT_LIMITS = ArchiveLimits()
_RECIPE_MEMORY_BYTES = 112 * 1024 * 1024
"""What the largest recipe takes."""

_BootChoice = tuple[State, InstalledBundle | None, Problem | None]
"""The state after a choice, what was chosen, and why it is not something better."""


class DeviceStore:
    """The bundles of one app and channel on one device.

    Safe to use from several processes and threads: a change waits up to lock_timeout_s for another's
    end. Nothing is read or made before the first call.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        trust: TrustStore,
        identity: Identity | Sequence[Identity],
        app: str,
        builtin: str | os.PathLike[str],
        channel: str = "production",
        role: Role = Role.PRODUCTION,
        native: str | None = None,
        platform: str | None = None,
        builtin_sequence: int = 0,
        boots: int = 1,
        confirm_within_s: float = 10.0,
        limits: ArchiveLimits = _DEFAULT_LIMITS,
        recipe_memory_bytes: int = _RECIPE_MEMORY_BYTES,
        lock_timeout_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        head: str = "used",
        wall_clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Name the store in folder `root`; trust, app, channel and role are what its bundles must have.

        native, platform: the native app's version and where it runs, as for Expect: what a bundle requires
        must fit whenever its seal is read, at install and where it is verified again.

        builtin: path of what the app was shipped with, which runs where nothing else does;
        builtin_sequence: nothing at or below it is installed or run. A pending bundle fails unless it
        is confirmed in one of its first `boots` starts, within confirm_within_s of it. recipe_memory_bytes: what a
        recipe may take to be applied (docs/delta.md), at most; one that takes more is declined, and 0 declines all.
        clock: seconds from any origin; one that no user can set is best.

        head: `required` installs nothing but what a fresh head names, `used` does so once a first head was accepted,
        `ignored` asks for none. wall_clock: gives the time, by which heads expire; the system's by default.
        """
        if boots < 1 or not confirm_within_s > 0:
            raise UsageError(f"{boots} boots of {confirm_within_s:g} s, at least one of more than 0 s is needed")
        self._trust = trust
        self._identity = identity
        self._app = app
        self._channel = channel
        self._role = role
        self._native = native
        self._platform = platform
        self._builtin = os.fspath(builtin)
        self._builtin_sequence = builtin_sequence
        self._boots = boots
        self._confirm_within_s = confirm_within_s
        self._limits = limits
        self._recipe_memory_bytes = recipe_memory_bytes
        self._check_name = name_of_check(limits)
        self._clock = clock
        self._disk = Disk(root, lock_timeout_s=lock_timeout_s)
        self._builtin_trust = trust
        self._head_use = head
        self._wall_clock = wall_clock
        self._heads: Heads | None = None
        self._go_by(trust)

    def _go_by(self, trust: TrustStore) -> None:
        """Go by a trust store from now on."""
        self._trust = trust
        self._heads = None
        if self._head_use != "ignored" and (self._head_use != "used" or trust.heads is not None):
            from . import _heads as heads  # here, since most apps have no head keys yet

            self._heads = heads.Heads(
                self._head_use,
                trust=trust,
                app=self._app,
                channel=self._channel,
                role=self._role,
                native=self._native,
                platform=self._platform,
                clock=self._wall_clock,
            )

    def trust(self) -> TrustStore:
        """Return the trust store in force: the built-in one, and the updates that were followed.

        Raises OSError, FormatError, UsageError.
        """
        self._load()
        return self._trust

    def follow(self, update_of: Callable[[int], bytes | None] | str) -> TrustStore:
        """Follow updates of the trust store one after the other until there is none, and keep them; return the store.

        update_of: returns the update that brings a version, or None; or the URL of a capseal server. What was
        accepted before the first that is not acceptable stays. Raises RejectedError, TransferError, OSError,
        UsageError.
        """
        self._load()
        if self._trust.root is None:
            return self._trust
        if isinstance(update_of, str):
            from ..client import trust_updates

            with trust_updates(update_of, app=self._app) as update_of_server:
                return self.follow(update_of_server)
        while self._trust.root is not None:
            version = self._trust.version + 1
            update = update_of(version)  # without the lock, since it may take its time
            if update is None:
                break
            self._disk.create()
            with self._disk.changing():
                state = self._load()
                if self._trust.version + 1 != version:
                    continue  # another process followed it meanwhile
                state, trust = state.follow(self._trust, update)
                self._save(state)
                self._go_by(trust)
        return self._trust

    def status(self) -> Status:
        """Return what the device has. Raises OSError, FormatError, UsageError."""
        state = self._load()
        return Status(
            floor=state.floor,
            current=state.current,
            staged=state.staged,
            pending=state.pending.bundle if state.pending else None,
            starts=state.pending.starts if state.pending else 0,
            confirmed=state.confirmed,
            failed=state.failed,
            head=None if self._heads is None else self._heads.taken(state),
            uncertain=None if self._heads is None else self._heads.uncertainty(state),
        )

    def take_head(self, head: bytes | None, recall_of: "RecallOf" = lambda digest: None) -> None:
        """Accept a channel's head in place of the last one, with the recalls that it names, all in one write.

        head: None where none could be had, which is remembered as install() remembers it. recall_of: returns the
        recall of a digest. Raises RejectedError, remembered too, where it does not count or goes back; OSError,
        UsageError where heads are ignored.
        """
        if self._heads is None:
            raise UsageError("heads are ignored here, or the app's trust store has no keys for them")
        self._disk.create()
        with self._disk.changing():
            state = self._load()
            after, problem = self._heads.after(state, head, recall_of)
            if after != state:
                self._save(after)
        if problem is not None:
            raise problem

    def refresh(self, server: str) -> None:
        """Follow a capseal server's updates of the trust store, then take its head. server: its URL.

        Raises as follow() and take_head() do, TransferError, UsageError.
        """
        self.follow(server)
        from ..client import channel_head

        with channel_head(server, app=self._app, channel=self._channel) as (head, recall_of):
            self.take_head(head, recall_of)

    def current(self) -> str:
        """Return the path of what the last boot() chose. Raises OSError, FormatError, UsageError."""
        return self._path(self._load().current)

    def install(
        self,
        source: PathOrFile,
        *,
        seal: SealInput | None = None,
        progress: Progress | None = None,
        expecting: Callable[[int], None] | None = None,
    ) -> InstalledBundle:
        """Check a sealed bundle completely, unpack it, and stage it in place of what was staged.

        source: an attached sealed bundle or, with `seal`, a payload: a path or a readable binary file
        object, such as a download; or the URL of a capseal server, for its latest release: there, recipes are
        used where they are less than the payload (docs/delta.md). A stream is checked
        as it arrives, and what is bad is dropped at its first bad segment. A bundle that is
        staged or pending already is returned as it is. expecting is told how many bytes of payload are
        signed, and progress is given them as they are checked. Raises RejectedError, TransferError, OSError,
        UsageError, and what the stream raises.
        """
        if not (isinstance(source, str) and source.startswith(("https://", "http://"))):
            return self._install(source, seal, progress, expecting)
        if seal is not None:
            raise UsageError(f"{source}: a server gives its own seal, none can be given beside it")
        from ..client import follow_latest  # the extra `client`, which files do not need

        sequence = self._sequence_at(source)
        with (
            follow_latest(source, app=self._app, channel=self._channel, sequence=sequence) as found,
            closing(found.stream_seal()) as served_seal,
            closing(found.stream_payload()) as payload,
        ):
            return self._install(payload, served_seal, progress, expecting, release=found)

    def _sequence_at(self, server: str) -> int | None:
        """Return which release of a server is to be installed, or None where no head says so: its latest."""
        problem: RejectedError | None = None
        if self._heads is None:
            self.follow(server)
        if self._heads is None:  # no update brought keys of heads
            return None
        try:
            self.refresh(server)
        except RejectedError as error:
            problem = error
        try:
            return self._heads.chosen(self._load())
        except StaleError as error:
            raise problem or error from problem

    def _install(
        self,
        source: PathOrFile,
        seal: SealInput | None,
        progress: Progress | None,
        expecting: Callable[[int], None] | None,
        *,
        release: "FoundRelease | None" = None,
    ) -> InstalledBundle:
        self._disk.create()
        with self._disk.installing():
            with self._disk.changing():
                self._disk.sweep_bundles({bundle.id for bundle in self._read().bundles()})
                state = self._load()
            self._disk.sweep_staging()
            expect = self._expect(state, state.floor, head=None if self._heads is None else self._heads.current(state))
            with open_bundle(source, trust=self._trust, expect=expect, seal=seal) as opened:
                statement = opened.verified.statement
                known = state.find(statement.payload.digest.hex())
                if known is not None:
                    return known
                state.check_statement(statement)
                if expecting is not None:
                    expecting(statement.payload.size)
                with (
                    self._checked_payload(opened, release, progress) as (whole, download),
                    SealedFile(whole, identity=self._identity) as content,
                    self._disk.unpacking() as folder,
                ):
                    return self._stage(content, folder, download)

    @contextmanager
    def _checked_payload(
        self, opened: OpenedBundle, release: "FoundRelease | None", progress: Progress | None
    ) -> Iterator[tuple[OpenedBundle, Download | None]]:
        """Check all of a payload and give the bundle to unpack, under the same verdict, and what was downloaded for it.

        A regular file is used where it is, through the handle that it was checked through: whoever reads it checks
        each segment again. Raises SourceChangedError where it was changed after it was checked.
        """
        if opened.source.ordered:
            from ._sources import Means, arriving_payload  # here, since a file needs none

            installed = [(self._disk.bundle(bundle.id), bundle) for bundle in self._load().confirmed]
            means = Means(self._identity, self._recipe_memory_bytes, installed, CONTENT, MANIFEST)
            with arriving_payload(opened, release, means, self._disk.staging, progress) as arrived:
                yield arrived
            return
        opened.check_payload(progress=progress)
        try:
            yield opened, None
        except (TamperedError, TruncatedError):
            opened.source.check_unchanged()  # what passed a moment ago and does not now
            raise

    def _stage(self, content: SealedFile, folder: str, download: Download | None) -> InstalledBundle:
        verified = content.verified
        statement = verified.statement
        try:
            manifest = fill(folder, content, limits=self._limits)
        except FormatError as error:
            # Proven from authenticated bytes, and from nothing else: this check will never find otherwise.
            failure = Failure(
                statement.payload.digest.hex(), statement.sequence, statement.version, str(error), self._check_name
            )
            with self._disk.changing():
                self._save(self._load().remember(failure))
            raise
        bundle = InstalledBundle.of(verified, manifest=manifest, download=download)
        with self._disk.changing():
            state = self._load()
            state.check_bundle(bundle)  # the floor may have risen meanwhile
            self._disk.adopt(folder, bundle.id)
            self._save(state.stage(bundle))
        return bundle

    def activate(self) -> InstalledBundle:
        """Make the staged bundle pending: the next boot() starts it. Raises RejectedError, UsageError, OSError."""
        with self._changing() as state:
            if state.staged is None:
                raise UsageError("no bundle is staged; install one first")
            state.check_bundle(state.staged)
            self._check(state.staged, content=False)
            self._save(state.activate())
            return state.staged

    def boot(self, *, verify: bool = False) -> Running:
        """Choose what to run, at every start of the app; never raises OSError or CapsealError.

        verify: check signature and every byte of what is chosen; what differs fails, and the next
        best is taken. Where the choice cannot be recorded, no pending bundle is started.
        """
        try:
            if not self._disk.exists():
                return Running(self._builtin, None)
            with self._changing() as state:
                return self._choose(state, verify=verify, record=True, problem=None)
        except (OSError, CapsealError) as error:
            problem = error
        try:
            return self._choose(self._load(), verify=verify, record=False, problem=problem)
        except (OSError, CapsealError) as error:
            return Running(self._builtin, None, error)

    def confirm(self) -> Running:
        """Say that what runs has started well: a started pending bundle becomes the confirmed one.

        To be called after every start; where nothing is pending it changes nothing. Raises
        RejectedError where it comes too late and the bundle has failed, OSError, UsageError.
        """
        with self._changing() as state:
            trial = state.pending
            if trial is None or not trial.starts:
                return self._running(state)
            elapsed_s = (self._now_ms() - trial.started_ms) / 1000
            # A clock that was set back gives less than 0: then only the count of starts limits the trial.
            if elapsed_s > self._confirm_within_s:
                reason = f"confirmed {elapsed_s:.1f} s after its start, {self._confirm_within_s:g} s are allowed"
                self._save(state.fail(trial.bundle, reason, by=BY_TRIAL))
                raise RejectedError(f"bundle {trial.bundle.id}: {reason}; it has failed")
            state = state.confirm()
            self._save(state)
            return self._running(state)

    def rollback(self) -> Running:
        """Fail the pending bundle or, where none is, the confirmed one that runs; return what runs now.

        Raises UsageError where the built-in bundle runs already, OSError.
        """
        with self._changing() as state:
            bundle = state.pending.bundle if state.pending else state.current
            if bundle is None:
                raise UsageError("the built-in bundle runs; there is nothing to roll back")
            state = state.fail(bundle, "rolled back", by=BY_TRIAL)
            self._save(state)
            return self._running(state)

    def prune(self, *, keep: int = 1) -> list[str]:
        """Delete what is not needed but `keep` older confirmed bundles; return the ids of what was deleted.

        Raises OSError, UsageError.
        """
        if keep < 0:
            raise UsageError(f"{keep} older bundles to keep, at least 0 is needed")
        if not self._disk.exists():
            return []
        with self._changing() as state:
            kept = state.keep(keep)
            if kept != self._read():
                self._save(kept)  # before anything is deleted that it names
            return self._disk.sweep_bundles({bundle.id for bundle in kept.bundles()})

    def verify(self, *, progress: Progress | None = None) -> list[Checked]:
        """Check every installed bundle: its signature by a key that is trusted now, and every byte.

        progress: told of the bytes of each file that is done. Changes nothing. Raises OSError, FormatError,
        UsageError where the state cannot be read.
        """
        checked = []
        for bundle in self._load().bundles():
            problem: OSError | RejectedError | None = None
            try:
                self._check(bundle, content=True, progress=progress)
            except (OSError, RejectedError) as error:
                problem = error
            checked.append(Checked(bundle, problem))
        return checked

    @contextmanager
    def _changing(self) -> Iterator[State]:
        if not self._disk.exists():
            yield self._load()
            return
        with self._disk.changing():
            yield self._load()

    def _load(self) -> State:
        """Return the state as this app sees it: without what is older than its built-in bundle."""
        state = self._read().built_in(self._builtin_sequence, check=self._check_name)
        state, trust = state.by_trust(self._builtin_trust)
        if trust != self._trust:
            self._go_by(trust)
        return replace(state, epoch=trust.epoch)

    def _read(self) -> State:
        data = self._disk.load()
        try:
            state = State(app=self._app, channel=self._channel) if data is None else State.parse(data)
        except FormatError as error:
            raise FormatError(
                f"{self._disk.state}: {error}; until it is put back the built-in bundle runs; to begin anew delete "
                f"{self._disk.root}: what is installed, and the floor, are lost",
                offset=error.offset,
            ) from error
        if (state.app, state.channel) != (self._app, self._channel):
            raise UsageError(
                f"{self._disk.root}: holds bundles of app {state.app!r}, channel {state.channel!r}, "
                f"not of {self._app!r}, {self._channel!r}"
            )
        return state

    def _save(self, state: State) -> None:
        self._disk.save(state.encode())

    def _now_ms(self) -> int:
        return max(0, int(self._clock() * 1000))

    def _path(self, bundle: InstalledBundle | None) -> str:
        return self._builtin if bundle is None else os.path.join(self._disk.bundle(bundle.id), CONTENT)

    def _running(self, state: State) -> Running:
        return Running(self._path(state.current), state.current)

    def _expect(self, state: State, floor: int | None, *, head: "Current | None" = None) -> Expect:
        return Expect(
            app=self._app,
            channel=self._channel,
            floor=floor,
            role=self._role,
            native=self._native,
            platform=self._platform,
            head=head,
            now=None if self._heads is None else self._heads.time(state),
        )

    def _check(self, bundle: InstalledBundle, *, content: bool, progress: Progress | None = None) -> None:
        """Raise RejectedError where an installed bundle is damaged or not trusted any more, OSError."""
        folder = self._disk.bundle(bundle.id)
        if content:
            check_copy(folder, bundle, trust=self._trust, expect=self._expect(self._read(), None), progress=progress)
        else:
            check_present(os.path.join(folder, CONTENT))

    def _choose(self, state: State, *, verify: bool, record: bool, problem: Problem | None) -> Running:
        before = state
        run: InstalledBundle | None = None
        if record and state.pending is not None:
            state, run, problem = self._start_pending(state, state.pending, verify=verify)
        if run is None:
            state, run, problem = self._pick_confirmed(state, problem, verify=verify)
        if record and state != before:
            try:
                self._save(state)
            except OSError as error:
                # A start that is not counted could be repeated for ever.
                _, run, problem = self._pick_confirmed(state, error, verify=verify)
        return Running(self._path(run), run, problem)

    def _start_pending(self, state: State, trial: Trial, *, verify: bool) -> _BootChoice:
        bundle = trial.bundle
        if trial.starts >= self._boots:
            unconfirmed = RejectedError(f"not confirmed in {trial.starts} of {self._boots} allowed starts")
            return state.fail(bundle, str(unconfirmed), by=BY_TRIAL), None, unconfirmed
        try:
            self._check(bundle, content=verify)
        except RejectedError as error:
            return state.fail(bundle, str(error), by=BY_COPY), None, error
        except OSError as error:
            return state, None, error
        return state.start(self._now_ms()), bundle, None

    def _pick_confirmed(self, state: State, problem: Problem | None, *, verify: bool) -> _BootChoice:
        for bundle in state.confirmed:
            try:
                self._check(bundle, content=verify)
            except RejectedError as error:
                state, problem = state.fail(bundle, str(error), by=BY_COPY), error
            except OSError as error:  # not its fault: it stays
                problem = error
            else:
                return state, bundle, problem
        return state, None, problem
