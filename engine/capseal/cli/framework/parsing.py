"""From the words of a command line to the call of a command, by way of argparse."""

import argparse
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from ...errors import UsageError
from . import console
from .arguments import (
    REQUIRED,
    VERBOSE,
    Command,
    Declaration,
    Group,
    Guide,
    declared,
    gathered,
    options_in_front,
    options_of_all,
)
from .exit_codes import DONE, USAGE, note_step

_COLUMNS = 100
"""What argparse may think that a terminal has, so that it does not look."""

_SWITCHES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
"""What the variable of a flag may say."""

_TEXTS = frozenset({"ADDRESS", "DIGEST", "ID", "NAME", "TEXT", "TYPE", "URL", "VERSION"})
"""What the values are called that are texts. All others may be paths, which are any bytes."""

_PEM_STARTS = ("-----BEGIN", "LS0tLS1CRUdJTi")
"""How PEM begins, and base64 of it."""


def run(
    path: str,
    node: Command | Group,
    words: Sequence[str],
    *,
    outer: Callable[[], tuple[Any, ...]] = tuple,
    guide: Callable[[], Guide] = Guide,
    quiet: bool = False,
) -> int | None:
    """Run the command that the words name, or print help or the version; return the exit code.

    path: the words in front of these; outer: gives what the groups around a command hand to it; guide: is asked where
    help is printed; quiet: a group around it was told so. Raises UsageError where the words fit no command, and what
    the command raises.
    """
    if isinstance(node, Group):
        return _run_group(path, node, words, outer, guide, quiet=quiet)
    parameters = declared(node)
    given, rest = _scan(path, parameters, words, of_all=options_of_all(node))
    if "help" in given:
        _help(path, node, guide())
        return DONE
    values = _values(path, parameters, given, rest)
    written, read = _files_in(parameters, values)
    if written:
        from . import outputs  # here, since many commands write nothing

        outputs.check(written, read)
    json = given.get("json", False)
    if json and console.STANDARD in written:
        raise UsageError("--json and -o - would both write to standard output; give -o FILE")
    try:
        guided = {"guide": guide()} if "guide" in node.__annotations__ else {}
        with console.telling(console.Telling(json, quiet or given.get("quiet", False))):
            return node(*outer(), **gathered(node, values), **guided)
    except OSError as error:
        note_step(error, f"in '{path}'", file=next(iter([*written, *read]), None))
        raise


def _help(path: str, node: Command | Group, guide: Guide) -> None:
    from .help_texts import help_of  # here, since few command lines ask for it

    console.write(help_of(path, node, guide))


def is_verbose(words: Sequence[str]) -> bool:
    """Tell whether the words ask for tracebacks, wherever that stands among the options."""
    options = words[: words.index("--")] if "--" in words else words
    return any(name in options for name in VERBOSE.names)


def _run_group(
    path: str,
    group: Group,
    words: Sequence[str],
    outer: Callable[[], tuple[Any, ...]],
    guide: Callable[[], Guide],
    *,
    quiet: bool,
) -> int | None:
    options = options_in_front(group)
    count = _count_in_front(options, words)
    given, _ = _scan(path, options, words[:count], of_all=options_of_all(group))
    if "help" in given or not words:
        _help(path, group, guide())
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

    quiet = quiet or given.get("quiet", False)
    return run(f"{path} {name}", group.commands[name], words[count + 1 :], outer=inner, guide=guide, quiet=quiet)


def _count_in_front(options: Mapping[str, Declaration], words: Sequence[str]) -> int:
    """Return how many words stand in front of a group's command: options and their values."""
    followed_by_value = {name for option in options.values() if option.metavar for name in option.names}
    count = 0
    while count < len(words) and _is_option(words[count]):
        count += 2 if words[count] in followed_by_value else 1
    return count


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _scan(
    path: str, parameters: Mapping[str, Declaration], words: Sequence[str], *, of_all: Mapping[str, Declaration]
) -> tuple[dict[str, Any], list[str]]:
    """Return the options among the words, by their parameters' names, and the other words. of_all: options, too.

    Options may stand between arguments, so argparse is told of options only: its own way to allow that,
    parse_intermixed_args(), loses "--" in Python 3.11.
    """
    options = {name: declaration for name, declaration in parameters.items() if declaration.names}
    options |= of_all
    parser = argparse.ArgumentParser(
        add_help=False,
        allow_abbrev=False,
        exit_on_error=False,
        argument_default=argparse.SUPPRESS,
        # Without a width, every add_argument() would ask for the terminal's, and import shutil for that.
        formatter_class=partial(argparse.HelpFormatter, width=_COLUMNS),
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
        said_by = str(declaration)
        if declaration.names:
            found = given.get(name)
        elif declaration.repeatable:
            found, words = words or None, []
        else:
            found = words.pop(0) if words else None
        if found is None:
            found, said_by = _from_environment(path, declaration), str(declaration.env)
        if found is not None:
            values[name] = _converted(path, declaration, found, said_by)
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


def _converted(path: str, declaration: Declaration, found: Any, said_by: str) -> Any:
    if not declaration.metavar:
        return found
    try:
        for word in found if declaration.repeatable else [found]:
            _check_text(declaration, word)
            _check_no_secret(declaration, word)
            if not word and declaration.type(word) == "":
                raise ValueError("it is empty")
        return [declaration.type(word) for word in found] if declaration.repeatable else declaration.type(found)
    except ValueError as error:
        raise _mistake(path, f"invalid value for {said_by}: {error}") from None


def _check_text(declaration: Declaration, word: str) -> None:
    """Check that a text or URL is one. Raises ValueError where the words of the command line are not UTF-8 there."""
    if declaration.metavar.removesuffix("...") in _TEXTS or "://" in word:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{word!r} is not UTF-8") from None


def _check_no_secret(declaration: Declaration, word: str) -> None:
    """Check that the name of a file is no key, as a pipeline may have one in a variable. Raises ValueError."""
    if declaration.metavar.removesuffix("...") not in _TEXTS and any(start in word for start in _PEM_STARTS):
        raise ValueError("it is a key itself, which is not shown here; give the name of a file that has it")


def _mistake(path: str, message: str) -> UsageError:
    return UsageError(f"{message} (see {path} --help)")


def _closest(word: str, known: Iterable[str]) -> str:
    """Return a hint at the known word that may have been meant, or nothing."""
    import difflib

    # All options begin alike, which makes none of them likely: without that, --overwrite is no --version.
    bare = {one.lstrip("-"): one for one in known}
    close = difflib.get_close_matches(word.lstrip("-"), bare, n=1)
    return "".join(f"; did you mean '{bare[one]}'?" for one in close)
