"""Channel heads: which releases of a channel are current, said anew every few days (docs/format.md, Heads and recalls).

A head is signed as bytes, in a DSSE envelope. No I/O, no keys, no clock: bytes in, values out, and back. Whether a head
counts is decided in trust/heads.py.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeVar

from ..constants import MAX_CURRENT, MAX_HEAD_BYTES, MAX_RECALLS, MAX_SHARE, MAX_WITHDRAWN, ROLLOUT_SALT_BYTES
from ..errors import FormatError
from . import strictjson
from .requires import Requires
from .strictjson import Members, Role, check_fingerprint, check_name, shown_time, to_base64

T = TypeVar("T", int, str)

HEAD_TYPE = "application/vnd.capseal.head.v1+json"


@dataclass(frozen=True, slots=True)
class NamedRelease:
    """A release as a head names it. digest: of its payload (fs-verity), hex; requires: a copy of what its seal says."""

    sequence: int
    digest: str
    requires: Requires | None = None

    def fits(self, *, native: str | None, platform: str | None) -> bool:
        """Say whether it may run in an app of that version and platform; what is not told fits."""
        return self.requires is None or self.requires.misfit(native=native, platform=platform) is None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        value: dict[str, Any] = {"sequence": self.sequence, "digest": self.digest}
        return value if self.requires is None else value | {"requires": self.requires.to_json()}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A release that some devices get before the others (rollout.py).

    share: of the devices, in thousandths; salt: 16 bytes, new for each candidate, the same for all its shares.
    paused: nobody gets it any more who has not got it yet.
    """

    release: NamedRelease
    share: int
    salt: bytes
    paused: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        value = self.release.to_json()
        return value | {"share": self.share, "salt": to_base64(self.salt), "paused": self.paused}


@dataclass(frozen=True, slots=True)
class StoreReference:
    """The newest trust store that a head's signer knew. digest: SHA-256 of its file, hex."""

    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class LogReference:
    """The last entry of the release log. digest: SHA-256 of its line, hex."""

    number: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a head says of one app, channel and role.

    epoch: of the trust store's keys for heads; number: counts an epoch's heads from 1; previous: digest of the head
    before, None for an epoch's first. current: by descending sequence; a device takes the first that fits it.
    withdrawn: sequences that are not installed any more, ascending. recalls: digests of recalls, ascending.
    """

    app: str
    channel: str
    role: Role
    epoch: int
    number: int
    previous: str | None
    issued: datetime
    expires: datetime
    store: StoreReference
    current: tuple[NamedRelease, ...]
    candidate: Candidate | None = None
    withdrawn: tuple[int, ...] = ()
    recalls: tuple[str, ...] = ()
    log: LogReference | None = None

    @property
    def releases(self) -> tuple[NamedRelease, ...]:
        """All that it names: the current releases, and the candidate."""
        return self.current if self.candidate is None else (*self.current, self.candidate.release)

    def to_json(self) -> dict[str, Any]:
        """Return the head as JSON values, members in the order of the format."""
        value: dict[str, Any] = {
            "app": self.app,
            "channel": self.channel,
            "role": str(self.role),
            "epoch": self.epoch,
            "number": self.number,
        }
        if self.previous is not None:
            value["previous"] = self.previous
        value |= {
            "issued": shown_time(self.issued),
            "expires": shown_time(self.expires),
            "trust": {"version": self.store.version, "digest": self.store.digest},
            "current": [release.to_json() for release in self.current],
        }
        if self.candidate is not None:
            value["candidate"] = self.candidate.to_json()
        if self.withdrawn:
            value["withdrawn"] = list(self.withdrawn)
        if self.recalls:
            value["recalls"] = list(self.recalls)
        if self.log is not None:
            value["log"] = {"number": self.log.number, "digest": self.log.digest}
        return value

    def encode(self) -> bytes:
        """Return the bytes that are signed. Raises FormatError for what no reader would accept."""
        data = strictjson.encode(self.to_json())
        Head.parse(data)
        return data

    @classmethod
    def parse(cls, data: bytes) -> "Head":
        """Parse the signed bytes strictly. Raises FormatError."""
        members = Members(
            strictjson.parse(capped(data, "head"), "head"),
            "head",
            required=("app", "channel", "role", "epoch", "number", "issued", "expires", "trust", "current"),
            optional=("previous", "candidate", "withdrawn", "recalls", "log"),
        )
        head = cls(
            app=members.text("app", check_name),
            channel=members.text("channel", check_name),
            role=members.role("role"),
            epoch=members.integer("epoch", least=1),
            number=members.integer("number", least=1),
            previous=members.text("previous", check_fingerprint) if "previous" in members else None,
            issued=members.time("issued"),
            expires=members.time("expires"),
            store=_parse_store(members),
            current=_parse_current(members),
            candidate=_parse_candidate(members),
            withdrawn=ascending(members, "withdrawn", MAX_WITHDRAWN, _sequence),
            recalls=ascending(members, "recalls", MAX_RECALLS, _digest),
            log=_parse_log(members),
        )
        _check(head)
        return head


def document_digest(data: bytes) -> str:
    """Return what names a signed document, a head or a recall: SHA-256 of the bytes that are signed, hex."""
    return hashlib.sha256(data).hexdigest()


def capped(data: bytes, where: str) -> bytes:
    """Return a document's bytes, which are not looked at where there are too many. Raises FormatError."""
    if len(data) > MAX_HEAD_BYTES:
        raise FormatError(f"{where} of {len(data)} bytes, at most {MAX_HEAD_BYTES} are allowed")
    return data


