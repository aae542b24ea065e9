"""Many new files below one folder, made durable together: to sync each by itself takes a disk milliseconds a file."""

import os
import queue
import threading
from typing import Self

from ..native import filehints
from .durable import sync, sync_and_close

_SYNC_THREADS = 32  # they only wait, and a journal writes for all who wait at once
_SYNC_QUEUE = 128  # files that are open meanwhile


class SyncedTogether:
    """Takes new files and folders, all of which are on disk when the block has ended well.

    folder: an open one, above all of them, opened before the first was made, and not closed before the end. Where
    a sync of the file system is as sure as a sync of each, there is one of those; otherwise threads sync the files,
    since a journal writes for all who wait for it at once. What they raise is told at the end.
    """

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._threads = None if filehints.can_sync_file_system(folder) else _SyncThreads()

    @property
    def takes_closed(self) -> bool:
        """Whether files below the folder that were closed already, and never added, will be on disk too."""
        return self._threads is None

    def add_file(self, fd: int) -> None:
        """Take an open file that is complete, and close it sooner or later. Raises OSError."""
        if self._threads is not None:
            self._threads.add(fd)
        else:
            os.close(fd)

    def add_folder(self, fd: int) -> None:
        """Be told of an open folder in which all is made. Raises OSError."""
        if self._threads is not None:
            sync(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        error = self._threads.end() if self._threads is not None else None
        if kind is not None:
            return
        if error is not None:
            raise error
        if self._threads is None:
            filehints.sync_file_system(self._folder)


class _SyncThreads:
    """Sync files and close them. Each stays open until then: opened anew, it may not be told of an error before."""

    def __init__(self) -> None:
        self._files: queue.Queue[int | None] = queue.Queue(_SYNC_QUEUE)
        self._error: OSError | None = None
        self._threads: list[threading.Thread] = []
        for number in range(_SYNC_THREADS):
            thread = threading.Thread(target=self._work, name=f"capseal-sync-{number}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # "can't start new thread": fewer do it as well
                break
            self._threads.append(thread)

    def add(self, fd: int) -> None:
        """Take a file. Raises OSError where it is synced at once, since there are no threads."""
        if self._threads:
            self._files.put(fd)
        else:
            sync_and_close(fd)

    def end(self) -> OSError | None:
        """Wait for the last file, and return an error that there was."""
        for _ in self._threads:
            self._files.put(None)
        for thread in self._threads:
            thread.join()
        return self._error

    def _work(self) -> None:
        while (fd := self._files.get()) is not None:
            try:
                sync_and_close(fd)
            except OSError as error:
                self._error = error
