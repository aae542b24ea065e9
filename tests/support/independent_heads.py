"""A reader of heads and recalls, written from docs/format.md, Heads and recalls, alone; nothing is capseal's."""

import hashlib
from datetime import datetime
from itertools import pairwise

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from support.independent_reader import (
    ENVELOPE,
    HEX,
    NAME,
    Rejected,
    check_shape,
    compact,
    encoded,
    fingerprint,
    moment,
    need,
    parse_json,
    pattern,
    printable,
    requires,
    several,
    unbase64,
    whole,
)
from support.independent_signatures import message_of, signers_of

ROLE = pattern("production|development")
RELEASE = {"sequence": whole(1), "digest": HEX, "?requires": requires}
HEAD = {
    "app": NAME,
    "channel": NAME,
    "role": ROLE,
    "epoch": whole(1),
    "number": whole(1),
    "?previous": HEX,
    "issued": moment,
    "expires": moment,
    "trust": {"version": whole(1), "digest": HEX},
    "current": several(1, 16, RELEASE),
    "?candidate": RELEASE
    | {"share": whole(0, 1000), "salt": encoded(16, 16), "paused": lambda value: type(value) is bool},
    "?withdrawn": several(1, 1024, whole(1)),
    "?recalls": several(1, 64, HEX),
    "?log": {"number": whole(1), "digest": HEX},
}
RECALL = {
    "app": NAME,
    "channel": NAME,
    "role": ROLE,
    "created": moment,
    "releases": several(1, 64, {"sequence": whole(1), "digest": HEX, "version": printable}),
}


def open_envelope(data):
    envelope = parse_json(data)
    check_shape(envelope, ENVELOPE, "envelope")
    signatures = [{k: s[k] for k in ("keyid", "sig", "x5c") if k in s} for s in envelope["signatures"]]
    canonical = {"payload": envelope["payload"], "payloadType": envelope["payloadType"], "signatures": signatures}
    need(compact(canonical) == data, "FormatError", "envelope is not in the canonical encoding")
    return envelope["payloadType"], unbase64(envelope["payload"]), signatures


def check_signatures(payload_type, body, signatures, pems, threshold):
    keys = {fingerprint(key): key for key in map(load_pem_public_key, pems)}
    need(not any("x5c" in signature for signature in signatures), "SignatureError", "certificates")
    signers = signers_of(signatures, message_of(payload_type, body), keys)
    need(len(signers) >= threshold, "SignatureError", "threshold")


def document(body, shape, what):
    need(len(body) <= 65536, "FormatError", "too long")
    value = parse_json(body)
    check_shape(value, shape, what)
    return value


def ascends(items):
    return all(a < b for a, b in pairwise(items))


def read_head(body):
    head = document(body, HEAD, "head")
    need(("previous" in head) == (head["number"] > 1), "FormatError", "previous")
    need(head["issued"] < head["expires"], "FormatError", "expires")
    sequences = [release["sequence"] for release in head["current"]]
    named = head["current"] + ([head["candidate"]] if "candidate" in head else [])
    need(ascends(sequences[::-1]), "FormatError", "order of current")
    need(len({release["digest"] for release in named}) == len(named), "FormatError", "a payload twice")
    need("candidate" not in head or head["candidate"]["sequence"] > sequences[0], "FormatError", "candidate")
    need(ascends(head.get("withdrawn", [])) and ascends(head.get("recalls", [])), "FormatError", "order")
    need(not {r["sequence"] for r in named} & set(head.get("withdrawn", [])), "FormatError", "withdrawn and named")
    return head


def check_head(data, *, sets, app, channel, role, epoch, store, max_age_s, until, now, known=None):
    """Return a head that is acceptable and fresh.

    sets: for each role the PEM keys and the threshold; store: version and digest; known: number and digest of the one
    that was taken before; until, now: as moments.
    """
    payload_type, body, signatures = open_envelope(data)
    by = "production"
    try:
        check_signatures(payload_type, body, signatures, *sets["production"])
    except Rejected:
        if role == "production":
            raise
        by = "development"
        check_signatures(payload_type, body, signatures, *sets["development"])
    need(payload_type == "application/vnd.capseal.head.v1+json", "FormatError", "payloadType")
    head = read_head(body)
    need(head["role"] == by, "NotForUsError", "role")
    need((head["app"], head["channel"]) == (app, channel), "NotForUsError", "app, channel")
    need(head["trust"]["version"] >= store[0], "RollbackError", "an older store")
    need((head["trust"]["version"], head["trust"]["digest"]) == store, "NotForUsError", "another store")
    need(head["epoch"] == epoch, "NotForUsError", "epoch")
    age = datetime.fromisoformat(head["expires"]) - datetime.fromisoformat(head["issued"])
    need(age.total_seconds() <= max_age_s and head["expires"] <= until, "NotForUsError", "valid for too long")
    if known is not None:
        number, digest = known
        need(head["number"] >= number, "RollbackError", "number")
        same = hashlib.sha256(body).hexdigest() == digest
        need(head["number"] != number or same, "TamperedError", "two heads of one number")
        need(head["number"] != number + 1 or head["previous"] == digest, "TamperedError", "previous")
    need(max(now, head["issued"]) < head["expires"], "StaleError", "expired")
    return head


def check_goes_on(before, after):
    """Check what a head may not say any more that comes after another one of its epoch, besides number and digest."""
    need(after["role"] == before["role"], "NotForUsError", "role")
    need(after["issued"] >= before["issued"], "RollbackError", "issued")
    need(set(before.get("recalls", [])) <= set(after.get("recalls", [])), "RollbackError", "recalls")
    if "log" in before:
        ends = [(one["log"]["number"] if "log" in one else 0) for one in (before, after)]
        need(ends[0] <= ends[1], "RollbackError", "log")
        need(ends[0] != ends[1] or before["log"] == after["log"], "TamperedError", "log")
    if "candidate" in before and "candidate" in after:
        old, new = before["candidate"], after["candidate"]
        need(old["digest"] != new["digest"] or old["salt"] == new["salt"], "TamperedError", "salt")


def check_recall(data, *, keys, threshold, app, channel, role):
    payload_type, body, signatures = open_envelope(data)
    check_signatures(payload_type, body, signatures, keys, threshold)
    need(payload_type == "application/vnd.capseal.recall.v1+json", "FormatError", "payloadType")
    recall = document(body, RECALL, "recall")
    need(ascends([release["sequence"] for release in recall["releases"]][::-1]), "FormatError", "order")
    need((recall["app"], recall["channel"]) == (app, channel), "NotForUsError", "app, channel")
    need(role == "development" or recall["role"] == "production", "NotForUsError", "role")
    return recall


def in_share(salt, secret, share):
    place = int.from_bytes(hashlib.sha256(b"capseal/v1 rollout " + salt + secret).digest()[:4], "big")
    return place * 1000 < share * 2**32
