"""Capgo's format: the texts of a bundle, its records, and what the plugin posts."""

import json
from base64 import b64decode, b64encode
from functools import cache
from random import Random
from typing import Any

from capseal import capgo
from capseal.capgo import _endpoint as endpoint
from capseal.capgo import _wire as wire
from capseal.capgo._keys import CapgoPrivateKey, load_private_key
from capseal.capgo._manifest import CapgoManifest, ManifestEntry
from capseal.format import strictjson
from support.independent_reader import Rejected, parse_json
from support.places import VECTORS

from .bundles import modules
from .mutating import mutate_bytes, mutate_json, mutate_text, often
from .running import Disagreement, Target

V2, V3 = wire.ChecksumVersion.V2, wire.ChecksumVersion.V3


@cache
def _vectors() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((VECTORS / "capgo.json").read_text())
    return found


@cache
def _key() -> CapgoPrivateKey:
    return load_private_key(_vectors()["private_key"].encode())


@cache
def _values(kind: str) -> tuple[str, ...]:
    """Return signed texts whose inside is odd: too short, too long, no SHA-256."""
    r = Random(kind)
    sizes = (0, 1, 15, 16, 17, 31, 32, 33, 48, 64, 245)
    values = [r.randbytes(size) for size in sizes for _ in range(3)] + [r.randbytes(32) for _ in range(20)]
    signed = [_key().sign(value) for value in values]
    if kind == "v3":
        return tuple(value.hex() for value in signed)
    if kind == "v2":
        spelled = [_key().sign(b64decode(value.hex())) for value in values if len(value) % 2 == 0 and len(value) < 160]
        return tuple(b64encode(value).decode() for value in spelled)
    return tuple(f"{b64encode(r.randbytes(16)).decode()}:{b64encode(value).decode()}" for value in signed)


WireCase = tuple[str, str]


def _draw_wire(r: Random) -> WireCase:
    kind = r.choice(("session key", "v2", "v3", "v3", "crc"))
    text = f"{r.getrandbits(32):x}" if kind == "crc" else r.choice(_values(kind))
    if often(r, 0.5):
        text = mutate_text(r, text)
    if often(r, 0.1):
        text = mutate_bytes(r, text.encode()).decode("utf-8", "surrogateescape")
    return kind if often(r, 0.95) else r.choice(("v2", "v3")), text


def check_wire(case: WireCase) -> None:
    """Recover what a text vouches for; plain arithmetic must give the same."""
    kind, text = case
    key = _key().public_key
    match kind:
        case "session key":
            found = wire.SessionKey.recover(text, key)
            value, expected = text.strip().split(":")[1], found.key
        case "crc":
            if wire.parse_crc32(text) != int(text.strip(), 16) or not 1 <= len(text.strip()) <= 8:
                raise Disagreement("another CRC32")
            return
        case "v2":
            expected, value = wire.recover_checksum(text, key, V2), text.strip()
        case _:
            expected, value = wire.recover_checksum(text, key, V3), text.strip()
    data = bytes.fromhex(value) if kind == "v3" else b64decode(value, validate=True)
    recovered = _recovered(data)
    if (b64decode(expected.hex()) if kind == "v2" else expected) != recovered:
        raise Disagreement("plain arithmetic recovers another value")


def _recovered(data: bytes) -> bytes:
    """RFC 8017, section 9.2 without a DigestInfo, in plain integers."""
    numbers = _key().public_key.rsa.public_numbers()
    padded = pow(int.from_bytes(data, "big"), numbers.e, numbers.n).to_bytes(256, "big")
    filler, _, value = padded[2:].partition(b"\0")
    if padded[:2] != b"\0\x01" or len(filler) < 8 or set(filler) != {0xFF}:
        raise Disagreement("plain arithmetic finds no padding")
    return value


def wire_target() -> Target:
    """Session keys and checksums."""
    return Target(
        name="capgo wire",
        oracle="plain arithmetic recovers the same value",
        modules=modules("capgo._wire", "capgo._keys"),
        make=_draw_wire,
        run=check_wire,
        gates={"padding": (capgo.PublicKey, "recover")},
    )


def _record() -> dict[str, Any]:
    return {
        "session_key": _values("session key")[-1], "checksum_v2": _values("v2")[-1], "checksum_v3": _values("v3")[-1],
        "key_id": _key().public_key.key_id, "size": 100, "sha256": "0" * 64,
    }  # fmt: skip


