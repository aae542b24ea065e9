"""Who may say what is current: signing heads and recalls, and whether one counts (docs/format.md, Heads and recalls).

No I/O and no clock: bytes, keys and times are given.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from ..crypto.keys import Signer
from ..errors import NotForUsError, RollbackError, SignatureError, StaleError, TamperedError, UsageError
from ..format.dsse import Envelope
from ..format.head import HEAD_TYPE, Head, NamedRelease, StoreReference, document_digest
from ..format.recall import RECALL_TYPE, Recall
from ..format.rollout import in_share
from ..format.statement import Statement
from ..format.strictjson import Role, shown_time
from .key_sets import HeadPolicy
from .signing import add_signature, sign
from .store import TrustStore

MAX_AHEAD_S = 300
"""By how much a head may have been issued ahead of the clock of who signs or serves it."""


class HeadUse(StrEnum):
    """How a device or a reader uses heads.

    REQUIRED: nothing but what a fresh head names. USED: for a device the same from the first head on; for a reader, who
    remembers none, where the trust store has head keys and a head of theirs is served that is fresh; where not, that is
    told. IGNORED: not at all.
    """

    REQUIRED = "required"
    USED = "used"
    IGNORED = "ignored"

    @classmethod
    def of(cls, text: str) -> "HeadUse":
        """Return the use of that name. Raises UsageError."""
        try:
            return cls(text)
        except ValueError:
            raise UsageError(f"head={text!r}: expected {', '.join(repr(one.value) for one in cls)}") from None


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head, and the bytes that were signed, which its digest is of."""

    head: Head
    document: bytes

    @property
    def digest(self) -> str:
        """What the next head names it by, hex."""
        return document_digest(self.document)

    @property
    def place(self) -> tuple[int, int]:
        """What orders the heads of a channel: epoch and number."""
        return self.head.epoch, self.head.number

    @classmethod
    def of(cls, document: bytes) -> "SignedHead":
        """Return the head that a document says. Raises FormatError."""
        return cls(Head.parse(document), document)


def sign_head(head: Head, signers: Sequence[Signer]) -> bytes:
    """Return a head in its envelope. Raises FormatError, UsageError, KeyFileError."""
    return sign(HEAD_TYPE, head.encode(), signers).encode()


def sign_recall(recall: Recall, signers: Sequence[Signer]) -> bytes:
    """Return a recall in its envelope. Raises FormatError, UsageError, KeyFileError."""
    return sign(RECALL_TYPE, recall.encode(), signers).encode()


def cosign_recall(data: bytes, signer: Signer) -> bytes:
    """Return a recall with one more signature. Raises FormatError, UsageError, KeyFileError."""
    read_recall(data)
    return add_signature(Envelope.parse(data), signer, what="recall").encode()


def read_recall(data: bytes) -> Recall:
    """Return what an envelope says; nobody is asked whether it counts. Raises FormatError."""
    return Recall.parse(Envelope.parse(data).payload_of(RECALL_TYPE))


def read_head(data: bytes) -> SignedHead:
    """Return what an envelope says; nobody is asked whether it counts. Raises FormatError."""
    return SignedHead.of(Envelope.parse(data).payload_of(HEAD_TYPE))


def policy_of(store: TrustStore) -> HeadPolicy:
    """Return what a store says of heads. Raises NotForUsError where it knows none."""
    if store.heads is None:
        raise NotForUsError(f"trust store version {store.version} has no keys for heads")
    return store.heads


def reference_to(store: TrustStore) -> StoreReference:
    """Return how a head names a trust store."""
    return StoreReference(store.version, store.digest)


def accept_head(store: TrustStore, data: bytes, *, app: str, channel: str, role: Role) -> SignedHead:
    """Return a head that its keys signed, for this app and channel, under this store, for no longer than it allows.

    role: PRODUCTION takes production heads only. Whether it is fresh, and follows the one before, is for others to say.
    Raises FormatError, SignatureError, NotForUsError, RollbackError for one that names an older store.
    """
    signed = accept_signed(store, data, app=app, channel=channel, role=role)
    check_store(store, signed.head)
    _check_validity(policy_of(store), signed.head)
    return signed


def accept_signed(store: TrustStore, data: bytes, *, app: str, channel: str, role: Role) -> SignedHead:
    """Return a head that keys of this store signed, for this app and channel, whatever it says: one of the past, too.

    Raises FormatError, SignatureError, NotForUsError.
    """
    envelope = Envelope.parse(data)
    by = _signed_by(policy_of(store), envelope, role)
    signed = SignedHead.of(envelope.payload_of(HEAD_TYPE))
    if signed.head.role is not by:
        raise NotForUsError(f"head is for {signed.head.role.value}, signed by keys for heads of {by.value}")
    check_for("head", signed.head.app, signed.head.channel, app=app, channel=channel)
    return signed


