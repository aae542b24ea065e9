"""RSA keys: generate, load, save, fingerprint; OAEP wrap and unwrap; PSS sign and verify.

A Signer need not be a file: anything with a public key and `sign` will do (HSM, cloud KMS).
Likewise an Identity is whatever can unwrap a session key.
"""

import binascii
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, RSAPublicNumbers

from ..constants import KEY_BYTES, MAX_RSA_BITS, MIN_RSA_BITS, PSS_SALT_BYTES, RSA_EXPONENT
from ..errors import KeyFileError, NotForUsError, SignatureError

_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=PSS_SALT_BYTES)
_OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)

MAX_PEM_BYTES = 64 * 1024

FilePath = str | os.PathLike[str]
"""Where a key is expected: the PEM file that it is in, without passphrase."""

# A SubjectPublicKeyInfo in PEM and in DER: what stands around the modulus (RFC 8017, A.1; RFC 7468, 13).
_BEGIN_PUBLIC = b"-----BEGIN PUBLIC KEY-----\n"
_END_PUBLIC = b"-----END PUBLIC KEY-----\n"
_PEM_LINE_BYTES = 48
_RSA_ENCRYPTION = bytes.fromhex("300d06092a864886f70d0101010500")
_EXPONENT = b"\x02\x03" + RSA_EXPONENT.to_bytes(3, "big")
_BEFORE_MODULUS = 33
_SEQUENCE, _INTEGER, _BIT_STRING = 0x30, 0x02, 0x03

_LABEL = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_WHOLE = re.compile(rb"^-----BEGIN [A-Z0-9 ]+-----\r?\n", re.MULTILINE)
_ENCRYPTED = re.compile(
    rb"-----BEGIN (?:ENCRYPTED PRIVATE KEY-----|[A-Z ]+PRIVATE KEY-----\r?\nProc-Type: *4, *ENCRYPTED)"
)


@runtime_checkable
class Signer(Protocol):
    """Whoever can sign: a PEM key, an HSM, a KMS."""

    @property
    def public_key(self) -> "PublicKey":
        """The key that verifies what `sign` returns."""

    def sign(self, message: bytes) -> bytes:
        """Return the RSA-PSS signature (SHA-256, MGF1-SHA256, 32-byte salt) of a message."""


@runtime_checkable
class Identity(Protocol):
    """Whoever can unwrap a session key: a PEM key, a phone's key store."""

    @property
    def public_key(self) -> "PublicKey":
        """The key that session keys were wrapped for."""

    def unwrap(self, encrypted_key: bytes) -> bytes:
        """Return the 32-byte session key. Raises NotForUsError."""


IdentityOrPath = Identity | FilePath


@dataclass(frozen=True)
class PublicKey:
    """An RSA public key of at least 3072 bits with exponent 65537."""

    rsa: RSAPublicKey

    def __post_init__(self) -> None:
        _check_strength(self.rsa)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the DER SubjectPublicKeyInfo, in hex; the format's `kid` and `keyid`."""
        digest = hashes.Hash(hashes.SHA256())  # hashlib would load an OpenSSL of its own
        digest.update(_der_of(self.rsa.public_numbers().n))
        return digest.finalize().hex()

    @property
    def pem(self) -> bytes:
        """SubjectPublicKeyInfo in PEM."""
        return _pem_of(self.rsa.public_numbers().n)

    @property
    def signature_bytes(self) -> int:
        """Size of every signature by this key, and of every session key wrapped for it."""
        return (self.rsa.key_size + 7) // 8

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raise SignatureError unless this is an RSA-PSS signature of the message with a 32-byte salt."""
        try:
            self.rsa.verify(signature, message, _PSS, hashes.SHA256())
        except InvalidSignature:
            raise SignatureError(
                f"signature by key {self.fingerprint[:16]} does not fit the signed bytes; "
                "the seal is corrupt or was altered"
            ) from None

    def wrap(self, session_key: bytes) -> bytes:
        """Return the session key wrapped for this key (RSA-OAEP, SHA-256, empty label; RFC 8017, 7.1)."""
        return self.rsa.encrypt(session_key, _OAEP)

    def __repr__(self) -> str:
        return f"<PublicKey RSA-{self.rsa.key_size} {self.fingerprint[:16]}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)


@dataclass(frozen=True)
class PrivateKey:
    """An RSA private key in memory: both a Signer and an Identity."""

    rsa: RSAPrivateKey = field(repr=False)
    public_key: PublicKey

    def __init__(self, key: RSAPrivateKey) -> None:
        object.__setattr__(self, "rsa", key)
        object.__setattr__(self, "public_key", PublicKey(key.public_key()))

    @classmethod
    def generate(cls, bits: int) -> "PrivateKey":
        """Make a new key of `bits` bits (3072 to 8192) with exponent 65537."""
        if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
            raise KeyFileError(f"RSA key of {bits} bits asked for, from {MIN_RSA_BITS} to {MAX_RSA_BITS} are allowed")
        return cls(rsa.generate_private_key(public_exponent=RSA_EXPONENT, key_size=bits))

    def sign(self, message: bytes) -> bytes:
        """Return the RSA-PSS signature (SHA-256, MGF1-SHA256, 32-byte salt; RFC 8017, 8.1)."""
        return self.rsa.sign(message, _PSS, hashes.SHA256())

    def unwrap(self, encrypted_key: bytes) -> bytes:
        """Return the 32-byte session key. Raises NotForUsError where it was not wrapped for this key."""
        try:
            session_key = self.rsa.decrypt(encrypted_key, _OAEP)
        except ValueError:
            session_key = b""
        if len(session_key) != KEY_BYTES:
            raise NotForUsError(f"wrapped session key cannot be opened by key {self.public_key.fingerprint[:16]}")
        return session_key

    def pem(self, *, passphrase: bytes | None = None) -> bytes:
        """Return PKCS#8 PEM, encrypted where a passphrase is given."""
        from cryptography.hazmat.primitives import serialization  # here, since few processes save keys

        if passphrase == b"":
            raise KeyFileError("passphrase is empty: it would not protect the key")
        encryption: serialization.KeySerializationEncryption = (
            serialization.NoEncryption() if passphrase is None else serialization.BestAvailableEncryption(passphrase)
        )
        return self.rsa.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

    def save(self, path: str | os.PathLike[str], *, passphrase: bytes | None = None) -> None:
        """Write PKCS#8 PEM to a new file that only its owner can read. Raises FileExistsError."""
        from ..io.drafts import write_new  # here, since few processes save keys

        write_new(path, self.pem(passphrase=passphrase), mode=0o600)


