"""What test vectors are made of; generate.py makes them. The same ones every time.

A vector is a text file. Header lines `name: value`, a blank line, then the bundle in lines of three
kinds: `text ...` is that ASCII text, `hex ...` those bytes, `fill N XX` the byte XX N times. Each
vector has one defect, and `expect` names the error class that must come of it, or `ok`.

  trust      names of keys, `development/NAME` in that role; threshold  how many, by default 1
  identity   name of the recipient's key           app, channel, floor, role, native, platform  what the reader expects
  stage      verify: found without a secret; unseal: only with the recipient's key
  seal-bytes where the seal ends and a detached payload begins
  content    size and SHA-256 of the plaintext
  companion  name of a sealed companion, of which `expect` and `stage` speak then: the bundle is good
  beside     how many bytes at the end are the companion's index, and how many its stored bytes
  companion-content  as content, of the companion

The keys are for these tests alone. RSA-PSS and RSA-OAEP are done here in plain integers, since no
library takes a salt or a seed from outside.
"""

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import capseal
from capseal import PrivateKey, PublicKey, load_private_key
from capseal.constants import SEGMENT_BYTES
from capseal.crypto.segment_cipher import Header
from capseal.format.dsse import pae
from capseal.format.seal import SEAL_TYPE, seal_bytes_of
from capseal.format.strictjson import to_base64

FOLDER = Path(__file__).parent
APP = "com.example.game"
CREATED = datetime(2026, 11, 22, 21, 30, tzinfo=UTC)


def drawn(seed: bytes, size: int) -> bytes:
    return hashlib.shake_256(b"capseal vectors " + seed).digest(size)


# RFC 8017, with the salt and the seed given.


