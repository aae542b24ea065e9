"""The folder of a device store: two locks, the state file, the bundles (docs/device.md, On disk).

Every change is write-new, fsync the file, rename, fsync the folder. The state file alone says what
exists: a bundle's folder is complete and durable before the state names it, and is deleted only after
a durable state no longer does.
"""

import errno
import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from ..errors import UsageError

STATE_FILE = "state.json"
BUNDLES = "bundles"
STAGING = "staging"
STATE_LOCK = "state.lock"
INSTALL_LOCK = "install.lock"

_NEW_STATE_FILE = "state.json.new"
_MAX_STATE_BYTES = 256 * 1024 * 1024
_POLL_S = 0.02
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Disk:
    """The folder of one device store. lock_timeout_s: how long to wait for another process."""

    def __init__(self, root: str | os.PathLike[str], *, lock_timeout_s: float) -> None:
        self.root = os.path.abspath(root)
        self._lock_timeout_s = lock_timeout_s

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
        """Make the folders that are missing, readable by their owner only. Raises OSError."""
        if not os.path.isdir(self.root):
            os.makedirs(self.root, mode=0o700, exist_ok=True)
            sync_folder(os.path.dirname(self.root))
        for name in (BUNDLES, STAGING):
            path = os.path.join(self.root, name)
            with suppress(FileExistsError):
                os.mkdir(path, 0o700)
            fd = os.open(path, _FOLDER)  # refuses a link
            try:
                if stat.S_IMODE(os.fstat(fd).st_mode) != 0o700:
                    os.fchmod(fd, 0o700)
            finally:
                os.close(fd)
        sync_folder(self.root)

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
            while not _try_lock(fd):
                if time.monotonic() >= deadline_s:
                    raise UsageError(f"{path}: another process {what}, waited {self._lock_timeout_s:g} s for it")
                time.sleep(_POLL_S)
            yield
        finally:
            os.close(fd)  # unlocks

    def load(self) -> bytes | None:
        """Return the state file's bytes, None where there is none. Needs no lock. Raises OSError."""
        path = os.path.join(self.root, STATE_FILE)
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
        folder = os.open(self.root, _FOLDER)
        try:
            with suppress(FileNotFoundError):  # of a process that was killed here
                os.unlink(_NEW_STATE_FILE, dir_fd=folder)
            try:
                write_file(folder, _NEW_STATE_FILE, data)
                os.rename(_NEW_STATE_FILE, STATE_FILE, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError:
                with suppress(OSError):
                    os.unlink(_NEW_STATE_FILE, dir_fd=folder)
                raise
            os.fsync(folder)
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
        os.rename(path, self.bundle(id))
        sync_folder(os.path.join(self.root, BUNDLES))
        sync_folder(self.staging)

    def sweep_staging(self) -> None:
        """Delete what an interrupted install left behind. Call it under installing()."""
        _delete_all_but(self.staging, ())

    def sweep_bundles(self, needed: Collection[str]) -> list[str]:
        """Delete the bundles that the state no longer names; return their ids. Call it under changing()."""
        return _delete_all_but(os.path.join(self.root, BUNDLES), needed)


def write_file(folder: int, name: str, data: bytes) -> None:
    """Write a new file into an open folder and sync it. Raises OSError."""
    fd = os.open(name, _NEW_FILE, 0o600, dir_fd=folder)
    with os.fdopen(fd, "wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fsync(fd)


def sync_folder(path: str) -> None:
    """Make the names in a folder durable. Raises OSError."""
    fd = os.open(path, _FOLDER)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _delete_all_but(folder: str, needed: Collection[str]) -> list[str]:
    gone = sorted(set(os.listdir(folder)) - set(needed))
    for name in gone:
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)  # follows no link
        else:
            os.unlink(path)
    return gone
