"""fetch(): the seal first, its signature checked, then only those segments that are not on disk yet."""

import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..bundle.opened import accept_detached
from ..bundle.pipeline import Progress
from ..bundle.reading_order import Verified
from ..constants import SEGMENT_BYTES
from ..errors import NotForUsError, TamperedError, UsageError
from ..format.signed_index import SignedIndex
from ..format.statement import Companion, Statement
from ..format.tree import segment_count
from ..http import paths
from ..http.limits import RUN_SEGMENTS
from ..io.durable import replace_file
from ..io.resumable import ResumableFile, forget
from ..trust.expect import Expect
from ..trust.store import TrustStore
from ._connection import Connection
from ._parallel import run_all, serialised
from ._publishing import JOBS
from ._remote import RangeSource, fetch_index, find_release


@dataclass(frozen=True, slots=True)
class Fetched:
    """A release on disk, every byte of it verified.

    seal, payload: paths; companions, indexes: paths of companions and of their indexes, by names.
    """

    verified: Verified
    seal: str
    payload: str
    companions: Mapping[str, str] = field(default_factory=dict)
    indexes: Mapping[str, str] = field(default_factory=dict)


def fetch(
    connection: Connection,
    *,
    app: str,
    channel: str,
    folder: str | os.PathLike[str],
    trust: TrustStore,
    expect: Expect = Expect(),
    sequence: int | None = None,
    companions: Iterable[str] = (),
    jobs: int = JOBS,
    progress: Progress | None = None,
) -> Fetched:
    """Fetch the latest release, or that of a sequence, into a folder that exists.

    Writes APP@CHANNEL-SEQUENCE.seal and .payload, and for each companion that is named in `companions`
    .attachment.NAME and its index, .index.NAME; they appear whole and verified, the seal last.
    A fetch that was killed goes on from what it left there, if that is ours alone: every segment on disk
    is verified again, only the others are asked for. expect: floor and role; app and channel are demanded
    in any case. Raises RejectedError, TransferError, UsageError, OSError.
    """
    seal, _ = find_release(connection, app=app, channel=channel, sequence=sequence)
    expect = replace(expect, app=app, channel=channel)
    verified = accept_detached(seal, trust, expect)
    if sequence not in (None, verified.statement.sequence):
        raise NotForUsError(f"bundle has sequence {verified.statement.sequence}, asked for {sequence}")
    base = os.path.join(os.fspath(folder), f"{app}@{channel}-{verified.statement.sequence}")
    wanted = _named_companions(verified.statement, companions)
    result = Fetched(
        verified,
        f"{base}.seal",
        f"{base}.payload",
        {one.name: f"{base}.attachment.{one.name}" for one in wanted},
        {one.name: f"{base}.index.{one.name}" for one in wanted},
    )
    report = serialised(progress)
    # By what is signed, whatever the server's own links say.
    path = _path_of(paths.RELEASE_PAYLOAD, verified.statement)
    _fetch_payload(connection, path, verified.index, result.payload, jobs, report)
    for one in wanted:
        path = _path_of(paths.RELEASE_ATTACHMENT, verified.statement, name=one.name)
        index_path = _path_of(paths.RELEASE_ATTACHMENT_INDEX, verified.statement, name=one.name)
        index = SignedIndex.checked(one.payload, fetch_index(connection, index_path, one.size))
        _fetch_payload(connection, path, index, result.companions[one.name], jobs, report)
        replace_file(result.indexes[one.name], index.entries, mode=0o666)
    replace_file(result.seal, seal, mode=0o666)
    _forget_older(os.fspath(folder), verified)
    return result


def _named_companions(statement: Statement, names: Iterable[str]) -> list[Companion]:
    """Return the companions of those names. Raises UsageError where the seal vouches for none of a name."""
    companions = {one.name: one for one in statement.companions}
    wanted = dict.fromkeys(names)
    for name in wanted:
        if name not in companions:
            raise UsageError(f"{name}: the seal vouches for no such attachment")
    return [companions[name] for name in wanted]


