"""Signers that keep their key elsewhere: behind a command, or in a hardware module."""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from ..constants import PSS_SALT_BYTES, RSA_EXPONENT
from ..crypto.keys import PublicKey
from ..errors import KeyFileError

_COMMAND_TIMEOUT_S = 120.0
_MAX_PIN_BYTES = 256


@dataclass(frozen=True)
class CommandSigner:
    """A command that signs, such as one that asks a cloud KMS.

    command: the program and its arguments, run without a shell; it reads the message on standard input
    and writes the RSA-PSS signature (SHA-256, MGF1-SHA256, 32-byte salt) as bytes on standard output.
    """

    command: Sequence[str]
    public_key: PublicKey
    timeout_s: float = _COMMAND_TIMEOUT_S

    def sign(self, message: bytes) -> bytes:
        """Return the command's output. Raises KeyFileError where the command fails."""
        program = self.command[0]
        try:
            done = subprocess.run(
                list(self.command), input=message, capture_output=True, timeout=self.timeout_s, check=False
            )
        except OSError as error:
            raise KeyFileError(f"signer command {program}: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise KeyFileError(f"signer command {program}: no answer within {self.timeout_s:g} s") from error
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise KeyFileError(f"signer command {program}: ended with {done.returncode}: {said[:200]}")
        expected = self.public_key.signature_bytes
        if len(done.stdout) != expected:
            raise KeyFileError(
                f"signer command {program}: wrote {len(done.stdout)} bytes, a signature by this key has {expected}"
            )
        return done.stdout


@dataclass(frozen=True)
class Pkcs11Uri:
    """What names a key in a hardware module (RFC 7512). id: bytes, or None.

    chain: our own attribute `x-chain`, a PEM file with the certificates of the key.
    """

    module: str
    token: str
    object: str | None = None
    id: bytes | None = None
    pin_source: str | None = None
    chain: str | None = None

    @classmethod
    def parse(cls, uri: str) -> "Pkcs11Uri":
        """Parse `pkcs11:token=T;object=O;id=%01?module-path=M&pin-source=F`. Raises KeyFileError."""
        path, _, query = uri.removeprefix("pkcs11:").partition("?")
        found: dict[str, str] = {}
        for part in (*path.split(";"), *(query.split("&") if query else ())):
            name, equals, value = part.partition("=")
            if name == "pin-value":
                raise KeyFileError("pkcs11 URI: a PIN does not belong on a command line; use pin-source=FILE")
            if not equals or name in found or name not in _URI_NAMES:
                raise KeyFileError(f"pkcs11 URI: {name[:40]!r} is not one of {', '.join(_URI_NAMES)}, each once")
            found[name] = value
        for name in ("token", "module-path"):
            if name not in found:
                raise KeyFileError(f"pkcs11 URI: {name} is missing")
        if "object" not in found and "id" not in found:
            raise KeyFileError("pkcs11 URI: object or id is missing")
        return cls(
            module=unquote(found["module-path"]),
            token=unquote(found["token"]),
            object=unquote(found["object"]) if "object" in found else None,
            id=unquote_to_bytes(found["id"]) if "id" in found else None,
            pin_source=unquote(found["pin-source"]).removeprefix("file:") if "pin-source" in found else None,
            chain=unquote(found["x-chain"]) if "x-chain" in found else None,
        )


_URI_NAMES = ("token", "object", "id", "type", "module-path", "pin-source", "x-chain")


class Pkcs11Signer:
    """A key in a hardware module, through PKCS#11. The private key stays there."""

    def __init__(self, uri: str | Pkcs11Uri, *, pin: Callable[[], bytes] | None = None) -> None:
        """Find the key. pin: called once where the URI has no pin-source. Raises KeyFileError, OSError."""
        self._uri = Pkcs11Uri.parse(uri) if isinstance(uri, str) else uri
        _library()  # before somebody is asked for a PIN
        self._pin = _read_pin(self._uri.pin_source) if self._uri.pin_source else pin() if pin else None
        with self._key() as key:
            self._public_key = _public_key_of(key)

    def __repr__(self) -> str:
        return f"Pkcs11Signer({self._uri})"

    @property
    def public_key(self) -> PublicKey:
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Have the module hash and sign. Raises KeyFileError."""
        pkcs11 = _library()
        with self._key() as key:
            signature: bytes = key.sign(
                message,
                mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS_PSS,
                mechanism_param=(pkcs11.Mechanism.SHA256, pkcs11.MGF.SHA256, PSS_SALT_BYTES),
            )
        return signature

    @contextmanager
    def _key(self) -> Iterator[Any]:
        """Give the private key's handle within a session of its own."""
        pkcs11 = _library()
        where = f"key {self._uri.object or self._uri.id!r} in token {self._uri.token!r}"
        pin = None if self._pin is None else self._pin.decode("utf-8", "replace")
        try:
            token = pkcs11.lib(self._uri.module).get_token(token_label=self._uri.token)
            with token.open(user_pin=pin) as session:
                yield session.get_key(
                    object_class=pkcs11.ObjectClass.PRIVATE_KEY,
                    key_type=pkcs11.KeyType.RSA,
                    label=self._uri.object,
                    id=self._uri.id,
                )
        except pkcs11.PKCS11Error as error:
            raise KeyFileError(f"{where}: {type(error).__name__} {error}".rstrip()) from error


def _library() -> Any:
    try:
        import pkcs11
    except ImportError as error:
        raise KeyFileError("keys in hardware need python-pkcs11: pip install 'capseal[pkcs11]'") from error
    return pkcs11


def _public_key_of(key: Any) -> PublicKey:
    from pkcs11 import Attribute

    modulus = int.from_bytes(key[Attribute.MODULUS], "big")
    # PKCS#11 lets a module leave the exponent out; what it signs is verified in any case.
    exponent = int.from_bytes(key[Attribute.PUBLIC_EXPONENT] or b"", "big") or RSA_EXPONENT
    return PublicKey(RSAPublicNumbers(exponent, modulus).public_key())


def _read_pin(path: str) -> bytes:
    with open(path, "rb") as file:
        pin = file.read(_MAX_PIN_BYTES + 1)
    if len(pin) > _MAX_PIN_BYTES:
        raise KeyFileError(f"{os.fspath(path)}: larger than {_MAX_PIN_BYTES} bytes, not a PIN")
    return pin.strip()
