"""Files under way to their names, one by one or several together: who is killed leaves nothing under a final name.

What a killed process leaves beside it, under a name that nobody uses, the next one that is on its way there deletes.
"""

import errno
import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Self

from . import durable

_LEFT_S = 60.0
"""A file under way that is locked by nobody and was not written for so long is one of a process that was killed."""


class Draft:
    """A file under way to its name, open to its owner only until it has it. fd: what to write to.

    A context manager: leaving it before commit_all() deletes the file. overwrite: replace what has that name, be it
    a link. Otherwise FileExistsError is raised, when the draft is made, to say so before the work, and again when it
    is named. mode: what the file gets in the end, less the umask. Raises OSError, with the name that the caller knows.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False, mode: int = 0o666) -> None:
        self.path = os.fspath(path)
        _check_no_folder(self.path)
        if not overwrite:
            durable.check_free(self.path)
        self._overwrite = overwrite
        self._open = False
        with durable.told_as(self.path):
            self._mode = mode if mode == durable.OWNER_ONLY else durable.mode_of_new_file(self.path, mode)
            self._part = durable.unforeseeable(self.path)
            self.fd = durable.create(self._part)
        with suppress(OSError):  # of file systems that have no locks
            durable.try_lock(self.fd)  # so that whoever tidies up sees that somebody is at it
        _delete_left(self.path, made_s=os.fstat(self.fd).st_mtime)
        self._kept = f"{self._part}.old"
        self._open = True

    @property
    def folder(self) -> str:
        """Where the file will appear."""
        return durable.folder_of(self.path)

    @property
    def part(self) -> str:
        """What the file is called until it has its name, for other processes that write to it, too."""
        return self._part

    @property
    def is_open(self) -> bool:
        """Whether it has neither got its name nor been deleted."""
        return self._open

    def write(self, data: bytes) -> None:
        """Write all of data at the end."""
        with durable.told_as(self.path):
            durable.write_all(self.fd, data)

    def reveal(self) -> None:
        """Give the file the mode that it will have in the end, at once: for what is no secret."""
        with durable.told_as(self.path):
            if stat.S_IMODE(os.fstat(self.fd).st_mode) != self._mode:
                os.fchmod(self.fd, self._mode)

    def sync(self) -> None:
        """Have what was written on disk."""
        with durable.told_as(self.path):
            os.fsync(self.fd)

    def keep_replaced(self) -> bool:
        """Give the file that publish() will replace a second name, where there is one; say whether there is."""
        if not self._replaces():
            return False
        try:
            os.link(self.path, self._kept)
        except OSError as error:
            if error.errno not in durable.NO_LINKS:
                raise OSError(error.errno, error.strerror, self.path) from None
            os.rename(self.path, self._kept)
        return True

    def set_replaced_aside(self) -> bool:
        """Give the file that publish() will replace another name, for good; say whether there is one."""
        if not self._replaces():
            return False
        _check_no_folder(self.path)  # else it would be set aside, too
        with durable.told_as(self.path):
            os.rename(self.path, self._kept)
            durable.sync_folder(self.folder)
        return True

    def _replaces(self) -> bool:
        return self._overwrite and os.path.lexists(self.path)

    def publish(self) -> None:
        """Give the file its name. It must have been synced; commit_all() does that before."""
        if self._overwrite:
            with durable.told_as(self.path):
                os.replace(self._part, self.path)
        else:
            durable.name_new(self._part, self.path)

    def take_back(self) -> None:
        """Take the file's name away, if it has it, and give it to what had it before."""
        # By what is on disk: a signal may have come between any step and its record.
        if os.path.lexists(self._kept):
            os.replace(self._kept, self.path)
            self.forget_replaced()  # where both names are the same file's, replacing does nothing
        elif _leads_to(self.path, self.fd):
            os.unlink(self.path)

    def forget_replaced(self) -> None:
        """Delete what publish() replaced."""
        with durable.told_as(self.path), suppress(FileNotFoundError):
            os.unlink(self._kept)

    def finish(self) -> None:
        """Give the file, which has its name, its mode, and close it."""
        self._open = False
        try:
            self.reveal()
        finally:
            os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._open:
            self._open = False
            os.close(self.fd)
            # A signal may come between the renaming and its record.
            with durable.told_as(self.path), suppress(FileNotFoundError):
                os.unlink(self._part)


