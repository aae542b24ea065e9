"""How often a seal is authenticated: the counts of what that consists of."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from capseal import Envelope, PublicKey, Statement, TrustStore


class Authentications(Counter[str]):
    """How often a seal's envelope and statement were parsed, its signers looked up, and a signature verified."""

    def of_seals(self) -> tuple[int, int, int]:
        """Return how many envelopes and statements were parsed, and how often a trust store was asked."""
        return self["Envelope.parse"], self["Statement.parse"], self["TrustStore.check"]


def count_authentications(monkeypatch: pytest.MonkeyPatch) -> Authentications:
    """Count from now on, until the test ends."""
    counts = Authentications()
    for owner, name in (
        (Envelope, "parse"),
        (Statement, "parse"),
        (TrustStore, "check"),
        (PublicKey, "verify"),
    ):
        replacement = _counted(counts, f"{owner.__name__}.{name}", getattr(owner, name))
        is_class_method = isinstance(vars(owner)[name], classmethod)
        monkeypatch.setattr(owner, name, staticmethod(replacement) if is_class_method else replacement)
    return counts


def _counted(counts: Counter[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*arguments: Any, **keywords: Any) -> Any:
        counts[name] += 1
        return function(*arguments, **keywords)

    return counted
