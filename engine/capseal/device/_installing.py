"""From a sealed bundle to a staged one: verified, arrived, unpacked, all of it checked (docs/device.md)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..archive.check import ArchiveLimits
from ..bundle.opened import OpenedBundle, SealInput, open_bundle
from ..bundle.pipeline import Progress
from ..bundle.reader import SealedFile
from ..crypto.keys import Identity
from ..errors import FormatError, RejectedError, TamperedError, TruncatedError
from ..io.source import PathOrFile
from ..trust.store import TrustStore
from ._manifest import CONTENT, MANIFEST, check_seal
from ._memory import Memory
from ._state import BY_COPY, Download, Failure, InstalledBundle, State
from ._unpack import fill

if TYPE_CHECKING:
    from ..client import FoundRelease


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Where bundles go, and what they may take. release: where the source is streamed from, if that is a server."""

    memory: Memory
    identity: Identity | Sequence[Identity]
    limits: ArchiveLimits
    recipe_memory_bytes: int
    progress: Progress | None = None
    release: "FoundRelease | None" = None

    def install(
        self, source: PathOrFile, seal: SealInput | None, expecting: Callable[[int], None] | None
    ) -> InstalledBundle:
        """Check a sealed bundle, unpack and stage it. Raises RejectedError, OSError, UsageError, what source raises."""
        memory, disk = self.memory, self.memory.disk
        disk.create()
        with disk.installing():
            with disk.changing():
                disk.sweep_bundles({bundle.id for bundle in memory.read().bundles()})
                state = memory.load()
            disk.sweep_staging()
            head = None if memory.heads is None else memory.heads.current(state)
            expect = memory.expect(state.floor, head=head)
            trust = memory.trust
            with open_bundle(source, trust=trust, expect=expect, seal=seal) as opened:
                statement = opened.verified.statement
                known = state.find(statement.payload.digest.hex())
                if known is not None and self._stays(state, known):
                    return known
                state.check_statement(statement)
                if expecting is not None:
                    expecting(statement.payload.size)
                with (
                    self._checked_payload(opened) as (whole, download),
                    SealedFile(whole, identity=self.identity) as content,
                    disk.unpacking() as folder,
                ):
                    return self._stage(content, folder, download, trust)

    def _stays(self, state: State, known: InstalledBundle) -> bool:
        """Say whether a staged or pending bundle is left as it is: else the trust store accepts its new seal only.

        That which runs is left as well, until its trial is over.
        """
        memory = self.memory
        if known == state.current:
            return True
        try:
            expect = memory.expect_kept(known)
            check_seal(memory.disk.bundle(known.id), known, trust=memory.trust, expect=expect)
        except RejectedError as error:
            with memory.disk.changing():
                state = memory.load()
                state = state.fail(known, str(error), by=BY_COPY)
                memory.save(state)
                memory.disk.sweep_bundles({bundle.id for bundle in state.bundles()})
            return False
        return True

    @contextmanager
    def _checked_payload(self, opened: OpenedBundle) -> Iterator[tuple[OpenedBundle, Download | None]]:
        """Check all of a payload and give the bundle to unpack, under the same verdict, and what was downloaded for it.

        A regular file is used where it is, through the handle that it was checked through: whoever reads it checks
        each segment again. Raises SourceChangedError where it was changed after it was checked.
        """
        if opened.source.ordered:
            from ._sources import Means, arriving_payload  # here, since a file needs none

            disk = self.memory.disk
            installed = [(disk.bundle(bundle.id), bundle) for bundle in self.memory.load().confirmed]
            means = Means(self.identity, self.recipe_memory_bytes, installed, CONTENT, MANIFEST)
            with arriving_payload(opened, self.release, means, disk.staging, self.progress) as arrived:
                yield arrived
            return
        opened.check_payload(progress=self.progress)
        try:
            yield opened, None
        except (TamperedError, TruncatedError):
            opened.source.check_unchanged()  # what passed a moment ago and does not now
            raise

    def _stage(self, content: SealedFile, folder: str, download: Download | None, trust: TrustStore) -> InstalledBundle:
        """Unpack a bundle and stage it, where it may be staged still. trust: what its seal was accepted by."""
        memory = self.memory
        verified = content.verified
        statement = verified.statement
        try:
            manifest = fill(folder, content, limits=self.limits)
        except FormatError as error:
            # Proven from authenticated bytes, and from nothing else: this check will never find otherwise.
            failure = Failure(
                statement.payload.digest.hex(), statement.sequence, statement.version, str(error), memory.app.check
            )
            with memory.disk.changing():
                memory.save(memory.load().remember(failure))
            raise
        bundle = InstalledBundle.of(verified, manifest=manifest, download=download)
        with memory.disk.changing():
            state = memory.load()
            state.check_bundle(bundle)  # the floor may have risen meanwhile
            head = None if memory.heads is None else memory.heads.current(state)
            expect = memory.expect(None, head=head)
            expect.check(statement)  # a later head may be here, or the one that was has expired
            if memory.trust != trust:
                check_seal(folder, bundle, trust=memory.trust, expect=expect)
            memory.disk.adopt(folder, bundle.id)
            memory.save(state.stage(bundle))
        return bundle
