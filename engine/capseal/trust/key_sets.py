"""Keys by purpose: sets of bare keys with thresholds, and what a trust store says of heads and restarts.

Release keys are the trust store's own matter, since certificates may vouch for them. Root and head keys are bare keys:
what they sign outlives every certificate, and is judged where no clock can be trusted yet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..constants import MAX_HEAD_AGE_S, MAX_INTEGER, MAX_SIGNATURES
from ..crypto.keys import PublicKey, load_public_key
from ..errors import FormatError, KeyFileError, NotForUsError, SignatureError
from ..format.dsse import Signature
from ..format.strictjson import Members, Role, shown_time


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one purpose, and how many different ones of them must sign."""

    keys: tuple[PublicKey, ...]
    threshold: int = 1

    def __post_init__(self) -> None:
        if len(set(self.fingerprints)) != len(self.keys):
            raise KeyFileError("set of keys names the same key twice")
        if not 1 <= self.threshold <= len(self.keys) <= MAX_SIGNATURES:
            raise KeyFileError(
                f"set of keys has threshold {self.threshold} and {len(self.keys)} keys; "
                f"from 1 to {MAX_SIGNATURES} keys are allowed, and no more signatures can be demanded than there are"
            )

    @classmethod
    def of(cls, *keys: PublicKey, threshold: int = 1) -> "KeySet":
        """Return a set of keys."""
        return cls(keys, threshold)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprints of the keys, in order."""
        return tuple(key.fingerprint for key in self.keys)

    def same_as(self, other: "KeySet | None") -> bool:
        """Return whether the other set has the same keys, in whatever order, and the same threshold."""
        return (
            other is not None
            and set(self.fingerprints) == set(other.fingerprints)
            and self.threshold == other.threshold
        )

    def check(self, message: bytes, signatures: Sequence[Signature], *, what: str) -> tuple[PublicKey, ...]:
        """Return the keys of the set that signed the message, a threshold of them or more.

        what: names the signed thing and whose set this is, in messages. A signature that names a key of the set must
        verify, or all are refused; those of strangers count for nothing. Raises SignatureError.
        """
        signers = self.signers(message, signatures, what=what)
        if len(signers) < self.threshold:
            raise SignatureError(
                f"{what}: signed by {len(signers)} of its {len(self.keys)} keys, the threshold is {self.threshold} "
                "different ones"
            )
        return signers

    def signers(self, message: bytes, signatures: Sequence[Signature], *, what: str) -> tuple[PublicKey, ...]:
        """Return the keys of the set that signed the message, however few. what: as for check().

        Raises SignatureError.
        """
        keys = {key.fingerprint: key for key in self.keys}
        found: dict[str, PublicKey] = {}
        for signature in signatures:
            if signature.x5c:
                # Nobody signs x5c, and here nobody looks at it: it would only spell the same document otherwise.
                raise SignatureError(
                    f"{what}: signature of {signature.keyid[:16]} carries certificates, bare keys sign it"
                )
            key = keys.get(signature.keyid)
            if key is not None:
                key.verify(signature.sig, message)
                found[signature.keyid] = key
        return tuple(found.values())

    def to_value(self) -> dict[str, Any]:
        """Return the set as JSON values."""
        return {"threshold": self.threshold, "keys": [key.pem.decode() for key in self.keys]}

    @classmethod
    def parse(cls, value: object, place: str) -> "KeySet":
        """Return a set from its JSON values. Raises FormatError, KeyFileError."""
        members = Members(value, place, required=("threshold", "keys"))
        texts = members.array("keys", least=1, most=MAX_SIGNATURES)
        for i, text in enumerate(texts):
            if type(text) is not str:
                raise FormatError(f"{members.place('keys')}[{i}]: expected a string")
        keys = tuple(load_public_key(text.encode("ascii", "replace")) for text in texts)
        try:
            return cls(keys, members.integer("threshold", least=1))
        except KeyFileError as error:
            raise KeyFileError(f"{place}: {error}") from None


@dataclass(frozen=True, slots=True)
class HeadPolicy:
    """Who may say what is current, and for how long.

    max_age_s: the longest that a head may be valid; until: no head expires later; production, development: the keys of
    heads of each role, no key in both.
    """

    max_age_s: int
    until: datetime
    production: KeySet
    development: KeySet | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.max_age_s <= MAX_HEAD_AGE_S:
            raise KeyFileError(f"heads of {self.max_age_s} s, from 1 to {MAX_HEAD_AGE_S} are allowed")

    def keys(self, role: Role) -> KeySet:
        """Return the keys of heads of a role. Raises NotForUsError where there are none."""
        keys = self.production if role is Role.PRODUCTION else self.development
        if keys is None:
            raise NotForUsError(f"trust store has no head keys for {role.value}")
        return keys

    def sets(self) -> tuple[KeySet, ...]:
        """Return the sets of keys that there are."""
        return (self.production,) if self.development is None else (self.production, self.development)

    def same_keys(self, other: "HeadPolicy | None") -> bool:
        """Return whether another policy has the same keys and thresholds for both roles."""
        if other is None or not self.production.same_as(other.production):
            return False
        if self.development is None:
            return other.development is None
        return self.development.same_as(other.development)

    def to_value(self) -> dict[str, Any]:
        """Return the policy as JSON values."""
        value = {"max_age_s": self.max_age_s, "until": shown_time(self.until), "production": self.production.to_value()}
        return value if self.development is None else value | {"development": self.development.to_value()}

    @classmethod
    def parse(cls, value: object, place: str) -> "HeadPolicy":
        """Return a policy from its JSON values. Raises FormatError, KeyFileError."""
        members = Members(value, place, required=("max_age_s", "until", "production"), optional=("development",))
        return cls(
            max_age_s=members.integer("max_age_s", least=1, most=MAX_HEAD_AGE_S),
            until=members.time("until"),
            production=KeySet.parse(members.take("production", dict), members.place("production")),
            development=KeySet.parse(members.take("development", dict), members.place("development"))
            if "development" in members
            else None,
        )


@dataclass(frozen=True, slots=True)
class Restart:
    """What a device's memory of releases is lowered to, once: floor and highest sequence, newest `created`.

    It mends what a stolen release key did with the highest sequence and the latest time.
    """

    sequence: int
    created: datetime

    def to_value(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"sequence": self.sequence, "created": shown_time(self.created)}

    @classmethod
    def parse(cls, value: object, place: str) -> "Restart":
        """Return it from its JSON values. Raises FormatError."""
        members = Members(value, place, required=("sequence", "created"))
        return cls(members.integer("sequence", least=0, most=MAX_INTEGER), members.time("created"))


def check_disjoint(purposes: Iterable[tuple[str, Iterable[str]]]) -> None:
    """Raise KeyFileError where a key has two purposes. purposes: the name of each, and fingerprints of its keys."""
    seen: dict[str, str] = {}
    for purpose, fingerprints in purposes:
        for fingerprint in fingerprints:
            other = seen.setdefault(fingerprint, purpose)
            if other != purpose:
                raise KeyFileError(f"key {fingerprint[:16]} is for {other} and for {purpose}; no key has two purposes")
