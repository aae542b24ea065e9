"""Signed updates of a trust store, so that devices in the field follow a rotation without a new build.

An update is a DSSE envelope around the next store. The rules are those of TUF's root metadata (TUF
specification, 5.3): signed by a threshold of the store before and by a threshold of itself, versions
one by one. Besides, an update names the digest of the store before, so that it fits one store only:
neither another app's nor a development build's. Why python-tuf's Root is not used: docs/keys.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from ..bundle.seal import make_signature
from ..constants import MAX_ENVELOPE_BYTES, MAX_SIGNATURES
from ..crypto.keys import Signer
from ..errors import FormatError, KeyFileError, NotForUsError, RollbackError, SignatureError, UsageError
from ..format import strictjson
from ..format.seal import Envelope
from ..format.statement import check_fingerprint
from ..format.strictjson import Members
from .store import Role, TrustStore, parse_store

UPDATE_TYPE = "application/vnd.capseal.trust-update.v1+json"


def make_update(old: TrustStore, new: TrustStore, *, signers: Sequence[Signer]) -> bytes:
    """Return the update from one store to the next, signed by those who are at hand.

    More signatures can be added with cosign_update(), by whoever holds the other keys. Raises
    UsageError, KeyFileError.
    """
    if new.version != old.version + 1:
        raise UsageError(f"new store has version {new.version}, the update of version {old.version} must be one more")
    statement = strictjson.encode({"previous": old.digest, "store": new.to_value()})
    update = Envelope(statement, (), UPDATE_TYPE)
    for signer in signers:
        update = _signed(update, signer)
    if not update.signatures:
        raise UsageError("no signer: nobody would accept the update")
    return update.encode()


def cosign_update(update: bytes, signer: Signer) -> bytes:
    """Return an update with one more signature. Raises FormatError, UsageError."""
    envelope, _, _ = _parse(update)
    return _signed(envelope, signer).encode()


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
    envelope = _parse_envelope(update)
    message, signatures = envelope.message, envelope.signatures
    try:
        store.check(message, signatures, role=Role.PRODUCTION, now=now)
    except SignatureError as error:
        raise SignatureError(f"trust store version {store.version} does not accept the update: {error}") from error
    previous, new = _parse_statement(envelope.payload)
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


def _signed(update: Envelope, signer: Signer) -> Envelope:
    fingerprint = signer.public_key.fingerprint
    if any(signature.keyid == fingerprint for signature in update.signatures):
        raise UsageError(f"key {fingerprint[:16]} has signed this update already")
    if len(update.signatures) == MAX_SIGNATURES:
        raise UsageError(f"update has {MAX_SIGNATURES} signatures already, which is the most")
    return replace(update, signatures=(*update.signatures, make_signature(update.message, signer)))


def _parse(update: bytes) -> tuple[Envelope, str, TrustStore]:
    envelope = _parse_envelope(update)
    return envelope, *_parse_statement(envelope.payload)


def _parse_envelope(update: bytes) -> Envelope:
    if len(update) > MAX_ENVELOPE_BYTES:
        raise FormatError(f"trust update of {len(update)} bytes, at most {MAX_ENVELOPE_BYTES} are allowed")
    envelope = Envelope.parse(update)
    # A seal signed with the same key must never pass for an update.
    if envelope.payload_type != UPDATE_TYPE:
        raise FormatError(f"envelope.payloadType: {envelope.payload_type!r} is unknown, expected {UPDATE_TYPE!r}")
    return envelope


def _parse_statement(statement: bytes) -> tuple[str, TrustStore]:
    members = Members(strictjson.parse(statement, "trust update"), "trust update", required=("previous", "store"))
    try:
        return members.text("previous", check_fingerprint), parse_store(members.take("store", dict))
    except KeyFileError as error:
        raise FormatError(f"trust update: {error}") from error
