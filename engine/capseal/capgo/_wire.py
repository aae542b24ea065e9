"""The texts that travel beside a ciphertext: session key and checksum (docs/capgo.md, Bytes).

No I/O, no clock: bytes in, values out, and back.
"""

import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..errors import FormatError
from ..format.strictjson import Members, check_fingerprint, from_base64, to_base64
from ._keys import KEY_ID_CHARS, VALUE_BYTES, CapgoPrivateKey, CapgoPublicKey

AES_KEY_BYTES = 16
BLOCK_BYTES = 16
DIGEST_BYTES = 32
_HEX = re.compile(r"[0-9a-fA-F]+")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
_CRC32 = re.compile(r"[0-9a-fA-F]{1,8}")


class ChecksumVersion(StrEnum):
    """How a checksum is written. Plugins from 5.30, 6.30 and 7.30 on want V3, older ones V2."""

    V2 = "v2"
    V3 = "v3"


@dataclass(frozen=True, slots=True)
class SessionKey:
    """The AES-128 key and the first block's IV of one bundle."""

    iv: bytes
    key: bytes = field(repr=False)

    @classmethod
    def generate(cls, entropy: Callable[[int], bytes] = secrets.token_bytes) -> "SessionKey":
        """Make a new one."""
        return cls(iv=entropy(BLOCK_BYTES), key=entropy(AES_KEY_BYTES))

    def sign(self, key: CapgoPrivateKey) -> str:
        """Return the text that Capgo names `ivSessionKey` and `session_key`."""
        return f"{to_base64(self.iv)}:{to_base64(key.sign(self.key))}"

    @classmethod
    def recover(cls, text: str, key: CapgoPublicKey) -> "SessionKey":
        """Read that text. Raises FormatError, SignatureError."""
        iv, value = _split(text, "session key")
        return cls._checked(iv, key.recover(value, "session key"))

    @classmethod
    def unwrap_v1(cls, text: str, key: CapgoPrivateKey) -> "SessionKey":
        """Read that text as v1 wrote it. Raises FormatError, NotForUsError."""
        iv, value = _split(text, "session key")
        return cls._checked(iv, key.unwrap_v1(value, "session key"))

    @classmethod
    def _checked(cls, iv: bytes, key: bytes) -> "SessionKey":
        if len(iv) != BLOCK_BYTES:
            raise FormatError(f"session key: IV has {len(iv)} bytes, expected {BLOCK_BYTES}")
        if len(key) != AES_KEY_BYTES:
            raise FormatError(f"session key: AES key has {len(key)} bytes, expected {AES_KEY_BYTES}")
        return cls(iv, key)


def _split(text: str, place: str) -> tuple[bytes, bytes]:
    parts = text.strip().split(":")
    if len(parts) != 2:
        raise FormatError(f"{place}: {len(parts)} parts between colons, expected IV and key")
    return from_base64(parts[0], f"{place}: IV"), from_base64(parts[1], f"{place}: key")


def sign_checksum(digest: bytes, key: CapgoPrivateKey, version: ChecksumVersion) -> str:
    """Return the checksum text for the SHA-256 of a plaintext."""
    if version is ChecksumVersion.V3:
        return key.sign(digest).hex()
    # The first writer of v2 took the hex digits for base64, and every reader of v2 expects that since.
    return to_base64(key.sign(b64decode(digest.hex())))


def written_as(text: str) -> ChecksumVersion:
    """Return how a checksum text is written: in hex as v3, otherwise as v2."""
    return ChecksumVersion.V3 if _HEX.fullmatch(text.strip()) else ChecksumVersion.V2


