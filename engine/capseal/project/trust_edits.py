"""Changes of a trust store, as the commands make them: keys by purpose in, and whatever a fingerprint names out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from ..crypto.keys import PublicKey
from ..errors import UsageError
from ..format.strictjson import Role
from ..trust.key_sets import HeadPolicy, KeySet
from ..trust.store import TrustStore
from .creation import HEAD_DAYS, HEADS_DAYS

if TYPE_CHECKING:
    from cryptography import x509

MIN_ID_CHARS = 8


class Purpose(StrEnum):
    """What bare keys beside those of releases may do."""

    ROOT = "root"
    HEAD = "head"


Edit = Callable[[TrustStore], TrustStore]


def with_threshold(store: TrustStore, edit: Edit, threshold: int | None) -> TrustStore:
    """Return an edited store, with another threshold of releases where one is given. Raises KeyFileError."""
    # The threshold last: on the way there may be fewer keys than it takes, or than it took.
    return replace(edit(replace(store, threshold=1)), threshold=threshold or store.threshold)


def with_keys(
    store: TrustStore,
    keys: Sequence[PublicKey],
    purpose: Purpose,
    *,
    role: Role,
    threshold: int | None,
    now: datetime,
) -> TrustStore:
    """Return a store with more root or head keys. now: from which heads may be signed, where they begin.

    Raises UsageError, KeyFileError.
    """

    def more(there: KeySet | None) -> KeySet:
        before = () if there is None else there.keys
        return KeySet((*before, *keys), threshold or (1 if there is None else there.threshold))

    heads = store.heads
    if purpose is Purpose.ROOT:
        return replace(store, root=more(store.root))
    if heads is None and role is Role.DEVELOPMENT:
        raise UsageError("trust store has no heads of production yet, which come first")
    if heads is None:
        return replace(store, heads=HeadPolicy(HEAD_DAYS * 86400, now + timedelta(days=HEADS_DAYS), more(None)))
    if role is Role.DEVELOPMENT:
        return replace(store, heads=replace(heads, development=more(heads.development)))
    return replace(store, heads=replace(heads, production=more(heads.production)))


def without(store: TrustStore, ids: Sequence[str], *, threshold: int | None) -> TrustStore:
    """Return a store without what fingerprints name, of whatever purpose.

    ids: the first digits of fingerprints, 8 or more; threshold: from now on, of the purpose that they have. Raises
    UsageError where one does not name exactly one entry, KeyFileError where too few are left.
    """
    named: dict[str, list[str]] = {}
    for wanted in ids:
        named.setdefault(_purpose_of(store, wanted), []).append(wanted)
    if threshold is not None and len(named) > 1:
        raise UsageError(f"--threshold {threshold}: for {' or for '.join(named)}? remove one kind at a time")
    for purpose, wanted_ids in named.items():
        store = _without_purpose(store, purpose, wanted_ids, threshold)
    return store


def _sets(store: TrustStore) -> dict[str, KeySet | None]:
    heads = store.heads
    return {
        "root": store.root,
        "production": None if heads is None else heads.production,
        "development": None if heads is None else heads.development,
    }


def _purpose_of(store: TrustStore, wanted: str) -> str:
    for purpose, keys in _sets(store).items():
        if keys is not None and any(_matches(fingerprint, wanted) for fingerprint in keys.fingerprints):
            return purpose
    return "releases"


def _without_purpose(store: TrustStore, purpose: str, ids: Sequence[str], threshold: int | None) -> TrustStore:
    keys = _sets(store).get(purpose)
    if keys is None:
        return with_threshold(store, lambda one: _without_release_keys(one, ids), threshold)
    left = tuple(key for key in keys.keys if not any(_matches(key.fingerprint, wanted) for wanted in ids))
    if len(keys.keys) - len(left) != len(ids):
        raise UsageError(f"{', '.join(ids)}: name {len(keys.keys) - len(left)} keys, expected {len(ids)}")
    heads = store.heads
    if purpose == "development" and not left and heads is not None:
        return replace(store, heads=replace(heads, development=None))
    fewer = KeySet(left, threshold or keys.threshold)
    if purpose == "root" or heads is None:
        return replace(store, root=fewer)
    if purpose == "development":
        return replace(store, heads=replace(heads, development=fewer))
    return replace(store, heads=replace(heads, production=fewer))


def _without_release_keys(store: TrustStore, ids: Sequence[str]) -> TrustStore:
    for wanted in ids:
        keys = [t for t in store.keys if _matches(t.key.fingerprint, wanted)]
        certificates = [t for t in store.certificates if _matches(certificate_fingerprint(t.certificate), wanted)]
        if len(keys) + len(certificates) != 1:
            raise UsageError(f"{wanted}: names {len(keys) + len(certificates)} entries of the trust store, expected 1")
        store = replace(
            store,
            keys=tuple(t for t in store.keys if t not in keys),
            certificates=tuple(t for t in store.certificates if t not in certificates),
        )
    return store


def _matches(fingerprint: str, wanted: str) -> bool:
    return len(wanted) >= MIN_ID_CHARS and fingerprint.startswith(wanted.lower())


def certificate_fingerprint(certificate: "x509.Certificate") -> str:
    """Return the SHA-256 of a whole certificate, in hex."""
    from cryptography.hazmat.primitives import hashes  # here, since most stores have no certificate

    return certificate.fingerprint(hashes.SHA256()).hex()