def ascending(members: Members, name: str, most: int, read: Callable[[object, str], T]) -> tuple[T, ...]:
    """Return the items of an optional array, which ascend. read: takes an item and its place. Raises FormatError."""
    if name not in members:
        return ()
    place = members.place(name)
    items = tuple(read(item, f"{place}[{i}]") for i, item in enumerate(members.array(name, least=1, most=most)))
    for before, after in pairwise(items):
        if before >= after:
            raise FormatError(f"{place}: {after} comes after {before}, each has to be above the one before")
    return items


def _check(head: Head) -> None:
    """Raise FormatError where members do not agree with one another."""
    if (head.previous is None) != (head.number == 1):
        said = "none" if head.previous is None else head.previous[:16]
        raise FormatError(f"head.previous: {said}, and number {head.number}; the first alone has none before it")
    if head.expires <= head.issued:
        raise FormatError(f"head.expires: {shown_time(head.expires)} is not after {shown_time(head.issued)}")
    digests = [release.digest for release in head.releases]
    if len(set(digests)) != len(digests):
        raise FormatError("head: names one payload twice")
    if head.candidate is not None and head.candidate.release.sequence <= head.current[0].sequence:
        raise FormatError(
            f"head.candidate.sequence: {head.candidate.release.sequence} is not above {head.current[0].sequence}, "
            "which is current"
        )
    for release in head.releases:
        if release.sequence in head.withdrawn:
            raise FormatError(f"head.withdrawn: holds {release.sequence}, which the head names as well")


def _parse_store(members: Members) -> StoreReference:
    store = Members(members.take("trust", dict), members.place("trust"), required=("version", "digest"))
    return StoreReference(store.integer("version", least=1), store.text("digest", check_fingerprint))


def _parse_log(members: Members) -> LogReference | None:
    if "log" not in members:
        return None
    log = Members(members.take("log", dict), members.place("log"), required=("number", "digest"))
    return LogReference(log.integer("number", least=1), log.text("digest", check_fingerprint))


def _parse_current(members: Members) -> tuple[NamedRelease, ...]:
    current: list[NamedRelease] = []
    for i, value in enumerate(members.array("current", least=1, most=MAX_CURRENT)):
        place = f"{members.place('current')}[{i}]"
        release = _parse_release(Members(value, place, required=("sequence", "digest"), optional=("requires",)))
        if current and release.sequence >= current[-1].sequence:
            raise FormatError(f"{place}.sequence: {release.sequence} is not below {current[-1].sequence} before it")
        current.append(release)
    return tuple(current)


def _parse_candidate(members: Members) -> Candidate | None:
    if "candidate" not in members:
        return None
    entry = Members(
        members.take("candidate", dict),
        members.place("candidate"),
        required=("sequence", "digest", "share", "salt", "paused"),
        optional=("requires",),
    )
    salt = entry.base64("salt")
    if len(salt) != ROLLOUT_SALT_BYTES:
        raise FormatError(f"{entry.place('salt')}: {len(salt)} bytes, expected {ROLLOUT_SALT_BYTES}")
    share = entry.integer("share", least=0, most=MAX_SHARE)
    return Candidate(_parse_release(entry), share, salt, entry.take("paused", bool))


def _parse_release(entry: Members) -> NamedRelease:
    requires = None
    if "requires" in entry:
        requires = Requires.parse(entry.take("requires", dict), entry.place("requires"))
    return NamedRelease(entry.integer("sequence", least=1), entry.text("digest", check_fingerprint), requires)


def _sequence(value: object, place: str) -> int:
    if type(value) is not int or value < 1:
        raise FormatError(f"{place}: {str(value)[:64]!r} is not a sequence")
    return value


def _digest(value: object, place: str) -> str:
    if type(value) is not str:
        raise FormatError(f"{place}: expected a string")
    return check_fingerprint(value, place)
