"""Signed updates of a trust store, so that devices in the field follow a rotation without a new build.

An update is a DSSE envelope around the next store. The rules are those of TUF's root metadata (TUF
specification, 5.3): signed by a threshold of the store before and by a threshold of itself, versions
one by one. Besides, an update names the digest of the store before, so that it fits one store only:
neither another app's nor a development build's. Why python-tuf's Root is not used: docs/keys.md.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from ..crypto.keys import Signer
from ..errors import FormatError, KeyFileError, NotForUsError, RollbackError, SignatureError, UsageError
from ..format import strictjson
from ..format.dsse import Envelope
from ..format.strictjson import Members, Role, check_fingerprint
from .signing import add_signature, sign
from .store import TrustStore, parse_store

UPDATE_TYPE = "application/vnd.capseal.trust-update.v1+json"


def make_update(old: TrustStore, new: TrustStore, *, signers: Sequence[Signer]) -> bytes:
    """Return the update from one store to the next, signed by those who are at hand.

    More signatures can be added with cosign_update(), by whoever holds the other keys. Raises
    UsageError, KeyFileError.
    """
    if new.version != old.version + 1:
        raise UsageError(f"new store has version {new.version}, the update of version {old.version} must be one more")
    content = strictjson.encode({"previous": old.digest, "store": new.to_value()})
    return sign(UPDATE_TYPE, content, signers).encode()


def cosign_update(update: bytes, signer: Signer) -> bytes:
    """Return an update with one more signature. Raises FormatError, UsageError."""
    envelope, _, _ = _parse(update)
    return add_signature(envelope, signer, what="update").encode()


def read_update(update: bytes) -> tuple[str, TrustStore]:
    """Return the digest of the store that an update is for and the store that it brings. Nothing is verified.

    Raises FormatError.
    """
    _, previous, store = _parse(update)
    return previous, store


def accept_update(store: TrustStore, update: bytes, *, now: datetime | None = None) -> TrustStore:
    """Return the store that an update brings, if the present store accepts it.

    now: when certificates must be valid, by default the present. Raises SignatureError, RollbackError,
    NotForUsError, FormatError.
    """
    now = now or datetime.now(UTC)
    envelope = Envelope.parse(update)
    content = envelope.payload_of(UPDATE_TYPE)
    message, signatures = envelope.message, envelope.signatures
    try:
        store.check(message, signatures, role=Role.PRODUCTION, now=now)
    except SignatureError as error:
        raise SignatureError(f"trust store version {store.version} does not accept the update: {error}") from error
    previous, new = _parse_content(content)
    if new.version <= store.version:
        raise RollbackError(
            f"update brings version {new.version} of the trust store, version {store.version} is here already",
            floor=store.version,
            sequence=new.version,
        )
    if new.version != store.version + 1 or previous != store.digest:
        raise NotForUsError(
            f"update to version {new.version} is for trust store {previous[:16]}, "
            f"here is version {store.version}, {store.digest[:16]}"
        )
    try:
        new.check(message, signatures, role=Role.PRODUCTION, now=now)
    except SignatureError as error:
        raise SignatureError(f"new trust store version {new.version} does not accept itself: {error}") from error
    return new


def follow(store: TrustStore, updates: Iterable[bytes], *, now: datetime | None = None) -> TrustStore:
    """Apply updates one after the other; those that the store is past are skipped.

    Raises what accept_update() raises, at the first update that is not acceptable.
    """
    for update in updates:
        if read_update(update)[1].version > store.version:
            store = accept_update(store, update, now=now)
    return store


def _parse(update: bytes) -> tuple[Envelope, str, TrustStore]:
    envelope = Envelope.parse(update)
    return envelope, *_parse_content(envelope.payload_of(UPDATE_TYPE))


def _parse_content(content: bytes) -> tuple[str, TrustStore]:
    members = Members(strictjson.parse(content, "trust update"), "trust update", required=("previous", "store"))
    try:
        return members.text("previous", check_fingerprint), parse_store(members.take("store", dict))
    except KeyFileError as error:
        raise FormatError(f"trust update: {error}") from error
