"""fetch(): the seal first, its signature checked, then only those segments that are not on disk yet."""

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial

from ..bundle.opened import accept_detached
from ..bundle.pipeline import Progress
from ..bundle.reading_order import Verified
from ..constants import SEGMENT_BYTES
from ..errors import NotForUsError, TamperedError, TransferError, UsageError
from ..format.release_files import release_base, release_file
from ..format.signed_index import SignedIndex
from ..format.statement import Companion, Statement
from ..format.tree import segment_count
from ..http import paths
from ..http.limits import RUN_SEGMENTS
from ..io.drafts import replace_file
from ..io.durable import remove_file, told_as
from ..io.resumable import ResumableFile, forget
from ..trust.expect import Expect
from ..trust.store import TrustStore
from ._connection import Connection
from ._parallel import Lanes, serialised
from ._publishing import JOBS
from ._remote import FoundRelease, NoRangesError, RangeSource, fetch_index, find_release

Keep = Callable[[int, memoryview], None]
"""Takes verified bytes of a payload, and the offset where they belong."""

Rebuild = Callable[[Verified, FoundRelease, set[int], Keep, Progress], object]
"""Makes segments of a payload in another way than by fetching them: is given the verdict, where the release is, which
segments are missing, what takes those that are as they were signed, and what is told of their bytes; takes what it kept
out of the missing ones.
"""


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
    rebuild: Rebuild | None = None,
    jobs: int = JOBS,
    progress: Progress | None = None,
    expecting: Callable[[int], None] | None = None,
) -> Fetched:
    """Fetch the latest release, or that of a sequence, into a folder that exists.

    Writes APP@CHANNEL-SEQUENCE.seal and .payload (release_files.py), and for each companion that is named in
    `companions` .attachment.NAME and its index, .index.NAME; they appear whole and verified, the seal last. What has
    those names already keeps them until all is there. Where it is another release, its seal loses its name first: it
    never stands beside a payload that is not its own.
    A fetch that was killed goes on from what it left there, if that is ours alone: every segment on disk
    is verified again, only the others are asked for. rebuild: what is tried first for those, as by recipes. expect:
    floor and role; app and channel are demanded in any case. expecting: told once, before any progress, how many bytes
    are signed of all that is fetched.
    Raises RejectedError, TransferError, UsageError, OSError.
    """
    expect = replace(expect, app=app, channel=channel)
    found = find_release(connection, app=app, channel=channel, sequence=sequence)
    # As it comes: nothing is kept of it that a trusted signature does not account for.
    with closing(found.stream_seal()) as seal:
        verified = accept_detached(seal, trust, expect)
    if sequence not in (None, verified.statement.sequence):
        raise NotForUsError(f"bundle has sequence {verified.statement.sequence}, asked for {sequence}")
    statement = verified.statement
    wanted = _named_companions(statement, companions)

    def place(ending: str) -> str:
        return os.path.join(folder, release_file(app, channel, statement.sequence, ending))

    result = Fetched(
        verified,
        place("seal"),
        place("payload"),
        {one.name: place(f"attachment.{one.name}") for one in wanted},
        {one.name: place(f"index.{one.name}") for one in wanted},
    )
    if expecting is not None:
        expecting(verified.statement.payload.size + sum(one.size for one in wanted))
    report = serialised(progress)
    # By what is signed, whatever the server's own links say.
    path = _path_of(paths.RELEASE_PAYLOAD, statement)
    with ExitStack() as stack:
        ways = None if rebuild is None else partial(rebuild, verified, found)
        arrived = [_fetch_payload(stack, connection, path, verified.index, result.payload, jobs, report, ways)]
        indexes = []
        for one in wanted:
            path = _path_of(paths.RELEASE_ATTACHMENT, statement, name=one.name)
            index_path = _path_of(paths.RELEASE_ATTACHMENT_INDEX, statement, name=one.name)
            index = SignedIndex.checked(one.payload, fetch_index(connection, index_path, one.size))
            arrived.append(_fetch_payload(stack, connection, path, index, result.companions[one.name], jobs, report))
            indexes.append((result.indexes[one.name], index.whole()))
        _name(result, arrived, indexes)
    _forget_older(os.fspath(folder), verified)
    return result


def _name(result: Fetched, arrived: Iterable["_Unfinished"], indexes: Iterable[tuple[str, bytes]]) -> None:
    """Give all that arrived its name, the seal last."""
    seal = result.verified.seal.encode()
    if not all(one.kept for one in arrived) and not _holds(result.seal, seal):
        remove_file(result.seal)
    for one in arrived:
        one.finish()
    for path, entries in indexes:
        replace_file(path, entries, mode=0o666)
    replace_file(result.seal, seal, mode=0o666)


def _holds(path: str, data: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(data) + 1) == data
    except FileNotFoundError:
        return False


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
    stack: ExitStack,
    connection: Connection,
    path: str,
    index: SignedIndex,
    target: str,
    jobs: int,
    report: Progress,
    rebuild: Callable[[set[int], Keep, Progress], object] | None = None,
) -> "_Unfinished":
    """Fetch what is not on disk yet of one payload; it has no name yet. stack: of what is open until it has."""
    source = RangeSource(connection, path, index.payload.size)
    unfinished = stack.enter_context(_Unfinished(target))
    missing = unfinished.missing(index, report)
    if rebuild is not None and missing:
        left = set(missing)
        rebuild(left, unfinished.write, report)
        missing = sorted(left)
    arrival = _Arrival(connection, source, index, unfinished, missing, report)
    try:
        lanes = Lanes(connection, jobs)
        lanes.run(lambda run: arrival.get(lanes, run), [(run,) for run in _runs(missing)])
    except NoRangesError:
        lanes = Lanes(connection, 1)
        lanes.run(lambda: arrival.get_from_whole(lanes), [()])
    return unfinished


