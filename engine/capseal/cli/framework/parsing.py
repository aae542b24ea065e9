"""From the words of a command line to the call of a command, by way of argparse; and what --help prints."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import EnumType
from functools import partial
from typing import Any, NamedTuple

from ...errors import UsageError
from . import console
from .arguments import REQUIRED, Command, Declaration, Group, Number, declared, flag, gathered
from .exit_codes import DONE, USAGE, note_step

_HELP = flag("-h", "--help", help="Show this message and exit.")
_VERBOSE = flag("-v", "--verbose", help="Print the traceback where capseal fails by a mistake of its own.")
_VERSION = flag("-V", "--version", help="Print the version and exit.")
_MAX_COLUMNS = 100

_FIRST = (
    *("--version", "--output", "--seal", "--server", "--token-file"),
    *("--signer", "--signer-command", "--recipient", "--identity", "--trust"),
    *("--app", "--channel", "--role", "--sequence", "--min-sequence"),
    *("--native", "--native-min", "--native-below", "--platform"),
    *("--format", "--record", "--exclude", "--base", "--attachment", "--head", "--share"),
)
_LAST = ("--force", "--json", "--jobs", "--passphrase-file", "--passphrase-fd")
"""Where options that several commands have stand in help."""

_SWITCHES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
"""What the variable of a flag may say."""

_TEXTS = frozenset({"ADDRESS", "DIGEST", "ID", "NAME", "TEXT", "TYPE", "URL", "VERSION"})
"""What the values are called that are texts. All others may be paths, which are any bytes."""


class Guide(NamedTuple):
    """What --help has beside the declarations.

    A command with a parameter `guide` is given it. commands: all of them; headings: the names of the outermost ones, by
    what stands above them; examples: command lines, by the words that name a command behind the program's own name.
    """

    commands: Group = Group(help="", commands={})
    headings: Mapping[str, Sequence[str]] = {}
    examples: Mapping[str, Sequence[str]] = {}


def run(
    path: str,
    node: Command | Group,
    words: Sequence[str],
    *,
    outer: Callable[[], tuple[Any, ...]] = tuple,
    guide: Callable[[], Guide] = Guide,
) -> int | None:
    """Run the command that the words name, or print help or the version; return the exit code.

    path: the words in front of these; outer: gives what the groups around a command hand to it; guide: is asked where
    help is printed. Raises UsageError where the words fit no command, and what the command raises.
    """
    if isinstance(node, Group):
        return _run_group(path, node, words, outer, guide)
    parameters = declared(node)
    given, rest = _scan(path, parameters, words)
    if "help" in given:
        console.write(_help(path, node, guide()))
        return DONE
    values = _values(path, parameters, given, rest)
    written, read = _files_in(parameters, values)
    if written:
        from . import outputs  # here, since many commands write nothing

        outputs.check(written, read)
    try:
        guided = {"guide": guide()} if "guide" in node.__annotations__ else {}
        return node(*outer(), **gathered(node, values), **guided)
    except OSError as error:
        note_step(error, f"in '{path}'", file=next(iter([*written, *read]), None))
        raise


def is_verbose(words: Sequence[str]) -> bool:
    """Tell whether the words ask for tracebacks, wherever that stands among the options."""
    options = words[: words.index("--")] if "--" in words else words
    return any(name in options for name in _VERBOSE.names)


def _run_group(
    path: str, group: Group, words: Sequence[str], outer: Callable[[], tuple[Any, ...]], guide: Callable[[], Guide]
) -> int | None:
    options = _options_of(group)
    count = _count_in_front(options, words)
    given, _ = _scan(path, options, words[:count])
    if "help" in given or not words:
        console.write(_help(path, group, guide()))
        return DONE if words else USAGE
    if group.version is not None and "version" in given:
        console.write(group.version)
        return DONE
    if count >= len(words):
        raise _mistake(path, "missing command")
    name = words[count]
    if name not in group.commands:
        raise _mistake(path, f"no such command {name!r}{_closest(name, group.commands)}")

    def inner() -> tuple[Any, ...]:
        """Take the options only now, so that the command's --help does not ask for them."""
        return outer() if group.options is None else (*outer(), group.options(**_values(path, options, given, ())))

    return run(f"{path} {name}", group.commands[name], words[count + 1 :], outer=inner, guide=guide)


def _options_of(group: Group) -> dict[str, Declaration]:
    options = {} if group.options is None else declared(group.options)
    return options if group.version is None else {**options, "version": _VERSION}


