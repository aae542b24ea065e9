"""Sealed bundles: attached, detached, pushed in pieces, with companions; and the statement in them."""

import io
import json
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pkgutil import walk_packages
from random import Random
from typing import Any

import capseal
from capseal import CapsealError, Envelope, Expect, Statement, TrustStore
from capseal.bundle import opened, reading_order
from capseal.format import strictjson
from capseal.format.signed_index import SignedIndex
from capseal.format.strictjson import Role
from support import independent_reader
from support.independent_reader import SEGMENT, Rejected
from vectors.making import dump

from .corpus import (
    SEAL_TYPE,
    Case,
    Reader,
    Start,
    described,
    encrypted,
    enveloped,
    index_of,
    large_starts,
    pick_keys,
    pick_start,
    private,
    sealed,
    signed,
    starts,
    vectors,
)
from .keys import fast_key
from .mutating import NUMBERS, mutate_bytes, mutate_json, often
from .running import Disagreement, Target

_FORMAT = ("format.dsse", "format.seal", "format.statement", "format.strictjson", "format.requires")
_READING = ("bundle.reading_order", "bundle.opened", "format.signed_index", "format.tree", "trust.expect")


def modules(*names: str) -> tuple[str, ...]:
    """Return modules of capseal by their names in it; `room.*` are all that are in a room."""
    found: list[str] = []
    for name in names:
        if name.endswith(".*"):
            room = import_module(f"capseal.{name[:-2]}")
            found += (one.name for one in walk_packages(room.__path__, f"{room.__name__}.") if not one.ispkg)
        else:
            found.append(f"capseal.{name}")
    return tuple(found)


def draw(r: Random, *, detached: bool | None = None) -> Case:
    """Draw a bundle with, mostly, one or two defects, signed anew so that the signature is seldom one of them."""
    if often(r, 0.1):
        case = r.choice(vectors())
        return replace(case, bundle=mutate_bytes(r, case.bundle)) if often(r, 0.5) else case
    start = pick_start(r)
    statement = json.loads(start.statement)
    payload = _draw_payload(r, start, statement)
    index = start.index if payload is start.payload else index_of(payload)
    if payload is not start.payload:
        if often(r, 0.05):
            payload = mutate_bytes(r, payload)
        if often(r, 0.95):
            statement["payload"] = described(payload, index)
    if often(r, 0.05):
        index = mutate_bytes(r, index)
    body = mutate_json(r, statement) if often(r, 0.4) else dump(statement)
    seal = _draw_seal(r, body, index, pick_keys(r) if start.reader.threshold == 1 else ("signer", "signer2"))
    is_detached = start.seal_bytes is not None if detached is None else detached
    bundle = seal + payload
    if often(r, 0.04):
        bundle = mutate_bytes(r, bundle)
    reader = _draw_reader(r, start.reader) if often(r, 0.2) else start.reader
    seal_bytes = (len(seal) if often(r, 0.97) else max(0, len(seal) + r.choice((-1, 1, 4096)))) if is_detached else None
    return Case(bundle, reader, seal_bytes, start.identity if often(r, 0.98) else "other")


def _draw_payload(r: Random, start: Start, statement: dict[str, Any]) -> bytes:
    """Return the payload, or another one of other content, mostly as it should be, and what is said of its size."""
    if often(r, 0.6) or len(start.payload) > 20_000:
        return start.payload
    if often(r, 0.2):
        return mutate_bytes(r, start.payload)
    content = r.randbytes(r.choice((0, 1, 16, 100, 4039, 4040, 4041, 8136, 8137)))
    header = start.header if often(r, 0.9) else mutate_bytes(r, start.header, 1)[:40].ljust(40, b"\0")
    app, key = statement["app"].encode(), start.session_key if often(r, 0.96) else r.randbytes(32)
    info = (b"capseal/v1 " if often(r, 0.97) else b"capseal/v1 companion ") + app
    statement["content"]["size"] = len(content) if often(r, 0.97) else r.choice(NUMBERS)
    if header[1:33] != start.header[1:33] and often(r, 0.7):
        commitment = independent_reader.hkdf(key, header[1:33], b"capseal/v1 commitment " + app)
        statement["encryption"]["commitment"] = independent_reader.base64.b64encode(commitment).decode()
    return encrypted(key, header, info, content, shift=0 if often(r, 0.98) else 1)


