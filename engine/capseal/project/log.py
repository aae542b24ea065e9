"""The release log: who signed what when, append-only, each entry signed and chained to the one before.

A file of lines; each line is a DSSE envelope around one entry, and each entry holds the SHA-256 of the
line before. So nothing in it can be altered, inserted or reordered. That its end was cut off shows only
to somebody who knows a later head: the digest of the last line, as verify_log() returns it.

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
    """One release. previous: digest of the line before; time: of the entry; payload: fs-verity digest, hex.

    seal: SHA-256 of the seal, hex; signers: fingerprints of the keys that signed the bundle.
    """

    number: int
    previous: str
    time: datetime
    app: str
    channel: str
    version: str
    sequence: int
    payload: str
    seal: str
    signers: tuple[str, ...]

    def encode(self) -> bytes:
        """Return the bytes that are signed."""
        value: dict[str, Any] = {name: getattr(self, name) for name in _MEMBERS}
        return strictjson.encode(value | {"time": shown_time(self.time), "signers": list(self.signers)})

    @classmethod
    def parse(cls, data: bytes, where: str) -> "Entry":
        """Parse an entry strictly. Raises FormatError."""
        members = Members(strictjson.parse(data, where), where, required=_MEMBERS)
        signers = members.array("signers", least=1, most=MAX_SIGNATURES)
        return cls(
            number=members.integer("number", least=1),
            previous=members.text("previous", check_fingerprint),
            time=members.time("time"),
            app=members.text("app", check_name),
            channel=members.text("channel", check_name),
            version=members.text("version", check_text),
            sequence=members.integer("sequence", least=1),
            payload=members.text("payload", check_fingerprint),
            seal=members.text("seal", check_fingerprint),
            signers=tuple(check_fingerprint(str(signer), members.place("signers")) for signer in signers),
        )


_MEMBERS = ("number", "previous", "time", "app", "channel", "version", "sequence", "payload", "seal", "signers")


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry that counts if its release came about.

    line: as it will stand in the log, without the line's end; seal: the final path of the release's seal, from the
    log's folder; server: where the release is published, or None where it is not.
    """

    line: bytes
    seal: str
    server: str | None

    @property
    def entry(self) -> Entry:
        """What the line says. Raises FormatError."""
        return Entry.parse(Envelope.parse(self.line).payload_of(ENTRY_TYPE), "entry")

    def encode(self) -> bytes:
        """Return it as it is kept."""
        server = {} if self.server is None else {"server": self.server}
        return strictjson.encode({"line": self.line.decode(), "seal": self.seal, **server})

    @classmethod
    def parse(cls, data: bytes, where: str) -> "Pending":
        """Parse what was kept. Raises FormatError."""
        members = Members(strictjson.parse(data, where), where, required=("line", "seal"), optional=("server",))
        server = members.text("server", check_text) if "server" in members else None
        pending = cls(members.take("line", str).encode(), members.text("seal", check_text), server)
        try:
            _ = pending.entry
        except FormatError as error:
            raise FormatError(f"{where}: {error}") from error
        return pending


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

    trust: every entry must be signed by a production key of one of these stores; give the past ones,
    too, if keys were rotated. Certificates must have been valid at the time of the entry. head: the
    digest of a line that must be in the log, so that a shortened one is noticed. Raises RejectedError,
    OSError.
    """
    name = os.fspath(path)
    logged = []
    before: Entry | None = None
    with open(path, "rb") as file:
        for envelope, entry, digest in chain(file, name):
            if before is not None and entry.time < before.time:
                times = f"{shown_time(entry.time)}, the one before of {shown_time(before.time)}"
                raise TamperedError(f"{name}: entry {entry.number} is of {times}")
            logged.append(Logged(entry, check_signed(envelope, entry, trust, name), digest))
            before = entry
    if head is not None and head not in {FIRST, *(item.digest for item in logged)}:
        raise TruncatedError(
            f"{name}: no entry has the digest {head[:16]}; the log was shortened or replaced",
            expected=len(logged) + 1,
            actual=len(logged),
        )
    return logged


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
    refused: RejectedError = SignatureError("no trust store")
    for store in trust:
        try:
            # One is enough: how many must sign a release is another matter than who wrote it down.
            one = replace(store, threshold=1)
            return one.check(envelope.message, envelope.signatures, role=Role.PRODUCTION, now=entry.time)
        except RejectedError as error:
            refused = error
    raise SignatureError(f"{name}: entry {entry.number}: {refused}") from refused