def _count_in_front(options: Mapping[str, Declaration], words: Sequence[str]) -> int:
    """Return how many words stand in front of a group's command: options and their values."""
    followed_by_value = {name for option in options.values() if option.metavar for name in option.names}
    count = 0
    while count < len(words) and _is_option(words[count]):
        count += 2 if words[count] in followed_by_value else 1
    return count


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _scan(path: str, parameters: Mapping[str, Declaration], words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the options among the words, by their parameters' names, and the other words.

    Options may stand between arguments, so argparse is told of options only: its own way to allow that,
    parse_intermixed_args(), loses "--" in Python 3.11.
    """
    options = {name: declaration for name, declaration in parameters.items() if declaration.names}
    options |= {"verbose": _VERBOSE, "help": _HELP}
    parser = argparse.ArgumentParser(
        add_help=False,
        allow_abbrev=False,
        exit_on_error=False,
        argument_default=argparse.SUPPRESS,
        # Without a width, every add_argument() would ask for the terminal's, and import shutil for that.
        formatter_class=partial(argparse.HelpFormatter, width=_MAX_COLUMNS),
    )
    for name, option in options.items():
        if option.metavar:
            parser.add_argument(*option.names, dest=name, action="append" if option.repeatable else "store")
        else:
            parser.add_argument(*option.names, dest=name, action="store_true")
        if option.opposite:
            parser.add_argument(option.opposite, dest=name, action="store_false")
    end = words.index("--") if "--" in words else len(words)
    try:
        given, rest = parser.parse_known_args(words[:end])
    except argparse.ArgumentError as error:
        name = str(error.argument_name).rpartition("/")[2]
        valued = any(option.metavar and name in option.names for option in options.values())
        raise _mistake(path, f"option '{name}' {'needs a value' if valued else 'takes no value'}") from None
    for word in filter(_is_option, rest):
        name = word.partition("=")[0]
        known = [name for option in options.values() for name in (*option.names, option.opposite) if name]
        raise _mistake(path, f"no such option: {name}{_closest(name, known)}")
    return vars(given), [*rest, *words[end + 1 :]]


def _values(
    path: str, parameters: Mapping[str, Declaration], given: Mapping[str, Any], rest: Sequence[str]
) -> dict[str, Any]:
    """Return the values of the parameters that have one, checked and converted."""
    values = {}
    words = list(rest)
    for name, declaration in parameters.items():
        if declaration.names:
            found = given[name] if name in given else _from_environment(path, declaration)
        elif declaration.repeatable:
            found, words = words or None, []
        else:
            found = words.pop(0) if words else _from_environment(path, declaration)
        if found is not None:
            values[name] = _converted(path, declaration, found)
        elif declaration.default is REQUIRED:
            raise _mistake(path, f"missing {declaration}")
    if words:
        raise _mistake(path, f"unexpected argument {words[0]!r}")
    return values


def _files_in(parameters: Mapping[str, Declaration], values: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the files that are written, and those that are not to be lost: all that is given and no text."""
    written = [value for name, value in values.items() if parameters[name].writes]
    read: list[str] = []
    for name, value in values.items():
        declaration = parameters[name]
        # No output takes the place of a folder, but it may be in one that is read.
        if declaration.writes or (declaration.in_place and len(written) == 1 and not os.path.isdir(value)):
            continue
        if declaration.metavar.removesuffix("...") not in _TEXTS:
            read += [word for word in (value if declaration.repeatable else [value]) if isinstance(word, str)]
    return written, read


def _from_environment(path: str, declaration: Declaration) -> str | list[str] | bool | None:
    text = None if declaration.env is None else os.environ.get(declaration.env)
    if text is None:
        return None
    if not text.strip():
        # As a pipeline sets it from a secret that is not there: to go on would be to go on with something else.
        raise _mistake(path, f"{declaration.env} is set, but empty: unset it, or set it to what {declaration} takes")
    if declaration.metavar:
        return text.split() if declaration.repeatable else text
    if text.lower() not in _SWITCHES:
        raise _mistake(path, f"invalid value for {declaration.env}: {text!r} is not one of {', '.join(_SWITCHES)}")
    return _SWITCHES[text.lower()]


def _converted(path: str, declaration: Declaration, found: Any) -> Any:
    if not declaration.metavar:
        return found
    try:
        for word in found if declaration.repeatable else [found]:
            _check_text(declaration, word)
            if not word and declaration.type(word) == "":
                raise ValueError("it is empty")
        return [declaration.type(word) for word in found] if declaration.repeatable else declaration.type(found)
    except ValueError as error:
        raise _mistake(path, f"invalid value for {declaration}: {error}") from None


def _check_text(declaration: Declaration, word: str) -> None:
    """Check that a text or URL is one. Raises ValueError where the words of the command line are not UTF-8 there."""
    if declaration.metavar.removesuffix("...") in _TEXTS or "://" in word:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{word!r} is not UTF-8") from None


def _mistake(path: str, message: str) -> UsageError:
    return UsageError(f"{message} (see {path} --help)")


def _closest(word: str, known: Iterable[str]) -> str:
    """Return a hint at the known word that may have been meant, or nothing."""
    import difflib

    return "".join(f"; did you mean '{one}'?" for one in difflib.get_close_matches(word, known, n=1))


def parameters_of(node: Command | Group) -> list[Declaration]:
    """Return the declarations of a command, or of what stands in front of a group's commands, and those of all.

    What many commands share stands in one order everywhere; what one has of its own is between.
    """
    declarations = _options_of(node) if isinstance(node, Group) else declared(node)
    return [*sorted(declarations.values(), key=_place_of), _VERBOSE, _HELP]


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
    return parser


def _help(path: str, node: Command | Group, guide: Guide) -> str:
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
    import shutil

    width = min(shutil.get_terminal_size().columns - 2, _MAX_COLUMNS) - len(" \\")
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
    return " ".join([*words, *(["COMMAND ..."] if commands else [])])


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
        import shutil

        super().__init__(prog, max_help_position=30, width=min(shutil.get_terminal_size().columns - 2, _MAX_COLUMNS))

    if sys.version_info < (3, 13):

        def _format_action_invocation(self, action: argparse.Action) -> str:
            """Name the value once, as later versions do: '-o, --output FILE'."""
            named = ", ".join(action.option_strings)
            return f"{named} {action.metavar or ''}".strip() if named else super()._format_action_invocation(action)
