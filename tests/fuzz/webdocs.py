"""Heads, updates of trust stores and recipes, by the JavaScript reader beside capseal: one verdict of each case."""

import hashlib
import io
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any

from capseal import Role, TrustedKey, TrustStore, delta
from capseal.format.head import Head
from capseal.trust import heads, updates
from capseal.trust.key_sets import HeadPolicy, KeySet
from support.web_reader import web_reader
from vectors.making import dump
from vectors.making_heads import HEAD, HEAD_TYPE

from . import recipes, trusting
from .bundles import modules
from .corpus import enveloped, signed
from .keys import fast_key
from .mutating import mutate_bytes, mutate_json, often
from .running import Disagreement, Target
from .webs import beside_web, compared

_NOW = datetime(2026, 11, 23, tzinfo=UTC)
_MOST_BYTES = 64 * 1024 * 1024

HeadCase = tuple[bytes, Role]


@cache
def _store() -> TrustStore:
    policy = HeadPolicy(
        14 * 24 * 3600,
        datetime(2031, 1, 1, tzinfo=UTC),
        KeySet.of(fast_key("head").public_key, fast_key("head2").public_key, threshold=2),
        KeySet.of(fast_key("development").public_key),
    )
    release = TrustedKey(fast_key("signer").public_key)
    return TrustStore((release,), version=3, epoch=2, heads=policy, created=datetime(2026, 1, 1, tzinfo=UTC))


def _draw_head(r: Random) -> HeadCase:
    """Draw a head, mostly with one odd member, and for whom it is read."""
    value = deepcopy(HEAD) | {"trust": {"version": 3, "digest": _store().digest}}
    if often(r, 0.3):
        value["role"] = "development"
    if often(r, 0.1):
        value["trust"] = {"version": r.choice((2, 3, 4)), "digest": r.choice((_store().digest, "0" * 64))}
    body = mutate_json(r, value) if often(r, 0.6) else dump(value)
    production, development = ("head", "head2"), ("development",)
    names = r.choice((production, production, development, development, ("head",), ("other", *production), ("signer",)))
    envelope = enveloped(HEAD_TYPE, body, signed(HEAD_TYPE, body, names))
    data = mutate_json(r, envelope, 1) if often(r, 0.1) else dump(envelope)
    return mutate_bytes(r, data) if often(r, 0.05) else data, r.choice((Role.PRODUCTION, Role.DEVELOPMENT))


def check_web_head(case: HeadCase) -> None:
    """Judge a head by both; what it says must be the same."""
    data, role = case
    asked = {"app": HEAD["app"], "channel": HEAD["channel"]}

    def check(_: object) -> Head:
        head = heads.accept_head(_store(), data, role=role, **asked).head
        heads.check_fresh(head, _NOW)
        return head

    def ask() -> dict[str, Any]:
        trust = _store().to_json().decode()
        return web_reader().ask("head", head=data, trust=trust, now="2026-11-23T00:00:00Z", role=role.value, **asked)

    head, theirs = compared(check, case, ask)
    if theirs != head.to_json():
        raise Disagreement("the JavaScript reader reads another head")


def check_web_update(data: bytes) -> None:
    """Judge an update by both; the store that it brings must have the same text.

    PEM that was mangled is mended by capseal alone.
    """
    present = trusting.plain_store()
    answer: dict[str, Any] = {}

    def ask() -> dict[str, Any]:
        answer.update(web_reader().ask("update", update=data, trust=present.to_json().decode()))
        return answer

    try:
        store, theirs = compared(lambda update: updates.accept_update(present, update), data, ask)
    except Disagreement:
        if "PEM" in answer.get("error", {}).get("message", ""):
            return
        raise
    if theirs != store.to_json().decode():
        raise Disagreement("the JavaScript reader reads another store")


def check_web_recipe(data: bytes) -> None:
    """Rebuild by all three; what comes out must be the same."""

    def check(recipe: bytes) -> str:
        recipes.check_recipe(recipe)
        out = io.BytesIO()
        delta.apply_recipe(recipes.base_folder(), io.BytesIO(recipe), out)
        content = out.getvalue()
        return f"{len(content)} {hashlib.sha256(content).hexdigest()}"

    def ask() -> dict[str, Any]:
        return web_reader().ask("recipe", recipe=data, mostBytes=_MOST_BYTES)

    content, theirs = compared(check, data, ask)
    if theirs != content:
        raise Disagreement("the JavaScript reader rebuilds something else")


def web_document_target(what: str) -> Target:
    """One of the documents, with the JavaScript reader beside capseal."""
    heads_target = Target(
        name="head",
        oracle="",
        modules=modules("trust.heads", "format.head", "format.dsse"),
        make=_draw_head,
        run=check_web_head,
        gates={"signature": (heads, "_signed_by"), "document": (Head, "parse")},
    )
    target, run = {
        "head": (heads_target, check_web_head),
        "update": (trusting.update_target(), check_web_update),
        "recipe": (recipes.recipe_target(), check_web_recipe),
    }[what]
    oracle = "the JavaScript reader: the same verdict, error class and content"
    return beside_web(what, target, run, oracle)
