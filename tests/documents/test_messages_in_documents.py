"""docs/troubleshooting.md, and the tables of operations.md and fleet.md, quote messages that capseal prints."""

import ast
import re
from functools import cache

import pytest

from support.places import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
QUOTED = [
    *re.findall(r"^\| `(.+?)` \|", PAGE, re.MULTILINE),
    *re.findall(r"^- `(.+?)`(?:[.:,]|$)", PAGE, re.MULTILINE),
]
SEEN = re.compile(r"^\| (?:what )?you see \|.*\n\|[-|]+\n((?:\|.*\n)+)", re.MULTILINE)
REASON = ": address already in use"
"""How a message ends that says what the system said."""


def quoted_in_tables(name: str) -> list[str]:
    """Return what stands as code, and has a space, in the first column of a page's tables of what is seen."""
    rows = [row for table in SEEN.findall((ROOT / "docs" / name).read_text()) for row in table.splitlines()]
    return [text for row in rows for text in re.findall(r"`([^`]+)`", row.split(" | ")[0]) if " " in text]


IN_TABLES = {name: quoted_in_tables(name) for name in ("operations.md", "fleet.md")}


def template(node: ast.expr) -> str:
    """Return a text as code has it, with … for what is not known before it runs."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(template(value) for value in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return template(node.left) + template(node.right)
    return "…"


@cache
def templates() -> list[str]:
    """Return every text of the code but for docstrings."""
    texts = []
    for path in sorted((ROOT / "engine" / "capseal").rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        documenting = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        kinds = ast.Constant | ast.JoinedStr | ast.BinOp
        found = (node for node in nodes if isinstance(node, kinds) and id(node) not in documenting)
        texts += [re.sub("…+", "…", template(node)) for node in found]
    return texts


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_quoted_message_is_one_that_the_code_has(quoted: str) -> None:
    pieces = [piece for piece in re.split(r"^…: |…", quoted) if piece]
    wanted = re.compile(".*".join(map(re.escape, pieces)))
    assert any(wanted.search(text) for text in templates()), quoted


@pytest.mark.parametrize(("page", "quoted"), [(page, text) for page, texts in IN_TABLES.items() for text in texts])
def test_a_message_in_a_table_of_what_is_seen_is_one_that_the_code_has(page: str, quoted: str) -> None:
    pieces = [piece for piece in re.split(r"…|\b\d[\d.]*\b", quoted.removesuffix(REASON)) if piece]
    wanted = re.compile(".*".join(map(re.escape, pieces)))
    assert any(wanted.search(one) for one in templates()), (page, quoted)


def test_the_tables_of_what_is_seen_quote_messages() -> None:
    assert len(IN_TABLES["operations.md"]) > 12
    assert len(IN_TABLES["fleet.md"]) > 8


def test_the_page_quotes_messages() -> None:
    assert len(QUOTED) > 40
