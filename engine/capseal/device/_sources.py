"""Where a payload that is no file comes from: a stream, or a server, of which as little as will do.

From a server: the recipe from what is installed, else that from nothing, else the payload; and what a recipe did
not give, by ranges of the payload.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..bundle.opened import OpenedBundle, unwrap_session_key
from ..bundle.pipeline import Progress
from ..constants import SEGMENT_BYTES
from ..crypto.keys import Identity
from ..errors import RejectedError
from ..format.tree import segment_count
from ..io.sink import StreamSink
from ..io.source import open_source
from ._incoming import spooled_payload
from ._manifest import read_manifest
from ._state import Download, InstalledBundle

if TYPE_CHECKING:
    from ..client import FoundRelease
    from ..recipes.bases import KnownBase

_RUN_SEGMENTS = 16
PAYLOAD = "payload"


@dataclass(frozen=True, slots=True)
class Means:
    """What a device has to rebuild a payload with.

    memory_bytes: at most, 0 to use no recipe; installed: bundles and their folders, the best base first; content,
    manifest: what these are called in a folder.
    """

    identity: Identity | Sequence[Identity]
    memory_bytes: int
    installed: Sequence[tuple[str, InstalledBundle]]
    content: str
    manifest: str

    def bases(self, stack: ExitStack) -> "list[KnownBase]":
        """Open what is installed until the stack is left; what has a damaged manifest is passed over."""
        from ..recipes.bases import KnownBase
        from ._installed_base import InstalledBase

        found = []
        for folder, bundle in self.installed:
            with suppress(OSError, RejectedError):
                manifest = read_manifest(folder, self.manifest, digest=bundle.manifest)
                base = stack.enter_context(InstalledBase(os.path.join(folder, self.content), manifest))
                found.append(KnownBase(base, (bytes.fromhex(bundle.digest), base.digest), bundle.version))
        return found


@contextmanager
def arriving_payload(
    opened: OpenedBundle, release: "FoundRelease | None", means: Means, staging: str, progress: Progress | None
) -> Iterator[tuple[OpenedBundle, Download | None]]:
    """Give a bundle that arrives as a stream once all of it was checked, and what was downloaded for it.

    release: where it is streamed from, if that is a server. staging: the folder for what is under way. Raises
    RejectedError, OSError, and what the stream raises.
    """
    problem = None
    if release is not None and means.memory_bytes:
        with tempfile.TemporaryFile(dir=staging, buffering=0) as spool:
            download = _rebuild(opened, release, means, StreamSink(spool, name=staging), progress)
            if download.source != PAYLOAD:
                spool.seek(0)
                with OpenedBundle(open_source(spool), opened.verified) as whole:
                    yield whole, download
                return
            problem = download.problem
    with spooled_payload(opened, staging=staging, progress=progress) as whole:
        size = opened.verified.statement.payload.size
        wasted = download.bytes if problem is not None else 0
        yield whole, None if release is None else Download(size + wasted, size, PAYLOAD, problem)


def _rebuild(
    opened: OpenedBundle, release: "FoundRelease", means: Means, spool: StreamSink, progress: Progress | None
) -> Download:
    """Fill a file with the payload, where a recipe gives a part of it; else say that it did not."""
    verified = opened.verified
    size = verified.statement.payload.size
    try:
        from ..delta import RecipeLimits
        from ..recipes.rebuilding import rebuild_missing
    except ModuleNotFoundError:  # the extra `delta`, without which all is downloaded
        return Download(0, size, PAYLOAD)
    missing = set(range(segment_count(size)))
    segments = len(missing)
    with ExitStack() as stack:
        attempts = rebuild_missing(
            verified,
            unwrap_session_key(verified, means.identity),
            bases=means.bases(stack),
            open_companion=release.open_companion,
            missing=missing,
            keep=spool.write_at,
            progress=progress,
            limits=RecipeLimits(memory_bytes=means.memory_bytes),
        )
    downloaded = sum(attempt.downloaded for attempt in attempts)
    problem = "; ".join(f"{attempt.name}: {attempt.problem}" for attempt in attempts if attempt.problem) or None
    if len(missing) == segments:
        return Download(downloaded, size, PAYLOAD, problem)
    with closing(release.payload(size)) as source:
        for run in _runs(sorted(missing)):
            start, stop = run.start * SEGMENT_BYTES, min(run.stop * SEGMENT_BYTES, size)
            data = memoryview(bytearray(stop - start))
            count = source.read_into(start, data)
            if count < len(data):
                raise verified.payload_ended(start + count)
            verified.check_run(run.start, data)
            spool.write_at(start, data)
            downloaded += len(data)
            if progress is not None:
                progress(len(data))
    best = max(attempts, key=lambda attempt: attempt.kept)
    return Download(downloaded, size, best.name, problem)


def _runs(segments: Sequence[int]) -> Iterator[range]:
    """Join segments that follow one another, so many at most."""
    start = 0
    for end in range(1, len(segments) + 1):
        if end == len(segments) or segments[end] != segments[end - 1] + 1 or end - start == _RUN_SEGMENTS:
            yield range(segments[start], segments[end - 1] + 1)
            start = end
