"""Certificates as trees of DER, to be altered and signed again by whoever should have signed them."""

from dataclasses import dataclass, field
from random import Random

from .keys import FastKey
from .mutating import mutate_bytes, often

_CONSTRUCTED = 0x20
_OCTETS = 4


@dataclass(slots=True)
class Node:
    """One element: either its parts or its bytes."""

    tag: int
    value: bytes = b""
    parts: "list[Node] | None" = field(default=None)

    def encode(self) -> bytes:
        """Return its DER."""
        value = self.value if self.parts is None else b"".join(part.encode() for part in self.parts)
        size = len(value)
        if size < 128:
            return bytes([self.tag, size]) + value
        octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
        return bytes([self.tag, 0x80 | len(octets)]) + octets + value


def parse(data: bytes) -> list[Node]:
    """Return the elements of DER; what octet strings hold is parsed, too. Raises ValueError, IndexError."""
    found = []
    at = 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size >= 128:
            count = size & 0x7F
            size, at = int.from_bytes(data[at : at + count], "big"), at + count
        value = data[at : at + size]
        if len(value) != size:
            raise ValueError("cut short")
        at += size
        found.append(Node(tag, value, _parts(tag, value)))
    return found


def _parts(tag: int, value: bytes) -> list[Node] | None:
    if tag & _CONSTRUCTED:
        return parse(value)
    if tag != _OCTETS or value[:1] not in (b"\x30", b"\x03"):
        return None
    try:
        inner = parse(value)
    except (ValueError, IndexError):
        return None
    return inner if b"".join(node.encode() for node in inner) == value else None


def signed_again(der: bytes, key: FastKey) -> bytes:
    """Return a certificate or revocation list with a signature by that key."""
    [whole] = parse(der)
    assert whole.parts is not None
    whole.parts[2].value = b"\0" + key.sign_pkcs1(whole.parts[0].encode())
    return whole.encode()


def mutate(r: Random, der: bytes, key: FastKey, others: list[bytes]) -> bytes:
    """Return a certificate with a part altered, mostly signed again. others: what parts are taken from."""
    [whole] = parse(der)
    for _ in range(r.choice((1, 1, 2))):
        nodes = _all(whole)
        node = r.choice(nodes)
        match r.randrange(7):
            case 0:
                node.tag = r.choice(
                    (node.tag ^ _CONSTRUCTED, 1, 2, 3, 4, 5, 6, 12, 19, 22, 23, 24, 0x30, 0x31, 0xA0, 0xA3)
                )
            case 1 if node.parts:
                node.parts.pop(r.randrange(len(node.parts)))
            case 2 if node.parts:
                node.parts.insert(r.randrange(len(node.parts)), r.choice(node.parts))
            case 3 if node.parts:
                r.shuffle(node.parts)
            case 4:
                [other] = parse(r.choice(others))
                alike = [one for one in _all(other) if one.tag == node.tag] or [other]
                taken = r.choice(alike)
                node.value, node.parts = taken.value, taken.parts
            case _ if node.parts is None:
                node.value = mutate_bytes(r, node.value, 1)
    if often(r, 0.85) and whole.parts is not None and len(whole.parts) == 3:
        whole.parts[2] = Node(3, b"\0" + key.sign_pkcs1(whole.parts[0].encode()))
    return whole.encode()


def _all(node: Node) -> list[Node]:
    found = [node]
    for part in node.parts or ():
        found += _all(part)
    return found
