"""The rules of the house, each a function from sources to what breaks it."""

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from posixpath import basename, dirname

from house.effects import effects_at_import, effects_of
from house.layers import (
    AT_IMPORT,
    COMPUTED_IMPORTS,
    FOR_OTHERS,
    GROUND,
    MAX_FLOORS,
    MAX_ROOT_FILES,
    REACHES,
    ROOMS,
    Room,
)
from house.reading_imports import (
    FRONT,
    UNKNOWN,
    Import,
    absolute,
    circles,
    imports_of,
    longest_chain,
    parsed,
)

Sources = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Breach:
    """What breaks a rule. line: 0 where it is no single line."""

    path: str
    what: str
    line: int = 0

    @property
    def key(self) -> str:
        """The same however lines move."""
        return f"{self.path}: {self.what}"

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}" if self.line else self.key


def room_of(path: str) -> str:
    """The room that a file belongs to: its folder, or its own name at the root."""
    return "capseal" if path == FRONT else path.partition("/")[0].removesuffix(".py")


def inner_room_of(path: str) -> str | None:
    """The room within the room, if the file is in one."""
    return path.split("/")[1] if path.count("/") > 1 else None


def edges(sources: Sources) -> list[Import]:
    """Imports of one module of capseal by another, the compiled one and names that nobody can read left out."""
    return [one for one in imports_of(sources) if one.inside and one.target != "_native"]


def graph_of_files(sources: Sources) -> dict[str, set[str]]:
    """Each file and those that it imports."""
    graph: dict[str, set[str]] = {path: set() for path in sources}
    for one in edges(sources):
        graph[one.path].add(one.target)
    return graph


def graph_of_rooms(sources: Sources) -> dict[str, set[str]]:
    """Each room and those that its files import from."""
    graph: dict[str, set[str]] = {room_of(path): set() for path in sources}
    for one in edges(sources):
        if room_of(one.path) != room_of(one.target):
            graph[room_of(one.path)].add(room_of(one.target))
    return graph


# The rules.


def only_allowed_rooms_are_used(sources: Sources) -> Iterator[Breach]:
    for one in edges(sources):
        room, other = room_of(one.path), room_of(one.target)
        if room in GROUND and other != room:
            yield Breach(one.path, f"imports {one.target}, and is the ground of the house", one.line)
        elif other not in GROUND and other != room and other not in _room(ROOMS, room).uses:
            yield Breach(one.path, f"imports {one.target}, and {room} may not use {other}", one.line)
        elif other == room:
            inner, other_inner = inner_room_of(one.path), inner_room_of(one.target)
            allowed = {inner, None, *_room(ROOMS[room].inner, inner or "").uses}
            if inner and other_inner not in allowed:
                yield Breach(one.path, f"imports {one.target}, and {inner} may not use {other_inner}", one.line)


def _room(rooms: Mapping[str, Room], name: str) -> Room:
    return rooms.get(name, Room("not in the table"))


def the_table_is_of_the_house(sources: Sources) -> Iterator[Breach]:
    """Every room has a line, and no line permits what nobody does."""
    rooms = graph_of_rooms(sources)
    for room in sorted(rooms.keys() ^ (ROOMS.keys() | GROUND.keys())):
        yield Breach(room, "is a room without a line in the table" if room in rooms else "is in the table, and no room")
    for room in ROOMS.keys() & rooms.keys():
        for other in sorted(ROOMS[room].uses.keys() - rooms[room]):
            yield Breach(room, f"may use {other} and does not")
        used: dict[str, set[str]] = {
            inner: set() for path in sources if room_of(path) == room and (inner := inner_room_of(path))
        }
        for one in edges(sources):
            inner, other_inner = inner_room_of(one.path), inner_room_of(one.target)
            if room_of(one.path) == room == room_of(one.target) and inner and other_inner:
                used[inner].add(other_inner)
        for inner in sorted(used.keys() ^ ROOMS[room].inner.keys()):
            yield Breach(f"{room}/{inner}", "is not both a room and a line in the table")
        for inner in sorted(used.keys() & ROOMS[room].inner.keys()):
            for other in sorted(ROOMS[room].inner[inner].uses.keys() - used[inner]):
                yield Breach(f"{room}/{inner}", f"may use {other} and does not")


def nothing_goes_in_circles(sources: Sources) -> Iterator[Breach]:
    for what, graph in (("files", graph_of_files(sources)), ("rooms", graph_of_rooms(sources))):
        for circle in circles(graph):
            yield Breach(circle[0], f"is in a circle of {what}: {', '.join(circle)}")


def the_house_is_low(sources: Sources) -> Iterator[Breach]:
    rooms = graph_of_rooms(sources)
    if not circles(rooms):
        chain = longest_chain(rooms)
        if len(chain) > MAX_FLOORS:
            yield Breach(chain[0], f"stands on {len(chain)} floors, at most {MAX_FLOORS}: {' > '.join(chain)}")
    root = sorted(path for path in sources if "/" not in path)
    if len(root) > MAX_ROOT_FILES:
        yield Breach(root[-1], f"is one of {len(root)} files at the root, at most {MAX_ROOT_FILES}: {', '.join(root)}")


