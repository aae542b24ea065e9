"""The heads that a project signs: each follows the last one, which is kept here, whatever the server shows.

A file for each app and channel, beside the release log: one head a line, in its envelope, the last one last. A head is
written there before it is sent and stays there whatever the server answers, so that none of a number is signed twice
for a server that says that it refused one and keeps it; and a server that shows an older one than the last is noticed.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import FileIO
from typing import TYPE_CHECKING

from ..bundle.opened import accept_detached
from ..constants import MAX_ENVELOPE_BYTES
from ..crypto.keys import Signer
from ..errors import FormatError, NotForUsError, RejectedError, SignatureError, UsageError
from ..format.dsse import Envelope
from ..format.head import Head, LogReference, NamedRelease
from ..format.release_files import release_base
from ..format.statement import Statement
from ..format.strictjson import Role, shown_time
from ..io.durable import appending, sync
from ..trust.expect import Expect
from ..trust.head_chain import check_successor, first_head, next_head
from ..trust.heads import (
    SignedHead,
    accept_head,
    accept_signed,
    check_follows,
    policy_of,
    read_head,
    reference_to,
    sign_head,
)
from ..trust.store import TrustStore
from .log import ENTRY_TYPE, Entry

if TYPE_CHECKING:
    from ..client import Connection

NOTHING = "none"
ENDING = ".heads"
_ATTEMPTS = 5

Change = Callable[[Head], Head]
"""What a head says anew, made of one that says the same as the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSigning:
    """What signing a channel's heads takes.

    store: whose heads they are; path: where the last one is kept; age_s: how long each is valid, in seconds, or None
    for as long as the store allows; clock: gives the time.
    """

    store: TrustStore
    signers: Sequence[Signer]
    connection: "Connection"
    path: str
    app: str
    channel: str
    role: Role
    clock: Callable[[], datetime]
    age_s: int | None = None

    @property
    def names(self) -> dict[str, str]:
        """App and channel, as what is asked of a server."""
        return {"app": self.app, "channel": self.channel}

    @property
    def valid_s(self) -> int:
        """How long a head is valid."""
        return policy_of(self.store).max_age_s if self.age_s is None else self.age_s


def heads_path(folder: str, app: str, channel: str) -> str:
    """Return where the heads of an app and channel are kept. folder: of the release log."""
    return os.path.join(folder, release_base(app, channel) + ENDING)


def kept_head(path: str) -> SignedHead | None:
    """Return the last head that is kept in a file, or None without one. Raises FormatError, OSError."""
    try:
        with open(path, "rb", buffering=0) as file:
            return _Kept(file, path).last
    except FileNotFoundError:
        return None


def reminder(signed: SignedHead, store: TrustStore, now: datetime) -> str | None:
    """Return why a kept head has to be renewed, or None where it has not yet. store: the one of its role.

    It has where devices of the present store take it for nothing, where it has expired, and where less than a quarter
    of the time is left for which it could have been valid.
    """
    head = signed.head
    if store.heads is None:
        return None
    if (head.epoch, head.store) != (store.epoch, reference_to(store)):
        return (
            f"head {head.number} names version {head.store.version} of the trust store, version {store.version} is "
            "here: devices that have it take no such head"
        )
    if now >= head.expires:
        return (
            f"head {head.number} expired at {shown_time(head.expires)}: devices install nothing where one is required"
        )
    if head.expires - now < timedelta(seconds=store.heads.max_age_s) / 4:
        return f"head {head.number} expires soon, at {shown_time(head.expires)}"
    return None


def kept_heads_of(folder: str, app: str | None) -> Iterator[SignedHead]:
    """Yield the last head of each channel of an app that a folder keeps. Raises FormatError, OSError."""
    for path in kept_heads(folder):
        signed = kept_head(path)
        if signed is not None and signed.head.app == app:
            yield signed


def kept_heads(folder: str) -> list[str]:
    """Return the files of heads that a folder has, sorted."""
    try:
        names = os.listdir(folder or os.curdir)
    except OSError:
        return []
    return sorted(os.path.join(folder, name) for name in names if name.endswith(ENDING))


def named_by(statement: Statement) -> NamedRelease:
    """Return how heads name the release of a statement."""
    return NamedRelease(statement.sequence, statement.payload.digest.hex(), statement.requires)


