"""What a local folder needs beyond what obstore does with it: its lock, syncs, and what killed processes leave.

All but sharing() waits for the disk, in the calling thread. Raises OSError, and TransferError where it says so.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime

from ...errors import TransferError
from ...io import durable
from ...io.regular import NotRegularError, open_regular, read_at
from . import layout

_OF_FILE_SYSTEM = "lost+found"
"""What is in every new ext4."""

_LOCK_TIMEOUT_S = 10.0
_LOCK_PAUSE_S = 0.005


class Folder:
    """A local folder of objects. path: its absolute one."""

    def __init__(self, path: str) -> None:
        self.path = path

    def check_there(self) -> None:
        """Raise TransferError where it is gone."""
        if not os.path.isdir(self.path):
            raise TransferError(f"storage: {self.path} is gone")

    def check_has(self, name: str) -> None:
        """Raise TransferError where an object that must be there is gone, or all of it."""
        if not os.path.exists(os.path.join(self.path, name)):
            raise TransferError(f"storage: {self.path} is gone, or has lost its {name}")

    def any_name(self) -> str | None:
        """Return a name of what is in there, or None; what file systems and killed servers leave does not count."""
        names = (name for name in sorted(os.listdir(self.path)) if name != _OF_FILE_SYSTEM)
        return next((name for name in names if not layout.is_unfinished(name)), None)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock on the folder, which a killed process cannot keep. Raises TransferError."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise TransferError(f"storage: {self.path} is gone") from error
        try:
            deadline = time.monotonic() + _LOCK_TIMEOUT_S
            while not durable.try_lock(fd):
                if time.monotonic() > deadline:
                    raise TransferError(f"storage: {self.path} was locked by others for {_LOCK_TIMEOUT_S:.0f} s")
                time.sleep(_LOCK_PAUSE_S)
            yield
        finally:
            os.close(fd)

    @asynccontextmanager
    async def sharing(self, tidy: Callable[[bool], Awaitable[None]]) -> AsyncIterator[None]:
        """Be one of those that write to the folder side by side.

        tidy: is called first with whether there is no other; no other one begins before it ends then.
        """
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                alone = durable.try_lock(fd)
            except OSError:  # a file system without locks: nobody knows who else there is
                await tidy(False)
                yield
                return
            await tidy(alone)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOCK_TIMEOUT_S):
                    while not durable.try_share(fd):
                        await asyncio.sleep(_LOCK_PAUSE_S)
            yield
        finally:
            os.close(fd)

    def read(self, name: str, most: int) -> bytes | None:
        """Return an object of at most so many bytes, or None where it is not there. Raises TransferError."""
        found = self.read_dated(name, most)
        return None if found is None else found[0]

    def read_dated(self, name: str, most: int) -> tuple[bytes, datetime] | None:
        """Return an object and when it was written, or None where it is not there. Raises TransferError."""
        try:
            fd = self.open(name)
        except FileNotFoundError:
            return None
        try:
            data = read_at(fd, 0, most + 1)
            modified = datetime.fromtimestamp(os.fstat(fd).st_mtime, UTC)
        finally:
            os.close(fd)
        if len(data) > most:
            raise TransferError(f"storage: {name} has more than {most} bytes")
        return data, modified

    def read_span(self, name: str, offset: int, size: int) -> bytes:
        """Return bytes of an object, fewer where it ends before. Raises FileNotFoundError, TransferError."""
        fd = self.open(name)
        try:
            return read_at(fd, offset, size)
        finally:
            os.close(fd)

    def open(self, name: str) -> int:
        """Return a descriptor of an object. Raises FileNotFoundError, TransferError where it is no file."""
        # What others put into the folder may be a link to what is nobody's to read, or a pipe, which would wait.
        try:
            return open_regular(f"{self.path}/{name}")
        except NotRegularError as error:
            raise TransferError(f"storage: {name} {error}") from error

    def sync(self, names: Collection[str]) -> None:
        """Make objects and their names survive a power cut. Raises TransferError where one is gone."""
        files = [os.path.join(self.path, name) for name in names]
        try:
            for name in [*files, *self._folders_of(files)]:
                durable.sync_path(name)
        except FileNotFoundError as error:
            raise TransferError(f"storage: {error.filename} is gone") from error

    def sync_gone(self, names: Collection[str]) -> None:
        """Make it survive a power cut that objects are gone."""
        for folder in self._folders_of([os.path.join(self.path, name) for name in names]):
            with suppress(FileNotFoundError):  # it went with the last of them: the folder around it tells so
                durable.sync_path(folder)

    def _folders_of(self, files: Collection[str]) -> list[str]:
        """Return the folders on the way to files, the innermost first."""
        folders = {os.path.dirname(file) for file in files}
        while missing := {os.path.dirname(one) for one in folders if one != self.path} - folders:
            folders |= missing
        return sorted(folders, reverse=True)

    def links_in(self, below: str) -> set[str]:
        """Return the names of the symbolic links in a folder of objects, in place of which open() takes none."""
        try:
            with os.scandir(os.path.join(self.path, below)) as found:
                return {f"{below}/{one.name}" for one in found if one.is_symlink()}
        except FileNotFoundError:
            return set()

    def link_in(self, below: str) -> str | None:
        """Return a symbolic link on the way to a folder or below it, or None."""
        way = self.path
        for name in below.split("/"):
            way = os.path.join(way, name)
            if os.path.islink(way):
                return way
        for parent, folders, names in os.walk(way):
            for name in [*folders, *names]:
                if os.path.islink(os.path.join(parent, name)):
                    return os.path.join(parent, name)
        return None

    def sweep(self, below: str, before: datetime, ours: Callable[[str], bool]) -> int:
        """Delete the halves of objects that were left before then; return how many. ours: as for Storage.sweep()."""
        swept = 0
        folder = os.path.join(self.path, below).rstrip("/")
        for parent, _, names in os.walk(folder, topdown=False):
            for name in names:
                whole = f"{parent}/{name}".removeprefix(f"{folder}/").rpartition("#")[0]
                if layout.is_unfinished(name) and ours(whole):
                    with suppress(FileNotFoundError):  # another process finished it, or swept it
                        if os.stat(os.path.join(parent, name)).st_mtime < before.timestamp():
                            os.unlink(os.path.join(parent, name))
                            swept += 1
        return swept