def _check_validity(policy: HeadPolicy, head: Head) -> None:
    if head.expires - head.issued > timedelta(seconds=policy.max_age_s):
        raise NotForUsError(
            f"head is valid from {shown_time(head.issued)} to {shown_time(head.expires)}, "
            f"the trust store allows {policy.max_age_s} s"
        )
    if head.expires > policy.until:
        raise NotForUsError(
            f"head expires at {shown_time(head.expires)}, the trust store's heads end at {shown_time(policy.until)}"
        )


def _signed_by(policy: HeadPolicy, envelope: Envelope, role: Role) -> Role:
    """Return the role of the head keys that signed; which are asked is the reader's to say, not the head's."""
    try:
        policy.production.check(envelope.message, envelope.signatures, what="head")
    except SignatureError:
        if role is Role.PRODUCTION or policy.development is None:
            raise
        policy.development.check(envelope.message, envelope.signatures, what="head")
        return Role.DEVELOPMENT
    return Role.PRODUCTION


def check_store(store: TrustStore, head: Head) -> None:
    """Raise unless a head names that very store, and its epoch: RollbackError where an older one, NotForUsError."""
    if head.store.version < store.version:
        raise RollbackError(
            f"head names version {head.store.version} of the trust store, version {store.version} is here",
            floor=store.version,
            sequence=head.store.version,
        )
    if head.store.version > store.version:
        raise NotForUsError(
            f"head names version {head.store.version} of the trust store, version {store.version} is here: "
            "updates of it are missing, or withheld"
        )
    if head.store != reference_to(store):
        raise NotForUsError(
            f"head names trust store {head.store.digest[:16]} as version {store.version}, here is {store.digest[:16]}"
        )
    if head.epoch != store.epoch:
        raise NotForUsError(f"head is of epoch {head.epoch}, the trust store of epoch {store.epoch}")


def check_for(what: str, found_app: str, found_channel: str, *, app: str, channel: str) -> None:
    """Raise NotForUsError where a document is for another app or channel."""
    if (found_app, found_channel) != (app, channel):
        raise NotForUsError(f"{what} is for app {found_app!r}, channel {found_channel!r}, here is {app!r}, {channel!r}")


def check_issued(head: Head, now: datetime) -> None:
    """Raise NotForUsError where a head was issued ahead of the clock: for who signs and serves it, not for devices."""
    if head.issued > now + timedelta(seconds=MAX_AHEAD_S):
        raise NotForUsError(
            f"head is issued at {shown_time(head.issued)}, it is {shown_time(now)}: more than {MAX_AHEAD_S} s ahead"
        )


def check_fresh(head: Head, now: datetime) -> None:
    """Raise StaleError where a head has expired. now: never behind what time_of() says."""
    if now >= head.expires:
        raise StaleError(f"head {head.number} expired at {shown_time(head.expires)}, it is {shown_time(now)}")


def time_of(store: TrustStore, taken: Head | None, clock: datetime) -> datetime:
    """Return the time by a clock that may be slow: never before the epoch's last head, nor before the store.

    taken: the last head that was accepted, of whatever epoch.
    """
    bounds = [clock.astimezone(UTC)]
    if store.created is not None:
        bounds.append(store.created)
    if taken is not None and taken.epoch == store.epoch:
        bounds.append(taken.issued)
    return max(bounds)


def check_follows(before: SignedHead | None, after: SignedHead) -> None:
    """Raise unless who accepted a head may accept another in its place; heads in between may have been missed.

    Raises RollbackError where it goes back, TamperedError where there are two of one number, NotForUsError where the
    role changed. An older epoch's head is followed by any of the next.
    """
    if before is None or before.head.epoch < after.head.epoch:
        return
    old, new = before.head, after.head
    if old.epoch > new.epoch or new.number < old.number:
        raise _back(f"head {new.number} of epoch {new.epoch}", f"head {old.number} of epoch {old.epoch}", before, after)
    if new.number == old.number and before.digest != after.digest:
        raise TamperedError(
            f"head {new.number}: there are two, {before.digest[:16]} and {after.digest[:16]}: "
            "its keys signed twice, for different readers"
        )
    if new.number == old.number + 1 and new.previous != before.digest:
        said = (new.previous or "")[:16]
        raise TamperedError(f"head {new.number}: is the next after {said}, here is {before.digest[:16]}")
    if new.role is not old.role:
        raise NotForUsError(f"head {new.number} is for {new.role.value}, head {old.number} is for {old.role.value}")
    if new.issued < old.issued:
        raise _back(f"head issued at {shown_time(new.issued)}", f"one of {shown_time(old.issued)}", before, after)
    lost = sorted(set(old.recalls) - set(new.recalls))
    if lost:
        raise _back(f"head without recall {lost[0][:16]}", "one that has it", before, after)
    _check_log(before, after)
    _check_candidate(old, new)


