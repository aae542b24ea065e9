"""What gets a name is there whole or not at all, and stays after a power cut: files, sets of files, folders, locks.

With drafts.py, the only place that renames, links, syncs and locks. There is one way to a name: made beside it under
one that nobody can foresee, exclusively, following no link, for its owner only; filled; synced; named; and then the
folder is synced, which makes the name stay too. Only then does it get the mode that the umask gives.
"""

import errno
import fcntl
import io
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Self

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened that must not be a link."""

_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OWNER_ONLY = 0o600
_MAX_UNCUT_BYTES = 200

# What is said where there are no hard links: by FAT, by Android's and containers' policies, by file systems that
# do not know the call, and by those whose links are used up.
NO_LINKS = frozenset(
    (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL)
)


def remove_file(path: str) -> None:
    """Delete a file, if it is there, for good. Raises OSError."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    sync_folder(folder_of(path))


def name_all(moves: Sequence[tuple[str, str]]) -> None:
    """Give whole, synced files their final names, which must be free, and sync the folders of both.

    moves: pairs of present and final path. Where one fails, those before it get their former names back. Raises
    FileExistsError, OSError.
    """
    done: list[tuple[str, str]] = []
    try:
        for now, final in moves:
            name_new(now, final)
            done.append((now, final))
    except BaseException:
        for now, final in reversed(done):
            os.rename(final, now)
        raise
    finally:
        sync_folders(folder_of(path) for move in moves for path in move)


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[str]:
    """Give the place of a folder that appears, with all that was put into it, when the block ends well.

    The name must be free. Raises FileExistsError, OSError.
    """
    target = os.path.abspath(path)
    check_free(target)
    with told_as(target):
        mode = _mode_of_new_folder(target)
        part = unforeseeable(target)
        os.mkdir(part, 0o700)
    try:
        yield part
        sync_tree(part)
        check_free(target)
        os.rename(part, target)  # onto a file, or a folder with something in it, this fails
    except BaseException as error:
        from shutil import rmtree  # here, since it takes 4 ms to import, and few make folders

        rmtree(part, ignore_errors=True)
        if isinstance(error, OSError) and str(error.filename).startswith(part):
            error.filename = target + str(error.filename).removeprefix(part)
        raise
    os.chmod(target, mode)
    sync_folder(folder_of(target))


def name_over(fd: int, part: str, path: str) -> None:
    """Give a file under way, open as fd, its final name in place of what has it. Raises OSError."""
    with told_as(path):
        mode = mode_of_new_file(path, 0o666)
        os.fsync(fd)
        os.replace(part, path)
        os.fchmod(fd, mode)
        sync_folder(folder_of(path))


def keep_named(fd: int, path: str) -> None:
    """Leave a whole file, open as fd, as what has the final name already, for good. Raises OSError."""
    with told_as(path):
        mode = mode_of_new_file(path, 0o666)
        if stat.S_IMODE(os.fstat(fd).st_mode) != mode:  # it was named, and then its process was killed
            os.fchmod(fd, mode)
        os.fsync(fd)
        sync_folder(folder_of(path))


def make_folders(path: str, *, mode: int = 0o777) -> None:
    """Make a folder, and those above it, where they are missing. mode: less the umask. Raises OSError."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = folder_of(path)
    for folder in reversed(missing):
        try:
            os.mkdir(folder, mode)
        except FileExistsError:
            if not os.path.isdir(folder):  # else it was made meanwhile
                raise
        sync_folder(folder_of(folder))


def move_folder(folder: str, target: str) -> None:
    """Give a folder, all of which was synced, another place and sync the folders of both. Raises OSError."""
    os.rename(folder, target)
    sync_folders((folder_of(target), folder_of(folder)))


def replace_in(folder: int, name: str, data: bytes) -> None:
    """Replace a file for its owner only in an open folder. Raises OSError.

    For one process at a time: what killed ones left under way there is deleted.
    """
    for left in os.listdir(folder):
        if is_part_of(left, name):
            os.unlink(left, dir_fd=folder)
    part = unforeseeable(name)
    with told_as(name):
        try:
            write_in(folder, part, data)
            os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with suppress(OSError):
                os.unlink(part, dir_fd=folder)
            raise
        os.fsync(folder)


def write_in(folder: int, name: str, data: bytes) -> None:
    """Write a new file for its owner only into an open folder and sync it, not the folder. Raises OSError."""
    fd = create(name, folder=folder)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def appending(path: str | os.PathLike[str], *, mode: int) -> Iterator[io.FileIO]:
    """Give a file, made where it is missing, to be added to; nobody else is meanwhile. mode: less the umask.

    What was written is on disk when the block has ended; of a block that raised and added nothing to a file that it
    made, none is left. Raises OSError.
    """
    file, is_new = _held(path, mode)
    with file:
        was_empty = os.fstat(file.fileno()).st_size == 0
        try:
            yield file
        except BaseException:
            if is_new and os.fstat(file.fileno()).st_size == 0:
                os.unlink(path)
            raise
        with told_as(os.fspath(path)):
            os.fsync(file.fileno())
        if was_empty:  # so perhaps it is new
            sync_folder(folder_of(os.fspath(path)))


def _held(path: str | os.PathLike[str], mode: int) -> tuple[io.FileIO, bool]:
    """Return a file with its lock, which closing releases, and whether it was made for that."""
    while True:
        is_new = not os.path.lexists(path)
        file = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode), "r+b")
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                    return file, is_new
        except BaseException:
            file.close()
            raise
        file.close()  # whoever had made it took it away while this one waited


class SyncedOneByOne:
    """Takes new files and folders, each of which is on disk when it was taken (many_files.py: when all were)."""

    def add_file(self, fd: int) -> None:
        """Sync and close an open file that is complete. Raises OSError."""
        sync_and_close(fd)

    def add_folder(self, fd: int) -> None:
        """Sync an open folder in which all is made. Raises OSError."""
        os.fsync(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing is left to be done."""


