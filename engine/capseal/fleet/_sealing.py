"""Sealing by a fleet: the same payload, index and digest as by capseal.seal(), whoever does how much of it."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace

from ..bundle.plan import SealingPlan
from ..constants import SEGMENT_BYTES
from ..crypto.keys import PublicKey, Signer
from ..crypto.segment_cipher import StreamKey
from ..errors import TransferError, UsageError
from ..format.seal import Seal
from ..format.segment_layout import payload_bytes_of
from ..format.statement import Statement
from ..format.tree import segment_count
from ..io import drafts
from . import _places as places
from ._claims import Claims, ClaimsInMemory, ClaimsInStore
from ._engines import Engine
from ._jobs import Report, Task, Watch, results
from ._outputs import FileUnderWay, Output, Parts
from ._payloads import SEAL, check_unpackable, payload_bytes
from ._plan import (
    MAX_PART_SEGMENTS,
    MAX_TASK_SEGMENTS,
    PART_SEGMENTS,
    TASK_SEGMENTS,
    IndexMerge,
    Span,
    segments_of,
    tasks,
)
from ._sources import PinnedFile, PinnedObject, pin
from ._work import SealWork, seal_span

CLAIMS_FOLDER = ".capseal-claims"
"""Beside a source: what was sent of it, under which commitment. Never deleted."""

_UNPINNED = "is a file: it is told by its inode, size and time alone, which some changes leave as they are"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A bundle that a fleet sealed. seal: None after a dry run."""

    seal: Seal | None
    report: Report


def seal(
    source: str,
    destination: str,
    *,
    statement: Statement,
    signers: Sequence[Signer],
    recipients: Sequence[PublicKey],
    engine: Engine,
    entropy: Callable[[int], bytes] = os.urandom,
    task_bytes: int = TASK_SEGMENTS * SEGMENT_BYTES,
    part_bytes: int = PART_SEGMENTS * SEGMENT_BYTES,
    claims: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    unpackable: bool = True,
    watch: Watch | None = None,
) -> Sealed:
    """Encrypt a bundle by an engine's workers, sign it here, and return its seal and what was done.

    source: a path, or the URL of an object; pinned, so that whoever changes it ends the job. destination: a path, which
    gets the attached form, or a URL of a folder: there a folder named by the commitment gets the parts and, last, the
    seal. statement: payload, encryption and content's size are filled in. claims: a folder or URL that is trusted
    with the plaintext, where engines of several processes claim each part before it is sent; by default beside the
    source. Raises UsageError, SourceChangedError, TransferError, OSError; nothing is under the final name then.
    """
    watch = watch or Watch()
    part_segments = segments_of(part_bytes, least=1, most=MAX_PART_SEGMENTS, what="part")
    task_segments = segments_of(task_bytes, least=1, most=MAX_TASK_SEGMENTS, what="task")
    pinned = pin(source)
    warnings = (f"{source}: {_UNPINNED}",) if isinstance(pinned, PinnedFile) else ()
    content = replace(statement.content, size=pinned.size)
    if unpackable:
        check_unpackable(pinned, content.name, content.media_type)
    plan = SealingPlan.make(replace(statement, content=content), recipients=recipients, entropy=entropy)
    size = payload_bytes_of(pinned.size)
    watch.progress = replace(watch.progress, bytes=size)
    commitment = plan.statement.encryption.commitment.hex()
    folder = None if places.is_local(destination) else places.joined(places.folder_of(destination), commitment)
    place = destination if folder is None else places.joined(destination, commitment)
    spans = list(tasks(segment_count(size), task_segments=task_segments, part_segments=part_segments))
    seal_bytes = plan.seal_bytes(signers)
    if dry_run:
        planned = [Task(span, (), payload_bytes(span, size)) for span in spans]
        return Sealed(None, Report.planned("seal", engine, planned, place=place, warnings=warnings))
    claimed = _claims(pinned, claims, commitment, engine, part_segments)
    with ExitStack() as stack:
        output: Output
        draft = None
        if folder is None:
            draft = stack.enter_context(drafts.Draft(_real(destination, overwrite), overwrite=overwrite))
            output = FileUnderWay(os.path.abspath(draft.part), seal_bytes, part_segments)
        else:
            output = Parts(folder, part_segments)
            stack.callback(_sweep_unless_sealed, folder, claimed)
        key = StreamKey.of(plan.session_key, plan.header, plan.statement.app)
        work = SealWork(pinned, output, claimed, plan.header.encode(), key)
        index = _index(work, spans, size, engine, watch)
        pinned.check()
        result = plan.sign(index, pinned.size, signers)
        if draft is not None:
            os.pwrite(draft.fd, result.encode(), 0)
            drafts.commit_all([draft])
        elif folder is not None:
            _put_seal(folder, result)
    return Sealed(result, Report.of("seal", engine, watch, place=place, warnings=warnings))


def _index(work: SealWork, spans: Sequence[Span], size: int, engine: Engine, watch: Watch) -> bytes:
    """Have all spans sealed, and return the index that came of it."""
    merge = IndexMerge(segment_count(size))
    todo = (Task(span, (work, span), payload_bytes(span, size)) for span in spans)
    with closing(results(engine, seal_span, todo, watch=watch, give_up=work.claims.close)) as done:
        for task, entries in done:
            merge.put(task.what, entries)
    return merge.entries()


def _claims(
    source: PinnedFile | PinnedObject, folder: str | None, commitment: str, engine: Engine, part_segments: int
) -> Claims:
    """Return where parts are claimed; under one commitment there is one size of parts."""
    if folder is None and not engine.shared:
        return ClaimsInMemory()
    beside, _ = places.split(source.name)
    root = places.folder_of(folder) if folder is not None else places.joined(beside, CLAIMS_FOLDER)
    claims = ClaimsInStore(places.joined(root, commitment))
    claims.claim("part-segments", str(part_segments).encode())
    return claims


def _put_seal(folder: str, seal: Seal) -> None:
    there = places.put_new(folder, SEAL, memoryview(seal.encode()))
    if there is not None and there != seal.encode():
        raise UsageError(f"{folder}: has another seal already")


def _sweep_unless_sealed(folder: str, claims: Claims) -> None:
    """Take away what a job that failed left at its destination; what was claimed stays, and no more is sent."""
    with suppress(TransferError):  # there is an error already, and parts without a seal mean nothing
        if places.get_all(folder, SEAL) is not None:
            return
        claims.close()
        names = [one.name for one in places.listed(folder)]
        places.delete(folder, [name for name in names if Span.of_part(name)])


def _real(path: str, overwrite: bool) -> str:
    return os.path.realpath(path) if overwrite else path
