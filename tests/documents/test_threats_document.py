"""docs/threats.md points at tests and vectors that exist."""

import re

from support.places import ROOT, TESTS

DOCUMENT = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
TUF = (
    "Arbitrary installation", "Endless data", "Extraneous dependencies", "Fast-forward", "Indefinite freeze",
    "Malicious mirrors", "Mix-and-match", "Rollback", "Slow retrieval", "Vulnerability to key compromises",
    "Wrong software installation",
)  # fmt: skip
UPTANE = ("Eavesdrop", "Drop-request", "Partial bundle installation", "Mixed-bundles")


def test_every_named_test_exists():
    defined = set()
    for path in TESTS.rglob("test_*.py"):
        defined |= set(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT))
    assert named
    assert named <= defined


def test_every_attack_that_tuf_and_uptane_name_is_judged():
    for attack in TUF + UPTANE:
        assert f"| {attack}" in DOCUMENT
