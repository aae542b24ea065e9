"""The release log: who signed what when, append-only, each entry signed and chained to the one before.

A file of lines; each line is a DSSE envelope around one entry, and each entry holds the SHA-256 of the
line before. So nothing in it can be altered, inserted or reordered. That its end was cut off shows only
to somebody who knows a later head: the digest of the last line, as verify_log() returns it.

Each entry names the version of the trust store that it was made under, and only a release key of that store signs
it. Versions never go back, and where a newer one begins, an entry of its own says so: from there on, a key that was
rotated out signs nothing.

Beside it may lie one entry that is pending: a JSON object, not to be believed, a note of what has to be asked: whether
its release came about.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from itertools import count
from typing import Any, BinaryIO

from ..constants import MAX_ENVELOPE_BYTES, MAX_SIGNATURES
from ..errors import FormatError, RejectedError, SignatureError, TamperedError, TruncatedError
from ..format import strictjson
from ..format.dsse import Envelope
from ..format.strictjson import Members, Role, check_fingerprint, check_name, check_text, shown_time
from ..trust.store import TrustedKey, TrustStore

ENTRY_TYPE = "application/vnd.capseal.log-entry.v1+json"
FIRST = "0" * 64
"""What the first entry says of the line before it."""
PENDING = ".pending"
"""What the name of an entry that does not count yet has beyond that of its log."""

_MAX_PENDING_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What every entry says; one that says no more notes that a version of the trust store begins.

    previous: digest of the line before; time: of the entry; trust: version of the trust store whose key signs it.
    """

    number: int
    previous: str
    time: datetime
    trust: int

    def encode(self) -> bytes:
        """Return the bytes that are signed."""
        value: dict[str, Any] = {name: getattr(self, name) for name in _MEMBERS}
        return strictjson.encode(value | {"time": shown_time(self.time)} | self._more())

    def _more(self) -> dict[str, Any]:
        """Return the members that other entries have not."""
        return {}

    @staticmethod
    def parse(data: bytes, where: str) -> "Entry":
        """Parse an entry strictly. Raises FormatError."""
        value = strictjson.parse(data, where)
        of_release = type(value) is dict and "app" in value
        members = Members(
            value,
            where,
            required=(*_MEMBERS, *(_RELEASE_MEMBERS if of_release else ())),
            optional=("replaces",) if of_release else (),
        )
        common: dict[str, Any] = {
            "number": members.integer("number", least=1),
            "previous": members.text("previous", check_fingerprint),
            "time": members.time("time"),
            "trust": members.integer("trust", least=1),
        }
        return ReleaseEntry(**common, **_release_part(members)) if of_release else Entry(**common)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseEntry(Entry):
    """One release, or one more seal of it. payload: fs-verity digest, hex; seal: SHA-256 of the seal, hex.

    signers: fingerprints of the keys that signed the bundle; replaces: SHA-256 of the seal in whose place this one is,
    of the same payload, which is in the log already.
    """

    app: str
    channel: str
    version: str
    sequence: int
    payload: str
    seal: str
    signers: tuple[str, ...]
    replaces: str | None = None

    def _more(self) -> dict[str, Any]:
        value = {name: getattr(self, name) for name in _RELEASE_MEMBERS} | {"signers": list(self.signers)}
        return value if self.replaces is None else value | {"replaces": self.replaces}


_MEMBERS = ("number", "previous", "time", "trust")
_RELEASE_MEMBERS = ("app", "channel", "version", "sequence", "payload", "seal", "signers")