def commit_all(drafts: Iterable[Draft]) -> None:
    """Make several files appear: all are synced before the first gets its name.

    The last one is the one that gives the others their meaning: what had its name before loses it first, and it gets
    its name when the others have theirs for good. So at every moment, whatever is killed and whenever the power goes,
    the names have the old files, or the new ones, or the last one is nowhere: it never stands beside what it does not
    belong to. What is replaced has a second name until all is done. Where naming one fails, the new names before it
    are taken back, and what had them is there again. Raises OSError.
    """
    drafts = list(drafts)
    for draft in drafts:
        draft.sync()
    try:
        _name_in_order(drafts)
    except BaseException:
        for draft in drafts:
            draft.take_back()
        with suppress(OSError):  # there is an error already, and it says more
            durable.sync_folders(draft.folder for draft in drafts)
        raise
    for draft in drafts:
        draft.forget_replaced()
        draft.finish()
    durable.sync_folders(draft.folder for draft in drafts)


def _name_in_order(drafts: Sequence[Draft]) -> None:
    if len(drafts) > 1:
        *others, last = drafts
        replaces = last.set_replaced_aside()
        for draft in others:
            replaces |= draft.keep_replaced()
            draft.publish()
        if replaces:
            durable.sync_folders(draft.folder for draft in others)
    for draft in drafts[-1:]:
        draft.publish()


def write_new(path: str | os.PathLike[str], data: bytes, *, mode: int) -> None:
    """Write a small file that must not exist yet. mode: less the umask. Raises FileExistsError, OSError."""
    with Draft(path, mode=mode) as draft:
        draft.write(data)
        commit_all([draft])


def replace_file(path: str | os.PathLike[str], data: bytes, *, mode: int) -> None:
    """Put a small file in place of the one that is there, or of none. mode: less the umask. Raises OSError."""
    with Draft(path, overwrite=True, mode=mode) as draft:
        draft.write(data)
        draft.reveal()  # whoever reads it may do so at every moment
        commit_all([draft])


class NewFiles:
    """Several small new files, and folders for them, that appear when the block ends; or none of them.

    Raises FileExistsError if one of the paths exists already: before any work is done for them, and at the end.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        for path in paths:
            durable.check_free(path)
        self._drafts: list[Draft] = []
        self._folders: list[str] = []

    def make_folder(self, path: str, *, mode: int) -> None:
        """Make a folder unless it is there."""
        try:
            os.mkdir(path, mode)
        except FileExistsError:
            if not os.path.isdir(path):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None
        else:
            self._folders.append(path)

    def write(self, path: str, data: bytes, *, mode: int) -> None:
        """Write one file, which has no name yet. Raises FileExistsError where it appeared meanwhile, OSError."""
        self._drafts.append(Draft(path, mode=mode))
        self._drafts[-1].write(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        try:
            if kind is None:
                commit_all(self._drafts)
                durable.sync_folders(map(durable.folder_of, self._folders))
                self._folders.clear()
        finally:
            for draft in self._drafts:
                draft.__exit__()
            for folder in reversed(self._folders):
                os.rmdir(folder)


def _check_no_folder(path: str) -> None:
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)


def _delete_left(path: str, *, made_s: float) -> None:
    """Delete what processes that were killed on their way to a path left. made_s: what its file system says is now."""
    folder, name = os.path.split(path)
    try:
        listed = os.listdir(folder or ".")
    except OSError:  # a folder may permit to make files, and not to list them
        return
    for left in listed:
        if left.endswith(".part") and durable.is_part_of(left, name):
            with suppress(OSError):  # somebody else was faster, or it cannot be told whether somebody is at it
                _delete_if_left(os.path.join(folder, left), made_s)


def _delete_if_left(part: str, made_s: float) -> None:
    fd = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        if is_ours and made_s - found.st_mtime > _LEFT_S and durable.try_lock(fd) and _leads_to(part, fd):
            os.unlink(part)
    finally:
        os.close(fd)


def _leads_to(path: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except FileNotFoundError:
        return False
