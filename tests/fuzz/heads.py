"""Heads and recalls: strict documents, whose keys, whose turn; a reader without shared code judges them alike."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from capseal import CapsealError, Envelope, TrustedKey, TrustStore
from capseal.format.head import HEAD_TYPE, Head
from capseal.format.recall import RECALL_TYPE, Recall
from capseal.format.strictjson import Role
from capseal.trust import heads
from capseal.trust.heads import SignedHead
from capseal.trust.key_sets import HeadPolicy, KeySet
from support import independent_heads
from support.independent_reader import Rejected
from vectors.making import dump
from vectors.making_heads import HEAD, RECALL

from .bundles import modules
from .corpus import enveloped, signed
from .keys import fast_key
from .mutating import mutate_bytes, mutate_json, often
from .running import Disagreement, Target

_APP, _CHANNEL, _ROLES = HEAD["app"], HEAD["channel"], ("production", "development")
_NOW = datetime(2026, 11, 23, tzinfo=UTC)
_UNTIL = datetime(2031, 1, 1, tzinfo=UTC)
_MAX_AGE_S = 14 * 24 * 3600

Case = tuple[bytes, str]
"""An envelope, and the role that its reader demands."""


def _set(*names: str, threshold: int = 1) -> KeySet:
    return KeySet.of(*(fast_key(name).public_key for name in names), threshold=threshold)


@cache
def _store() -> TrustStore:
    roles = {"signer": Role.PRODUCTION, "signer2": Role.PRODUCTION, "development": Role.DEVELOPMENT}
    return TrustStore(
        tuple(TrustedKey(fast_key(name).public_key, role) for name, role in roles.items()),
        heads=HeadPolicy(_MAX_AGE_S, _UNTIL, _set("head", "head2"), _set("development head")),
        version=3,
        epoch=2,
        created=_NOW - timedelta(days=30),
    )


@cache
def _taken() -> SignedHead:
    """Return the head that every reader has taken before."""
    head = _base() | {"number": 11, "issued": "2026-11-22T21:00:00Z", "withdrawn": [138], "recalls": RECALLS[:1]}
    return SignedHead.of(dump(head | {"log": {"number": 6, "digest": "6" * 64}}))


RECALLS = HEAD["recalls"]


def _base() -> dict[str, Any]:
    return json.loads(json.dumps(HEAD)) | {"trust": {"version": 3, "digest": _store().digest}}


def _draw_head(r: Random) -> Case:
    """Draw a head, mostly with one defect; often one that goes back behind the head that was taken before."""
    head = _base() | {"previous": _taken().digest}
    role = "production" if often(r, 0.8) else "development"
    head["role"] = role if often(r, 0.9) else r.choice(_ROLES)
    if often(r, 0.3):
        head["number"] = r.choice((1, 10, 11, 12, 13, 13, 14, 2**53 - 1))
    if often(r, 0.1):
        head["issued"] = r.choice(("2026-11-22T20:59:59Z", "2026-11-22T21:00:00Z", "2026-11-29T21:30:00Z"))
    if often(r, 0.1):
        head["expires"] = r.choice(("2026-11-23T00:00:00Z", "2026-12-06T21:30:00Z", "2026-12-06T21:30:01Z"))
    if often(r, 0.1):
        head["recalls"] = r.choice((RECALLS[1:], RECALLS[:1], RECALLS[::-1]))
    if often(r, 0.1):
        head["log"] = {"number": r.choice((5, 6, 7)), "digest": r.choice(("6" * 64, "7" * 64))}
    if often(r, 0.1):
        head["candidate"] |= {"salt": "A" * 22 + "==", "sequence": r.choice((141, 142, 143, 144))}
    if often(r, 0.1):
        del head[r.choice(("candidate", "log", "recalls", "withdrawn", "previous"))]
    if often(r, 0.05):
        return dump(_taken_envelope()), role
    names = "development head" if head["role"] == "development" and often(r, 0.9) else "head"
    by = (names,) if often(r, 0.9) else r.choice((("head2",), ("head", "head2"), ("signer",), (), ("other", "head")))
    return _enveloped(r, HEAD_TYPE, head, by), role


def _taken_envelope() -> dict[str, Any]:
    document = _taken().document
    return enveloped(HEAD_TYPE, document, signed(HEAD_TYPE, document, ("head",)))


def _draw_recall(r: Random) -> Case:
    """Draw a recall, mostly with one defect."""
    recall = json.loads(json.dumps(RECALL))
    role = "production" if often(r, 0.8) else "development"
    recall["role"] = role if often(r, 0.9) else r.choice(_ROLES)
    if often(r, 0.1):
        recall["releases"] = r.choice((recall["releases"][::-1], recall["releases"][:1], recall["releases"] * 2, []))
    by = ("signer",) if often(r, 0.9) else r.choice((("development",), ("head",), ("signer2", "signer"), ("other",)))
    return _enveloped(r, RECALL_TYPE, recall, by), role


def _enveloped(r: Random, payload_type: str, document: Any, by: tuple[str, ...]) -> bytes:
    body = mutate_json(r, document) if often(r, 0.5) else dump(document)
    if often(r, 0.02):
        body += b" " * r.choice((1, 65536 - len(body), 65537 - len(body)))
    said = payload_type if often(r, 0.98) else r.choice((HEAD_TYPE, RECALL_TYPE))
    envelope = enveloped(said, body, signed(said, body, by))
    data = mutate_json(r, envelope, 1) if often(r, 0.07) else dump(envelope)
    return mutate_bytes(r, data) if often(r, 0.04) else data


def check_head(case: Case) -> None:
    """Take a head as a device does that has one; whoever reads the rules anew judges it alike."""
    data, role = case
    _alike(lambda: _take_head(data, role), lambda: _take_independently(data, role))


def _take_head(data: bytes, role: str) -> Any:
    head = heads.accept_head(_store(), data, app=_APP, channel=_CHANNEL, role=Role(role))
    heads.check_follows(_taken(), head)
    heads.check_fresh(head.head, heads.time_of(_store(), head.head, _NOW))
    return head.head.to_json()


def _take_independently(data: bytes, role: str) -> Any:
    head = independent_heads.check_head(
        data,
        sets={
            "production": (_pems("head", "head2"), 1),
            "development": (_pems("development head"), 1),
        },
        app=_APP,
        channel=_CHANNEL,
        role=role,
        epoch=2,
        store=(3, _store().digest),
        max_age_s=_MAX_AGE_S,
        until="2031-01-01T00:00:00Z",
        now="2026-11-23T00:00:00Z",
        known=(11, _taken().digest),
    )
    independent_heads.check_goes_on(json.loads(_taken().document), head)
    return head


def check_recall(case: Case) -> None:
    """Take a recall; whoever reads the rules anew judges it alike."""
    data, role = case
    asked = {"app": _APP, "channel": _CHANNEL}

    def take() -> Any:
        recall = heads.accept_recall(_store(), data, role=Role(role), now=_NOW, **asked)[1]
        return json.loads(recall.encode())

    def take_independently() -> Any:
        keys = _pems("signer", "signer2")
        return independent_heads.check_recall(data, keys=keys, threshold=1, role=role, **asked)

    _alike(take, take_independently)


def _pems(*names: str) -> list[bytes]:
    return [fast_key(name).public_key.pem for name in names]


def _alike(take: Any, take_independently: Any) -> None:
    """Raise Disagreement unless both take the same, or neither anything; raises what `take` does."""
    try:
        independent, refusal = take_independently(), None
    except Rejected as error:
        independent, refusal = None, error
    try:
        found = take()
    except CapsealError as error:
        if refusal is None:
            raise Disagreement(f"only capseal refuses: {error}") from error
        raise
    if refusal is not None:
        raise Disagreement(f"the independent reader refuses: {refusal}") from refusal
    if found != independent:
        raise Disagreement("the independent reader reads something else")


def head_target() -> Target:
    """Heads, by a device that took one before."""
    return Target(
        name="head",
        oracle="a reader without shared code judges every case alike: documents, keys, store, chain, time",
        modules=modules("format.head", "trust.heads", "trust.key_sets", "format.dsse"),
        make=_draw_head,
        run=check_head,
        gates={
            "envelope": (Envelope, "parse"),
            "signature": (KeySet, "check"),
            "document": (Head, "parse"),
            "accepted": (heads, "accept_head"),
            "follows": (heads, "check_follows"),
        },
    )


def recall_target() -> Target:
    """Recalls."""
    return Target(
        name="recall",
        oracle="a reader without shared code judges every case alike: documents, keys, app, channel, role",
        modules=modules("format.recall", "trust.heads", "format.dsse"),
        make=_draw_recall,
        run=check_recall,
        gates={"envelope": (Envelope, "parse"), "signature": (TrustStore, "check"), "document": (Recall, "parse")},
    )