def mgf1(seed: bytes, size: int, hash: str = "sha256") -> bytes:
    blocks = (hashlib.new(hash, seed + i.to_bytes(4, "big")).digest() for i in range(size // 20 + 1))
    return b"".join(blocks)[:size]


def xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def pss(key: PrivateKey, message: bytes, salt_bytes: int = 32) -> bytes:
    """Section 8.1.1, SHA-256 and MGF1-SHA256."""
    numbers = key.rsa.private_numbers()
    n = numbers.public_numbers.n
    size = (n.bit_length() + 7) // 8
    salt = drawn(b"pss" + message, salt_bytes)
    h = hashlib.sha256(bytes(8) + hashlib.sha256(message).digest() + salt).digest()
    db = (b"\x01" + salt).rjust(size - 33, b"\0")
    masked = bytearray(xor(db, mgf1(h, len(db))))
    masked[0] &= 0xFF >> (8 * size - (n.bit_length() - 1))
    m = int.from_bytes(bytes(masked) + h + b"\xbc", "big")
    # Section 5.2.1, 2b: by the Chinese remainder theorem.
    m1, m2 = pow(m, numbers.dmp1, numbers.p), pow(m, numbers.dmq1, numbers.q)
    return (m2 + (m1 - m2) * numbers.iqmp % numbers.p * numbers.q).to_bytes(size, "big")


def oaep(key: PublicKey, message: bytes, *, hash: str = "sha256", label: bytes = b"") -> bytes:
    """Section 7.1.1."""
    numbers = key.rsa.public_numbers()
    size = key.signature_bytes
    label_hash = hashlib.new(hash, label).digest()
    db = label_hash + (b"\x01" + message).rjust(size - 1 - 2 * len(label_hash), b"\0")
    seed = drawn(b"oaep" + message + key.fingerprint.encode(), len(label_hash))
    masked = xor(db, mgf1(seed, len(db), hash))
    encoded = b"\0" + xor(seed, mgf1(masked, len(seed), hash)) + masked
    return pow(int.from_bytes(encoded, "big"), numbers.e, numbers.n).to_bytes(size, "big")


@dataclass(frozen=True)
class FixedPublicKey(PublicKey):
    def wrap(self, session_key: bytes) -> bytes:
        return oaep(self, session_key)

    __eq__ = PublicKey.__eq__
    __hash__ = PublicKey.__hash__


class FixedKey:
    """A Signer and Identity whose signatures and wrapped keys come out the same every time."""

    def __init__(self, name: str) -> None:
        self.private = load_private_key(FOLDER / "keys" / f"{name}.pem")
        self.public_key = FixedPublicKey(self.private.rsa.public_key())
        self.kid = self.public_key.fingerprint

    def sign(self, message: bytes) -> bytes:
        return pss(self.private, message)


SIGNER, SIGNER2, DEVELOPMENT, RECIPIENT, OTHER = map(
    FixedKey, ("signer", "signer2", "development", "recipient", "other")
)


@dataclass
class Parts:
    """A bundle taken apart, to be put together again with one defect."""

    statement: dict[str, Any]
    index: bytes
    payload: bytes
    content: bytes
    session_key: bytes

    @property
    def header(self) -> Header:
        return Header.parse(self.payload)


def make(content: bytes, seed: bytes = b"", **keywords: Any) -> tuple[bytes, Parts]:
    """Seal a content honestly; return the bundle and its parts."""
    session_key = drawn(seed + b"key", 32)
    values = iter([drawn(seed + b"salt", 32), drawn(seed + b"nonce", 7), session_key])
    settings: dict[str, Any] = {
        "signer": SIGNER,
        "recipients": [RECIPIENT.public_key],
        "app": APP,
        "version": "1.4.2",
        "sequence": 142,
        "name": "dist.zip",
        "unpackable": False,  # what is in it is not what vectors are about
        "created": CREATED,
        "entropy": lambda _: next(values),
    } | keywords
    output = io.BytesIO()
    seal = capseal.seal(io.BytesIO(content), output, **settings)
    bundle = output.getvalue()
    payload = bundle[len(seal.encode()) :]
    return bundle, Parts(seal.statement.to_json(), seal.index, payload, content, session_key)


def filled(size: int, seed: bytes = b"") -> bytes:
    """Return the content whose ciphertext is one byte repeated, another in each segment: vectors stay small."""
    _, zeros = make(bytes(size), seed)
    content = bytearray()
    for i, start in enumerate(range(0, len(zeros.payload), SEGMENT_BYTES)):
        stored = zeros.payload[start : start + SEGMENT_BYTES]
        keystream = stored[0 if i else 40 : -16]
        content += (np.frombuffer(keystream, np.uint8) ^ (i + 1)).tobytes()
    return bytes(content)


def signed(statement: bytes, *keys: FixedKey, payload_type: str = SEAL_TYPE) -> list[dict[str, Any]]:
    message = pae(payload_type, statement)
    return [{"keyid": key.kid, "sig": to_base64(key.sign(message))} for key in keys or (SIGNER,)]


def dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def assemble(
    parts: Parts,
    *,
    statement: Any = None,
    signatures: Any = None,
    payload_type: str = SEAL_TYPE,
    envelope: Callable[[bytes], bytes] = bytes,
    index: bytes | None = None,
    payload: bytes | None = None,
) -> bytes:
    """Put a bundle together from parts; what is given replaces the honest part and is signed, if it can be."""
    statement = parts.statement if statement is None else statement
    data = statement if isinstance(statement, bytes) else dump(statement)
    if signatures is None:
        signatures = signed(data, payload_type=payload_type)
    encoded = envelope(dump({"payload": to_base64(data), "payloadType": payload_type, "signatures": signatures}))
    index = parts.index if index is None else index
    payload = parts.payload if payload is None else payload
    head = b"\x89CAPSEAL" + len(encoded).to_bytes(4, "big") + encoded + index
    size = seal_bytes_of(len(encoded), len(index) // 32 * SEGMENT_BYTES)
    return head.ljust(size, b"\0") + payload


def with_(value: Any, path: str, new: Any) -> Any:
    """Return a copy of a JSON value with one member replaced, added, or taken out (...)."""
    value = json.loads(json.dumps(value))
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    parent = value
    for step in steps:
        parent = parent[step]
    if new is ...:
        del parent[last]
    else:
        parent[last] = new
    return value


@dataclass
class Vector:
    """One file."""

    name: str
    expect: str
    about: str
    bundle: bytes
    fields: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        header = {"name": self.name, "about": self.about, "expect": self.expect, "trust": "signer", "app": APP}
        header |= {"identity": "recipient"} | self.fields
        return "".join(f"{name}: {value}\n" for name, value in header.items()) + "\n" + "".join(lines(self.bundle))


def lines(data: bytes) -> Iterator[str]:
    pieces = re.compile(rb"(?s)(?P<fill>(.)\2{63,})|(?P<text>[!-~]{40,})|(?P<hex>.)")
    pending = b""
    for match in pieces.finditer(data):
        if match["hex"] is not None:
            pending += match[0]
            continue
        yield from (f"hex {pending[i : i + 48].hex()}\n" for i in range(0, len(pending), 48))
        pending = b""
        if match["fill"] is not None:
            yield f"fill {len(match[0])} {match[0][:1].hex()}\n"
        else:
            text = match[0].decode()
            # A run of one character inside the text gets its own line.
            for run in re.finditer(r"(?s)(.)\1{63,}|(?:(?!(.)\2{63}).)+", text):
                same = len(run[0]) > 63 and len(set(run[0])) == 1
                yield f"fill {len(run[0])} {run[0][0].encode().hex()}\n" if same else f"text {run[0]}\n"
    yield from (f"hex {pending[i : i + 48].hex()}\n" for i in range(0, len(pending), 48))


def read(text: str) -> tuple[dict[str, str], bytes]:
    """Return the header and the bundle of a vector."""
    head, _, body = text.partition("\n\n")
    header = dict(line.split(": ", 1) for line in head.splitlines())
    bundle = bytearray()
    for line in body.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "text":
            bundle += rest.encode("ascii")
        elif kind == "hex":
            bundle += bytes.fromhex(rest)
        else:
            count, byte = rest.split(" ")
            bundle += bytes.fromhex(byte) * int(count)
    return header, bytes(bundle)
