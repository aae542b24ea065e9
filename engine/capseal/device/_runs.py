"""Many small stored files, taken out of an archive a run at a time: one thread reads and checks, another makes them."""

import hashlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from zlib_ng.zlib_ng import crc32

from ..archive.directory import DESCRIPTOR, STORED, ReadAt, exactly
from ..archive.local_headers import Member, check_content
from ..native.filewriter import NewFiles, write_files
from ._manifest import ContentFile

_RUN_BYTES = 1024 * 1024
_RUNS_WAITING = 4


def runs(files: Sequence[Member]) -> Iterator[tuple[str | None, list[Member]]]:
    """Divide files, in the order of their data, into runs of small stored ones of one folder, whose path is given.

    What is deflated, large or has its size behind it only comes by itself, with None in place of a folder.
    """
    run: list[Member] = []
    of = None
    for member in files:
        entry = member.entry
        end = member.data + entry.packed
        parent = None
        if entry.method == STORED and entry.size <= _RUN_BYTES and not entry.flags & DESCRIPTOR:
            parent = entry.path.rpartition("/")[0]
        if run and (parent is None or parent != of or end - run[0].data > _RUN_BYTES):
            yield of, run
            run = []
        run.append(member)
        of = parent
    if run:
        yield of, run


def take_run(read_at: ReadAt, run: Sequence[Member], modes: Sequence[int]) -> tuple[NewFiles, dict[str, ContentFile]]:
    """Read a run of stored files; return what is to be made of it, and its part of the manifest.

    Raises FormatError, SourceChangedError, and what reading raises.
    """
    start, last = run[0].data, run[-1]
    data = exactly(read_at, start, last.data + last.entry.packed - start)
    view = memoryview(data)
    names, data_at, sizes = [], [], []
    content = {}
    for member in run:
        entry = member.entry
        at, size = member.data - start, entry.packed
        file = view[at : at + size]
        check_content(entry, size, crc32(file))
        content[entry.path] = ContentFile(size, hashlib.sha256(file).hexdigest(), entry.crc)
        names.append(entry.path.rpartition("/")[2].encode())
        data_at.append(at)
        sizes.append(size)
    return NewFiles(names, modes, data_at, sizes, data), content


class FileMaker:
    """Makes files in a thread of its own, or at once where none can be started.

    open_folder: gives the descriptor of a folder by its path, which is used until the next call. A context manager,
    in which whatever failed is raised: by make(), or at the end. Nothing is made afterwards.
    """

    def __init__(self, open_folder: Callable[[str], int]) -> None:
        self._open_folder = open_folder
        self._waiting: queue.Queue[tuple[str, NewFiles] | None] = queue.Queue(_RUNS_WAITING)
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = threading.Thread(target=self._work, name="capseal-files", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # "can't start new thread"
            self._thread = None

    def make(self, folder: str, files: NewFiles) -> None:
        """Take files to be made in the folder of that path. Raises what failed before, OSError."""
        if self._error is not None:
            raise self._error
        if self._thread is None:
            write_files(self._open_folder(folder), files)
        else:
            self._waiting.put((folder, files))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *traceback: object) -> None:
        failed, self._error = self._error, self._error or error  # what waits is not made any more
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            failed = failed or self._error
        if kind is None and failed is not None:
            raise failed

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            if self._error is not None:
                continue
            try:
                write_files(self._open_folder(item[0]), item[1])
            except BaseException as failed:  # noqa: BLE001 - make() or the end of the block raises it
                self._error = failed