def _release_part(members: Members) -> dict[str, Any]:
    signers = members.array("signers", least=1, most=MAX_SIGNATURES)
    return {
        "app": members.text("app", check_name),
        "channel": members.text("channel", check_name),
        "version": members.text("version", check_text),
        "sequence": members.integer("sequence", least=1),
        "payload": members.text("payload", check_fingerprint),
        "seal": members.text("seal", check_fingerprint),
        "signers": tuple(check_fingerprint(str(signer), members.place("signers")) for signer in signers),
        "replaces": members.text("replaces", check_fingerprint) if "replaces" in members else None,
    }


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry that counts if its release came about; one that notes a store counts anyway.

    line: as it will stand in the log, without the line's end; seal: the final path of the release's seal, from the
    log's folder; server: where the release is published, or None where it is not; first: the line that goes before,
    where a newer version of the trust store begins.
    """

    line: bytes
    seal: str
    server: str | None
    first: bytes | None = None

    @property
    def entry(self) -> Entry:
        """What the line says. Raises FormatError."""
        return _entry_in(self.line)

    @property
    def release(self) -> ReleaseEntry:
        """What the line says of a release. Raises FormatError."""
        entry = self.entry
        if not isinstance(entry, ReleaseEntry):
            raise FormatError(f"entry {entry.number}: notes a trust store, and no release")
        return entry

    @property
    def lines(self) -> tuple[bytes, ...]:
        """The lines that are added."""
        return (self.line,) if self.first is None else (self.first, self.line)

    def follows(self, number: int, previous: str) -> bool:
        """Return whether the lines go on where a log is that takes that number next, after that digest."""
        entry = _entry_in(self.lines[0])
        return (entry.number, entry.previous) == (number, previous)

    def encode(self) -> bytes:
        """Return it as it is kept."""
        server = {} if self.server is None else {"server": self.server}
        first = {} if self.first is None else {"first": self.first.decode()}
        return strictjson.encode({"line": self.line.decode(), "seal": self.seal, **server, **first})

    @classmethod
    def parse(cls, data: bytes, where: str) -> "Pending":
        """Parse what was kept. Raises FormatError."""
        members = Members(strictjson.parse(data, where), where, required=("line", "seal"), optional=("server", "first"))
        server = members.text("server", check_text) if "server" in members else None
        first = members.take("first", str).encode() if "first" in members else None
        pending = cls(members.take("line", str).encode(), members.text("seal", check_text), server, first)
        try:
            for line in pending.lines:
                _entry_in(line)
        except FormatError as error:
            raise FormatError(f"{where}: {error}") from error
        return pending


def _entry_in(line: bytes) -> Entry:
    return Entry.parse(Envelope.parse(line).payload_of(ENTRY_TYPE), "entry")


def pending_path(log: str | os.PathLike[str]) -> str:
    """Return where the entry lies that is pending for a log."""
    return os.fspath(log) + PENDING


def load_pending(log: str | os.PathLike[str]) -> Pending | None:
    """Return the entry that is pending for a log. Raises FormatError, OSError."""
    path = pending_path(log)
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_PENDING_BYTES)
    except FileNotFoundError:
        return None
    return Pending.parse(data, path)


@dataclass(frozen=True, slots=True)
class Logged:
    """A verified entry. by: the trusted keys that signed it; digest: of its line, for the next one to hold."""

    entry: Entry
    by: tuple[TrustedKey, ...]
    digest: str


def verify_log(path: str | os.PathLike[str], *, trust: Sequence[TrustStore], head: str | None = None) -> list[Logged]:
    """Check a whole log, and return its entries.

    trust: the present store and, if there were updates of it, those of the past; an entry must be signed by a
    production key of one that has the version which it names. Certificates must have been valid at the time of the
    entry. The newest store must have begun in the log, unless that is empty. head: the digest of a line that must be
    in the log, so that a shortened one is noticed. Raises RejectedError, OSError.
    """
    name = os.fspath(path)
    logged: list[Logged] = []
    order = Order(name)
    with open(path, "rb") as file:
        for envelope, entry, digest in chain(file, name):
            order.check(entry)
            logged.append(Logged(entry, check_signed(envelope, entry, trust, name), digest))
    if head is not None and head not in {FIRST, *(item.digest for item in logged)}:
        raise TruncatedError(
            f"{name}: no entry has the digest {head[:16]}; the log was shortened or replaced",
            expected=len(logged) + 1,
            actual=len(logged),
        )
    newest = max(store.version for store in trust)
    if logged and logged[-1].entry.trust < newest:
        raise TruncatedError(
            f"{name}: ends under trust store version {logged[-1].entry.trust}, version {newest} is here: the entry of "
            "that update is missing ('capseal log store' adds it), and until then an older store's key can go on",
            expected=len(logged) + 1,
            actual=len(logged),
        )
    return logged


def logged_seals(path: str | os.PathLike[str]) -> set[str]:
    """Return the digests of the seals that a log has. Raises as logged_releases()."""
    return {entry.seal for entry in logged_releases(path)}


def logged_releases(path: str | os.PathLike[str]) -> list[ReleaseEntry]:
    """Return what a log says of releases, that which is pending last; no signature is checked.

    Raises FormatError, TamperedError, TruncatedError, OSError.
    """
    with open(path, "rb") as file:
        entries = [entry for _, entry, _ in chain(file, os.fspath(path))]
    pending = load_pending(path)
    if pending is not None:
        entries.append(pending.entry)
    return [entry for entry in entries if isinstance(entry, ReleaseEntry)]


class Order:
    """What the entries of one log must be to one another, beyond the chain."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._before: Entry | None = None
        self._seals: dict[str, str] = {}

    def check(self, entry: Entry) -> None:
        """Raise TamperedError where the next entry does not fit those before."""
        where, before = f"{self._name}: entry {entry.number}", self._before
        if before is not None:
            if entry.time < before.time:
                raise TamperedError(
                    f"{where} is of {shown_time(entry.time)}, the one before of {shown_time(before.time)}"
                )
            if entry.trust < before.trust:
                raise TamperedError(f"{where} is under trust store version {entry.trust}, after version {before.trust}")
            begins = entry.trust > before.trust
            if begins is isinstance(entry, ReleaseEntry):
                raise TamperedError(
                    f"{where} is the first under trust store version {entry.trust}, and notes a release, not its update"
                    if begins
                    else f"{where} notes that trust store version {entry.trust} begins, which the one before was under"
                )
        if isinstance(entry, ReleaseEntry):
            if entry.replaces is not None and self._seals.get(entry.replaces) != entry.payload:
                raise TamperedError(
                    f"{where} replaces seal {entry.replaces[:16]}, which the log has not of its payload"
                )
            self._seals[entry.seal] = entry.payload
        self._before = entry


