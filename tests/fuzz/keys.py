"""RSA keys that sign in a fraction of the time, so that nearly every case can be signed anew.

Their modulus is a product of many small primes with small exponents: worthless as a secret, and for whoever verifies
a key like any other. So what is fuzzed is the real check of a signature.
"""

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from math import isqrt
from random import Random

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from capseal import NotForUsError, PublicKey

_LEAST_BITS = 3072
_E = 65537
_PKCS1_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")


def _is_prime(n: int) -> bool:
    return pow(2, n - 1, n) == 1 and all(n % d for d in range(3, isqrt(n) + 1, 2))


def _xor(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")


def _mask(seed: bytes, size: int) -> bytes:
    """MGF1, RFC 8017, section B.2.1."""
    blocks = -(-size // 32)
    return b"".join([hashlib.sha256(seed + i.to_bytes(4, "big")).digest() for i in range(blocks)])[:size]


@dataclass(frozen=True)
class FastKey:
    """A Signer and an Identity. parts: prime, private exponent modulo it, and the coefficient that joins them."""

    public_key: PublicKey
    n: int
    parts: tuple[tuple[int, int, int], ...]

    @property
    def kid(self) -> str:
        return self.public_key.fingerprint

    def power(self, m: int) -> int:
        """Return m to the private exponent."""
        return sum(pow(m % p, d, p) * c for p, d, c in self.parts) % self.n

    @cached_property
    def size(self) -> int:
        """Bytes of the modulus."""
        return (self.n.bit_length() + 7) // 8

    def sign(self, message: bytes) -> bytes:
        """RFC 8017, section 8.1.1, as capseal's keys do, with a salt that is drawn from the message."""
        bits = self.n.bit_length() - 1
        size = (bits + 7) // 8
        salt = hashlib.sha256(b"salt" + message).digest()
        h = hashlib.sha256(bytes(8) + hashlib.sha256(message).digest() + salt).digest()
        db = (b"\x01" + salt).rjust(size - 33, b"\0")
        masked = bytearray(_xor(db, _mask(h, len(db))))
        masked[0] &= 0xFF >> (8 * size - bits)
        return self.power(int.from_bytes(bytes(masked) + h + b"\xbc", "big")).to_bytes(self.size, "big")

    def sign_pkcs1(self, message: bytes) -> bytes:
        """RFC 8017, section 8.2.1: as certificates are signed."""
        digest = _PKCS1_SHA256 + hashlib.sha256(message).digest()
        padded = b"\0\x01" + b"\xff" * (self.size - 3 - len(digest)) + b"\0" + digest
        return self.power(int.from_bytes(padded, "big")).to_bytes(self.size, "big")

    def decrypt(self, encrypted: bytes) -> bytes:
        """RFC 8017, section 7.1.2. Raises ValueError."""
        number = int.from_bytes(encrypted, "big")
        if len(encrypted) != self.size or number >= self.n:
            raise ValueError("not a ciphertext")
        padded = self.power(number).to_bytes(self.size, "big")
        seed = _xor(padded[1:33], _mask(padded[33:], 32))
        db = _xor(padded[33:], _mask(seed, self.size - 33))
        label, rest = db[:32], db[32:].lstrip(b"\0")
        if padded[0] or label != hashlib.sha256(b"").digest() or rest[:1] != b"\x01":
            raise ValueError("not a ciphertext")
        return rest[1:]

    def unwrap(self, encrypted_key: bytes) -> bytes:
        """As capseal's keys do."""
        try:
            session_key = self.decrypt(encrypted_key)
        except ValueError:
            session_key = b""
        if len(session_key) != 32:
            raise NotForUsError("wrapped session key cannot be opened")
        return session_key


@dataclass(frozen=True)
class Private:
    """The same key as cryptography spells it, for the independent reader."""

    key: FastKey

    def public_key(self):
        return self.key.public_key.rsa

    def decrypt(self, encrypted: bytes, _padding: object) -> bytes:
        return self.key.decrypt(encrypted)


@cache
def fast_key(name: str) -> FastKey:
    """Return the key of that name, the same one every time."""
    stream = Random(f"capseal fuzz {name}")
    parts: dict[int, int] = {}
    n = 1
    while n.bit_length() < _LEAST_BITS:
        # A prime p with 2p = ek + 1: then k is the private exponent modulo p, with half as many bits as p.
        k = stream.randrange(1 << 9, 1 << 14) | 1
        p = (_E * k + 1) // 2
        if p not in parts and _is_prime(p):
            parts[p] = k
            n *= p
    joined = tuple((p, k, n // p * pow(n // p, -1, p)) for p, k in parts.items())
    return FastKey(PublicKey(RSAPublicNumbers(_E, n).public_key()), n, joined)
