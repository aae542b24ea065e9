"""docs/commands.md, drawn from the commands: `PYTHONPATH=tests python -m cli.command_table` writes it."""

import types
from collections.abc import Iterator
from typing import Any, get_args

from capseal.cli import _app as app
from capseal.cli._examples import EXAMPLES, HEADINGS
from capseal.cli.framework.arguments import Command, Group, declared
from support.places import ROOT

PAGE = ROOT / "docs" / "commands.md"

_INTRODUCTION = """# Commands

`capseal --help` has all of them, `capseal help COMMAND` (or `capseal COMMAND --help`) what one takes, with these
examples. This page is drawn from the commands (`PYTHONPATH=tests python -m cli.command_table`), and a test holds it
against them.

- **`--json`**: prints what it found or did as JSON on standard output, errors as lines on standard error. The others
  write a file, or print a line that needs no parsing.
- **progress**: a bar on standard error, where a person is looking, for what takes more than a second.
- **settings**: what stands in for options. *toml*: `capseal.toml`, here or in a folder above ([keys.md](keys.md));
  variables go before it, and options before both.
- **completion**: every command, option and choice, in bash, zsh, fish and tcsh: `pip install 'capseal[completion]'`,
  from a clone `pip install '.[completion]'` in its folder, then `capseal completion` as in its examples.
- Exit codes: 0 done, 1 rejected, 2 usage, 3 environment (I/O, network), 70 a mistake of capseal's own, 130 interrupted.

| command | example | `--json` | progress | settings |
|---|---|---|---|---|
"""


def leaves(node: Command | Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Command]]:
    """Give every command with its name."""
    if isinstance(node, Group):
        for name, inner in node.commands.items():
            yield from leaves(inner, (*path, name))
    else:
        yield " ".join(path), node


def drawn() -> str:
    """Return the page."""
    places = [name for names in HEADINGS.values() for name in names]
    commands = sorted(leaves(app.CAPSEAL), key=lambda one: places.index(one[0].partition(" ")[0]))
    return _INTRODUCTION + "".join(_row(name, node) for name, node in commands)


def _row(name: str, node: Command) -> str:
    options = {word for one in declared(node).values() for word in one.names}
    used = set(_used_by(node, set()))
    variables = sorted({one.env for one in _declarations(name, node) if one.env})
    if name == "serve":
        variables = ["CAPSEAL_SERVE_…"]
    settings = [*(["*toml*"] if "find_config" in used else []), *(f"`{one}`" for one in variables)]
    example = EXAMPLES[name][0].replace("|", r"\|")
    marks = ["✓" if is_so else "" for is_so in ("--json" in options, "progress" in used)]
    return f"| `{name}` | `{example}` | {marks[0]} | {marks[1]} | {', '.join(settings)} |\n"


def _declarations(name: str, node: Command) -> list[Any]:
    group = app.CAPSEAL.commands[name.partition(" ")[0]]
    in_front = declared(group.options) if isinstance(group, Group) and group.options else {}
    return [*declared(node).values(), *in_front.values()]


def _used_by(function: Any, seen: set[Any]) -> Iterator[str]:
    """Give the names in a command's code, and in that of what it calls or is given here."""
    if function in seen:
        return
    seen.add(function)
    for code in _codes(function.__code__):
        for name in code.co_names:
            yield name
            found = function.__globals__.get(name)
            if isinstance(found, types.FunctionType) and found.__module__.startswith("capseal.cli"):
                yield from _used_by(found, seen)
    for annotation in function.__annotations__.values():
        for kind in (annotation, *get_args(annotation)):
            if isinstance(kind, type) and kind.__module__.startswith("capseal.cli"):
                for method in vars(kind).values():
                    if isinstance(method, types.FunctionType) and method.__name__ != "__new__":
                        yield from _used_by(method, seen)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _codes(inner)


if __name__ == "__main__":
    PAGE.write_text(drawn())
