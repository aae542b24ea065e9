"""docs/commands.md, drawn from the commands: `PYTHONPATH=tests python -m cli.command_table` writes it."""

import inspect
import types
from collections.abc import Iterator
from typing import Any, get_args

from capseal.cli import _app as app
from capseal.cli._examples import EXAMPLES, HEADINGS
from capseal.cli.framework.arguments import Command, Group, declared, why_no_json
from capseal.cli.framework.exit_codes import EXIT_CODES
from cli.json_keys import JSON
from support.places import ROOT

PAGE = ROOT / "docs" / "commands.md"

_INTRODUCTION = """# Commands

`capseal --help` has all of them, `capseal help COMMAND` (or `capseal COMMAND --help`) what one takes, with these
examples. This page is drawn from the commands (`PYTHONPATH=tests python -m cli.command_table`), and a test holds it
against them.

- **`--json`**: prints what it found or did as one JSON value on standard output, and nothing else there; warnings and
  errors stay lines on standard error. What it has is [below](#what---json-prints). A command without it says why.
- **`-q`**: prints what was asked for, warnings and errors, and nothing else: no bar, no "next". **`-v`**: the traceback
  where capseal fails by a mistake of its own. Both stand anywhere among the options of every command. Help is as wide
  as the terminal, at most 100 columns; there are no colours but those of the bar, and none with `NO_COLOR`.
- **progress**: a bar on standard error, where a person is looking, for what takes more than a second.
- **settings**: what stands in for options. *toml*: `capseal.toml`, here or in a folder above ([keys.md](keys.md));
  variables go before it, and options before both.
- **completion**: every command, option and choice, in bash, zsh, fish and tcsh: `pip install 'capseal[completion]'`,
  from a clone `pip install '.[completion]'` in its folder, then `capseal completion` as in its examples.
- Exit codes: EXIT_CODES.

| command | example | `--json` | progress | settings |
|---|---|---|---|---|
"""

_JSON = """
## What `--json` prints

One value, in ASCII, whose members stay what they are: later versions add some, and take none away. Sizes are bytes
(`…_bytes`, `bytes`, `size`), spans of time seconds (`…_s`, `seconds`), times RFC 3339 in UTC, digests and fingerprints
SHA-256 in hexadecimal. With exit code 0 it is always there; where a command fails, only `verify` has one.

| command | members | what they are |
|---|---|---|
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
    rows = "".join(_row(name, node) for name, node in commands)
    return (
        _INTRODUCTION.replace("EXIT_CODES", EXIT_CODES)
        + rows
        + _JSON
        + "".join(_members(name) for name, _ in commands if name in JSON)
    )


def _members(name: str) -> str:
    members, remark = JSON[name]
    return f"| `{name}` | {', '.join(f'`{one}`' for one in members)} | {remark} |\n"


def _row(name: str, node: Command) -> str:
    why = why_no_json(node)
    used = set(_used_by(node, set()))
    variables = sorted({one.env for one in _declarations(name, node) if one.env})
    if name == "serve":
        variables = ["CAPSEAL_SERVE_…"]
    settings = [*(["*toml*"] if "find_config" in used else []), *(f"`{one}`" for one in variables)]
    example = EXAMPLES[name][0].replace("|", r"\|")
    moving = "✓" if "progress" in used else ""
    return f"| `{name}` | `{example}` | {'✓' if why is None else why} | {moving} | {', '.join(settings)} |\n"


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
            if isinstance(found, types.FunctionType):
                found = inspect.unwrap(found)  # of a context manager, what it is made of
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
