"""Who may vouch for a bundle: trusted keys, their roles, and how many of them it takes."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from .errors import KeyFileError, NotForUsError, SignatureError
from .keys import MAX_PEM_BYTES, PublicKey, load_public_key, load_public_keys, write_new
from .params import MAX_SIGNATURES

STORE_TYPE = "capseal-trust-v1"


class Role(StrEnum):
    """What a key may vouch for."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key and the role that it is trusted in."""

    key: PublicKey
    role: Role = Role.PRODUCTION


@dataclass(frozen=True, slots=True)
class TrustStore:
    """The keys that may vouch, and the threshold: how many different ones must have signed.

    A production build's store holds production keys only, so that nothing signed for development can
    pass there; a development build's store holds both kinds.
    """

    keys: tuple[TrustedKey, ...]
    threshold: int = 1

    def __post_init__(self) -> None:
        unique = {trusted.key.fingerprint for trusted in self.keys}
        if len(unique) != len(self.keys):
            raise KeyFileError("trust store names the same key twice")
        production = sum(trusted.role is Role.PRODUCTION for trusted in self.keys)
        if not 1 <= self.threshold <= max(1, min(MAX_SIGNATURES, production)) or not self.keys:
            raise KeyFileError(
                f"trust store has threshold {self.threshold} but {production} production keys of {len(self.keys)}"
            )

    @classmethod
    def of(cls, *keys: PublicKey, threshold: int = 1, role: Role = Role.PRODUCTION) -> "TrustStore":
        """Return a store of bare keys of one role."""
        return cls(tuple(TrustedKey(key, role) for key in keys), threshold)

    def check(self, message: bytes, signatures: Sequence[tuple[str, bytes]], *, role: Role) -> tuple[TrustedKey, ...]:
        """Return the trusted keys that signed the message, or raise.

        signatures: pairs of key fingerprint (which only says which key to try) and RSA-PSS signature.
        role: PRODUCTION demands a threshold of production keys; DEVELOPMENT is also content with one
        development key. Raises SignatureError, NotForUsError.
        """
        trusted_keys = {trusted.key.fingerprint: trusted for trusted in self.keys}
        signers: dict[str, TrustedKey] = {}
        for fingerprint, signature in signatures:
            trusted = trusted_keys.get(fingerprint)
            if trusted is not None:
                trusted.key.verify(signature, message)
                signers[fingerprint] = trusted
        if not signers:
            shown = ", ".join(fingerprint[:16] for fingerprint, _ in signatures)
            raise SignatureError(f"signed by {shown}, which no trusted key matches")
        production = sum(trusted.role is Role.PRODUCTION for trusted in signers.values())
        if production >= self.threshold or (role is Role.DEVELOPMENT and production < len(signers)):
            return tuple(signers.values())
        if production == 0:
            raise NotForUsError("signed by a development key only, a production signature is demanded")
        raise SignatureError(
            f"signed by {production} trusted production keys, the threshold is {self.threshold} different ones"
        )

    def to_json(self) -> bytes:
        """Return the bytes of a trust store file."""
        keys = [{"role": t.role.value, "public_key": t.key.pem.decode()} for t in self.keys]
        store = {"type": STORE_TYPE, "threshold": self.threshold, "keys": keys}
        return (json.dumps(store, indent=2) + "\n").encode()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a new trust store file. Raises FileExistsError."""
        write_new(path, self.to_json(), mode=0o644)


def load_trust(path: str | os.PathLike[str]) -> TrustStore:
    """Load a trust store file, or a PEM file of public keys (production, threshold 1).

    Raises KeyFileError, OSError.
    """
    with open(path, "rb") as file:
        data = file.read(MAX_PEM_BYTES * MAX_SIGNATURES + 1)
    name = os.fspath(path)
    try:
        if not data.lstrip().startswith(b"{"):
            return TrustStore.of(*load_public_keys(data))
        return _parse_store(data)
    except KeyFileError as error:
        raise KeyFileError(f"{name}: {error}") from error.__cause__


def _parse_store(data: bytes) -> TrustStore:
    try:
        store = json.loads(data)
        if store["type"] != STORE_TYPE or store.keys() - {"type", "threshold", "keys"}:
            raise KeyFileError(f"not a trust store of type {STORE_TYPE}")
        if type(store["threshold"]) is not int:
            raise KeyFileError("threshold of the trust store is not a whole number")
        keys = tuple(
            TrustedKey(load_public_key(entry["public_key"].encode("ascii")), Role(entry["role"]))
            for entry in store["keys"]
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise KeyFileError("not a usable trust store") from error
    return TrustStore(keys, store["threshold"])
