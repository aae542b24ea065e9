"""Many small files, made in one call, without the interpreter's lock: for what a device unpacks."""

import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

try:
    from .._native import ffi as _ffi
    from .._native import lib as _lib

    _lib.capseal_write_files  # noqa: B018 - is it there?
except (ImportError, AttributeError):  # built without a C compiler, or before this was there
    _ffi = _lib = None

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class NewFiles:
    """Files to be made in one folder.

    names: without '/' and NUL; modes: permissions, less the umask; data_at: where each one's content starts in
    data; sizes: bytes.
    """

    names: Sequence[bytes]
    modes: Sequence[int]
    data_at: Sequence[int]
    sizes: Sequence[int]
    data: bytes


def write_files(folder: int, files: NewFiles) -> None:
    """Make files in an open folder, following no link and replacing nothing. Nothing is synced.

    Raises FileExistsError, OSError, with the name of the file that could not be made, which may be there in part.
    """
    if _lib is None:
        _write_files(folder, files)
        return
    done = _lib.capseal_write_files(
        folder,
        b"\0".join(files.names) + b"\0",
        _ffi.from_buffer("uint32_t[]", array("I", files.modes)),
        _ffi.from_buffer("int64_t[]", array("q", files.data_at)),
        _ffi.from_buffer("int64_t[]", array("q", files.sizes)),
        len(files.names),
        _ffi.from_buffer(files.data),
    )
    if done < len(files.names):
        error = _ffi.errno
        raise OSError(error, os.strerror(error), os.fsdecode(files.names[done]))


def _write_files(folder: int, files: NewFiles) -> None:
    data = memoryview(files.data)
    for name, mode, at, size in zip(files.names, files.modes, files.data_at, files.sizes, strict=True):
        try:
            fd = os.open(name, _NEW_FILE, mode, dir_fd=folder)
            try:
                rest = data[at : at + size]
                while rest:
                    rest = rest[os.write(fd, rest) :]
            finally:
                os.close(fd)
        except OSError as error:
            raise OSError(error.errno, error.strerror, os.fsdecode(name)) from None
