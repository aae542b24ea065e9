"""Sealing by a fleet: the same payload, index and digest as by capseal.seal(), whoever does how much of it."""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace

from ..bundle.pipeline import RUN_SEGMENTS
from ..bundle.plan import SealingPlan
from ..bundle.verify import inspect
from ..constants import SEGMENT_BYTES
from ..crypto.keys import PublicKey, Signer
from ..crypto.segment_cipher import StreamKey
from ..errors import RejectedError, SourceChangedError, TamperedError, TransferError, UsageError
from ..format.seal import Seal
from ..format.segment_layout import payload_bytes_of
from ..format.statement import Statement
from ..format.tree import segment_count
from ..io import drafts
from ..native import filehints
from . import _places as places
from . import _state as states
from ._claims import PARTS_SIZE, SEALED, Claims, ClaimsInMemory, ClaimsInStore
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
    parts,
    segments_of,
    tasks,
)
from ._sources import PinnedFile, PinnedObject, pin
from ._state import Begun, Held, pin_of
from ._work import SealWork, seal_span

CLAIMS_FOLDER = ".capseal-claims"
"""Beside a source: what was sent of it, under which commitment. Never deleted."""

_UNSAFE = (SourceChangedError, TamperedError)
"""After what the key of a job with a state is dropped: it might encrypt something else. After all else it goes on."""

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
    state: str | None = None,
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
    source. state: the path of a file that holds the key until the job has ended, so that the same call goes on where it
    was killed or failed, unless what was read changed; for parts alone, apart from them, and for one job at a time.
    Raises UsageError, SourceChangedError, TamperedError, TransferError, KeyFileError, OSError; nothing is under the
    final name then.
    """
    watch = watch or Watch()
    part_segments = segments_of(part_bytes, least=1, most=MAX_PART_SEGMENTS, what="part")
    task_segments = segments_of(task_bytes, least=1, most=MAX_TASK_SEGMENTS, what="task")
    if state is not None:
        _check_apart(destination, state)
    with ExitStack() as stack:
        kept = None if state is None else stack.enter_context(states.held(state))
        before = None if kept is None else kept.begun
        pinned = pin(source)
        warnings: tuple[str, ...] = (f"{source}: {_UNPINNED}",) if isinstance(pinned, PinnedFile) else ()
        content = replace(statement.content, size=pinned.size)
        if unpackable:
            check_unpackable(pinned, content.name, content.media_type)
        asked = SealingPlan.make(replace(statement, content=content), recipients=recipients, entropy=entropy)
        plan = asked if before is None else before.plan
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
        claimed: Claims = ClaimsInMemory()
        if engine.shared or claims is not None or state is not None:
            claims_folder = places.joined(_claims_root(pinned, claims), commitment)
            begun = Begun(asked, pin_of(pinned), folder or "", claims_folder, part_segments)
            if before is not None:
                before.check_goes_on(begun)
            claimed = ClaimsInStore(claims_folder)
            if kept is not None and before is not None and claimed.said(PARTS_SIZE) is None:
                states.remove(kept)
                raise SourceChangedError(
                    f"{claims_folder}: has lost the claims of what was sent to {begun.folder}, which is left there; "
                    "the key is dropped: run it again, which begins anew"
                )
        claimed.claim(PARTS_SIZE, str(part_segments).encode())
        output: Output
        draft = None
        if folder is None:
            draft = stack.enter_context(drafts.Draft(_real(destination, overwrite), overwrite=overwrite))
            filehints.preallocate(draft.fd, seal_bytes + size)
            # Where nothing is claimed outside of this process, what is written at once is what the caches still have.
            at_once = min(part_segments, RUN_SEGMENTS) if isinstance(claimed, ClaimsInMemory) else part_segments
            output = FileUnderWay(os.path.abspath(draft.part), seal_bytes, at_once)
        else:
            output = Parts(folder, part_segments)
            stack.enter_context(_swept_unless_sealed(folder, claimed, kept))
            if before is not None:
                if claimed.said(SEALED) is not None:
                    warnings += (f"{folder}: was sealed before, by a run that did not come to remove {state}",)
                _check_unchanged(before, begun, claimed, output, spans[0])
            elif kept is not None:
                states.save(kept, begun)
        key = StreamKey.of(plan.session_key, plan.header, plan.statement.app)
        work = SealWork(pinned, output, claimed, plan.header.encode(), key, resumed=before is not None)
        # What goes on may send the same parts again: who drops its key tells.
        index = _index(work, spans, size, engine, watch, give_up=claimed.close if state is None else None)
        pinned.check()
        result = plan.sign(index, pinned.size, signers)
        if draft is not None:
            os.pwrite(draft.fd, result.encode(), 0)
            drafts.commit_all([draft])
        elif folder is not None:
            claimed.claim(SEALED, result.statement.payload.digest)
            # After that claim: of two, who gives a job up and who seals it, one sees the other.
            claimed.check_open()
            _put_seal(folder, result)
        return Sealed(result, Report.of("seal", engine, watch, place=place, warnings=warnings))


def _index(
    work: SealWork,
    spans: Sequence[Span],
    size: int,
    engine: Engine,
    watch: Watch,
    *,
    give_up: Callable[[], None] | None,
) -> bytes:
    """Have all spans sealed, and return the index that came of it."""
    merge = IndexMerge(segment_count(size))
    todo = (Task(span, (work, span), payload_bytes(span, size)) for span in spans)
    with closing(results(engine, seal_span, todo, watch=watch, give_up=give_up)) as done:
        for task, entries in done:
            merge.put(task.what, entries)
    return merge.entries()


def _claims_root(source: PinnedFile | PinnedObject, claims: str | None) -> str:
    """Return the folder in which each commitment has one with its claims."""
    beside, _ = places.split(source.name)
    return places.absolute(claims) if claims is not None else places.joined(beside, CLAIMS_FOLDER)


def _check_unchanged(before: Begun, now: Begun, claims: Claims, output: Output, first: Span) -> None:
    """Raise where a job cannot go on with its key: SourceChangedError, TransferError."""
    if before.pin != now.pin:
        raise SourceChangedError(f"{now.pin['name']}: is another one than when the job began; run it again")
    part = next(parts(first, part_segments=output.part_segments))
    said = claims.said(part.part_name)
    # The first part goes first where a store sweeps what nobody needs, perhaps late: no name is used again after that.
    if said is not None and output.size_of(part) is None:
        raise SourceChangedError(f"{before.folder}: has lost its first part; run it again, which begins anew")


def _put_seal(folder: str, seal: Seal) -> None:
    there = places.put_new(folder, SEAL, memoryview(seal.encode()))
    if there is not None and not _seals_the_same(there, seal):
        raise TamperedError(f"{folder}: has another seal already")


def _seals_the_same(data: bytes, seal: Seal) -> bool:
    """Say whether a seal says the same, as that of a driver does which died just after it."""
    try:
        return inspect(io.BytesIO(data))[1] == seal.statement
    except RejectedError:
        return False


@contextmanager
def _swept_unless_sealed(folder: str, claims: Claims, state: Held | None) -> Iterator[None]:
    """Drop the key of a job that fails, and what it left; but with a state, where the same call may succeed later."""
    try:
        yield
    except BaseException as error:
        if state is None or isinstance(error, _UNSAFE):
            was_sealed = _sweep_unless_sealed(folder, claims)
            if state is not None:
                states.remove(state)
            if was_sealed and isinstance(error, SourceChangedError):
                raise SourceChangedError(f"{error}; {folder} was sealed before, and is left as it is") from None
        raise
    if state is not None:
        states.remove(state)


def _sweep_unless_sealed(folder: str, claims: Claims) -> bool:
    """Take away what a job that failed left, unless it is sealed: then return True.

    What was claimed stays, and no more is sent.
    """
    with suppress(TransferError, RejectedError):  # there is an error already, and parts without a seal mean nothing
        # A store takes away the seal beside parts that it publishes.
        if claims.said(SEALED) is not None or places.size_of(folder, SEAL) is not None:
            return True
        if claims.said(PARTS_SIZE) is None:
            return False  # claims that are gone do not tell whether it was sealed
        claims.close()
        if claims.said(SEALED) is not None:
            return True
        names = [one.name for one in places.listed(folder)]
        places.delete(folder, [name for name in names if Span.of_part(name)])
    return False


def _check_apart(destination: str, state: str) -> None:
    """Raise UsageError where a state is not for that destination, or would lie where others read."""
    if places.is_local(destination):
        raise UsageError(f"{destination}: a state is for parts below a URL, such as file:///folder")
    folder = places.absolute(destination)
    if not places.is_local(folder):
        return
    from ..server.storage import layout  # here, since it is for folders on this machine alone

    folder = os.path.realpath(folder)
    above, name = os.path.split(folder)
    if name == layout.PARTS and os.path.exists(os.path.join(above, layout.LAYOUT)):
        folder = above  # a server's store, all of it
    if os.path.realpath(state).startswith(f"{folder.rstrip('/')}/"):
        raise UsageError(f"{state}: lies in {folder}, which is for the sealed bundle; a state holds its key")


def _real(path: str, overwrite: bool) -> str:
    return os.path.realpath(path) if overwrite else path
