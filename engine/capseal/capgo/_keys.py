"""Capgo's RSA-2048 keys: make, load, save, name; sign short values so that the public key gives them back.

Capgo calls these operations encrypting and decrypting. They are PKCS#1 v1.5 signatures with message
recovery and without DigestInfo (RFC 8017, 9.2 without step 2): whoever has the public key reads the
value, only the private key can make one.
"""

import os
from base64 import b64encode
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from ..crypto.keys import labels, read_pem
from ..crypto.pem import hint_at
from ..errors import FormatError, KeyFileError, NotForUsError, SignatureError
from ..io.drafts import NewFiles

RSA_BITS = 2048
"""The only size that the plugin reads: it refuses values of other than 256 bytes."""
VALUE_BYTES = RSA_BITS // 8
KEY_ID_CHARS = 20
PRIVATE_KEY_FILE = ".capgo_key_v2"
PUBLIC_KEY_FILE = ".capgo_key_v2.pub"

Key = TypeVar("Key", RSAPrivateKey, RSAPublicKey)

_OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


@dataclass(frozen=True)
class CapgoPublicKey:
    """The key that the app ships: it reads what the private key signed."""

    rsa: RSAPublicKey

    def __post_init__(self) -> None:
        _check_bits(self.rsa.key_size)

    @property
    def pem(self) -> bytes:
        """PKCS#1 in PEM, the only form that the plugin takes."""
        return self.rsa.public_bytes(Encoding.PEM, PublicFormat.PKCS1)

    @cached_property
    def key_id(self) -> str:
        """The first 20 characters of the PEM's body; 12 of them are the same for every key."""
        return b64encode(self.rsa.public_bytes(Encoding.DER, PublicFormat.PKCS1))[:KEY_ID_CHARS].decode("ascii")

    def recover(self, value: bytes, what: str) -> bytes:
        """Return what the private key signed. what: the value's name. Raises FormatError, SignatureError."""
        if len(value) != VALUE_BYTES:
            raise FormatError(f"{what}: {len(value)} bytes, an RSA-{RSA_BITS} value has {VALUE_BYTES}")
        try:
            return self.rsa.recover_data_from_signature(value, padding.PKCS1v15(), None)
        except InvalidSignature:
            raise SignatureError(f"{what}: not made with the private key of {self.key_id}, or altered") from None


@dataclass(frozen=True)
class CapgoPrivateKey:
    """The key that the publisher keeps. In the first generation of the format (v1) the app shipped it."""

    rsa: RSAPrivateKey = field(repr=False)
    public_key: CapgoPublicKey

    def __init__(self, key: RSAPrivateKey) -> None:
        object.__setattr__(self, "rsa", key)
        object.__setattr__(self, "public_key", CapgoPublicKey(key.public_key()))

    @classmethod
    def generate(cls) -> "CapgoPrivateKey":
        """Make a new key."""
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS))

    @property
    def pem(self) -> bytes:
        """PKCS#1 in PEM, unencrypted: Capgo's command line takes no other form."""
        return self.rsa.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())

    def sign(self, value: bytes) -> bytes:
        """Return the 256 bytes from which the public key recovers the value."""
        return self.rsa.sign(value, padding.PKCS1v15(), NoDigestInfo())

    def unwrap_v1(self, encrypted_key: bytes, what: str) -> bytes:
        """Return a session key of v1: RSA-OAEP, SHA-256, empty label. Raises FormatError, NotForUsError."""
        if len(encrypted_key) != VALUE_BYTES:
            raise FormatError(f"{what}: {len(encrypted_key)} bytes, an RSA-{RSA_BITS} value has {VALUE_BYTES}")
        try:
            return self.rsa.decrypt(encrypted_key, _OAEP)
        except ValueError:
            raise NotForUsError(f"{what}: cannot be opened by key {self.public_key.key_id}") from None

    def save(self, folder: str | os.PathLike[str]) -> tuple[str, str]:
        """Write `.capgo_key_v2`, for its owner only, and `.capgo_key_v2.pub`; return their paths.

        Neither may exist. Raises FileExistsError.
        """
        private, public = os.path.join(folder, PRIVATE_KEY_FILE), os.path.join(folder, PUBLIC_KEY_FILE)
        with NewFiles((private, public)) as files:
            files.write(private, self.pem, mode=0o600)
            files.write(public, self.public_key.pem, mode=0o644)
        return private, public


def load_private_key(source: str | os.PathLike[str] | bytes) -> CapgoPrivateKey:
    """Load a private key from a PEM file, or from PEM bytes. Raises KeyFileError, OSError."""
    name, data = read_pem(source)
    if any(label.endswith("PUBLIC KEY") for label in labels(data)):
        raise KeyFileError(f"{name}: this is a public key; the private key is needed here")
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{name}: not an unencrypted PEM private key, or damaged{hint_at(data)}") from error
    if not isinstance(key, RSAPrivateKey):
        raise KeyFileError(f"{name}: not an RSA key")
    return CapgoPrivateKey(_named(key, name))


def load_public_key(source: str | os.PathLike[str] | bytes) -> CapgoPublicKey:
    """Load a public key from a PEM file, or from PEM bytes. Raises KeyFileError, OSError."""
    name, data = read_pem(source)
    if any(label.endswith("PRIVATE KEY") for label in labels(data)):
        raise KeyFileError(f"{name}: this is a private key; the public key is needed here")
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{name}: not a PEM public key, or damaged{hint_at(data)}") from error
    if not isinstance(key, RSAPublicKey):
        raise KeyFileError(f"{name}: not an RSA key")
    return CapgoPublicKey(_named(key, name))


def _named(key: Key, name: str) -> Key:
    try:
        _check_bits(key.key_size)
    except KeyFileError as error:
        raise KeyFileError(f"{name}: {error}") from None
    return key


def _check_bits(bits: int) -> None:
    if bits != RSA_BITS:
        raise KeyFileError(f"RSA key has {bits} bits, Capgo's plugin reads {RSA_BITS} only")
