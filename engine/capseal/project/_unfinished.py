"""Releases under way: each in a folder of its own, with a lock on it, until its files get their names together.

What a run that was killed has left there, the next one settles. Two files cannot get their names at one moment: a
payload that has its name while its seal still waits beside is taken back, for its release did not come about.
"""

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from shutil import rmtree

from ..bundle.companions import checked_index
from ..bundle.verify import inspect, verify
from ..errors import RejectedError
from ..io.durable import FOLDER, remove_file, try_lock
from ..io.source import open_source
from ..trust.store import TrustStore

_PREFIX = ".release-"
_NAME = re.compile(rf"{re.escape(_PREFIX)}[a-z0-9_]{{8}}")
_SEAL, _PAYLOAD = ".seal", ".payload"


@contextmanager
def unfinished_release(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Give a new folder in a folder for what is not a release yet; it is gone when the block ends. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder) as place:
        fd = os.open(place, FOLDER)
        try:
            with suppress(OSError):  # of file systems that have no locks: there, nobody can take it for left
                try_lock(fd)
            yield place
        finally:
            os.close(fd)


def settle_unfinished(folder: str | os.PathLike[str], trust: TrustStore) -> None:
    """Delete what runs that were killed left under way, and take back what only half had its names. Raises OSError."""
    for name in os.listdir(folder):
        place = os.path.join(folder, name)
        if _NAME.fullmatch(name) and _is_ours(os.lstat(place)):
            with _nobodys_work(place) as nobodys:
                if nobodys:
                    _take_back_payload(os.fspath(folder), place, trust)
                    rmtree(place)


def _is_ours(found: os.stat_result) -> bool:
    """Say whether it is a folder of this user's alone: others' may be in a folder that is shared."""
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


@contextmanager
def _nobodys_work(place: str) -> Iterator[bool]:
    """Lock a folder that a run may have left, and say whether no process has it under way."""
    try:
        fd = os.open(place, FOLDER)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _is_ours(os.fstat(fd)) and _can_lock(fd)
    finally:
        os.close(fd)


def _can_lock(fd: int) -> bool:
    try:
        return try_lock(fd)
    except OSError:  # no locks here: it cannot be told whether somebody is at it
        return False


def _take_back_payload(folder: str, place: str, trust: TrustStore) -> None:
    """Delete a payload, and what goes with it, that have their names while their seal has none."""
    for name in os.listdir(place):
        base, ending = os.path.splitext(name)
        seal, payload = os.path.join(folder, base + _SEAL), os.path.join(folder, base + _PAYLOAD)
        if ending == _SEAL and not os.path.lexists(seal):
            _take_back_companions(os.path.join(folder, base), os.path.join(place, name))
        if ending == _SEAL and not os.path.lexists(seal) and os.path.isfile(payload):
            try:
                verify(payload, seal=os.path.join(place, name), trust=trust)
            except RejectedError:
                continue  # it is another run's, or not whole: none of ours
            remove_file(payload)


def _take_back_companions(base: str, seal: str) -> None:
    """Delete what a seal vouches for beside its payload, where it is that. base: what the names begin with."""
    try:
        statement = inspect(seal)[1]
    except RejectedError:
        return  # the run was killed before it was whole: nothing had a name
    for companion in statement.companions:
        path = f"{base}.attachment.{companion.name}"
        if os.path.isfile(path):
            try:
                with closing(open_source(path)) as source:
                    checked_index(companion, source)
            except RejectedError:
                continue
            remove_file(path)
