"""Vectors of sealed companions: the bundle is good, and so is or is not what lies beside it."""

import hashlib
from collections.abc import Iterator

from capseal import Companion
from capseal.crypto.segment_cipher import Header, SegmentCipher
from capseal.format.tree import digest, index_entries
from vectors.making import APP, Vector, drawn, make, xor

NAME = "a.delta"
CONTENT = b"what is new"
SEED = b"companion"
SESSION_KEY = drawn(SEED + b"key", 32)
HEADER = Header(drawn(SEED + b"its salt", 32), drawn(SEED + b"its nonce", 7))


def stored(content: bytes = CONTENT, *, key: bytes = SESSION_KEY, app: str = APP, name: str | None = NAME) -> bytes:
    """Return the stored bytes of a companion of one segment. name: None for the key of a payload."""
    out = memoryview(bytearray(len(content) + 56))
    return bytes(SegmentCipher(key, HEADER, app, companion=name).encrypt_run(0, memoryview(content), True, out))


def entries(data: bytes) -> bytes:
    """Return the index of stored bytes."""
    return index_entries(memoryview(data), whole_payload=True)


def beside(
    name: str,
    expect: str,
    about: str,
    data: bytes,
    *,
    signed: bytes | None = None,
    index: bytes | None = None,
    **fields: str,
) -> Vector:
    """Return a vector. data: what lies beside the bundle; signed: what the seal vouches for, by default that."""
    signed = data if signed is None else signed
    companion = Companion(
        NAME, "application/octet-stream", len(signed), digest(entries(signed), len(signed)), sealed=True
    )
    bundle, _ = make(b"hello", SEED, companions=[companion])
    index = entries(signed) if index is None else index
    header = {"companion": NAME, "beside": f"{len(index)} {len(data)}"}
    return Vector(name, expect, about, bundle + index + data, header | fields)


def companions() -> Iterator[Vector]:
    """Sealed companions and their defects."""
    good = stored()
    large = bytes(9000)
    for name, content in (("", CONTENT), ("-empty", b""), ("-blocks", large)):
        size = f"{len(content)} {hashlib.sha256(content).hexdigest()}"
        hello = f"5 {hashlib.sha256(b'hello').hexdigest()}"
        yield beside(
            f"valid-companion-sealed{name}", "ok", "a sealed companion beside a bundle", stored(content),
            **{"content": hello, "companion-content": size},
        )  # fmt: skip

    def bad(name: str, about: str, data: bytes, expect: str = "TamperedError", **keywords: bytes) -> Vector:
        return beside(f"companion-{name}", expect, about, data, signed=good, **keywords)

    yield bad("altered", "a bit of the companion differs", good[:45] + xor(good[45:46], b"\1") + good[46:])
    yield bad("truncated", "the companion's last byte, cut", good[:-1], "TruncatedError")
    yield bad("trailing-byte", "a byte after the companion", good + b"\0", "TruncatedError")
    yield bad("index-altered", "a bit of its index differs", good, index=xor(entries(good), bytes(31) + b"\1"))
    yield bad("index-missing", "its index has no entry", good, "TruncatedError", index=b"")

    # From here on the seal is honest about a bad companion: only the holder of the key finds it.

    def secret(name: str, about: str, data: bytes, expect: str = "TamperedError") -> Vector:
        return beside(f"companion-{name}", expect, about, data, stage="unseal")

    yield secret("header-length", "its first byte is 0x29", b"\x29" + good[1:], "FormatError")
    yield secret("tag-altered", "altered before the tree was made", good[:-1] + xor(good[-1:], b"\1"))
    yield secret("other-name", "made as another companion", stored(name="b.delta"))
    yield secret("other-app", "made for another app", stored(app="com.example.other"))
    yield secret("other-key", "made under another session key", stored(key=drawn(b"other", 32)))
    yield secret("as-payload", "made under the key of a payload", stored(name=None))
