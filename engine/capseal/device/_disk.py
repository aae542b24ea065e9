"""The folder of a device store: two locks, the state file, the bundles (docs/device.md, On disk).

Every change is write-new, fsync the file, rename, fsync the folder. The state file alone says what
exists: a bundle's folder is complete and durable before the state names it, and is deleted only after
a durable state no longer does.
"""

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from ..errors import UsageError
from ..io.durable import FOLDER, is_part_of, make_folders, move_folder, replace_in, sync_folder, try_lock

STATE_FILE = "state.json"
BUNDLES = "bundles"
STAGING = "staging"
STATE_LOCK = "state.lock"
INSTALL_LOCK = "install.lock"

_MAX_STATE_BYTES = 256 * 1024 * 1024
_POLL_S = 0.02
_WRITABLE_BY_OTHERS = 0o022


class Disk:
    """The folder of one device store. lock_timeout_s: how long to wait for another process."""

    def __init__(self, root: str | os.PathLike[str], *, lock_timeout_s: float) -> None:
        self.root = os.path.abspath(root)
        self._lock_timeout_s = lock_timeout_s

    @property
    def state(self) -> str:
        """The file of the state."""
        return os.path.join(self.root, STATE_FILE)

    @property
    def staging(self) -> str:
        """The folder in which bundles are unpacked."""
        return os.path.join(self.root, STAGING)

    def bundle(self, id: str) -> str:
        """Return a bundle's folder."""
        return os.path.join(self.root, BUNDLES, id)

    def exists(self) -> bool:
        """Say whether anything was ever installed here. Raises OSError."""
        try:
            os.stat(os.path.join(self.root, STATE_LOCK))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def create(self) -> None:
        """Make the folders that are missing, readable by their owner only. Raises OSError, UsageError."""
        if not os.path.isdir(self.root):
            make_folders(self.root, mode=0o700)
        self._close_to_others()
        for name in (BUNDLES, STAGING):
            path = os.path.join(self.root, name)
            with suppress(FileExistsError):
                os.mkdir(path, 0o700)
            fd = os.open(path, FOLDER)  # refuses a link
            try:
                if stat.S_IMODE(os.fstat(fd).st_mode) != 0o700:
                    os.fchmod(fd, 0o700)
            finally:
                os.close(fd)
        sync_folder(self.root)

    def _close_to_others(self) -> None:
        """Take a root folder that others may write to from them, unless it is for other things as well."""
        root = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            mode = stat.S_IMODE(os.fstat(root).st_mode)
            if not mode & _WRITABLE_BY_OTHERS:
                return
            strange = sorted(name for name in os.listdir(root) if not _is_ours(name))
            if strange:
                raise UsageError(
                    f"{self.root}: mode {mode:o}, so others can replace what runs, and {strange[0]!r} in it is not of "
                    "this store; choose a folder for the store alone"
                )
            os.fchmod(root, 0o700)
        finally:
            os.close(root)

    @contextmanager
    def installing(self) -> Iterator[None]:
        """Hold the lock on the staging folder. Raises UsageError where another process keeps it."""
        with self._locked(INSTALL_LOCK, "is installing a bundle"):
            yield

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock on the state and the bundles. Raises UsageError where another process keeps it."""
        with self._locked(STATE_LOCK, "is changing the state"):
            yield

    @contextmanager
    def _locked(self, name: str, what: str) -> Iterator[None]:
        path = os.path.join(self.root, name)
        fd = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            deadline_s = time.monotonic() + self._lock_timeout_s
            while not try_lock(fd):
                if time.monotonic() >= deadline_s:
                    raise UsageError(f"{path}: another process {what}, waited {self._lock_timeout_s:g} s for it")
                time.sleep(_POLL_S)
            yield
        finally:
            os.close(fd)  # unlocks

    def load(self) -> bytes | None:
        """Return the state file's bytes, None where there is none. Needs no lock. Raises OSError."""
        path = self.state
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(fd, "rb") as file:
            data = file.read(_MAX_STATE_BYTES + 1)
        if len(data) > _MAX_STATE_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        return data

    def save(self, data: bytes) -> None:
        """Replace the state file, durably, or raise OSError. Call it under changing()."""
        folder = os.open(self.root, FOLDER)
        try:
            replace_in(folder, STATE_FILE, data)
        finally:
            os.close(folder)

    @contextmanager
    def unpacking(self) -> Iterator[str]:
        """Make a new folder for a bundle, which is deleted unless adopt() moves it. Call it under installing()."""
        path = os.path.join(self.staging, secrets.token_hex(8))
        os.mkdir(path, 0o700)
        try:
            yield path
        finally:
            with suppress(OSError):  # what is left over, sweep_staging() deletes
                shutil.rmtree(path)

    def adopt(self, path: str, id: str) -> None:
        """Move a complete bundle to its place, durably. Call it under changing()."""
        move_folder(path, self.bundle(id))

    def sweep_staging(self) -> None:
        """Delete what an interrupted install left behind. Call it under installing()."""
        _delete_all_but(self.staging, ())

    def sweep_bundles(self, needed: Collection[str]) -> list[str]:
        """Delete the bundles that the state no longer names; return their ids. Call it under changing()."""
        return _delete_all_but(os.path.join(self.root, BUNDLES), needed)


def _is_ours(name: str) -> bool:
    return name in (STATE_FILE, BUNDLES, STAGING, STATE_LOCK, INSTALL_LOCK) or is_part_of(name, STATE_FILE)


def _delete_all_but(folder: str, needed: Collection[str]) -> list[str]:
    gone = sorted(set(os.listdir(folder)) - set(needed))
    for name in gone:
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)  # follows no link
        else:
            os.unlink(path)
    return gone
