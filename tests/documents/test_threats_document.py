"""docs/threats.md points at tests and vectors that exist."""

import re

from support.places import ROOT, TESTS

DOCUMENT = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
TUF = (
    "Arbitrary installation", "Endless data", "Extraneous dependencies", "Fast-forward", "Indefinite freeze",
    "Malicious mirrors", "Mix-and-match", "Rollback", "Slow retrieval", "Vulnerability to key compromises",
    "Wrong software installation",
)  # fmt: skip
ATTACKS_ON_DEVICES = (
    "Freeze", "Fast-forward of heads", "Fast-forward of releases", "withheld", "skipped", "forked", "replayed",
    "forged", "offline for a year", "backup", "Cloned CI", "Two jobs at once", "Mixed channels", "roles",
    "Head replayed", "Head expired", "Clock set back, and ahead", "Head key stolen", "Root threshold partly stolen",
    "Recall replayed",
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


def test_every_attack_of_a_server_on_a_device_has_a_test_of_its_own():
    section = DOCUMENT.split("## What a server can try on a device that uses heads")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    for attack in ATTACKS_ON_DEVICES:
        assert any(attack in row for row in rows), attack
    for row in rows:
        assert re.search(r"\| `test_\w+` \|$", row), row


def test_no_line_says_no_without_why_it_cannot_be_otherwise():
    saying_no = [line for line in DOCUMENT.splitlines() if re.search(r"\*\*no\*\*", line, re.IGNORECASE)]
    for line in saying_no:
        assert "cannot be otherwise" in line or line.startswith("Each line says what holds today")
