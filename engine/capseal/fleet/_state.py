"""What lets a seal go on after its driver died: all that was drawn, the session key too, in a file of its own.

Only its owner may read it; it goes when the job has ended. What was done already is not in it: claims and parts tell.
"""

import base64
import errno
import os
import stat
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
        return {
            "source": self.pin["name"],
            "destination": os.path.dirname(self.folder),
            "claims in": os.path.dirname(self.claims),
            "part segments": self.part_segments,
            "app": statement.app,
            "version": statement.version,
            "channel": statement.channel,
            "content type": statement.content.media_type,
            "role": statement.role.value,
            "recipients": " ".join(sorted(one.kid[:16] for one in statement.encryption.recipients)),
        }


def pin_of(source: PinnedFile | PinnedObject) -> dict[str, Any]:
    """Return what a source is known by: of a file, whose content is compared, its path and size."""
    if isinstance(source, PinnedFile):
        return {"name": source.name, "size": source.size}
    return {"name": source.name, "size": source.size, "e_tag": source.e_tag, "version": source.version}


def save(path: str, begun: Begun) -> None:
    """Write a state that was not there, for its owner's eyes alone; on disk when it returns. Raises OSError."""
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
    drafts.write_new(path, strictjson.encode(value), mode=0o600)


def load(path: str) -> Begun | None:
    """Return the job of a state, or None where there is none.

    Raises KeyFileError where others may read or have written it, or it is none.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise KeyFileError(f"{path}: is a symbolic link; a state is a file of its own") from None
        raise
    with open(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise KeyFileError(f"{path}: is no regular file")
        if found.st_uid != os.geteuid() or found.st_mode & _OTHERS_MODE:
            raise KeyFileError(
                f"{path}: is of user {found.st_uid} with mode {stat.S_IMODE(found.st_mode):04o}; a key that user "
                f"{os.geteuid()} alone may read, 0600, is expected"
            )
        data = file.read(_MAX_BYTES)
    try:
        return _parsed(data)
    except (FormatError, TamperedError, ValueError) as error:
        # What it says may hold a key.
        raise KeyFileError(f"{path}: holds no state of a seal ({type(error).__name__})") from None


def remove(path: str) -> None:
    """Delete a state; gone from disk when it returns."""
    durable.remove_file(path)


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
