"""docs/troubleshooting.md quotes messages that capseal prints."""

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


def test_the_page_quotes_messages() -> None:
    assert len(QUOTED) > 40