def sync_and_close(fd: int) -> None:
    """Have an open file on disk, and close it in any case. Raises OSError."""
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def try_lock(fd: int) -> bool:
    """Take the lock on an open file or folder, until it is closed, or return False where somebody has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def try_share(fd: int) -> bool:
    """Take the lock as one of several that share it, or return False where somebody has it alone."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def create(name: str, *, folder: int | None = None, mode: int = OWNER_ONLY) -> int:
    """Open a new file, in an open folder where one is given, following no link. Raises FileExistsError, OSError."""
    return os.open(name, _NEW_FILE, mode, dir_fd=folder)


def write_all(fd: int, data: bytes) -> None:
    """Write all of data where the file stands. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync(fd: int) -> None:
    """Have a file's content, or the names in a folder, on disk. Raises OSError."""
    os.fsync(fd)


def sync_folder(path: str) -> None:
    """Have the names in a folder on disk. Raises OSError."""
    sync_path(path, os.O_DIRECTORY)


def sync_folders(paths: Iterable[str]) -> None:
    """Have the names in several folders on disk, each once. Raises OSError."""
    for path in dict.fromkeys(paths):
        sync_folder(path)


def sync_path(path: str, flags: int = 0) -> None:
    """Have what has that path on disk. Raises OSError."""
    with told_as(path):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def sync_tree(folder: str) -> None:
    """Have a folder of regular files and folders on disk, with all in it. Raises OSError."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync_path(os.path.join(parent, name), os.O_NOFOLLOW)
        sync_folder(parent)


def unforeseeable(path: str) -> str:
    """Return a name beside a path for what is under way to it."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{_shortened(name)}.{os.urandom(8).hex()}.part")


def is_part_of(name: str, final: str) -> bool:
    """Say whether a file's name is one that unforeseeable() gives to what is under way to a final name."""
    start = re.escape(_shortened(final))
    return re.fullmatch(rf"\.{start}\.[0-9a-f]{{16}}\.part", name, re.DOTALL) is not None


def _shortened(name: str) -> str:
    """Return a name that leaves room for more: file systems allow 255 bytes. Different ones stay different."""
    raw = os.fsencode(name)
    if len(raw) <= _MAX_UNCUT_BYTES:
        return name
    from hashlib import sha256  # here, since few names are so long

    return f"{os.fsdecode(raw[: _MAX_UNCUT_BYTES - 33])}~{sha256(raw).hexdigest()[:32]}"


def name_new(part: str, path: str) -> None:
    try:
        # Unlike rename, link never replaces a file that appeared meanwhile.
        os.link(part, path)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise OSError(error.errno, error.strerror, path) from None  # FileExistsError and its like
        # Here a file that appears between the look and the renaming is replaced: where there are no links, no
        # call that every platform allows can tell. (Linux: renameat2(2) can, but old Androids kill who calls it.)
        check_free(path)
        with told_as(path):
            os.rename(part, path)
    else:
        with told_as(path):
            os.unlink(part)


def check_free(path: str) -> None:
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)


def mode_of_new_file(path: str, mode: int) -> int:
    """Return the mode that a new file beside that path gets, after umask and the folder's access list.

    By making an empty one: the umask can only be read by changing it, for all threads at once.
    """
    probe = unforeseeable(path)
    fd = create(probe, mode=mode)
    try:
        return stat.S_IMODE(os.fstat(fd).st_mode)
    finally:
        os.close(fd)
        with suppress(FileNotFoundError):  # somebody may be tidying up
            os.unlink(probe)


def _mode_of_new_folder(path: str) -> int:
    probe = unforeseeable(path)
    os.mkdir(probe)
    try:
        return stat.S_IMODE(os.stat(probe, follow_symlinks=False).st_mode)
    finally:
        os.rmdir(probe)


def folder_of(path: str) -> str:
    return os.path.dirname(path) or "."


@contextmanager
def told_as(path: str) -> Iterator[None]:
    """Let an OSError name the path that the user knows, not the temporary one, or none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