def recover_checksum(text: str, key: CapgoPublicKey, version: ChecksumVersion) -> bytes:
    """Return the SHA-256 that a checksum text vouches for. Raises FormatError, SignatureError."""
    text = text.strip()
    if not text:
        raise FormatError("checksum: empty; the server, or whoever stands between, left it out")
    if _HEX_DIGEST.fullmatch(text):
        raise FormatError(
            "checksum: a SHA-256 that nobody signed, as 'bundle zip' prints it; 'bundle encrypt' signs it"
        )
    found = written_as(text)
    if found is not version:
        spelled = {ChecksumVersion.V2: "base64", ChecksumVersion.V3: "hex"}
        raise FormatError(
            f"checksum: written in {spelled[found]} as {found}, expected {spelled[version]} as {version}; "
            "plugins from 5.30, 6.30 and 7.30 on read v3, older ones v2"
        )
    if version is ChecksumVersion.V2:
        digits = b64encode(key.recover(from_base64(text, "checksum"), "checksum")).decode("ascii")
        if not _HEX_DIGEST.fullmatch(digits):
            raise FormatError("checksum: holds no SHA-256 as v2 writes it")
        return bytes.fromhex(digits)
    if len(text) % 2:
        raise FormatError(f"checksum: {len(text)} hex digits, an even number is expected")
    digest = key.recover(bytes.fromhex(text), "checksum")
    if len(digest) != DIGEST_BYTES:
        raise FormatError(f"checksum: holds {len(digest)} bytes, a SHA-256 has {DIGEST_BYTES}")
    return digest


def parse_crc32(text: str) -> int:
    """Return the CRC32 of a v1 bundle. Raises FormatError."""
    text = text.strip()
    if not _CRC32.fullmatch(text):
        raise FormatError(f"checksum: {text[:64]!r} is not a CRC32 of up to 8 hex digits, as v1 has it")
    return int(text, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapgoBundle:
    """What an update server must know about one ciphertext; none of it is secret from the app's users.

    session_key, checksum_v2, checksum_v3: the texts; key_id: of the public key that reads them; size,
    digest: bytes of the plaintext and their SHA-256.
    """

    session_key: str
    checksum_v2: str
    checksum_v3: str
    key_id: str
    size: int
    digest: bytes

    @property
    def ciphertext_bytes(self) -> int:
        """The size of the ciphertext."""
        return self.size - self.size % BLOCK_BYTES + BLOCK_BYTES

    def checksum(self, version: ChecksumVersion) -> str:
        """Return the checksum text for plugins of that age."""
        return self.checksum_v3 if version is ChecksumVersion.V3 else self.checksum_v2

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {
            "session_key": self.session_key,
            "checksum_v2": self.checksum_v2,
            "checksum_v3": self.checksum_v3,
            "key_id": self.key_id,
            "size": self.size,
            "sha256": self.digest.hex(),
        }

    @classmethod
    def from_json(cls, value: Any, where: str) -> "CapgoBundle":
        """Parse such values strictly; where: what they are, for messages. Raises FormatError."""
        members = Members(
            value, where, required=("session_key", "checksum_v2", "checksum_v3", "key_id", "size", "sha256")
        )
        return cls(
            session_key=members.text("session_key", check_session_key),
            checksum_v2=members.text("checksum_v2", check_v2),
            checksum_v3=members.text("checksum_v3", check_v3),
            key_id=members.text("key_id", _check_key_id),
            size=members.integer("size", least=0),
            digest=bytes.fromhex(members.text("sha256", check_fingerprint)),
        )


def check_session_key(value: str, place: str) -> str:
    iv, key = _split(value, place)
    if (len(iv), len(key)) != (BLOCK_BYTES, VALUE_BYTES):
        raise FormatError(f"{place}: {len(iv)} and {len(key)} bytes, expected {BLOCK_BYTES} and {VALUE_BYTES}")
    return value


def check_v2(value: str, place: str) -> str:
    return _check_value(value, place, from_base64(value, place))


def check_v3(value: str, place: str) -> str:
    if not _HEX.fullmatch(value) or len(value) % 2:
        raise FormatError(f"{place}: not hex")
    return _check_value(value, place, bytes.fromhex(value))


def _check_value(value: str, place: str, data: bytes) -> str:
    if len(data) != VALUE_BYTES:
        raise FormatError(f"{place}: {len(data)} bytes, expected {VALUE_BYTES}")
    return value


def _check_key_id(value: str, place: str) -> str:
    if len(value) != KEY_ID_CHARS or not value.isascii() or not value.isprintable():
        raise FormatError(f"{place}: {value[:64]!r} is not a key id of {KEY_ID_CHARS} characters")
    return value
