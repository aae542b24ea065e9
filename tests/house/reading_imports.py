"""Which module imports which: every import form of every file, read from the source and never run.

Sources are a mapping of paths below `engine/capseal` (`device/_store.py`) to text, so that a mutant of the house
is a mapping with one text changed. A target is such a path, or a dotted name outside of capseal.

An import under `TYPE_CHECKING` counts as any other: who needs another room's types knows that room, and a circle of
types ties two files together as firmly as one of calls.
"""

import ast
import builtins
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import capseal

PACKAGE = "capseal"
HERE = Path(capseal.__file__).parent
FRONT = "__init__.py"
UNKNOWN = "?"  # an import whose name is computed, so that no one can read which


@dataclass(frozen=True, slots=True)
class Import:
    """One import edge. target: a path below capseal, or a dotted name outside of it.

    inside: whether it is of capseal; computed: whether a part of the name is not written out.
    """

    path: str
    line: int
    target: str
    inside: bool
    computed: bool = False

    def __str__(self) -> str:
        return f"{self.path}:{self.line} imports {self.target}"


def read_sources() -> dict[str, str]:
    """The source of every module, by its path below the package."""
    return {str(path.relative_to(HERE)): path.read_text() for path in sorted(HERE.rglob("*.py"))}


@cache
def parsed(text: str) -> ast.Module:
    """The syntax tree of a text; the same object for the same text, so nobody may change it."""
    return ast.parse(text)


def imports_of(sources: Mapping[str, str]) -> list[Import]:
    """Every import of every file, in the order of files and lines."""
    modules = frozenset(sources)
    return [one for path, text in sources.items() for one in _imports(path, text, modules)]


@cache
def _imports(path: str, text: str, modules: frozenset[str]) -> tuple[Import, ...]:
    resolver = _Resolver(path, modules)
    found: list[Import] = []
    for node in ast.walk(parsed(text)):
        for dotted, computed in _names(node, path, text):
            found += (
                Import(path, node.lineno, target, inside, computed)
                for target, inside in resolver.targets(dotted)
                if target != path
            )
    return tuple(sorted(set(found), key=lambda one: (one.line, one.target)))


def _names(node: ast.AST, path: str, text: str) -> Iterator[tuple[str, bool]]:
    """The absolute dotted names that one statement or call imports, and whether a part was computed."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, False
    elif isinstance(node, ast.ImportFrom):
        base = absolute(path, node.level, node.module or "")
        for alias in node.names:
            yield (f"{base}.{alias.name}" if alias.name != "*" else base), False
    elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOMES" and isinstance(node.value, ast.Dict):
        for key in node.value.keys:  # a door's table of lazy names: module -> names
            yield absolute(path, 1, ast.literal_eval(key)), False
    elif isinstance(node, ast.Call) and qualified_name(node.func, aliases(path, text)) in _IMPORTERS:
        named = [keyword.value for keyword in node.keywords if keyword.arg == "name"]
        yield _called((node.args or named or [node.func])[0], path)
    elif (
        isinstance(node, ast.Assign | ast.keyword | ast.Return)
        and node.value is not None
        and qualified_name(node.value, aliases(path, text)) in _IMPORTERS
    ):
        yield UNKNOWN, True  # handed on, to be called with who knows what


_IMPORTERS = {"importlib.import_module", "importlib.__import__", "__import__", "builtins.__import__"}


def _called(name: ast.expr, path: str) -> tuple[str, bool]:
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        return _from_string(path, name.value), False
    if isinstance(name, ast.JoinedStr) and isinstance(name.values[0], ast.Constant):
        folder = str(name.values[0].value).rpartition(".")[0]
        if folder.strip(".").removeprefix(PACKAGE):
            # The part that is written out says which room; every module of it may be meant.
            return _from_string(path, folder) + ".*", True
    return UNKNOWN, True


def _from_string(path: str, name: str) -> str:
    level = len(name) - len(name.lstrip("."))
    return absolute(path, level, name[level:]) if level else name


def absolute(path: str, level: int, module: str) -> str:
    """The dotted name that `module` stands for in this file, with so many dots before it."""
    if level == 0:
        return module
    package = [PACKAGE, *path.split("/")[:-1]]
    return ".".join([*package[: len(package) - level + 1], *([module] if module else [])])


class _Resolver:
    """Dotted names to paths below the package: a module, or the `__init__` that holds the name."""

    def __init__(self, path: str, modules: frozenset[str]) -> None:
        self._path = path
        self._modules = modules

    def targets(self, dotted: str) -> Iterator[tuple[str, bool]]:
        first, *rest = dotted.split(".")
        if first != PACKAGE:
            yield dotted, False
            return
        if rest and rest[-1] == "*":
            folder = "/".join(rest[:-1]) + "/" if rest[:-1] else ""
            yield from (
                (one, True) for one in self._modules if one.startswith(folder) and one != f"{folder}__init__.py"
            )
            return
        if rest[:1] == ["_native"]:
            yield "_native", True
            return
        for end in range(len(rest), -1, -1):
            stem = "/".join(rest[:end])
            for one in (f"{stem}.py", f"{stem}/__init__.py" if stem else FRONT):
                if one in self._modules:
                    yield one, True
                    return


@cache
def aliases(path: str, text: str) -> dict[str, str]:
    """What each imported name stands for: `import os.path as p` gives p -> os.path."""
    found: dict[str, str] = {}
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                found[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom):
            base = absolute(path, node.level, node.module or "")
            for alias in node.names:
                found[alias.asname or alias.name] = f"{base}.{alias.name}"
    return found


def qualified_name(node: ast.AST, names: Mapping[str, str]) -> str | None:
    """`p.exists` with p -> os.path gives os.path.exists; a builtin gives its own name; anything else None."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id if hasattr(builtins, node.id) else None)
    if isinstance(node, ast.Attribute):
        base, attribute = qualified_name(node.value, names), node.attr
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" and len(node.args) > 1:
        if not isinstance(node.args[1], ast.Constant):
            return None
        base, attribute = qualified_name(node.args[0], names), str(node.args[1].value)
    else:
        return None
    return None if base is None else f"{base}.{attribute}"


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The strongly connected groups of more than one, each sorted."""
    reach = _reachable(graph)
    groups = {tuple(sorted({a, *(b for b in reach[a] if a in reach[b])})) for a in graph}
    return sorted(list(group) for group in groups if len(group) > 1)


def _reachable(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    reach: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            one = waiting.pop()
            if one in graph and one not in seen:
                seen.add(one)
                waiting += graph.get(one, ())
        reach[start] = seen
    return reach


def longest_chain(graph: Mapping[str, set[str]]) -> list[str]:
    """The longest way down through a graph without circles, from the top to the ground."""

    @cache
    def below(one: str) -> tuple[str, ...]:
        return (one, *max((below(other) for other in sorted(graph.get(one, ()))), key=len, default=()))

    return list(max((below(one) for one in sorted(graph)), key=len, default=()))
