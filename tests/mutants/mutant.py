"""What a mutant is: one check, weakened, and the test that must notice."""

import ast
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "engine"
PACKAGE = ENGINE / "capseal"


class StaleMutantError(Exception):
    """A mutant whose text is not in the code, or not once: the code moved, and the mutant has to follow."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A patch that weakens one live check.

    file: below engine/capseal; old: a text that occurs there exactly once; new: what takes its place;
    test: the node id of the test that must notice, which fails by assertion.
    """

    file: str
    old: str
    new: str
    test: str

    @property
    def room(self) -> str:
        """The room that it weakens: a folder of the package, or a module of its own."""
        return self.file.partition("/")[0].removesuffix(".py")

    def applied(self) -> str:
        """The file's text with the patch. Raises StaleMutantError."""
        text = self._text()
        return text.replace(self.old, self.new)

    def lines(self) -> set[int]:
        """The lines of the file, counted from 1, that the patch changes. Raises StaleMutantError."""
        text = self._text()
        first = text[: text.index(self.old)].count("\n") + 1
        start = text.rfind("\n", 0, text.index(self.old)) + 1
        end = text.find("\n", text.index(self.old) + len(self.old))
        whole = text[start:] if end < 0 else text[start:end]  # a patch may end where the file does
        before, after = whole.split("\n"), whole.replace(self.old, self.new).split("\n")
        return {
            first + line
            for kind, low, high, _, _ in SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
            if kind != "equal"
            for line in range(low, max(high, low + 1))
        }

    @property
    def has_test(self) -> bool:
        """Whether the test is there, its parameters left aside."""
        file, _, name = self.test.partition("::")
        return name.partition("[")[0] in _functions_of(file)

    def shown(self) -> str:
        """One line: where, and what becomes what."""
        where = f"{self.file}:{min(self.lines())}"
        return f"{where:<40} {_one_line(self.old)}  ->  {_one_line(self.new) or '(nothing)'}"

    def _text(self) -> str:
        text = (PACKAGE / self.file).read_text()
        count = text.count(self.old)
        if count != 1:
            raise StaleMutantError(f"{self.file}: text occurs {count} times, must occur once: {_one_line(self.old)}")
        return text


@cache
def _functions_of(file: str) -> frozenset[str]:
    path = ROOT / file
    tree = ast.parse(path.read_text()) if path.is_file() else ast.Module([], [])
    return frozenset(one.name for one in tree.body if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)))


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 70 else f"{text[:67]}..."
