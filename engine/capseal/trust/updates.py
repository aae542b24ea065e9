"""Signed updates of a trust store, so that devices in the field follow a rotation without a new build.

An update is a DSSE envelope around the next store. The rules are those of TUF's root metadata (TUF
specification, 5.3): signed by a threshold of the root keys of the store before and of its own, versions
one by one. No release key can sign one, and a store without a root takes none. Besides, an update names
the digest of the store before, so that it fits one store only: neither another app's nor a development
build's. Why python-tuf's Root is not used: docs/keys.md.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..crypto.keys import Signer
from ..errors import FormatError, KeyFileError, NotForUsError, RejectedError, RollbackError, UsageError
from ..format import strictjson
from ..format.dsse import Envelope
from ..format.strictjson import Members, check_fingerprint
from .signing import add_signature, sign
from .store import TrustStore, parse_store

if TYPE_CHECKING:
    from .key_sets import KeySet

UPDATE_TYPE = "application/vnd.capseal.trust-update.v1+json"


def make_update(old: TrustStore, new: TrustStore, *, signers: Sequence[Signer]) -> bytes:
    """Return the update from one store to the next, signed by those who are at hand.

    More signatures can be added with cosign_update(), by whoever holds the other keys. Raises
    UsageError, KeyFileError.
    """
    if new.version != old.version + 1:
        raise UsageError(f"new store has version {new.version}, the update of version {old.version} must be one more")
    if old.root is None or new.root is None:
        raise UsageError("trust store has no root, which signs updates: nobody would take one of it")
    if new.epoch != next_epoch(old, new):
        raise UsageError(f"new store has epoch {new.epoch}, after this change it must be {next_epoch(old, new)}")
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


def check_by_own_root(update: bytes) -> None:
    """Raise SignatureError unless the root of the store that an update brings accepts it, as that of every genuine one.

    That store has to be known by its digest, or it is anybody's. What the update says of the one before may be believed
    then. Raises FormatError.
    """
    envelope, _, store = _parse(update)
    _check_own_root(envelope, store)


def accept_update(store: TrustStore, update: bytes) -> TrustStore:
    """Return the store that an update brings, if the present store's root accepts it, and the new one's.

    Raises SignatureError, RollbackError, NotForUsError, FormatError.
    """
    if store.root is None:
        raise NotForUsError(f"trust store version {store.version} has no root, so nobody may change it")
    envelope = Envelope.parse(update)
    content = envelope.payload_of(UPDATE_TYPE)
    store.root.check(
        envelope.message, envelope.signatures, what=f"update of trust store version {store.version}, whose root"
    )
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
    _check_own_root(envelope, new)
    if new.epoch != next_epoch(store, new):
        raise FormatError(
            f"trust update: epoch {new.epoch} follows epoch {store.epoch}, expected {next_epoch(store, new)}: "
            "a change of the heads' keys raises it by one, and nothing else does"
        )
    return new


def next_epoch(old: TrustStore, new: TrustStore) -> int:
    """Return the epoch that a store must have after another: one more where keys or thresholds of heads differ."""
    unchanged = new.heads is old.heads if new.heads is None else new.heads.same_keys(old.heads)
    return old.epoch if unchanged else old.epoch + 1


def follow(store: TrustStore, updates: Iterable[bytes]) -> TrustStore:
    """Apply updates one after the other; those that the store is past are skipped.

    Raises what accept_update() raises, at the first update that is not acceptable.
    """
    for update in updates:
        if read_update(update)[1].version > store.version:
            store = accept_update(store, update)
    return store


def signed_by(update: bytes, root: "KeySet") -> int:
    """Return how many different keys of a root signed an update. Raises FormatError, SignatureError."""
    envelope, _, _ = _parse(update)
    return len(root.signers(envelope.message, envelope.signatures, what="update of a trust store, whose root"))


def stores_before(store: TrustStore, document_of: Callable[[int], bytes | None]) -> Iterator[TrustStore]:
    """Yield the versions of a store that came before it, the newest first, as far as they are to be had.

    document_of: returns the update that brings a version, or that version itself as a file, None where there is none;
    nobody need be trusted for it: each store is the one whose digest its successor's update names, which its root
    signed. Raises FormatError.
    """
    digest, version = store.digest, store.version
    while (data := document_of(version)) is not None:
        previous, found = read_update(data) if is_update(data) else (None, _parse_file(data))
        if found.digest != digest:
            return
        if previous is not None and not _is_by_own_root(data):
            return
        if version != store.version:
            yield found
        if previous is None:
            return
        digest, version = previous, version - 1


def _is_by_own_root(update: bytes) -> bool:
    try:
        check_by_own_root(update)
    except RejectedError:
        return False
    return True


def _check_own_root(envelope: Envelope, new: TrustStore) -> None:
    if new.root is None:
        raise FormatError(f"trust update: version {new.version} has no root, and could never be changed again")
    new.root.check(envelope.message, envelope.signatures, what=f"new trust store version {new.version}, whose root")


def is_update(data: bytes) -> bool:
    """Tell an update of a trust store from a trust store."""
    return b'"signatures"' in data


def _parse_file(data: bytes) -> TrustStore:
    try:
        return parse_store(strictjson.parse(data, "trust store"))
    except KeyFileError as error:
        raise FormatError(str(error)) from error


def _parse(update: bytes) -> tuple[Envelope, str, TrustStore]:
    envelope = Envelope.parse(update)
    return envelope, *_parse_content(envelope.payload_of(UPDATE_TYPE))


def _parse_content(content: bytes) -> tuple[str, TrustStore]:
    members = Members(strictjson.parse(content, "trust update"), "trust update", required=("previous", "store"))
    try:
        return members.text("previous", check_fingerprint), parse_store(members.take("store", dict))
    except KeyFileError as error:
        raise FormatError(f"trust update: {error}") from error
