"""Sealed companions: their entry in the statement, their index and their stored bytes."""

import hashlib
import io
import json
from random import Random
from typing import Any

import capseal
from capseal import CapsealError
from capseal.bundle import companions, opened
from support import independent_reader
from support.independent_reader import Rejected
from vectors.making import dump

from .bundles import modules
from .corpus import SEAL_TYPE, Reader, described, encrypted, enveloped, index_of, private, sealed, signed, starts
from .keys import fast_key
from .mutating import mutate_bytes, mutate_json, often
from .running import Disagreement, Target

CompanionCase = tuple[bytes, str, bytes, bytes]


def _draw_companion(r: Random) -> CompanionCase:
    """Draw a bundle, the name of a companion, its index and its stored bytes."""
    start = r.choice([start for start in starts() if start.beside is not None and len(start.beside[2]) < 20_000])
    assert start.beside is not None
    name, index, stored = start.beside
    statement = json.loads(start.statement)
    [entry] = [one for one in statement["attachments"] if one["name"] == name]
    if often(r, 0.5):
        content = r.randbytes(r.choice((0, 1, 100, 4039, 4040, 4041, 9000)))
        header = bytes([40]) + r.randbytes(39)
        spoken = name if often(r, 0.95) else "other"
        info = b"capseal/v1 companion %b %b" % (statement["app"].encode(), spoken.encode())
        key = start.session_key if often(r, 0.97) else r.randbytes(32)
        stored = encrypted(key, header, info, content, shift=0 if often(r, 0.97) else 1)
    if often(r, 0.15):
        stored = mutate_bytes(r, stored)
    if stored is not start.beside[2]:
        index = index_of(stored)
        if often(r, 0.9) and stored:
            entry |= described(stored, index)
    if often(r, 0.1):
        index = mutate_bytes(r, index)
    if often(r, 0.05):
        stored = mutate_bytes(r, stored)
    if often(r, 0.2):
        name = r.choice((name, "nothing", "../a", ""))
    body = dump(statement)
    if often(r, 0.2):
        body = mutate_json(r, statement["attachments"]) if often(r, 0.1) else _with_attachments(r, statement)
    seal = sealed(dump(enveloped(SEAL_TYPE, body, signed(SEAL_TYPE, body, ("signer",)))), start.index)
    return seal + start.payload, name, index, stored


def _with_attachments(r: Random, statement: dict[str, Any]) -> bytes:
    """Return the statement with its attachments altered."""
    mark = "@attachments@"
    altered = mutate_json(r, statement["attachments"], 1)
    return dump(statement | {"attachments": mark}).replace(f'"{mark}"'.encode(), altered)


def check_companion(case: CompanionCase) -> bytes:
    """Verify a bundle and open its companion; the independent reader must say the same. Return the plaintext."""
    bundle, name, index, stored = case
    reader = Reader()
    verified = capseal.verify(io.BytesIO(bundle), trust=reader.store, jobs=1)
    payload_bytes = verified.statement.payload.size
    output, refused = io.BytesIO(), None
    try:
        companions.unseal_companion(
            io.BytesIO(stored),
            output,
            name=name,
            index=index,
            verified=verified,
            identity=fast_key("recipient"),
            payload_header=bundle[-payload_bytes:][:40],
            jobs=1,
        )
    except CapsealError as error:
        refused = error
    try:
        statement, payload = independent_reader.verify(bundle, reader.pems)
        named = [one for one in statement.get("attachments", []) if one["name"] == name and "encryption" in one]
        independent_reader.need(named, "NotForUsError", "no such companion")
        independent_reader.verify_companion(statement, name, index, stored)
        content = independent_reader.decrypt_companion(statement, payload, name, stored, private("recipient", False))
    except Rejected as error:
        if refused is not None:
            raise refused from None
        raise Disagreement(f"the independent reader refuses: {error}") from None
    if refused is not None:
        raise Disagreement(f"only the independent reader accepts: {refused!r}")
    if content != output.getvalue():
        raise Disagreement(f"the independent reader reads another content: {hashlib.sha256(content).hexdigest()}")
    return content


def companion_target() -> Target:
    """Sealed companions: their place in the statement, index and stored bytes."""
    return Target(
        name="companion",
        oracle="the independent reader: the same verdict and plaintext",
        modules=modules("bundle.companions", "format.signed_index", "crypto.segment_cipher", "format.segment_layout"),
        make=_draw_companion,
        run=check_companion,
        gates={"bundle": (opened.OpenedBundle, "check_payload"), "index": (companions, "read_index")},
    )
