"""Files in folders that others write to, too: no link is followed in place of one, and no pipe is waited for."""

import errno
import os
import stat

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotRegularError(Exception):
    """What has the name is no file; says what it is."""


def open_regular(path: str) -> int:
    """Return a descriptor of a file, for reading; folders on the way may be links. Raises NotRegularError, OSError."""
    try:
        fd = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotRegularError("is a symbolic link") from error
        if error.errno == errno.ENXIO:  # a socket
            raise NotRegularError("is no file") from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotRegularError("is no file")
    return fd


def read_at(fd: int, offset: int, size: int) -> bytes:
    """Return bytes of an open file, fewer where it ends before. Raises OSError."""
    size = max(0, min(size, os.fstat(fd).st_size - offset))
    found = os.pread(fd, size, offset)
    while len(found) < size and (more := os.pread(fd, size - len(found), offset + len(found))):
        found += more
    return found