class _Unfinished(ResumableFile):
    """A payload on its way in; one fetch at a time. kept: what has its name already is it, whole."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.kept = False
        self._writing = threading.Lock()
        self._left = False

    def __exit__(self, *exception: object) -> None:
        # A transfer that could not be ended must not write to what the descriptor's number is used for next.
        with self._writing:
            self._left = True
            super().__exit__(*exception)

    def missing(self, index: SignedIndex, report: Progress) -> list[int]:
        """Return the segments that are not on disk, or not as they were signed.

        What has the name is not touched, whatever it is: of what is good there, a copy is made, unless all is.
        """
        size = index.payload.size
        segments = range(segment_count(size))
        good: set[int] = set()
        if self.named is not None:
            good = {segment for segment in segments if self._read(self.named, index, segment) is not None}
            self.kept = len(good) == len(segments) and os.fstat(self.named).st_size == size
        wanted: list[int] = []
        with told_as(self.path):
            os.ftruncate(self.fd, min(size, os.fstat(self.fd).st_size))
        for segment in segments:
            there = self.kept or self._read(self.fd, index, segment) is not None
            if not there and segment in good and self.named is not None:
                data = self._read(self.named, index, segment)  # checked once more: it is what is written
                if data is not None:
                    self.write(segment * SEGMENT_BYTES, memoryview(data))
                    there = True
            if there:
                report(min(SEGMENT_BYTES, size - segment * SEGMENT_BYTES))
            else:
                wanted.append(segment)
        return wanted

    def finish(self) -> None:
        """Give the payload its name, if it has not got it. Raises OSError."""
        if self.kept:
            self.keep()
        else:
            self.commit()

    def _read(self, fd: int, index: SignedIndex, segment: int) -> bytes | None:
        """Return a segment of a file if it is there, as it was signed. Raises OSError."""
        length = min(SEGMENT_BYTES, index.payload.size - segment * SEGMENT_BYTES)
        with told_as(self.path):
            data = os.pread(fd, length, segment * SEGMENT_BYTES)
        return data if len(data) == length and _matches(index, segment, data) else None

    def write(self, offset: int, data: memoryview) -> None:
        """Write verified bytes."""
        with self._writing:
            if self._left:
                raise TransferError("stopped, since the fetch was broken off")
            with told_as(self.path):
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


class _Arrival:
    """The missing segments of a payload as they arrive: each is written once it is verified."""

    def __init__(
        self,
        connection: Connection,
        source: RangeSource,
        index: SignedIndex,
        unfinished: _Unfinished,
        missing: Iterable[int],
        report: Progress,
    ) -> None:
        self._connection = connection
        self._source = source
        self._index = index
        self._unfinished = unfinished
        self._missing = set(missing)
        self._report = report

    def get(self, lanes: Lanes, run: range) -> None:
        """Fetch a run; a retry goes on after its last segment. Raises NoRangesError."""
        stop = min(run.stop * SEGMENT_BYTES, self._index.payload.size)
        segment = run.start

        def transfer() -> None:
            nonlocal segment
            with lanes.lane():
                chunks = self._source.chunks(segment * SEGMENT_BYTES, stop, from_whole=False)
                for taken, data in self._segments(chunks, segment):
                    self._take(taken, data)
                    segment = taken + 1
                    if lanes.stopped.is_set():
                        return

        self._connection.retried(transfer, reached=lambda: segment, stopped=lanes.stopped)

    def get_from_whole(self, lanes: Lanes) -> None:
        """Fetch all that is missing out of a stream of the whole payload, which a retry begins anew."""
        missing = self._missing

        def transfer() -> None:
            with lanes.lane():
                last = max(missing, default=-1)
                for segment, data in self._segments(self._source.chunks(0, self._index.payload.size), 0):
                    if segment in missing:
                        self._take(segment, data)
                    if segment == last or lanes.stopped.is_set():
                        return

        self._connection.retried(transfer, reached=lambda: -len(missing), stopped=lanes.stopped)

    def _take(self, segment: int, data: memoryview) -> None:
        self._index.check_run(segment, data)
        self._unfinished.write(segment * SEGMENT_BYTES, data)
        self._missing.discard(segment)
        self._report(len(data))

    def _segments(self, chunks: Iterator[bytes], segment: int) -> Iterator[tuple[int, memoryview]]:
        """Cut what comes into segments, the first with that number, all in one buffer."""
        buffer = memoryview(bytearray(SEGMENT_BYTES))
        filled = 0
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                length = min(SEGMENT_BYTES, self._index.payload.size - segment * SEGMENT_BYTES)
                count = min(len(view), length - filled)
                buffer[filled : filled + count] = view[:count]
                view, filled = view[count:], filled + count
                if filled == length:
                    yield segment, buffer[:length]
                    segment, filled = segment + 1, 0


def _forget_older(folder: str, verified: Verified) -> None:
    """Delete what unfinished fetches of this and lower sequences of the same app and channel left."""
    statement = verified.statement
    base = re.escape(release_base(statement.app, statement.channel))
    left = re.compile(rf"\.{base}-([0-9]+)\.(?:seal|payload|(?:attachment|index)\.[^/]+)\.[0-9a-f]{{16}}\.part")

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
