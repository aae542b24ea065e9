"""Several small new files that appear together, or not at all."""

import errno
import os
from collections.abc import Iterable
from typing import Self

from ...crypto.keys import write_new
from ...errors import UsageError


class NewFiles:
    """A context manager: leaving it by an exception takes back every file and folder that it made."""

    def __init__(self, paths: Iterable[str]) -> None:
        """Raise UsageError if one of the paths exists already: before any work is done for them."""
        for path in paths:
            if os.path.lexists(path):
                raise UsageError(f"{path}: exists already, and is not overwritten")
        self._files: list[str] = []
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
        """Write one file. Raises UsageError where it appeared meanwhile, OSError."""
        try:
            write_new(path, data, mode=mode)
        except FileExistsError:
            raise UsageError(f"{path}: exists already, and is not overwritten") from None
        self._files.append(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            return
        for file in self._files:
            os.unlink(file)
        for folder in reversed(self._folders):
            os.rmdir(folder)


def replace_file(path: str, data: bytes, *, mode: int) -> None:
    """Put a file in place of the one that is there, or of none: at no time is there half of it."""
    temporary = f"{path}.{os.getpid()}.new"
    write_new(temporary, data, mode=mode)
    os.replace(temporary, path)