def _draw_manifest(r: Random) -> tuple[str, bytes]:
    if often(r, 0.5):
        return "bundle", _drawn(r, json.dumps(_record()))
    entry = {"name": "a/b.br", "checksum_v2": "b", "checksum_v3": "c", "url": "https://a.test/x"}
    value = {"session_key": "a", "key_id": "b", "entries": [entry, entry | {"name": "c"}]}
    return "manifest", _drawn(r, json.dumps(value))


def _drawn(r: Random, text: str) -> bytes:
    if often(r, 0.1):
        return mutate_bytes(r, text.encode())
    return mutate_json(r, json.loads(text)) if often(r, 0.95) else text.encode()


def check_manifest(case: tuple[str, bytes]) -> None:
    """Read a record; what is written reads the same."""
    kind, data = case
    read = CapgoManifest.parse if kind == "manifest" else _read_bundle
    value: Any = read(data)
    try:
        parse_json(data)
    except Rejected as error:
        raise Disagreement(f"the independent reader refuses the JSON: {error}") from None
    again = value.encode() if kind == "manifest" else json.dumps(value.to_json()).encode()
    if read(again) != value:
        raise Disagreement("the record that is written is not the one that was read")


def _read_bundle(data: bytes) -> wire.CapgoBundle:
    return wire.CapgoBundle.from_json(strictjson.parse(data, "record"), "record")


def manifest_target() -> Target:
    """The records beside a ciphertext, of one and of many files."""
    return Target(
        name="capgo manifest",
        oracle="the independent reader's JSON; written and read again it is the same",
        modules=modules("capgo._manifest", "capgo._wire", "format.strictjson"),
        make=_draw_manifest,
        run=check_manifest,
        gates={"json": (strictjson, "parse")},
    )


_REQUEST = {
    "app_id": "com.example.game", "device_id": "x", "platform": "ios", "version_name": "1.0.0",
    "version_build": "1.0.0", "plugin_version": "7.1.2", "key_id": "MIIBCgKCAQEAtjjlPxOt", "defaultChannel": "beta",
}  # fmt: skip
_VERSIONS = (
    "1.0.0",
    "0.9.9",
    "1.0.1-beta.1+x",
    "builtin",
    "5.30.0",
    "6.29.9",
    "7.30.1",
    "4.9.9",
    "8",
    "7.0.35",
    "1.0.7",
)


def _draw_request(r: Random) -> tuple[bytes, str | None, bool]:
    """Draw a request, the version that is released, and whether as single files, too."""
    value: dict[str, Any] = dict(_REQUEST)
    for name in ("version_name", "version_build", "plugin_version"):
        if often(r, 0.5):
            value[name] = r.choice(_VERSIONS)
    if often(r, 0.5):
        value["key_id"] = _key().public_key.key_id
    data = mutate_json(r, value) if often(r, 0.6) else json.dumps(value).encode()
    return (
        mutate_bytes(r, data) if often(r, 0.1) else data,
        r.choice((None, "1.0.7", "0.1", "no version")),
        often(r, 0.5),
    )


def check_request(case: tuple[bytes, str | None, bool]) -> None:
    """Answer a request; whatever is answered can be sent, and an update is signed for that plugin."""
    data, version, in_files = case
    request = endpoint.UpdateRequest.parse(data)
    release = None
    if version is not None:
        bundle = wire.CapgoBundle.from_json(_record(), "record")
        entry = ManifestEntry(name="a", checksum_v2="b", checksum_v3="c", url="d")
        files = (entry,) if in_files else ()
        release = endpoint.CapgoRelease(version=version, url="https://a.test/x", bundle=bundle, manifest=files)
    answer = json.loads(json.dumps(endpoint.answer(request, release)).encode("ascii"))
    asked = json.loads(data)
    if (request.app, request.device_id) != (asked["app_id"], asked["device_id"]):
        raise Disagreement("another app or device than the JSON says")
    if "error" in answer:
        if answer["kind"] not in ("up_to_date", "blocked", "failed"):
            raise Disagreement(f"a refusal of kind {answer['kind']}")
    elif answer["checksum"] not in (_record()["checksum_v2"], _record()["checksum_v3"]):
        raise Disagreement("an update without its checksum")


def request_target() -> Target:
    """What the plugin posts."""
    return Target(
        name="capgo request",
        oracle="json: the same app and device; the answer is JSON of a known kind",
        modules=("capseal.capgo._endpoint",),
        make=_draw_request,
        run=check_request,
        gates={"members": (endpoint.UpdateRequest, "parse")},
    )
