"""Paths and URLs of folders, files and objects; objects in a folder or a bucket, and what stores say of them.

What is open is kept by each process for itself.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from ..constants import MAX_ENVELOPE_BYTES
from ..errors import FormatError, TransferError, UsageError
from ..io.regular import NotRegularError, open_regular, read_at

if TYPE_CHECKING:
    from obstore.store import ObjectStore, RetryConfig

_RETRIES: "RetryConfig" = {"max_retries": 8, "retry_timeout": timedelta(minutes=3)}
"""A store's errors back off inside the task: to begin that anew would cost more."""

_OPEN_STORES: Final = 32


def is_local(place: str) -> bool:
    """Say whether a place is a path on this machine, and no URL."""
    return "://" not in place


def folder_of(place: str) -> str:
    """Return a folder as it is opened: a path for a `file://` URL."""
    return place.removeprefix("file://") if place.startswith("file:///") else place


def folder_of_parts(place: str) -> str | None:
    """Return the folder that a place names, or None where it names a file or an object. Raises TransferError."""
    folder = folder_of(place)
    if is_local(folder):
        return folder if os.path.isdir(folder) else None
    return folder if any(True for _ in listed(folder)) else None


def absolute(place: str) -> str:
    """Return a path from the root, or a URL as it is."""
    place = folder_of(place)
    return os.path.abspath(place) if is_local(place) else place


def joined(place: str, name: str) -> str:
    """Return the place of what has a name in a place."""
    return f"{place.rstrip('/')}/{name}"


def split(place: str) -> tuple[str, str]:
    """Return the folder of a place, and its name there. Raises UsageError where it names a whole bucket."""
    folder, _, name = place.rpartition("/")
    if not name or folder.endswith((":/", ":")):
        raise UsageError(f"{place}: names no object")
    return folder or "/", name


def store_of(folder: str, *, make: bool = False) -> "ObjectStore":
    """Return the store of a folder or an `s3://`, `gs://` or `az://` URL; the environment says how it is reached.

    make: a local folder that is not there. Raises TransferError.
    """
    return _open(absolute(folder), make=make)


@lru_cache(_OPEN_STORES)
def _open(folder: str, *, make: bool) -> "ObjectStore":
    """Open the store of an absolute path or a URL: what a path from here means changes with where a process stands."""
    from obstore.store import LocalStore, from_url

    with failures(f"cannot open {folder}"):
        if is_local(folder):
            return LocalStore(os.path.realpath(folder), mkdir=make)
        return from_url(folder, retry_config=_RETRIES)


@contextmanager
def _opened(folder: str, name: str) -> Iterator[int]:
    """Give a descriptor of an object in a local folder, in which others may put what is no file.

    Raises FileNotFoundError, FormatError where it is a link, a pipe or a folder, OSError.
    """
    try:
        fd = open_regular(os.path.join(absolute(folder), name))
    except NotRegularError as error:
        raise FormatError(f"{joined(folder, name)}: {error}") from error
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def failures(what: str) -> Iterator[None]:
    """Make TransferError of what a store says, but that something is there, missing or changed."""
    from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

    try:
        yield
    except (FileNotFoundError, AlreadyExistsError, PreconditionError, TransferError):
        raise
    except (BaseError, OSError) as error:
        # Not as its cause: it goes through pickle, and what libraries raise does not always.
        raise TransferError(f"{what}: {str(error).partition(chr(10))[0]}") from None


def put_new(folder: str, name: str, data: memoryview) -> bytes | None:
    """Create an object and return None, or return what has the name.

    Raises FormatError where that is a link or no file, or much larger, TransferError.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError

    with failures(f"cannot put {folder}/{name}"):
        try:
            obstore.put(store_of(folder, make=True), name, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            # A seal that says the same may have longer signatures.
            there = get_all(folder, name, most=len(data) + MAX_ENVELOPE_BYTES)
            if there is None:
                raise TransferError(f"{joined(folder, name)}: was there, and is gone") from None
            return there
    return None


def replace(folder: str, name: str, data: bytes) -> None:
    """Put an object, in place of what has that name. Raises TransferError."""
    import obstore

    with failures(f"cannot put {folder}/{name}"):
        obstore.put(store_of(folder, make=True), name, data, use_multipart=False)


def get(folder: str, name: str, start: int, stop: int) -> memoryview:
    """Return bytes of an object, fewer where it ends before.

    Raises FileNotFoundError, FormatError where it is a link or no file, TransferError.
    """
    import obstore

    with failures(f"cannot read {folder}/{name}"):
        if is_local(folder_of(folder)):
            with _opened(folder, name) as fd:
                return memoryview(read_at(fd, start, stop - start))
        return memoryview(obstore.get(store_of(folder), name, options={"range": (start, stop)}).bytes())


def get_all(folder: str, name: str, *, most: int | None = None) -> bytes | None:
    """Return an object, or None where there is none.

    Raises FormatError where it is a link or no file, or has more than `most` bytes, TransferError.
    """
    found = get_within(folder, name, most=most)
    if found is None:
        return None
    size, data = found
    if data is None:
        raise FormatError(f"{joined(folder, name)}: has {size} bytes, at most {most} are expected")
    return data


def get_within(folder: str, name: str, *, most: int | None) -> tuple[int, bytes | None] | None:
    """Return an object's size and, where it has at most so many bytes, those; None where there is no object.

    Raises FormatError where it is a link or no file, TransferError.
    """
    import obstore

    with failures(f"cannot read {folder}/{name}"):
        try:
            if is_local(folder_of(folder)):
                with _opened(folder, name) as fd:
                    size = os.fstat(fd).st_size
                    return size, read_at(fd, 0, size) if most is None or size <= most else None
            result = obstore.get(store_of(folder), name)
            size = result.meta["size"]
            return size, bytes(result.bytes()) if most is None or size <= most else None
        except FileNotFoundError:
            return None


def size_of(folder: str, name: str) -> int | None:
    """Return the size of an object in bytes, or None where there is none.

    Raises FormatError where it is a link or no file, TransferError.
    """
    import obstore

    with failures(f"cannot look at {folder}/{name}"):
        try:
            if is_local(folder_of(folder)):
                with _opened(folder, name) as fd:
                    return os.fstat(fd).st_size
            return obstore.head(store_of(folder), name)["size"]
        except FileNotFoundError:
            return None


class Listed(NamedTuple):
    """An object in a folder. size: in bytes."""

    name: str
    size: int
    modified: datetime


def listed(folder: str) -> Iterator[Listed]:
    """Yield every object in a folder, and below it, in no order. Raises TransferError."""
    import obstore

    with failures(f"cannot list {folder}"):
        for page in obstore.list(store_of(folder)):
            for meta in page:
                yield Listed(meta["path"], meta["size"], meta["last_modified"])


def no_files(folder: str, below: str) -> Iterator[str]:
    """Yield what lies below a local folder's folder and is no file: listed() shows neither a pipe nor a folder."""
    top = absolute(folder)
    if is_local(top):
        for parent, folders, names in os.walk(os.path.join(top, below)):
            for name in (*folders, *names):
                path = os.path.join(parent, name)
                if not stat.S_ISREG(os.lstat(path).st_mode):
                    yield os.path.relpath(path, top)


def delete(folder: str, names: Sequence[str]) -> None:
    """Delete objects; one that is not there counts as deleted. Raises TransferError."""
    import obstore

    for name in names:
        with failures(f"cannot delete {folder}/{name}"):
            try:
                obstore.delete(store_of(folder), name)
            except FileNotFoundError:
                continue
