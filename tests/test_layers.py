"""Modules import from their own layer or from below, never from above, and never in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import capseal

ROOT = Path(capseal.__file__).parent
LAYERS = (
    {"_version", "errors", "params", "_pagecache"},
    {"keys", "layout", "strictjson", "statement", "seals", "segments", "_hashing", "tree"},
    {
        "certificates",
        "trust",
        "signers",
        "external_signers",
        "zipping",
        "source",
        "sink",
        "pipeline",
        "acceptance",
        "project",
        "worktree",
    },
    {"verifying", "unsealing", "sealing", "resealing", "parts", "reader", "trust_updates", "release_log", "diagnosis"},
    {"embedding", "client", "device", "server", "development", "releasing", "capgo"},
    {"cli", "__main__"},
)
LAYER_OF = {module: number for number, layer in enumerate(LAYERS) for module in layer}


def _room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    """The rooms of capseal that a file imports, whether at its top or inside a function."""
    package = ["capseal", *path.relative_to(ROOT).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("capseal.")}
    # `from capseal import seal` names what a room holds, not a room.
    return {capseal._HOME_OF.get(name, name) for name in found} - {"_native"}


FILES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py" or path.parent != ROOT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    room = _room(path)
    assert room in LAYER_OF, f"{room} has no layer in {Path(__file__).name} yet"
    for other in _imports(path) - {room}:
        assert LAYER_OF.get(other, 0) <= LAYER_OF[room], f"{room} imports {other}, which is above it"


def test_nothing_is_imported_in_a_circle():
    graph: dict[str, set[str]] = {}
    for path in FILES:
        graph.setdefault(_room(path), set()).update(_imports(path) - {_room(path)})
    TopologicalSorter(graph).prepare()


def test_the_compiled_module_is_imported_in_two_places():
    importers = {path.name for path in FILES if "_native import" in path.read_text()}
    assert importers == {"_hashing.py", "_pagecache.py"}


def test_the_format_does_no_io_and_reads_no_clock():
    for module in ("strictjson", "statement", "seals", "layout", "segments", "tree", "acceptance"):
        tree = ast.parse((ROOT / f"{module}.py").read_text())
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not imported & {"os", "io", "time", "random", "secrets", "socket", "sys", "pathlib"}, module
        called = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"open", "print", "input"}, module


def test_the_library_prints_nothing_and_reads_no_environment():
    for path in FILES:
        if _room(path) in LAYERS[-1] | {"device", "server"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("print", "input"), path
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("environ", "getenv"), path