def _check_log(before: SignedHead, after: SignedHead) -> None:
    old, new = before.head.log, after.head.log
    if old is None:
        return
    if new is None or new.number < old.number:
        end = "no log" if new is None else f"log of {new.number} entries"
        raise _back(f"head with {end}", f"one of {old.number} entries", before, after)
    if new.number == old.number and new.digest != old.digest:
        raise TamperedError(
            f"log of {new.number} entries ends with {new.digest[:16]}, and with {old.digest[:16]} before"
        )


def _check_candidate(old: Head, new: Head) -> None:
    """Raise TamperedError where a candidate's salt changed: that would draw its devices anew."""
    if old.candidate is None or new.candidate is None or old.candidate.release.digest != new.candidate.release.digest:
        return
    if old.candidate.salt != new.candidate.salt:
        raise TamperedError(f"candidate {new.candidate.release.sequence} has another salt than before")


def _back(found: str, known: str, before: SignedHead, after: SignedHead) -> RollbackError:
    return RollbackError(f"{found} comes after {known}", floor=before.head.number, sequence=after.head.number)


def accept_recall(
    store: TrustStore, data: bytes, *, app: str, channel: str, role: Role, now: datetime
) -> tuple[str, Recall]:
    """Return a recall that a production threshold for releases signed, and its digest, by which heads name it.

    now: when certificates must be valid. Raises FormatError, SignatureError, NotForUsError.
    """
    envelope = Envelope.parse(data)
    store.check(envelope.message, envelope.signatures, role=Role.PRODUCTION, now=now)
    document = envelope.payload_of(RECALL_TYPE)
    recall = Recall.parse(document)
    check_for("recall", recall.app, recall.channel, app=app, channel=channel)
    if role is Role.PRODUCTION and recall.role is not Role.PRODUCTION:
        raise NotForUsError(f"recall is for {recall.role.value}, {role.value} is demanded")
    return document_digest(document), recall


def accept_named_recall(
    store: TrustStore, digest: str, data: bytes | None, *, app: str, channel: str, role: Role, now: datetime
) -> Recall:
    """Return the recall that a head names. data: what came when it was asked for, None where nothing did.

    Raises as accept_recall() does, TamperedError where it is withheld or another one came.
    """
    if data is None:
        raise TamperedError(f"head names recall {digest[:16]}, which is not to be had: it is withheld")
    found, recall = accept_recall(store, data, app=app, channel=channel, role=role, now=now)
    if found != digest:
        raise TamperedError(f"recall {digest[:16]} was asked for, {found[:16]} came")
    return recall


@dataclass(frozen=True, slots=True)
class Forbidden:
    """What a head takes back, fresh or not. digests: of payloads that recalls name which the head names."""

    number: int
    sequences: frozenset[int]
    digests: frozenset[str]

    def check(self, statement: Statement) -> None:
        """Raise NotForUsError where a release is withdrawn or recalled."""
        if statement.sequence in self.sequences:
            raise NotForUsError(f"sequence {statement.sequence} is withdrawn by head {self.number}")
        if statement.payload.digest.hex() in self.digests:
            raise NotForUsError(f"sequence {statement.sequence} is recalled, as head {self.number} says")


def forbidden_by(head: Head, recalls: Iterable[Recall]) -> Forbidden:
    """Return what a head takes back. recalls: those that it names."""
    digests = {release.digest for recall in recalls for release in recall.releases}
    return Forbidden(head.number, frozenset(head.withdrawn), frozenset(digests))


@dataclass(frozen=True, slots=True)
class Current:
    """The releases that a fresh head names for one reader, the first one first."""

    number: int
    releases: tuple[NamedRelease, ...]

    def check(self, statement: Statement) -> None:
        """Raise NotForUsError unless a statement is that of a release that is named."""
        digest = statement.payload.digest.hex()
        if any(named.digest == digest and named.sequence == statement.sequence for named in self.releases):
            return
        named = ", ".join(str(release.sequence) for release in self.releases) or "none"
        raise NotForUsError(f"head {self.number} does not name sequence {statement.sequence}; it names {named} here")


def current_for(head: Head, *, secret: bytes | None, native: str | None, platform: str | None) -> Current:
    """Return what a head names for a reader: the one rule of devices, of `latest` on a server, and of what fetches.

    secret: the device's 32 bytes; without, it is in no candidate's share.
    """
    candidate = head.candidate
    inside = (
        secret is not None
        and candidate is not None
        and not candidate.paused
        and in_share(candidate.salt, secret, candidate.share)
    )
    named = [candidate.release] if candidate is not None and inside else []
    named += head.current
    return Current(head.number, tuple(one for one in named if one.fits(native=native, platform=platform)))