def private_modules_stay_in_their_room(sources: Sources) -> Iterator[Breach]:
    """A module `_x` is imported from its own folder and the folders in it, whatever holds the import."""
    for one in edges(sources):
        parts = one.target.split("/")
        for depth, part in enumerate(parts):
            if part.startswith("_") and not part.startswith("__"):
                home = "/".join(parts[:depth])
                if home and not one.path.startswith(f"{home}/"):
                    yield Breach(one.path, f"imports {one.target}, which is private to {home}", one.line)


def what_only_its_room_uses_looks_private(sources: Sources) -> Iterator[Breach]:
    users: dict[str, set[str]] = {path: set() for path in sources}
    for one in edges(sources):
        users[one.target].add(one.path)
    for path in sources:
        if basename(path).startswith("_") or path in FOR_OTHERS:
            continue
        if not any(dirname(user) != dirname(path) for user in users[path]):
            yield Breach(path, "is used by its own room only, and has no underscore")


def no_door_hides_a_module(sources: Sources) -> Iterator[Breach]:
    """A name of an `__init__` is not that of a module beside it, unless it is the module."""
    for path, text in sources.items():
        if basename(path) != "__init__.py":
            continue
        folder = dirname(path)
        package = absolute(path, 1, "")
        beside = {
            one.removeprefix(f"{folder}/" if folder else "").partition("/")[0].removesuffix(".py")
            for one in sources
            if one.startswith(f"{folder}/" if folder else "") and one != path
        }
        for name, line, module in _bound(parsed(text), path):
            if name in beside and module != f"{package}.{name}":
                yield Breach(path, f"its {name} hides the module {name} beside it", line)


def _bound(tree: ast.Module, path: str) -> Iterator[tuple[str, int, str | None]]:
    """Names that a module binds or offers, and the full name of what they stand for where an import says so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = absolute(path, node.level, node.module or "")
            yield from ((alias.asname or alias.name, node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.asname, node.lineno, alias.name) for alias in node.names if alias.asname)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno, None
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            yield from ((name, node.lineno, None) for name in names)
            if "_HOMES" in names and isinstance(node.value, ast.Dict):
                offered = [ast.literal_eval(one) for one in node.value.values]
                yield from ((name, node.lineno, None) for group in offered for name in group)


def only_native_imports_the_compiled_module(sources: Sources) -> Iterator[Breach]:
    for one in imports_of(sources):
        if one.target == "_native" and room_of(one.path) != "native":
            yield Breach(one.path, "imports the compiled module, which only native may", one.line)


def every_import_can_be_read(sources: Sources) -> Iterator[Breach]:
    for one in imports_of(sources):
        if one.target == UNKNOWN and one.path not in COMPUTED_IMPORTS:
            yield Breach(one.path, "imports a module by a computed name", one.line)


def nobody_reaches_for_more_than_the_table_says(sources: Sources) -> Iterator[Breach]:
    for path, text in sources.items():
        found = effects_of(path, text)
        for kind in sorted({one.kind for one in found}):
            if not _covering(REACHES[kind], path):
                names = sorted({one.name for one in found if one.kind == kind})
                line = min(one.line for one in found if one.kind == kind)
                yield Breach(path, f"reaches for the {kind} by {', '.join(names)}", line)


def _covering(allowed: Mapping[str, str], path: str) -> list[str]:
    return [one for one in allowed if path == one or (one.endswith("/") and path.startswith(one))]


def no_permission_to_reach_is_unused(sources: Sources) -> Iterator[Breach]:
    for kind, allowed in REACHES.items():
        using = [path for path, text in sources.items() if any(one.kind == kind for one in effects_of(path, text))]
        used = {one for path in using for one in _covering(allowed, path)}
        for one in sorted(allowed.keys() - used):
            yield Breach(one, f"may reach for the {kind} and does not")


def importing_does_nothing(sources: Sources) -> Iterator[Breach]:
    for path, text in sources.items():
        for one in effects_at_import(path, text):
            if f"{path}: {one.name}" not in AT_IMPORT:
                yield Breach(path, f"does something at import ({one.kind}): {one.name}", one.line)


RULES: tuple[Callable[[Sources], Iterator[Breach]], ...] = (
    only_allowed_rooms_are_used,
    the_table_is_of_the_house,
    nothing_goes_in_circles,
    the_house_is_low,
    private_modules_stay_in_their_room,
    what_only_its_room_uses_looks_private,
    no_door_hides_a_module,
    only_native_imports_the_compiled_module,
    every_import_can_be_read,
    nobody_reaches_for_more_than_the_table_says,
    no_permission_to_reach_is_unused,
    importing_does_nothing,
)
