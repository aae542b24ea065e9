"""DeviceStore: takes updates in, and chooses at every start what to run (docs/device.md).

Whatever fails, the device runs what it ran before, or an older confirmed bundle, or at last the
built-in one.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from ..archive.check import ArchiveLimits
from ..bundle.opened import SealInput
from ..bundle.pipeline import Progress
from ..crypto.keys import Identity
from ..errors import CapsealError, RejectedError, UsageError
from ..format.strictjson import Role
from ..io.source import PathOrFile
from ..trust.store import TrustStore
from ._disk import Disk
from ._manifest import CONTENT, check_copy, check_present, check_seal
from ._memory import App, Memory
from ._state import BY_COPY, BY_TRIAL, Checked, InstalledBundle, Problem, Running, State, Status
from ._unpack import name_of_check

if TYPE_CHECKING:
    from ._heads import RecallOf

_DEFAULT_LIMITS = ArchiveLimits()
_RECIPE_MEMORY_BYTES = 112 * 1024 * 1024
"""What the largest recipe takes."""


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
        self._identity = identity
        self._builtin = os.fspath(builtin)
        self._boots = boots
        self._confirm_within_s = confirm_within_s
        self._limits = limits
        self._recipe_memory_bytes = recipe_memory_bytes
        self._clock = clock
        self._disk = Disk(root, lock_timeout_s=lock_timeout_s)
        build = App(
            trust=trust,
            name=app,
            channel=channel,
            role=role,
            native=native,
            platform=platform,
            shipped=builtin_sequence,
            check=name_of_check(limits),
            head=head,
            wall_clock=wall_clock,
        )
        self._memory = Memory(self._disk, build)

    def trust(self) -> TrustStore:
        """Return the trust store in force: the built-in one, and the updates that were followed.

        Raises OSError, FormatError, UsageError.
        """
        self._memory.load()
        return self._memory.trust

    def follow(self, update_of: Callable[[int], bytes | None] | str) -> TrustStore:
        """Follow updates of the trust store one after the other until there is none, and keep them; return the store.

        update_of: returns the update that brings a version, or None; or the URL of a capseal server. What was
        accepted before the first that is not acceptable stays. Raises RejectedError, TransferError, OSError,
        UsageError.
        """
        from . import _following as following  # here and below, since most apps have no root yet

        if isinstance(update_of, str):
            return following.follow_server(self._memory, update_of)
        return following.follow(self._memory, update_of)

    def status(self) -> Status:
        """Return what the device has. Raises OSError, FormatError, UsageError."""
        state = self._memory.load()
        heads = self._memory.heads
        return Status(
            floor=state.floor,
            current=state.current,
            staged=state.staged,
            pending=state.pending.bundle if state.pending else None,
            starts=state.pending.starts if state.pending else 0,
            confirmed=state.confirmed,
            failed=state.failed,
            head=None if heads is None else heads.taken(state),
            uncertain=None if heads is None else heads.uncertainty(state),
        )

    def take_head(self, head: bytes | None, recall_of: "RecallOf" = lambda digest: None) -> None:
        """Accept a channel's head in place of the last one, with the recalls that it names, all in one write.

        head: None where none could be had, which is remembered as install() remembers it. recall_of: returns the
        recall of a digest. Raises RejectedError, remembered too, where it does not count or goes back; OSError,
        UsageError where heads are ignored.
        """
        from . import _following as following

        following.take_head(self._memory, head, recall_of)

    def refresh(self, server: str) -> None:
        """Follow a capseal server's updates of the trust store, then take its head. server: its URL.

        Raises as follow() and take_head() do, TransferError, UsageError.
        """
        from . import _following as following

        following.follow_server(self._memory, server)
        following.take_server_head(self._memory, server)

    def current(self) -> str:
        """Return the path of what the last boot() chose. Raises OSError, FormatError, UsageError."""
        return self._path(self._memory.load().current)

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
        UsageError, and what the stream raises; so RollbackError with the `sequence` of what runs where a server's
        latest release is that: the device is up to date.
        """
        from ._installing import Installation  # here, since a start installs nothing

        into = partial(
            Installation,
            memory=self._memory,
            identity=self._identity,
            limits=self._limits,
            recipe_memory_bytes=self._recipe_memory_bytes,
            progress=progress,
        )
        if not (isinstance(source, str) and source.startswith(("https://", "http://"))):
            return into().install(source, seal, expecting)
        if seal is not None:
            raise UsageError(f"{source}: a server gives its own seal, none can be given beside it")
        from ..client import follow_latest  # the extra `client`, which files do not need
        from ._following import sequence_at

        app = self._memory.app
        sequence = sequence_at(self._memory, source)
        with (
            follow_latest(source, app=app.name, channel=app.channel, sequence=sequence) as found,
            closing(found.stream_seal()) as served_seal,
            closing(found.stream_payload()) as payload,
        ):
            return into(release=found).install(payload, served_seal, expecting)

    def activate(self) -> InstalledBundle:
        """Make the staged bundle pending: the next boot() starts it.

        Raises RejectedError where it may not follow any more, or its seal is none of the trust store in force;
        UsageError, OSError.
        """
        with self._memory.changing() as state:
            if state.staged is None:
                raise UsageError("no bundle is staged; install one first")
            state.check_bundle(state.staged)
            self._check(state.staged, content=False)
            self._memory.save(state.activate())
            return state.staged

    def boot(self, *, verify: bool = False) -> Running:
        """Choose what to run, at every start of the app; never raises OSError or CapsealError.

        What the trust store in force does not accept fails, and the next best is taken. verify: every byte of what is
        chosen must be as it was signed, too, and certificates valid now. Where the choice cannot be recorded, no
        pending bundle is started.
        """
        try:
            if not self._disk.exists():
                return Running(self._builtin, None)
            with self._memory.changing() as state:
                return self._choose(state, verify=verify, record=True, problem=None)
        except (OSError, CapsealError) as error:
            problem = error
        try:
            return self._choose(self._memory.load(), verify=verify, record=False, problem=problem)
        except (OSError, CapsealError) as error:
            return Running(self._builtin, None, error)

    def confirm(self) -> Running:
        """Say that what runs has started well: a started pending bundle becomes the confirmed one.

        To be called after every start; where nothing is pending it changes nothing. Raises
        RejectedError where it comes too late, or the trust store in force does not accept the bundle any more, which
        has failed then; OSError, UsageError.
        """
        with self._memory.changing() as state:
            trial = state.pending
            if trial is None or not trial.starts:
                return self._running(state)
            elapsed_s = (self._now_ms() - trial.started_ms) / 1000
            # A clock that was set back gives less than 0: then only the count of starts limits the trial.
            if elapsed_s > self._confirm_within_s:
                reason = f"confirmed {elapsed_s:.1f} s after its start, {self._confirm_within_s:g} s are allowed"
                self._memory.save(state.fail(trial.bundle, reason, by=BY_TRIAL))
                raise RejectedError(f"bundle {trial.bundle.id}: {reason}; it has failed")
            try:
                state.check_not_dropped(trial.bundle)
                self._check(trial.bundle, content=False)
            except RejectedError as error:
                self._memory.save(state.fail(trial.bundle, str(error), by=BY_COPY))
                raise RejectedError(f"bundle {trial.bundle.id}: {error}; it has failed") from error
            state = state.confirm()
            self._memory.save(state)
            return self._running(state)

    def rollback(self) -> Running:
        """Fail the pending bundle or, where none is, the confirmed one that runs; return what runs now.

        Raises UsageError where the built-in bundle runs already, OSError.
        """
        with self._memory.changing() as state:
            bundle = state.pending.bundle if state.pending else state.current
            if bundle is None:
                raise UsageError("the built-in bundle runs; there is nothing to roll back")
            from ._starting import pick_confirmed  # here, since few are rolled back

            state = state.fail(bundle, "rolled back", by=BY_TRIAL)
            choice = pick_confirmed(state, None, check=partial(self._check, content=False))
            self._memory.save(choice.state)
            return Running(self._path(choice.bundle), choice.bundle, choice.problem)

    def prune(self, *, keep: int = 1) -> list[str]:
        """Delete what is not needed but `keep` older confirmed bundles; return the ids of what was deleted.

        Raises OSError, UsageError.
        """
        if keep < 0:
            raise UsageError(f"{keep} older bundles to keep, at least 0 is needed")
        if not self._disk.exists():
            return []
        with self._memory.changing() as state:
            kept = state.keep(keep)
            if kept != self._memory.read():
                self._memory.save(kept)  # before anything is deleted that it names
            return self._disk.sweep_bundles({bundle.id for bundle in kept.bundles()})

    def verify(self, *, progress: Progress | None = None) -> list[Checked]:
        """Check every installed bundle: its signature by a key that is trusted now, and every byte.

        progress: told of the bytes of each file that is done. Changes nothing. Raises OSError, FormatError,
        UsageError where the state cannot be read.
        """
        checked = []
        for bundle in self._memory.load().bundles():
            problem: OSError | RejectedError | None = None
            try:
                self._check(bundle, content=True, progress=progress)
            except (OSError, RejectedError) as error:
                problem = error
            checked.append(Checked(bundle, problem))
        return checked

    def _now_ms(self) -> int:
        return max(0, int(self._clock() * 1000))

    def _path(self, bundle: InstalledBundle | None) -> str:
        return self._builtin if bundle is None else os.path.join(self._disk.bundle(bundle.id), CONTENT)

    def _running(self, state: State) -> Running:
        return Running(self._path(state.current), state.current)

    def _check(self, bundle: InstalledBundle, *, content: bool, progress: Progress | None = None) -> None:
        """Raise RejectedError where an installed bundle is damaged or not trusted any more, OSError."""
        memory = self._memory
        folder = self._disk.bundle(bundle.id)
        if content:
            check_copy(folder, bundle, trust=memory.trust, expect=memory.expect(None), progress=progress)
        else:
            check_present(os.path.join(folder, CONTENT))
            check_seal(folder, bundle, trust=memory.trust, expect=memory.expect_kept(bundle))

    def _choose(self, state: State, *, verify: bool, record: bool, problem: Problem | None) -> Running:
        from ._starting import Choice, pick_confirmed, try_pending  # here, since an install starts nothing

        check = partial(self._check, content=verify)
        choice = Choice(state, None, problem)
        if record and state.pending is not None:
            choice = try_pending(state, state.pending, boots=self._boots, check=check, now_ms=self._now_ms())
        if choice.bundle is None:
            choice = pick_confirmed(choice.state, choice.problem, check=check)
        if record and choice.state != state:
            try:
                self._memory.save(choice.state)
            except OSError as error:
                # A start that is not counted could be repeated for ever.
                choice = pick_confirmed(choice.state, error, check=check)
        return Running(self._path(choice.bundle), choice.bundle, choice.problem)
