"""Documents and comments name files, folders and modules that exist."""

import re
from pathlib import Path

import pytest

import capseal
from support.places import ROOT

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "bench/*.md", "csrc/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md" and "node_modules" not in path.parts
)
SOURCES = sorted(
    path
    for folder, ending in (("engine", "py"), ("csrc", "[chp]*"), ("tests", "py"), ("bench", "py"))
    for path in (ROOT / folder).rglob(f"*.{ending}")
    if path.is_file() and "house" not in path.parts
)
FILE = re.compile(r"(?<![\w/.-])((?:engine|csrc|tests|bench|docs|examples)/[\w./-]*\w\.(?:py|c|h|md|txt|json|sh))\b")
MODULE = re.compile(r"(?<!vnd\.)\bcapseal(?:\.[a-z_]+)+\b")
LINK = re.compile(r"\]\(([^)#\s:]*)(#[^)\s]*)?\)")


@pytest.mark.parametrize("path", [*DOCUMENTS, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_is_named_exists(path: Path):
    for name in FILE.findall(path.read_text()):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path):
    for name, anchor in LINK.findall(path.read_text()):
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), name
        if anchor and target.suffix == ".md":
            heads = [line.lstrip("# ") for line in target.read_text().splitlines() if line.startswith("#")]
            anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor[1:] in anchors, f"{name}{anchor}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_of_capseal_that_a_document_uses_begins_with_a_room_or_a_public_name(path: Path):
    rooms = {entry.stem for entry in (ROOT / "engine" / "capseal").iterdir()} | {"toml", "_native"}
    for name in MODULE.findall(path.read_text()):
        first = name.split(".")[1]
        assert first in rooms or hasattr(capseal, first), name
