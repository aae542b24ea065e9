"""What a device remembers, and every step from one state to the next. No I/O, no clock (docs/device.md).

A bundle is staged, then pending, then confirmed; or it has failed, which is remembered.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from ..bundle.reading_order import Verified
from ..errors import CapsealError, RejectedError
from ..format.statement import Statement
from ..trust.expect import Succession

if TYPE_CHECKING:
    from ._head_memory import HeadMemory
    from ._trust_memory import TrustMemory

_ID_DIGEST_CHARS = 16

BY_TRIAL = "trial"
"""It ran here, or should have, and was rolled back or not confirmed: it is never tried again."""

BY_COPY = "copy"
"""Its copy on this device was damaged, or did not fit any more: that says nothing of another copy."""

BY_RECALL = "recall"
"""Its publisher took it back: it is never tried again."""


@dataclass(frozen=True, slots=True)
class Download:
    """How much was downloaded of a bundle, beside its seal. source: the recipe that gave most of it, or `payload`.

    bytes: of recipes, their indexes, and segments of the payload; payload_bytes: what all of the payload would have
    been. problem: of the recipes that did not give all, for the log; it is not kept.
    """

    bytes: int
    payload_bytes: int
    source: str
    problem: str | None = None

    @property
    def saved_bytes(self) -> int:
        """How much less was downloaded than the payload; 0 where it was more."""
        return max(0, self.payload_bytes - self.bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledBundle:
    """A bundle on this device.

    digest: its payload digest, hex; created: as the statement spells it; permit: the statement's
    `allow_downgrade_to`; manifest: SHA-256 of the manifest of its unpacked content, hex; download: what it took, where
    it came from a server.
    """

    digest: str
    sequence: int
    version: str
    created: str
    permit: int | None
    manifest: str
    download: Download | None = None

    @property
    def id(self) -> str:
        """The name of its folder."""
        return f"{self.sequence}-{self.digest[:_ID_DIGEST_CHARS]}"

    @classmethod
    def of(cls, verified: Verified, *, manifest: str, download: Download | None = None) -> "InstalledBundle":
        """Return the bundle that a verified seal describes."""
        statement = verified.statement
        return cls(
            digest=statement.payload.digest.hex(),
            sequence=statement.sequence,
            version=statement.version,
            created=_created(statement),
            permit=statement.allow_downgrade_to,
            manifest=manifest,
            download=download,
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """A pending bundle. starts: how often it was started; started_ms: the clock at the last start."""

    bundle: InstalledBundle
    starts: int = 0
    started_ms: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A bundle that failed. digest: its payload digest, hex.

    by: what condemned it: BY_TRIAL, BY_RECALL, BY_COPY, or the name of the archive check, which a later one overrules.
    """

    digest: str
    sequence: int
    version: str
    reason: str
    by: str


Problem = OSError | CapsealError


@dataclass(frozen=True, slots=True)
class Running:
    """What to run. path: the folder of its content; bundle: None for the built-in one.

    problem: why it is not what it would have been, for the log.
    """

    path: str
    bundle: InstalledBundle | None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """One installed bundle, checked. problem: None where it is whole and still trusted."""

    bundle: InstalledBundle
    problem: OSError | RejectedError | None