def _draw_seal(r: Random, body: bytes, index: bytes, names: tuple[str, ...]) -> bytes:
    payload_type = (
        SEAL_TYPE if often(r, 0.98) else r.choice(("application/json", "application/vnd.capseal.v2+json", ""))
    )
    signatures = signed(payload_type, body, names)
    if often(r, 0.04):
        signatures = r.choice(([], signatures * 2, signatures * 17, signatures[::-1], [{}]))
    envelope = enveloped(payload_type, body, signatures)
    encoded = mutate_json(r, envelope, 1) if often(r, 0.08) else dump(envelope)
    seal = sealed(encoded, index, padding=r.randbytes(64) if often(r, 0.01) else b"")
    return mutate_bytes(r, seal[:12], 1) + seal[12:] if often(r, 0.03) else seal


def _draw_reader(r: Random, reader: Reader) -> Reader:
    match r.randrange(7):
        case 0:
            return replace(reader, trust=(("production", "signer"), ("production", "signer2")), threshold=2)
        case 1:
            return replace(reader, role="development", trust=(("production", "signer"), ("development", "development")))
        case 2:
            return replace(reader, trust=(("development", "development"), ("production", "signer2")))
        case 3:
            return replace(reader, floor=r.choice((0, 1, 141, 142, 143, 2**53 - 1)))
        case 4:
            return replace(reader, native=r.choice(("0", "1.2.3.4", "2.0", "999999999999999", "1.4")))
        case 5:
            return replace(reader, platform=r.choice(("ios", "android", "IOS")))
    return replace(reader, app=None, channel=r.choice((None, "production", "beta")))


def expect_of(reader: Reader) -> Expect:
    """Return what capseal is told to expect."""
    names = ("app", "channel", "floor", "native", "platform")
    return Expect(role=Role(reader.role), **{name: getattr(reader, name) for name in names})


def judged_independently(case: Case) -> tuple[dict[str, Any], bytes] | Rejected:
    """Return statement and payload as the independent reader sees them, or why it refuses."""
    reader = case.reader
    try:
        return independent_reader.verify(
            case.bundle,
            reader.pems,
            threshold=reader.threshold,
            role=reader.role,
            app=reader.app,
            channel=reader.channel,
            floor=reader.floor,
            native=reader.native,
            platform=reader.platform,
            seal_bytes=case.seal_bytes,
        )
    except Rejected as error:
        return error


def _identity(case: Case) -> Any:
    if not case.reader.vectors:
        return fast_key(case.identity)
    return capseal.PrivateKey(private(case.identity, True))


def check_bundle(case: Case) -> bytes:
    """Verify and unseal as capseal does it; whatever it says, the independent reader must say. Return the plaintext."""
    trust, expect = case.reader.store, expect_of(case.reader)
    sealed_as = io.BytesIO(case.bundle if case.seal_bytes is None else case.bundle[case.seal_bytes :])
    seal = None if case.seal_bytes is None else case.bundle[: case.seal_bytes]
    refused: CapsealError | None = None
    try:
        verified = capseal.verify(sealed_as, trust=trust, expect=expect, seal=seal, jobs=1)
    except CapsealError as error:
        refused = error
    theirs = judged_independently(case)
    if refused is not None:
        if not isinstance(theirs, Rejected):
            raise Disagreement(f"only the independent reader accepts: {refused!r}")
        raise refused
    if isinstance(theirs, Rejected):
        raise Disagreement(f"the independent reader refuses: {theirs}")
    if verified.statement.app != theirs[0]["app"] or verified.statement.sequence != theirs[0]["sequence"]:
        raise Disagreement(f"the independent reader reads another statement: {theirs[0]}")
    output = io.BytesIO()
    sealed_as.seek(0)
    try:
        capseal.unseal(sealed_as, output, identity=_identity(case), trust=trust, expect=expect, seal=seal, jobs=1)
    except CapsealError as error:
        refused = error
    try:
        content = independent_reader.decrypt(*theirs, private(case.identity, case.reader.vectors))
    except Rejected as error:
        if refused is not None:
            raise refused from None
        raise Disagreement(f"the independent reader does not open it: {error}") from None
    if refused is not None:
        raise Disagreement(f"only the independent reader opens it: {refused!r}")
    if content != output.getvalue():
        raise Disagreement("the independent reader reads another content")
    return content


def seal_target(*, detached: bool) -> Target:
    """Attached and detached bundles, from the first byte to the plaintext."""
    return Target(
        name="seal detached" if detached else "seal",
        oracle="the independent reader: the same verdict, statement and plaintext",
        modules=modules(*_FORMAT, *_READING, "bundle.verify", "bundle.unseal", "crypto.segment_cipher"),
        make=lambda r: draw(r, detached=detached),
        run=check_bundle,
        gates={
            "envelope": (Envelope, "parse"),
            "signature": (TrustStore, "check"),
            "statement": (Statement, "parse"),
            "index": (SignedIndex, "checked"),
            "payload": (opened.OpenedBundle, "check_payload"),
        },
    )