def _path_of(template: str, statement: Statement, **names: str) -> str:
    return paths.filled(template, app=statement.app, channel=statement.channel, sequence=statement.sequence, **names)


def _fetch_payload(
    connection: Connection, path: str, index: SignedIndex, target: str, jobs: int, report: Progress
) -> None:
    """Fetch what is not on disk yet of one payload."""
    source = RangeSource(connection, path, index.payload.size)
    with _Unfinished(target) as unfinished:
        runs = [(run,) for run in unfinished.missing(index, report)]

        def get(run: range) -> None:
            _get_run(connection, source, index, unfinished, run, report)

        run_all(get, runs, jobs=jobs, stopped=unfinished.stopped)
        unfinished.commit()


class _Unfinished(ResumableFile):
    """A payload on its way in; one fetch at a time."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.stopped = threading.Event()

    def missing(self, index: SignedIndex, report: Progress) -> list[range]:
        """Return the runs of segments that are not on disk, or not as they were signed."""
        size = index.payload.size
        os.ftruncate(self.fd, min(size, os.fstat(self.fd).st_size))
        wanted: list[int] = []
        for segment in range(segment_count(size)):
            length = min(SEGMENT_BYTES, size - segment * SEGMENT_BYTES)
            data = os.pread(self.fd, length, segment * SEGMENT_BYTES)
            if len(data) == length and _matches(index, segment, data):
                report(length)
            else:
                wanted.append(segment)
        return list(_runs(wanted))

    def write(self, offset: int, data: memoryview) -> None:
        """Write verified bytes."""
        while data:
            count = os.pwrite(self.fd, data, offset)
            data = data[count:]
            offset += count


def _runs(segments: list[int]) -> Iterator[range]:
    start = 0
    for i in range(1, len(segments) + 1):
        ends = i == len(segments) or segments[i] != segments[i - 1] + 1 or i - start == RUN_SEGMENTS
        if ends:
            yield range(segments[start], segments[i - 1] + 1)
            start = i


def _get_run(
    connection: Connection,
    source: RangeSource,
    index: SignedIndex,
    unfinished: _Unfinished,
    run: range,
    report: Progress,
) -> None:
    """Fetch a run: each segment is written once it is verified, and a retry goes on after the last one."""
    size = index.payload.size
    stop = min(run.stop * SEGMENT_BYTES, size)
    segment = run.start
    buffer = memoryview(bytearray(SEGMENT_BYTES))

    def transfer() -> None:
        nonlocal segment
        filled = 0
        for chunk in source.chunks(segment * SEGMENT_BYTES, stop):
            view = memoryview(chunk)
            while view:
                start = segment * SEGMENT_BYTES
                length = min(SEGMENT_BYTES, size - start)
                count = min(len(view), length - filled)
                buffer[filled : filled + count] = view[:count]
                view, filled = view[count:], filled + count
                if filled == length:
                    index.check_run(segment, buffer[:length])
                    unfinished.write(start, buffer[:length])
                    segment, filled = segment + 1, 0
                    report(length)
            if unfinished.stopped.is_set():
                return

    connection.retried(transfer)


def _forget_older(folder: str, verified: Verified) -> None:
    """Delete what unfinished fetches of this and lower sequences of the same app and channel left."""
    statement = verified.statement
    base = re.escape(f"{statement.app}@{statement.channel}")
    left = re.compile(rf"\.{base}-([0-9]+)\.(?:payload|attachment\.[^/]+)\.[0-9a-f]{{16}}\.part")

    def is_old(name: str) -> bool:
        match = left.fullmatch(name)
        return match is not None and int(match[1]) <= statement.sequence

    forget(folder or ".", is_old)


def _matches(index: SignedIndex, segment: int, data: bytes) -> bool:
    try:
        index.check_run(segment, memoryview(data))
    except TamperedError:
        return False
    return True
