"""What cases begin with: the vectors, and bundles made from them for keys that sign fast."""

import json
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from capseal import TrustedKey, TrustStore, load_public_key
from capseal.format.strictjson import Role
from support.independent_reader import SEGMENT, hkdf, index_entry, payload_digest, session_key_of, unbase64
from support.places import VECTORS
from vectors.making import pae, read, to_base64

from .keys import Private, fast_key

SEAL_TYPE = "application/vnd.capseal.seal.v1+json"
KEYS = ("signer", "signer2", "development", "recipient", "other")
_LARGE = 20_000  # bytes of a vector that takes its time


@dataclass(frozen=True, slots=True)
class Reader:
    """What a reader trusts and expects. trust: roles and names of keys; vectors: whether those of the vectors."""

    trust: tuple[tuple[str, str], ...] = (("production", "signer"),)
    threshold: int = 1
    role: str = "production"
    app: str | None = None
    channel: str | None = None
    floor: int | None = None
    native: str | None = None
    platform: str | None = None
    vectors: bool = False

    @property
    def pems(self) -> list[tuple[str, bytes]]:
        return [(role, _pem(name, self.vectors)) for role, name in self.trust]

    @property
    def store(self) -> TrustStore:
        """Raises KeyFileError where such a store must not be."""
        return _store(self.trust, self.threshold, self.vectors)


@dataclass(frozen=True, slots=True)
class Case:
    """A bundle, or a seal and a payload, and who reads it. identity: name of the recipient's key."""

    bundle: bytes
    reader: Reader
    seal_bytes: int | None = None
    identity: str = "recipient"


@dataclass(frozen=True, slots=True)
class Start:
    """An accepted vector taken apart: its statement is JSON text that names the fast keys."""

    statement: str
    index: bytes
    payload: bytes
    content: bytes
    session_key: bytes
    reader: Reader
    identity: str
    seal_bytes: int | None
    beside: tuple[str, bytes, bytes] | None

    @property
    def header(self) -> bytes:
        return self.payload[:40]


@cache
def _pem(name: str, of_vectors: bool) -> bytes:
    return (VECTORS / "keys" / f"{name}.pub.pem").read_bytes() if of_vectors else fast_key(name).public_key.pem


@cache
def _store(trust: tuple[tuple[str, str], ...], threshold: int, of_vectors: bool) -> TrustStore:
    keys = (TrustedKey(load_public_key(_pem(name, of_vectors)), Role(role)) for role, name in trust)
    return TrustStore(tuple(keys), threshold)


@cache
def private(name: str, of_vectors: bool) -> Any:
    """Return a key as the independent reader takes it."""
    if not of_vectors:
        return Private(fast_key(name))
    return load_pem_private_key((VECTORS / "keys" / f"{name}.pem").read_bytes(), None)


@cache
def vectors() -> tuple[Case, ...]:
    """Return every vector that is a bundle, with its own reader."""
    found = []
    for path in sorted(VECTORS.glob("*.txt")):
        header, data = read(path.read_text(encoding="ascii"))
        index, stored = map(int, header.get("beside", "0 0").split())
        seal_bytes = int(header["seal-bytes"]) if "seal-bytes" in header else None
        found.append(Case(data[: len(data) - index - stored], _reader(header), seal_bytes, header["identity"]))
    return tuple(found)


def _reader(header: dict[str, str]) -> Reader:
    trust = [name.rpartition("/") for name in header["trust"].split()]
    return Reader(
        trust=tuple((role or "production", name) for role, _, name in trust),
        threshold=int(header.get("threshold", 1)),
        role=header.get("role", "production"),
        app=header["app"],
        channel=header.get("channel"),
        floor=int(header["floor"]) if "floor" in header else None,
        native=header.get("native"),
        platform=header.get("platform"),
        vectors=True,
    )


@cache
def starts() -> tuple[Start, ...]:
    """Return the accepted vectors, small ones, taken apart."""
    return tuple(start for start in _all_starts() if len(start.payload) <= _LARGE)


@cache
def large_starts() -> tuple[Start, ...]:
    """Return those of several segments."""
    return tuple(start for start in _all_starts() if len(start.payload) > _LARGE)


@cache
def _all_starts() -> tuple[Start, ...]:
    found = []
    for path in sorted(VECTORS.glob("valid-*.txt")):
        header, data = read(path.read_text(encoding="ascii"))
        index_bytes, stored_bytes = map(int, header.get("beside", "0 0").split())
        end = len(data) - index_bytes - stored_bytes
        beside = (header.get("companion", ""), data[end : end + index_bytes], data[end + index_bytes :])
        found.append(_taken_apart(header, data[:end], beside if beside[0] else None))
    return tuple(found)


