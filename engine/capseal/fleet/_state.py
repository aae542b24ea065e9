"""What lets a seal go on after its driver died: all that was drawn, the session key too, in a file of its own.

Only its owner may read it; it goes when the job has ended. What was done already is not in it: claims and parts tell.
"""

import base64
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from ..bundle.plan import SealingPlan
from ..crypto.segment_cipher import Header, check_commitment
from ..errors import FormatError, KeyFileError, TamperedError, UsageError
from ..format import strictjson
from ..format.statement import Statement
from ..format.strictjson import Members
from ..io import drafts, durable
from ._sources import PinnedFile, PinnedObject

_TYPE: Final = "capseal-fleet-seal-v1"
_MAX_BYTES: Final = 4 * 1024 * 1024
_OTHERS_MODE: Final = 0o077


@dataclass(frozen=True, slots=True)
class Begun:
    """A job that was begun. pin: what its source is known by; folder, claims: where parts and claims are.

    Its repr says nothing of the key.
    """

    plan: SealingPlan
    pin: dict[str, Any]
    folder: str
    claims: str
    part_segments: int

    def check_goes_on(self, other: "Begun") -> None:
        """Raise UsageError unless a job that is asked for now is this one, whose key was drawn before."""
        ours, theirs = self._named(), other._named()
        for what, value in ours.items():
            if value != theirs[what]:
                raise UsageError(f"the state is of a job with {what} {value}, not {theirs[what]}")

    def _named(self) -> dict[str, object]:
        statement = self.plan.statement
        told = statement.to_json()
        # Where nobody gives one, it is the time, which is a later one by now.
        by_time = statement.sequence == int(statement.created.timestamp())
        return {
            "source": self.pin["name"],
            "destination": os.path.dirname(self.folder),
            "claims in": os.path.dirname(self.claims),
            "part segments": self.part_segments,
            "app": statement.app,
            "version": statement.version,
            "sequence": "by time" if by_time else statement.sequence,
            "channel": statement.channel,
            "content name": statement.content.name,
            "content type": statement.content.media_type,
            "role": statement.role.value,
            "recipients": " ".join(sorted(one.kid[:16] for one in statement.encryption.recipients)),
            **{what: told.get(what) for what in ("requires", "policy", "attachments", "custom")},
        }


def pin_of(source: PinnedFile | PinnedObject) -> dict[str, Any]:
    """Return what a source is known by: of a file, whose content is compared, its path and size."""
    if isinstance(source, PinnedFile):
        return {"name": source.name, "size": source.size}
    return {"name": source.name, "size": source.size, "e_tag": source.e_tag, "version": source.version}


@dataclass(slots=True)
class Held:
    """The place of a state, for one job alone. fd: its file, locked; begun: what it says; both None where it is not."""

    path: str
    fd: int | None = None
    begun: Begun | None = None


@contextmanager
def held(path: str) -> Iterator[Held]:
    """Give a state to a job, and to no other until the block ends.

    Raises KeyFileError where others may read or have written it, or it is none, UsageError where a job has it, OSError.
    """
    state = Held(path)
    try:
        _take(state)
        if state.fd is not None:
            state.begun = _read(state.fd, path)
        yield state
    finally:
        _let_go(state)


def save(state: Held, begun: Begun) -> None:
    """Write a state that was not there, for its owner's eyes alone; on disk when it returns.

    Raises UsageError where another job was first, OSError.
    """
    plan = begun.plan
    value = {
        "type": _TYPE,
        "source": begun.pin,
        "folder": begun.folder,
        "claims": begun.claims,
        "part_segments": begun.part_segments,
        "statement": _text(plan.statement.encode()),
        "session_key": _text(plan.session_key),
        "header": _text(plan.header.encode()),
    }
    try:
        drafts.write_new(state.path, strictjson.encode(value), mode=0o600)
    except FileExistsError:
        raise UsageError(f"{state.path}: another job was first to make it") from None
    _take(state)
    # Until it was locked, whoever found it could go on with it.
    if state.fd is None or _read(state.fd, state.path).plan.session_key != plan.session_key:
        raise UsageError(f"{state.path}: another job took it")
    state.begun = begun


def remove(state: Held) -> None:
    """Delete a state, and not another that has its path by now; gone from disk when it returns."""
    if state.fd is not None and _has_path(state.fd, state.path):
        durable.remove_file(state.path)


def _take(state: Held) -> None:
    """Open and lock what has the path, if something has."""
    while (fd := _opened(state.path)) is not None:
        state.fd = fd
        if not durable.try_lock(fd):
            raise UsageError(f"{state.path}: another job has it now")
        if _has_path(fd, state.path):
            return
        _let_go(state)  # the job that had it ended between the two


def _let_go(state: Held) -> None:
    if state.fd is not None:
        os.close(state.fd)
        state.fd = None


def _opened(path: str) -> int | None:
    """Open a file of this user's own that nobody else may read or write, or return None where there is none."""
    try:
        # To be written, which it is not: over NFS there is no lock without.
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise KeyFileError(f"{path}: is a symbolic link; a state is a file of its own") from None
        raise
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise KeyFileError(f"{path}: is no regular file")
        if found.st_uid != os.geteuid() or found.st_mode & _OTHERS_MODE:
            raise KeyFileError(
                f"{path}: is of user {found.st_uid} with mode {stat.S_IMODE(found.st_mode):04o}; a key that user "
                f"{os.geteuid()} alone may read, 0600, is expected"
            )
    except BaseException:
        os.close(fd)
        raise
    return fd


def _has_path(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def _read(fd: int, path: str) -> Begun:
    try:
        return _parsed(os.pread(fd, _MAX_BYTES, 0))
    except (FormatError, TamperedError, ValueError) as error:
        # What it says may hold a key.
        raise KeyFileError(f"{path}: holds no state of a seal ({type(error).__name__})") from None


def _parsed(data: bytes) -> Begun:
    required = ("type", "source", "folder", "claims", "part_segments", "statement", "session_key", "header")
    members = Members(strictjson.parse(data, "state"), "state", required=required)
    if members.take("type", str) != _TYPE:
        raise FormatError(f"state: not of type {_TYPE}")
    statement = Statement.parse(members.base64("statement"))
    header = Header.parse(members.base64("header"))
    key = members.base64("session_key")
    # A key of something else would encrypt what nobody could open.
    check_commitment(key, header, statement.app, statement.encryption.commitment)
    pin = members.take("source", dict)
    Members(pin, "state.source", required=("name", "size"), optional=("e_tag", "version"))
    return Begun(
        SealingPlan(statement, key, header),
        pin,
        members.take("folder", str),
        members.take("claims", str),
        members.integer("part_segments", least=1),
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