def load_private_key(
    source: str | os.PathLike[str] | bytes, *, passphrase: Callable[[], bytes] | None = None
) -> PrivateKey:
    """Load a private key from a PEM file, or from PEM bytes; PKCS#8 and PKCS#1 are accepted.

    passphrase: called only where the key is encrypted. Raises KeyFileError, OSError.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # here, since who verifies has none

    name, data = read_pem(source)
    found = labels(data)
    if not any(label.endswith("PRIVATE KEY") for label in found) or "OPENSSH PRIVATE KEY" in found:
        public = any(label.endswith("PUBLIC KEY") for label in found)
        raise KeyFileError(f"{name}: not a PEM private key{'; it is a public key' if public else _hint_at(data)}")
    encrypted = is_encrypted(data)
    if encrypted and passphrase is None:
        raise KeyFileError(f"{name}: the key is encrypted and no passphrase was given")
    try:
        # OpenSSL's own check tests the primes anew, 0.3 s for 4096 bits; _check_pair finds damage in 3 ms.
        key = load_pem_private_key(
            data, passphrase() if encrypted and passphrase else None, unsafe_skip_rsa_key_validation=True
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = "wrong passphrase, or the key is damaged" if encrypted else "the key is damaged or unsupported"
        raise KeyFileError(f"{name}: cannot load the private key: {reason}") from error
    if not isinstance(key, RSAPrivateKey):
        raise KeyFileError(f"{name}: not an RSA key")
    try:
        private_key = PrivateKey(key)
    except KeyFileError as error:
        raise KeyFileError(f"{name}: {error}") from None
    _check_pair(name, private_key)
    return private_key


def _check_pair(name: str, key: PrivateKey) -> None:
    """Raise KeyFileError where the private half does not fit the public one: sign and verify once."""
    try:
        key.public_key.verify(key.sign(b"capseal/v1 key check"), b"capseal/v1 key check")
    except (SignatureError, ValueError) as error:
        raise KeyFileError(f"{name}: cannot load the private key: it is damaged") from error


def load_public_key(source: str | os.PathLike[str] | bytes) -> PublicKey:
    """Load one public key from a PEM file, or from PEM bytes. Raises KeyFileError, OSError."""
    keys = load_public_keys(source)
    if len(keys) != 1:
        raise KeyFileError(f"{read_pem(source)[0]}: {len(keys)} public keys found, expected 1")
    return keys[0]


def public_keys_of(given: "FilePath | Sequence[PublicKey | FilePath]") -> list[PublicKey]:
    """Return public keys, where paths stand for those of PEM files. Raises KeyFileError, OSError."""
    if isinstance(given, str | os.PathLike):
        return load_public_keys(given)
    lists = [load_public_keys(one) if isinstance(one, str | os.PathLike) else [one] for one in given]
    return [key for keys in lists for key in keys]


def identities_of(given: "IdentityOrPath | Sequence[IdentityOrPath]") -> list[Identity]:
    """Return whoever may unwrap, where paths stand for private keys in PEM. Raises KeyFileError, OSError."""
    several = [given] if isinstance(given, str | os.PathLike) or not isinstance(given, Sequence) else given
    return [load_private_key(one) if isinstance(one, str | os.PathLike) else one for one in several]


def load_public_keys(source: str | os.PathLike[str] | bytes) -> list[PublicKey]:
    """Load every public key of a PEM file: SubjectPublicKeyInfo or PKCS#1. Raises KeyFileError, OSError."""
    name, data = read_pem(source)
    found = labels(data)
    if any(label.endswith("PRIVATE KEY") for label in found):
        raise KeyFileError(f"{name}: this is a private key; a public key is expected here")
    pieces = [b"-----BEGIN " + piece for piece in data.split(b"-----BEGIN ")[1:]]
    if not pieces or not any(label.endswith("PUBLIC KEY") for label in found):
        raise KeyFileError(f"{name}: not a PEM public key{_hint_at(data)}")
    keys = []
    for piece in pieces:
        try:
            key = _public_key_of(piece)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyFileError(f"{name}: cannot load the public key: damaged or unsupported") from error
        if not isinstance(key, RSAPublicKey):
            raise KeyFileError(f"{name}: not an RSA key")
        try:
            keys.append(PublicKey(key))
        except KeyFileError as error:
            raise KeyFileError(f"{name}: {error}") from None
    return keys