def _draw_statement(r: Random) -> bytes:
    text = r.choice(starts()).statement if often(r, 0.999) else r.choice(large_starts()).statement
    if often(r, 0.1):
        return mutate_bytes(r, dump(json.loads(text)))
    return mutate_json(r, json.loads(text))


def check_statement(data: bytes) -> None:
    """Parse a statement; the independent reader must say the same of it, and so must capseal of what it writes."""
    refused: CapsealError | None = None
    statement = None
    try:
        statement = Statement.parse(data)
    except CapsealError as error:
        refused = error
    try:
        theirs = independent_reader.read_statement(data)[0]
    except Rejected as error:
        if refused is not None:
            raise refused from None
        raise Disagreement(f"the independent reader refuses: {error}") from None
    if refused is not None or statement is None:
        raise Disagreement(f"only the independent reader accepts: {refused!r}")
    if statement.to_json() != _as_written(theirs) or Statement.parse(statement.encode()) != statement:
        raise Disagreement("the statement that is written is not the one that was read")


def _as_written(statement: dict[str, Any]) -> dict[str, Any]:
    """Return a statement as capseal writes it: companions after all other attachments."""
    if "attachments" not in statement:
        return statement
    ordered = sorted(statement["attachments"], key=lambda item: "sha256" not in item["digest"])
    return statement | {"attachments": ordered}


def statement_target() -> Target:
    """What a seal says, without its signature."""
    return Target(
        name="statement",
        oracle="the independent reader: the same verdict and values; written and read again it is the same",
        modules=modules("format.statement", "format.strictjson", "format.requires", "format.segment_layout"),
        make=_draw_statement,
        run=check_statement,
        gates={"json": (strictjson, "parse")},
    )


PushCase = tuple[Case, tuple[int, ...]]


def _draw_pushed(r: Random) -> PushCase:
    case = draw(r)
    sizes = (1, 7, 11, 12, 13, 63, 1000, 4095, 4096, 4097, 30_000, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT)
    smallest = 1000 if len(case.bundle) > 20_000 else 7 if often(r, 0.9) else 1
    usable = [size for size in sizes if size >= smallest]
    return case, tuple(r.choice(usable) for _ in range(r.randrange(1, 6)))


def check_pushed(pushed: PushCase) -> None:
    """Feed a bundle in pieces; the verdict must be that of verify(), and nothing unchecked may come out."""
    case, sizes = pushed
    trust, expect = case.reader.store, expect_of(case.reader)
    sealed_as = case.bundle if case.seal_bytes is None else case.bundle[case.seal_bytes :]
    seal = None if case.seal_bytes is None else case.bundle[: case.seal_bytes]
    refused: CapsealError | None = None
    released = bytearray()
    try:
        verifier = capseal.Verifier(trust=trust, expect=expect, seal=seal)
        at = turn = 0
        while at < len(sealed_as):
            size = sizes[turn % len(sizes)]
            released += verifier.feed(sealed_as[at : at + size])
            at, turn = at + size, turn + 1
        verifier.finish()
    except CapsealError as error:
        refused = error
    if released != sealed_as[: len(released)]:
        raise Disagreement("what came out is not what went in")
    theirs = judged_independently(case)
    if refused is None and isinstance(theirs, Rejected):
        raise Disagreement(f"the independent reader refuses: {theirs}")
    if refused is not None and not isinstance(theirs, Rejected):
        raise Disagreement(f"only the independent reader accepts: {refused!r}")
    whole = None
    with suppress(CapsealError):
        whole = capseal.verify(io.BytesIO(sealed_as), trust=trust, expect=expect, seal=seal, jobs=1)
    if (whole is None) != (refused is not None):
        raise Disagreement(f"verify() and Verifier disagree: {whole is not None} and {refused!r}")
    if refused is not None:
        raise refused


def push_target() -> Target:
    """The push verifier."""
    return Target(
        name="push",
        oracle="the independent reader, and verify(): the same verdict",
        modules=modules("bundle.push_verifier", *_READING),
        make=_draw_pushed,
        run=check_pushed,
        gates={"seal": (reading_order.Seal, "encode"), "signature": (TrustStore, "check")},
    )
