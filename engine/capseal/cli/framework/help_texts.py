"""What --help prints, and what completes command lines: made of the declarations of all commands."""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import EnumType
from typing import Any

from .arguments import (
    REQUIRED,
    Command,
    Declaration,
    Group,
    Guide,
    Number,
    declared,
    options_in_front,
    options_of_all,
)

_MAX_COLUMNS = 100

_FIRST = (
    *("--version", "--output", "--seal", "--server", "--token-file"),
    *("--signer", "--signer-command", "--recipient", "--identity", "--trust"),
    *("--app", "--channel", "--role", "--sequence", "--min-sequence"),
    *("--native", "--native-min", "--native-below", "--platform"),
    *("--format", "--record", "--exclude", "--base", "--attachment", "--head", "--share"),
)
_LAST = ("--force", "--jobs", "--passphrase-file", "--passphrase-fd")
"""Where options that several commands have stand in help."""


def parameters_of(node: Command | Group) -> list[Declaration]:
    """Return the declarations of a command, or of what stands in front of a group's commands, and those of all.

    What many commands share stands in one order everywhere; what one has of its own is between.
    """
    declarations = options_in_front(node) if isinstance(node, Group) else declared(node)
    return [*sorted(declarations.values(), key=_place_of), *options_of_all(node).values()]


def _place_of(declaration: Declaration) -> int:
    if not declaration.names or declaration.names[-1] in _FIRST:
        return _FIRST.index(declaration.names[-1]) if declaration.names else -1
    last = declaration.names[-1] in _LAST
    return len(_FIRST) + (1 + _LAST.index(declaration.names[-1]) if last else 0)


def about(node: Command | Group) -> str:
    """Return the first sentences about a command or group."""
    return node.help if isinstance(node, Group) else (node.__doc__ or "").partition("\n\n")[0]


def parser_of(path: str, node: Command | Group, *, complete: Callable[[Declaration], Any]) -> argparse.ArgumentParser:
    """Return a parser that knows all options, arguments and commands, for who reads it; nothing is parsed with it.

    complete: gives the attribute of that name to whatever has a value that is none of a few words.
    """
    parser = argparse.ArgumentParser(path, description=about(node), add_help=False)
    for one in parameters_of(node):
        help, names = one.help.replace("%", "%%"), (*one.names, *([one.opposite] if one.opposite else []))
        if one.names and not one.metavar:
            parser.add_argument(*names, action="store_true", help=help)
            continue
        choices: list[Any] | None = list(one.type) if isinstance(one.type, EnumType) else None
        nargs = "*" if one.repeatable and not one.names else None
        action = parser.add_argument(*(names or [one.metavar]), help=help, choices=choices, nargs=nargs)
        if choices is None:
            action.complete = complete(one)  # type: ignore[attr-defined]
    if isinstance(node, Group):
        commands = parser.add_subparsers()
        for name, inner in node.commands.items():
            made = parser_of(f"{path} {name}", inner, complete=complete)
            commands.add_parser(name, parents=[made], add_help=False, help=about(inner).replace("%", "%%"))
        if node.version is not None:
            commands.add_parser("help", parents=[_topics_of(f"{path} help", node)], add_help=False, help="Show help.")
    return parser


def _topics_of(path: str, node: Group) -> argparse.ArgumentParser:
    """Return a parser that knows the names of commands alone, as `help` takes them."""
    parser = argparse.ArgumentParser(path, add_help=False)
    names = parser.add_subparsers()
    for name, inner in node.commands.items():
        parents = [_topics_of(f"{path} {name}", inner)] if isinstance(inner, Group) else []
        names.add_parser(name, parents=parents, add_help=False, help=about(inner).replace("%", "%%"))
    return parser


def help_of(path: str, node: Command | Group, guide: Guide) -> str:
    parameters = parameters_of(node)
    commands = node.commands if isinstance(node, Group) else {}
    parser = argparse.ArgumentParser(
        usage=_usage(path, parameters, commands),
        description=node.help if isinstance(node, Group) else node.__doc__ or "",
        epilog=node.epilog if isinstance(node, Group) else None,
        add_help=False,
        formatter_class=_Layout,
    )
    of_arguments, of_options = (parser.add_argument_group(title) for title in ("arguments", "options"))
    for declaration in parameters:
        if not declaration.names:
            of_arguments.add_argument(declaration.metavar, help=_described(declaration))
        elif declaration.metavar:
            of_options.add_argument(*declaration.names, metavar=declaration.metavar, help=_described(declaration))
        else:
            names = (*declaration.names, *([declaration.opposite] if declaration.opposite else []))
            of_options.add_argument(*names, action="store_true", help=_described(declaration))
    words = path.partition(" ")[2]
    headings: Mapping[str, Sequence[str]] = guide.headings if not words else {}
    for heading, listed in (headings or {"commands": tuple(commands)}).items():
        of_commands = parser.add_argument_group(heading)
        for name in listed:
            of_commands.add_argument(name, help=about(commands[name]).replace("%", "%%"))
    told = parser.format_help().rstrip("\n")
    # Of a group, one of each command.
    inner = (line for name in commands for line in guide.examples.get(f"{words} {name}", ())[:1])
    examples = guide.examples.get(words) or list(inner)
    return "\n".join([told, "", "examples:", *map(_continued, examples)]) if examples else told


def _continued(line: str) -> str:
    """Return a command line, broken between words as a shell takes it where it is too wide."""
    import re

    width = _width() - len(" \\")
    lines = [" "]
    for word in re.findall(r"'[^']*'|\S+", line):
        if len(lines[-1]) + 1 + len(word) > width:
            lines.append("     ")
        lines[-1] = f"{lines[-1]} {word}"
    return " \\\n".join(lines)


def _usage(path: str, parameters: Iterable[Declaration], commands: Mapping[str, Command | Group]) -> str:
    words = [path, "[OPTIONS]"]
    words += [f"{one.names[0]} {one.metavar}" for one in parameters if one.names and one.default is REQUIRED]
    words += [one.metavar if one.default is REQUIRED else f"[{one.metavar}]" for one in parameters if not one.names]
    import textwrap

    line = " ".join([*words, *(["COMMAND ..."] if commands else [])])
    return textwrap.fill(
        line,
        _width() - len("usage: "),
        subsequent_indent=" " * len("usage: "),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _width() -> int:
    """Return how wide help is: as the terminal, but no wider than is good to read."""
    import shutil

    return min(shutil.get_terminal_size().columns - 2, _MAX_COLUMNS)


def _described(declaration: Declaration) -> str:
    """Return the help of an option or argument, with what else is good to know."""
    notes = [str(declaration.type)] if isinstance(declaration.type, Number) else []
    if declaration.default is REQUIRED:
        notes += ["required"] if declaration.names else []
    elif declaration.default is True:
        notes += [f"default: {declaration.names[0]}"]
    elif declaration.default is not None and declaration.default is not False:
        notes += [f"default: {declaration.default}"]
    if declaration.env is not None:
        notes += [f"env: {declaration.env}"]
    return declaration.help.replace("%", "%%") + (f" [{'; '.join(notes)}]" if notes else "")


class _Layout(argparse.HelpFormatter):
    """The layout of argparse, no wider than is good to read."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=_width())

    if sys.version_info < (3, 13):

        def _format_action_invocation(self, action: argparse.Action) -> str:
            """Name the value once, as later versions do: '-o, --output FILE'."""
            named = ", ".join(action.option_strings)
            return f"{named} {action.metavar or ''}".strip() if named else super()._format_action_invocation(action)
