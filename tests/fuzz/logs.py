"""The release log: lines that are chained and signed."""

import hashlib
import json
from functools import cache
from random import Random
from typing import Any

from capseal import Envelope, TrustedKey, TrustStore
from capseal.format.strictjson import Role
from capseal.project import log
from support.independent_reader import Rejected, need, parse_json
from support.independent_signatures import signers_of
from vectors.making import dump

from .bundles import modules
from .corpus import enveloped, signed
from .keys import fast_key
from .mutating import mutate_bytes, mutate_json, often
from .places import scratch
from .running import Disagreement, Target
from .trusting import opened_envelope

_ENTRY = json.dumps(
    {
        "number": 1, "previous": log.FIRST, "time": "2026-11-22T21:30:00Z", "trust": 1, "app": "com.example.game",
        "channel": "production", "version": "1.4.2", "sequence": 142, "payload": "1" * 64, "seal": "2" * 64,
        "signers": ["3" * 64],
    }
)  # fmt: skip


def _draw_log(r: Random) -> bytes:
    """Draw a log of up to four lines, chained and signed, mostly with one defect in it."""
    previous, lines = log.FIRST, []
    odd = r.randrange(4) if often(r, 0.7) else -1
    for number in range(1, r.choice((1, 1, 2, 4)) + 1):
        entry = json.loads(_ENTRY) | {
            "number": number,
            "previous": previous,
            "time": f"2026-11-{20 + number}T21:30:00Z",
        }
        if often(r, 0.1):
            entry = {name: entry[name] for name in ("number", "previous", "time", "trust")}
        body = mutate_json(r, entry) if odd == number - 1 and often(r, 0.6) else dump(entry)
        names = ("signer",) if often(r, 0.95) else r.choice((("signer2",), ("signer", "signer2"), ("development",)))
        envelope = enveloped(log.ENTRY_TYPE, body, signed(log.ENTRY_TYPE, body, names))
        line = dump(envelope)
        if odd == number - 1 and often(r, 0.3):
            line = mutate_json(r, envelope, 1) if often(r, 0.5) else mutate_bytes(r, line)
        lines.append(line)
        previous = hashlib.sha256(line).hexdigest()
    if often(r, 0.1):
        lines = r.choice((lines[::-1], lines[1:], lines[:-1], lines + lines[-1:]))
    return b"".join(line + b"\n" for line in lines)[: None if often(r, 0.97) else -1]


@cache
def _log_store() -> TrustStore:
    return TrustStore(
        (TrustedKey(fast_key("signer").public_key), TrustedKey(fast_key("development").public_key, Role.DEVELOPMENT))
    )


def check_log(data: bytes) -> None:
    """Verify a log; an accepted one is a chain of signed lines for whoever checks it anew."""
    path = scratch() / "log"
    path.write_bytes(data)
    logged = log.verify_log(path, trust=[_log_store()])
    key: Any = fast_key("signer").public_key.rsa
    previous, time = log.FIRST, ""
    lines = data.splitlines()
    try:
        for number, line in enumerate(lines, 1):
            body, signatures, message = opened_envelope(line, log.ENTRY_TYPE)
            entry = parse_json(body)
            need((entry["number"], entry["previous"]) == (number, previous), "TamperedError", "chain")
            need(entry["time"] >= time, "TamperedError", "time")
            need(entry["trust"] == 1 and ("app" in entry or number == 1), "TamperedError", "store")
            kid = fast_key("signer").kid
            need(signers_of(signatures, message, {kid: key}) == {kid}, "SignatureError", "nobody")
            previous, time = hashlib.sha256(line).hexdigest(), entry["time"]
    except (Rejected, KeyError, ValueError) as error:
        raise Disagreement(f"the independent check refuses: {error}") from error
    if len(logged) != len(lines):
        raise Disagreement(f"{len(logged)} entries of {len(lines)} lines")


def log_target() -> Target:
    """Release logs."""
    return Target(
        name="log",
        oracle="an independent check of chain, times and signatures",
        modules=modules("project.log", "format.dsse", "format.strictjson"),
        make=_draw_log,
        run=check_log,
        gates={"envelope": (Envelope, "parse"), "entry": (log.Entry, "parse"), "signature": (TrustStore, "check")},
    )
