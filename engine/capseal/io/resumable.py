"""A file that is filled in several attempts, each of which may be killed: the next one goes on with what is there.

Under way it has a name that nobody can foresee, which the next attempt finds again. In a folder that others may
write to, such a name proves nothing: only a file that is ours and that nobody else has or can have open is taken up.
"""

import os
import stat
from collections.abc import Callable
from typing import Self

from ..errors import UsageError
from . import durable

_ANYBODY_ELSE = 0o077
_ANYBODY_ELSE_WRITES = 0o022


class ResumableFile:
    """A file on its way to a path, for one process at a time. fd: what to read from and write to.

    Begins with what an attempt before has left. named: a descriptor of what has the name already, to be read only, if
    that is a file of ours that nobody else can write to; else None. It keeps the name until commit(). A context
    manager: without commit() the file stays under way. Raises UsageError where another process is at it, OSError.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.named: int | None = None
        self._part = ""
        self.fd = -1

    def __enter__(self) -> Self:
        folder, name = os.path.split(self.path)
        for left in sorted(os.listdir(folder or ".")):
            if durable.is_part_of(left, name) and self._take_up(os.path.join(folder, left), _ANYBODY_ELSE):
                self._part = os.path.join(folder, left)
                break
        else:
            self._part = durable.unforeseeable(self.path)
            with durable.told_as(self.path):
                self.fd = durable.create(self._part)
            durable.try_lock(self.fd)
        self.named = _open_own(self.path, _ANYBODY_ELSE_WRITES)
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self.fd)
        if self.named is not None:
            os.close(self.named)

    def commit(self) -> None:
        """Give the file its name, in place of what has it. Raises OSError."""
        durable.name_over(self.fd, self._part, self.path)

    def keep(self) -> None:
        """Leave the name to what has it, and forget what was under way. Raises OSError."""
        if self.named is not None:
            durable.keep_named(self.named, self.path)
        os.unlink(self._part)

    def _take_up(self, path: str, to_nobody: int) -> bool:
        """Open and lock a file if it is ours, and those rights are given to nobody. Raises UsageError, OSError."""
        fd = _open_own(path, to_nobody)
        if fd is None:
            return False
        if not durable.try_lock(fd):
            os.close(fd)
            raise UsageError(f"{path}: another process is writing this file")
        # Since it was opened, whoever had the lock may have given it another name.
        if not _leads_to(path, fd):
            os.close(fd)
            return False
        self.fd = fd
        return True


def forget(folder: str, is_old: Callable[[str], bool]) -> None:
    """Delete files of ours that are under way by nobody any more, and whose names are old. Raises OSError."""
    for name in os.listdir(folder):
        if is_old(name):
            path = os.path.join(folder, name)
            fd = _open_own(path, 0)
            if fd is not None:
                try:
                    if durable.try_lock(fd) and _leads_to(path, fd):
                        os.unlink(path)
                finally:
                    os.close(fd)


def _open_own(path: str, to_nobody: int) -> int | None:
    """Open a file to read and write; None where there is none, or it is not ours alone."""
    try:
        if not _is_own(os.lstat(path), to_nobody):
            return None
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    if _is_own(os.fstat(fd), to_nobody):
        return fd
    os.close(fd)
    return None


def _leads_to(path: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def _is_own(found: os.stat_result, to_nobody: int) -> bool:
    # A second link could stand in a place of somebody else's choice.
    ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1
    return ours and not found.st_mode & to_nobody
