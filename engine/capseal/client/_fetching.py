"""fetch(): the seal first, its signature checked, then only those segments that are not on disk yet."""

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..bundle.opened import accept_detached
from ..bundle.pipeline import Progress
from ..bundle.reading_order import Verified
from ..constants import SEGMENT_BYTES
from ..errors import NotForUsError, TamperedError
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
from ._remote import RangeSource, find_release


@dataclass(frozen=True, slots=True)
class Fetched:
    """A release on disk, every byte of it verified. seal, payload: paths."""

    verified: Verified
    seal: str
    payload: str


def fetch(
    connection: Connection,
    *,
    app: str,
    channel: str,
    folder: str | os.PathLike[str],
    trust: TrustStore,
    expect: Expect = Expect(),
    sequence: int | None = None,
    jobs: int = JOBS,
    progress: Progress | None = None,
) -> Fetched:
    """Fetch the latest release, or that of a sequence, into a folder that exists.

    Writes APP@CHANNEL-SEQUENCE.seal and .payload; they appear whole and verified, the payload first.
    A fetch that was killed goes on from what it left there, if that is ours alone: every segment on disk
    is verified again, only the others are asked for. expect: floor and role; app and channel are demanded
    in any case. Raises RejectedError, TransferError, UsageError, OSError.
    """
    seal, source = find_release(connection, app=app, channel=channel, sequence=sequence)
    expect = replace(expect, app=app, channel=channel)
    verified = accept_detached(seal, trust, expect)
    if sequence not in (None, verified.statement.sequence):
        raise NotForUsError(f"bundle has sequence {verified.statement.sequence}, asked for {sequence}")
    source = RangeSource(connection, _payload_path(verified), verified.statement.payload.size)
    base = os.path.join(os.fspath(folder), f"{app}@{channel}-{verified.statement.sequence}")
    result = Fetched(verified, f"{base}.seal", f"{base}.payload")
    report = serialised(progress)
    with _Unfinished(result.payload) as unfinished:
        runs = [(run,) for run in unfinished.missing(verified, report)]

        def get(run: range) -> None:
            _get_run(connection, source, verified, unfinished, run, report)

        run_all(get, runs, jobs=jobs, stopped=unfinished.stopped)
        unfinished.commit()
    replace_file(result.seal, seal, mode=0o666)
    _forget_older(os.fspath(folder), verified)
    return result


def _payload_path(verified: Verified) -> str:
    """Return the payload's path by what is signed, whatever the server's own links say."""
    statement = verified.statement
    return paths.filled(
        paths.RELEASE_PAYLOAD, app=statement.app, channel=statement.channel, sequence=statement.sequence
    )


class _Unfinished(ResumableFile):
    """The payload on its way in; one fetch at a time."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.stopped = threading.Event()

    def missing(self, verified: Verified, report: Progress) -> list[range]:
        """Return the runs of segments that are not on disk, or not as they were signed."""
        size = verified.statement.payload.size
        os.ftruncate(self.fd, min(size, os.fstat(self.fd).st_size))
        wanted: list[int] = []
        for segment in range(segment_count(size)):
            length = min(SEGMENT_BYTES, size - segment * SEGMENT_BYTES)
            data = os.pread(self.fd, length, segment * SEGMENT_BYTES)
            if len(data) == length and _matches(verified, segment, data):
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
    verified: Verified,
    unfinished: _Unfinished,
    run: range,
    report: Progress,
) -> None:
    """Fetch a run: each segment is written once it is verified, and a retry goes on after the last one."""
    size = verified.statement.payload.size
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
                    verified.check_run(segment, buffer[:length])
                    unfinished.write(start, buffer[:length])
                    segment, filled = segment + 1, 0
                    report(length)
            if unfinished.stopped.is_set():
                return

    connection.retried(transfer)


def _forget_older(folder: str, verified: Verified) -> None:
    """Delete what unfinished fetches of this and lower sequences of the same app and channel left."""
    statement = verified.statement
    left = re.compile(rf"\.{re.escape(f'{statement.app}@{statement.channel}')}-([0-9]+)\.payload\.[0-9a-f]{{16}}\.part")

    def is_old(name: str) -> bool:
        match = left.fullmatch(name)
        return match is not None and int(match[1]) <= statement.sequence

    forget(folder or ".", is_old)


def _matches(verified: Verified, segment: int, data: bytes) -> bool:
    try:
        verified.check_run(segment, memoryview(data))
    except TamperedError:
        return False
    return True