def _taken_apart(header: dict[str, str], bundle: bytes, beside: tuple[str, bytes, bytes] | None) -> Start:
    envelope_end = 12 + int.from_bytes(bundle[8:12], "big")
    statement = json.loads(unbase64(json.loads(bundle[12:envelope_end])["payload"]))
    size = statement["payload"]["size"]
    index = bundle[envelope_end : envelope_end + 32 * -(-size // SEGMENT)]
    payload = bundle[-size:]
    session_key = session_key_of(statement, payload, private(header["identity"], True))
    by_kid = {load_public_key(_pem(name, True)).fingerprint: name for name in KEYS}
    for recipient in statement["encryption"]["recipients"]:
        name = by_kid.get(recipient["kid"])
        if name is not None:
            recipient["kid"] = fast_key(name).kid
            recipient["encrypted_key"] = to_base64(fast_key(name).public_key.wrap(session_key))
    return Start(
        statement=json.dumps(statement, ensure_ascii=False),
        index=index,
        payload=payload,
        content=decrypted(session_key, payload, statement["app"]),
        session_key=session_key,
        reader=replace(_reader(header), vectors=False),
        identity=header["identity"],
        seal_bytes=int(header["seal-bytes"]) if "seal-bytes" in header else None,
        beside=beside,
    )


def decrypted(session_key: bytes, payload: bytes, app: str) -> bytes:
    """Return the content of a payload of one's own."""
    aead = AESGCM(hkdf(session_key, payload[1:33], b"capseal/v1 " + app.encode()))
    pieces = []
    for i, start in enumerate(range(0, len(payload), SEGMENT)):
        nonce = payload[33:40] + i.to_bytes(4, "big") + bytes([start + SEGMENT >= len(payload)])
        pieces.append(aead.decrypt(nonce, payload[start or 40 : start + SEGMENT], None))
    return b"".join(pieces)


def encrypted(session_key: bytes, header: bytes, info: bytes, content: bytes, *, shift: int = 0) -> bytes:
    """Return a payload. shift: is added to the numbers of segments, which is wrong."""
    aead = AESGCM(hkdf(session_key, header[1:33], info))
    first = SEGMENT - 16 - 40
    cuts = [0, *range(first, len(content), SEGMENT - 16), len(content)] if len(content) > first else [0, len(content)]
    payload = bytearray(header)
    for i, (start, stop) in enumerate(pairwise(cuts)):
        nonce = header[33:40] + (i + shift).to_bytes(4, "big") + bytes([stop == len(content)])
        payload += aead.encrypt(nonce, content[start:stop], None)
    return bytes(payload)


def index_of(payload: bytes) -> bytes:
    """Return the index of a payload."""
    alone = len(payload) <= 4096
    return b"".join(index_entry(payload[i : i + SEGMENT], alone) for i in range(0, len(payload), SEGMENT))


def described(payload: bytes, index: bytes, *, algorithm: str = "fsverity-sha256") -> dict[str, Any]:
    """Return what a statement says of a payload."""
    digest = payload_digest(index, len(payload)).hex() if payload else "0" * 64
    return {"size": len(payload), "digest": {algorithm: digest}}


def signed(payload_type: str, body: bytes, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the signatures of an envelope by fast keys."""
    message = pae(payload_type, body)
    return [{"keyid": fast_key(name).kid, "sig": to_base64(fast_key(name).sign(message))} for name in names]


def enveloped(payload_type: str, body: bytes, signatures: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an envelope as a value."""
    return {"payload": to_base64(body), "payloadType": payload_type, "signatures": signatures}


def sealed(envelope: bytes, index: bytes, *, padding: bytes = b"") -> bytes:
    """Return the bytes of a seal."""
    head = b"\x89CAPSEAL" + len(envelope).to_bytes(4, "big") + envelope + index
    return head + (padding or bytes(-len(head) % 4096))


def pick_keys(r: Random) -> tuple[str, ...]:
    """Return who signs: mostly the one who shall."""
    return r.choice(
        (("signer",),) * 12
        + (("signer", "signer2"), ("signer2",), ("development",), ("other",), ("signer", "signer"))
        + (("other", "signer"), ("development", "signer"), ("signer2", "signer", "development"))
    )


def pick_start(r: Random) -> Start:
    """Return a start, rarely one of several segments."""
    return r.choice(large_starts()) if r.random() < 0.002 else r.choice(starts())