@dataclass(frozen=True, slots=True)
class TakenHead:
    """The last head that a device accepted."""

    epoch: int
    number: int
    issued: datetime
    expires: datetime


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """That a device cannot know what is current. since: from when on, or None where it never knew."""

    since: datetime | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a device has. floor: no sequence at or below it is installed; starts: those of the pending bundle.

    head: None where none was accepted; uncertain: None where a fresh head says what is current, or none is looked for.
    """

    floor: int
    current: InstalledBundle | None
    staged: InstalledBundle | None
    pending: InstalledBundle | None
    starts: int
    confirmed: tuple[InstalledBundle, ...]
    failed: tuple[Failure, ...]
    head: TakenHead | None = None
    uncertain: Uncertainty | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that a device remembers.

    floor: the highest confirmed sequence, lowered only by a signed permit. highest: the same, never
    lowered. newest: the latest `created` of a confirmed statement, empty before the first. confirmed:
    what ran well, the latest first. heads: what is
    remembered of them, None before the first one was looked for. shipped: sequence of the built-in bundle, which
    no permit goes below; check: name of the archive check; epoch: of heads that count. These come with the app and are
    not saved.
    """

    app: str
    channel: str
    floor: int = 0
    highest: int = 0
    newest: str = ""
    staged: InstalledBundle | None = None
    pending: Trial | None = None
    confirmed: tuple[InstalledBundle, ...] = ()
    failed: tuple[Failure, ...] = ()
    heads: "HeadMemory | None" = None
    trust: "TrustMemory | None" = None
    shipped: int = field(default=0, compare=False)
    check: str = field(default="", compare=False)
    epoch: int = field(default=1, compare=False)

    @property
    def current(self) -> InstalledBundle | None:
        """What the last boot chose; None for the built-in bundle."""
        if self.pending is not None and self.pending.starts:
            return self.pending.bundle
        return self.confirmed[0] if self.confirmed else None

    def bundles(self) -> Iterator[InstalledBundle]:
        """Iterate over every bundle whose folder is needed."""
        yield from self.unconfirmed()
        yield from self.confirmed

    def unconfirmed(self) -> Iterator[InstalledBundle]:
        """Iterate over the staged and the pending bundle."""
        if self.staged is not None:
            yield self.staged
        if self.pending is not None:
            yield self.pending.bundle

    def find(self, digest: str) -> InstalledBundle | None:
        """Return the staged or pending bundle of that payload digest (hex)."""
        return next((bundle for bundle in self.unconfirmed() if bundle.digest == digest), None)

    def check_statement(self, statement: Statement) -> None:
        """Raise unless a bundle with that statement may be installed: RejectedError, RollbackError."""
        self._check(
            statement.payload.digest.hex(), statement.sequence, _created(statement), statement.allow_downgrade_to
        )

    def check_bundle(self, bundle: InstalledBundle) -> None:
        """Raise unless that bundle may be activated: RejectedError, RollbackError."""
        self._check(bundle.digest, bundle.sequence, bundle.created, bundle.permit)

    def _check(self, digest: str, sequence: int, created: str, permit: int | None) -> None:
        for failure in self.failed:
            if failure.digest == digest and failure.by in (BY_TRIAL, BY_RECALL, self.check):
                raise RejectedError(
                    f"bundle {digest[:16]} with sequence {sequence} failed on this device before: {failure.reason}"
                )
        if self.heads is not None and sequence in self.heads.withdrawn(epoch=self.epoch):
            raise RejectedError(f"bundle {digest[:16]} with sequence {sequence} was withdrawn by its publisher")
        Succession(self.floor, self.highest, self.newest).check(sequence, created, permit=permit, least=self.shipped)

    def built_in(self, sequence: int, *, check: str, epoch: int = 1) -> "State":
        """Return the state as an app sees it whose built-in bundle has that sequence: nothing older is left.

        check: name of the app's archive check; epoch: of its trust store.
        """
        pending = self.pending
        return replace(
            self,
            shipped=sequence,
            check=check,
            epoch=epoch,
            floor=max(self.floor, sequence),
            highest=max(self.highest, sequence),
            staged=self.staged if self.staged is not None and self.staged.sequence > sequence else None,
            pending=pending if pending is not None and pending.bundle.sequence > sequence else None,
            confirmed=tuple(bundle for bundle in self.confirmed if bundle.sequence > sequence),
        )

    def stage(self, bundle: InstalledBundle) -> "State":
        """Return the state with that bundle staged, in place of what was."""
        return replace(self, staged=bundle, failed=self._failed_but(bundle.digest))

    def activate(self) -> "State":
        """Return the state with the staged bundle pending, in place of what was."""
        if self.staged is None:
            raise ValueError("no bundle is staged")
        return replace(self, staged=None, pending=Trial(self.staged))

    def start(self, now_ms: int) -> "State":
        """Return the state with one more start of the pending bundle."""
        if self.pending is None:
            raise ValueError("no bundle is pending")
        return replace(self, pending=Trial(self.pending.bundle, self.pending.starts + 1, now_ms))

    def confirm(self) -> "State":
        """Return the state with the pending bundle confirmed, and the floor where it puts it."""
        if self.pending is None:
            raise ValueError("no bundle is pending")
        bundle = self.pending.bundle
        # It passed check_bundle(), so going down here took a permit.
        trusted = Succession(self.floor, self.highest, self.newest).after(bundle.sequence, bundle.created)
        return replace(
            self,
            pending=None,
            # What a downgrade withdrew must not come back by a rollback.
            confirmed=(bundle, *(old for old in self.confirmed if old.sequence < bundle.sequence)),
            floor=trusted.floor,
            highest=trusted.highest,
            newest=trusted.newest,
        )

    def fail(self, bundle: InstalledBundle, reason: str, *, by: str) -> "State":
        """Return the state with that bundle failed."""
        pending = self.pending
        return replace(
            self.remember(Failure(bundle.digest, bundle.sequence, bundle.version, reason, by)),
            staged=self.staged if self.staged != bundle else None,
            pending=pending if pending is not None and pending.bundle != bundle else None,
            confirmed=tuple(other for other in self.confirmed if other != bundle),
        )

    def drop(self, bundle: InstalledBundle, reason: str) -> "State":
        """Return the state without a staged or pending bundle, which failed as a copy.

        One that was started runs on until its trial ends: check_not_dropped() says how.
        """
        dropped = self.fail(bundle, reason, by=BY_COPY)
        return replace(dropped, pending=self.pending) if bundle == self.current else dropped

    def check_not_dropped(self, bundle: InstalledBundle) -> None:
        """Raise RejectedError where a bundle was dropped while its trial went on."""
        for failure in self.failed:
            if failure.digest == bundle.digest:
                raise RejectedError(failure.reason)

    def remember(self, failure: Failure) -> "State":
        """Return the state with a failure more, in place of what was said of that bundle before."""
        reason = "".join(c if c.isprintable() else "?" for c in failure.reason)[:255]
        return replace(self, failed=(*self._failed_but(failure.digest), replace(failure, reason=reason)))

    def _failed_but(self, digest: str) -> tuple[Failure, ...]:
        return tuple(failure for failure in self.failed if failure.digest != digest)

    def keep(self, older: int) -> "State":
        """Return the state with the latest confirmed bundle and so many older ones."""
        return replace(self, confirmed=self.confirmed[: 1 + older])


def _created(statement: Statement) -> str:
    # All have the same length, so text compares as time does.
    text: str = statement.to_json()["created"]
    return text