def end_of_log(path: str) -> LogReference | None:
    """Return how heads name the last entry of a release log, or None without one. Raises FormatError, OSError."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 2 * MAX_ENVELOPE_BYTES))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return None
    if len(lines) < 2:
        return None
    entry = Entry.parse(Envelope.parse(lines[-2]).payload_of(ENTRY_TYPE), "log entry")
    return LogReference(entry.number, hashlib.sha256(lines[-2]).hexdigest())


def published_release(signing: HeadSigning, sequence: int) -> Statement:
    """Return what the verified seal of a published release says. Raises RejectedError, TransferError, UsageError."""
    from ..client import find_seal

    expect = Expect(app=signing.app, channel=signing.channel, role=signing.role)
    with closing(find_seal(signing.connection, sequence=sequence, **signing.names)) as seal:
        statement = accept_detached(seal, signing.store, expect).statement
    if statement.sequence != sequence:
        raise UsageError(f"{signing.connection.url}: shows sequence {statement.sequence} as {sequence}")
    return statement


def why_undone(signing: HeadSigning, named: NamedRelease) -> RejectedError | None:
    """Return why the trust store does not accept a release above its restart, or None.

    Such a one is what a thief made with the highest sequence; what is below gives way to the next release anyway.
    Raises TransferError, UsageError.
    """
    restart = signing.store.restart
    if restart is None or named.sequence <= restart.sequence:
        return None
    try:
        published_release(signing, named.sequence)
    except (NotForUsError, SignatureError) as error:
        return error
    return None


def send_head(
    signing: HeadSigning,
    change: Change,
    *,
    first: Callable[[], Iterable[NamedRelease]] | None = None,
    restored: Sequence[int] = (),
    adopt: bool = False,
    over: bool = False,
) -> SignedHead:
    """Sign the head after the last one, and put it on the server; return it.

    change: what it says anew; first: what is current in a chain's first head, or None where there has to be one before.
    restored: withdrawals that it drops. adopt: where none is kept here, the server's is the last one. over: the server
    was put back to an earlier state, and takes this one in place of what it has. Another job's head that came before
    is built upon. Raises UsageError where the server shows an older head than the last one, or none is kept of those
    that it shows: nothing is signed then, nor where it follows a newer trust store, or has not what is to be named.
    Raises RejectedError, TransferError, KeyFileError, OSError.
    """
    from ..client import NotNextError, put_head

    _check_store_is_newest(signing)
    with appending(signing.path, mode=0o644) as file:
        kept = _Kept(file, signing.path)
        knows_one = adopt or kept.last is not None
        for _ in range(_ATTEMPTS):
            replaced = _settle(signing, kept, knows_one=knows_one, over=over)
            signed, data = _signed(signing, kept.last, change, first, restored)
            kept.add(data)
            try:
                put_head(signing.connection, data, restored=restored, over=replaced, **signing.names)
            except NotNextError as error:
                refused = error
            else:
                return signed
        raise refused


def _signed(
    signing: HeadSigning,
    last: SignedHead | None,
    change: Change,
    first: Callable[[], Iterable[NamedRelease]] | None,
    restored: Sequence[int],
) -> tuple[SignedHead, bytes]:
    now, age_s = signing.clock(), signing.valid_s
    if last is not None:
        head = next_head(last, signing.store, now=now, age_s=age_s)
    elif first is None:
        raise UsageError(f"{signing.path}: keeps no head, and the server has none; 'capseal head sign' makes the first")
    else:
        head = first_head(signing.store, first(), role=signing.role, now=now, age_s=age_s, **signing.names)
    head = change(head)
    for release in head.releases:
        _check_published(signing, head, release)
    data = sign_head(head, signing.signers)
    # As a device and the server will: what they would refuse does not leave.
    signed = accept_head(signing.store, data, role=signing.role, **signing.names)
    check_successor(last, signed, restored=restored)
    return signed, data


def _check_store_is_newest(signing: HeadSigning) -> None:
    """Raise UsageError where the server has an update of the trust store: it would refuse the head, once signed."""
    from ..client import fetch_update
    from ..trust.updates import accept_update

    version = signing.store.version + 1
    if signing.store.root is None:
        return
    update = fetch_update(signing.connection, app=signing.app, version=version)
    if update is None:
        return
    try:
        accept_update(signing.store, update)
    except RejectedError:
        return  # what the store's root did not sign is nothing that an honest server goes by
    raise UsageError(
        f"{signing.connection.url} has version {version} of the trust store, version {signing.store.version} is here: "
        "nothing is signed; next: capseal trust apply FILE, with the update that was published"
    )


def _check_published(signing: HeadSigning, head: Head, named: NamedRelease) -> None:
    """Raise UsageError where the server would refuse a head for a release that it names, or devices that release."""
    from ..client import find_release

    found = find_release(signing.connection, sequence=named.sequence, **signing.names)
    instead = f"next: capseal head sign --current SEQUENCE --withdraw {named.sequence} --channel {signing.channel}"
    if found is None or found["withdrawn"]:
        why = "has not" if found is None else "withdrew"
        raise UsageError(
            f"head {head.number} would name sequence {named.sequence}, which {signing.connection.url} {why}: nothing "
            f"is signed; {instead}"
        )
    refused = why_undone(signing, named)
    if refused is not None:
        raise UsageError(
            f"head {head.number} would name sequence {named.sequence}, which version {signing.store.version} of the "
            f"trust store does not accept ({refused}): nothing is signed; {instead}"
        )


def _settle(signing: HeadSigning, kept: "_Kept", *, knows_one: bool, over: bool) -> str | None:
    """Make what is kept and what the server shows the same, without signing anything.

    Return the digest of the head that the next one is put over, where that is not the one before.
    """
    from ..client import fetch_head

    data = fetch_head(signing.connection, **signing.names)
    served = None if data is None else read_head(data)
    last = kept.last
    if served is not None and last is not None and served.digest == last.digest:
        return None
    if last is not None and last.head.epoch < signing.store.epoch:
        if served is None or served.head.epoch < signing.store.epoch:
            return None  # an epoch begins anew, whatever the server shows of the one before
    elif last is not None and (served is None or served.place < last.place):
        return _sent_again(signing, kept, last, served, over=over)
    if served is None or data is None:
        return None
    if not knows_one:
        if last is not None:  # another job's came before: of its number there is one that devices take
            accept_signed(signing.store, data, role=signing.role, **signing.names)
            kept.drop_last()
        raise UsageError(
            f"{signing.connection.url} shows head {served.head.number}, and {signing.path} keeps none: nothing is "
            "signed; bring that file from where heads were signed before, or see what the server's says and take it "
            "for the last one with 'capseal head sign --adopt'"
        )
    found = accept_signed(signing.store, data, role=signing.role, **signing.names)
    if found.head.epoch != signing.store.epoch:
        raise UsageError(
            f"{signing.connection.url} shows a head of epoch {found.head.epoch}, the trust store has "
            f"{signing.store.epoch}: nothing is signed"
        )
    if last is not None and (last.head.number, last.head.previous) != (found.head.number, found.head.previous):
        check_follows(last, found)
    kept.add(data)
    return None


def _sent_again(
    signing: HeadSigning, kept: "_Kept", last: SignedHead, served: SignedHead | None, *, over: bool
) -> str | None:
    from ..client import NotNextError, put_head

    if over:
        return NOTHING if served is None else served.digest
    try:
        put_head(signing.connection, kept.data, app=signing.app, channel=signing.channel)
    except (NotNextError, RejectedError) as error:
        here = NOTHING if served is None else served.digest
        if isinstance(error, RejectedError) and here == (last.head.previous or NOTHING):
            # It was never taken where it would have been next. Its number stays used: the next one goes above it.
            return here
        shows = "no head" if served is None else f"head {served.head.number}"
        raise UsageError(
            f"{signing.connection.url} shows {shows}, head {last.head.number} was signed before, which "
            f"{signing.path} keeps: the server was put back to an earlier state, or withholds what it has; nothing is "
            f"signed; if it was put back, 'capseal head sign --over' ({error})"
        ) from error
    return None


class _Kept:
    """A file of heads, which nobody else writes to meanwhile. last: the last head; data: its line, without the end."""

    def __init__(self, file: FileIO, path: str) -> None:
        self._file = file
        self._path = path
        size = file.seek(0, os.SEEK_END)
        start = file.seek(max(0, size - 2 * MAX_ENVELOPE_BYTES))
        end = file.read(size - start)
        # What was being written when the power went is no head.
        self._size = start + end.rfind(b"\n") + 1
        lines = end[: self._size - start].split(b"\n")
        self.data = lines[-2] if len(lines) > 1 else b""
        self.last: SignedHead | None = self._parsed(self.data) if self.data else None
        self._before: tuple[int, bytes] | None = None

    def add(self, data: bytes) -> None:
        """Add a head, durably: it is on disk before it is sent."""
        self._before = self._size, self.data
        self._file.truncate(self._size)
        self._file.seek(self._size)
        self._file.write(data + b"\n")
        self._size += len(data) + 1
        self.data, self.last = data, self._parsed(data)
        sync(self._file.fileno())

    def drop_last(self) -> None:
        """Take back the head that was added last."""
        if self._before is None:
            raise ValueError("no head was added")
        self._size, self.data = self._before
        self._before = None
        self._file.truncate(self._size)
        self.last = self._parsed(self.data) if self.data else None

    def _parsed(self, data: bytes) -> SignedHead:
        try:
            return read_head(data)
        except FormatError as error:
            raise FormatError(f"{self._path}: last line: {error}", offset=error.offset) from error
