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
from ..errors import FormatError, TamperedError, TruncatedError
from ..io.source import PathOrFile
from ._manifest import CONTENT, MANIFEST
from ._memory import Memory
from ._state import Download, Failure, InstalledBundle
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
            with open_bundle(source, trust=memory.trust, expect=expect, seal=seal) as opened:
                statement = opened.verified.statement
                known = state.find(statement.payload.digest.hex())
                if known is not None:
                    return known
                state.check_statement(statement)
                if expecting is not None:
                    expecting(statement.payload.size)
                with (
                    self._checked_payload(opened) as (whole, download),
                    SealedFile(whole, identity=self.identity) as content,
                    disk.unpacking() as folder,
                ):
                    return self._stage(content, folder, download)

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

    def _stage(self, content: SealedFile, folder: str, download: Download | None) -> InstalledBundle:
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
            memory.disk.adopt(folder, bundle.id)
            memory.save(state.stage(bundle))
        return bundle