def _public_key_of(pem: bytes) -> object:
    """Return the key of one PEM block, of whatever kind. Raises ValueError, UnsupportedAlgorithm."""
    modulus = _modulus_of(pem)
    if modulus is not None:
        return RSAPublicNumbers(RSA_EXPONENT, modulus).public_key()
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # here: see _modulus_of()

    return load_pem_public_key(pem)


def _modulus_of(pem: bytes) -> int | None:
    """Return the modulus of a key that is, byte for byte, what _pem_of() writes, else None.

    cryptography reads such keys, too, but brings all of SSH along for it, which takes a tenth of the time to verify a
    small bundle. What is not exactly this is left to it.
    """
    try:
        der = binascii.a2b_base64(pem[len(_BEGIN_PUBLIC) : -len(_END_PUBLIC)])
        # Whatever was cut out here: it is the modulus if all around it is as it has to be.
        modulus = int.from_bytes(der[_BEFORE_MODULUS : -len(_EXPONENT)], "big")
        return modulus if _pem_of(modulus) == pem else None
    except (binascii.Error, OverflowError):
        return None


def _pem_of(modulus: int) -> bytes:
    """Return a SubjectPublicKeyInfo in PEM: that modulus, of at least 2048 bits, and the one allowed exponent."""
    der = _der_of(modulus)
    lines = [binascii.b2a_base64(der[start : start + _PEM_LINE_BYTES]) for start in range(0, len(der), _PEM_LINE_BYTES)]
    return b"".join([_BEGIN_PUBLIC, *lines, _END_PUBLIC])


def _der_of(modulus: int) -> bytes:
    key = _tagged(_SEQUENCE, _tagged(_INTEGER, modulus.to_bytes(modulus.bit_length() // 8 + 1, "big")) + _EXPONENT)
    return _tagged(_SEQUENCE, _RSA_ENCRYPTION + _tagged(_BIT_STRING, b"\0" + key))


def _tagged(tag: int, content: bytes) -> bytes:
    """Return a value in DER whose length takes two bytes."""
    return bytes([tag, 0x82]) + len(content).to_bytes(2, "big") + content


def read_pem(source: str | os.PathLike[str] | bytes, *, kind: str = "key file") -> tuple[str, bytes]:
    """Return the name of PEM data for messages, and the data, mended where it was mangled: of a file, or given.

    Raises KeyFileError, OSError.
    """
    if isinstance(source, bytes):
        name, data = "PEM data", source
    else:
        with open(source, "rb") as file:
            name, data = os.fspath(source), file.read(MAX_PEM_BYTES + 1)
        if len(data) > MAX_PEM_BYTES:
            raise KeyFileError(f"{name}: larger than {MAX_PEM_BYTES} bytes, not a {kind}")
    try:
        return name, mended(data)
    except KeyFileError as error:
        raise KeyFileError(f"{name}: {error}") from None


def labels(data: bytes) -> list[str]:
    """Return what the blocks say that they are, such as PRIVATE KEY."""
    return [label.decode() for label in _LABEL.findall(data)]


def is_encrypted(data: bytes) -> bool:
    """Say whether a private key in PEM is encrypted, whatever stands around it (RFC 7468, 11; RFC 1421, 4.6.1.1)."""
    return _ENCRYPTED.search(data) is not None


def mended(data: bytes) -> bytes:
    """Return PEM as it is where it is whole, else what pem.as_pem() makes of it. Raises KeyFileError."""
    if len(_WHOLE.findall(data)) == data.count(b"-----BEGIN ") > 0 and data.startswith(b"-----BEGIN "):
        return data
    from .pem import as_pem  # here, since few files were mangled

    return as_pem(data)


def _hint_at(data: bytes) -> str:
    from .pem import hint_at

    return hint_at(data)


def _check_strength(key: RSAPublicKey) -> None:
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise KeyFileError(f"RSA key has {key.key_size} bits, from {MIN_RSA_BITS} to {MAX_RSA_BITS} are allowed")
    exponent = key.public_numbers().e
    if exponent != RSA_EXPONENT:
        raise KeyFileError(f"RSA public exponent is {exponent}, only {RSA_EXPONENT} is allowed")