def chain(file: BinaryIO, name: str) -> Iterator[tuple[Envelope, Entry, str]]:
    """Give every line's envelope, entry and digest, as long as they are a chain; no more than one line is in memory.

    file: read from where it stands; name: of the log, for messages. Raises FormatError, TamperedError, TruncatedError,
    OSError. No signature is checked.
    """
    previous = FIRST
    read_bytes = 0
    for number in count(1):
        where = f"{name}: line {number}"
        line = file.readline(MAX_ENVELOPE_BYTES + 1)
        read_bytes += len(line)
        if not line:
            return
        if not line.endswith(b"\n"):
            if len(line) > MAX_ENVELOPE_BYTES:
                raise FormatError(f"{where}: more than {MAX_ENVELOPE_BYTES} bytes, which no entry has")
            raise TruncatedError(f"{where} has no end; the log was cut off", expected=read_bytes + 1, actual=read_bytes)
        line = line[:-1]
        try:
            envelope = Envelope.parse(line)
            entry = Entry.parse(envelope.payload_of(ENTRY_TYPE), "entry")
        except FormatError as error:
            raise FormatError(f"{where}: {error}") from error
        if (entry.number, entry.previous) != (number, previous):
            raise TamperedError(
                f"{where}: entry {entry.number} follows {entry.previous[:16]}, the line before is {previous[:16]}; "
                "lines were altered, removed or added"
            )
        previous = sha256(line).hexdigest()
        yield envelope, entry, previous


def check_signed(envelope: Envelope, entry: Entry, trust: Sequence[TrustStore], name: str) -> tuple[TrustedKey, ...]:
    """Return the trusted keys that signed an entry, as of its own time. Raises SignatureError."""
    have = ", ".join(str(version) for version in sorted({store.version for store in trust}))
    refused: RejectedError = SignatureError(f"is under trust store version {entry.trust}; those given have {have}")
    for store in trust:
        if store.version != entry.trust:
            continue
        try:
            # One is enough: how many must sign a release is another matter than who wrote it down.
            one = replace(store, threshold=1)
            return one.check(envelope.message, envelope.signatures, role=Role.PRODUCTION, now=entry.time)
        except RejectedError as error:
            refused = error
    raise SignatureError(f"{name}: entry {entry.number}: {refused}") from refused
