"""What commands take, declared in their signatures; parsing.py reads the declarations.

A command is a function: its docstring is its help, and each of its parameters is annotated with the option, flag or
argument that gives its value. A parameter without a default has to be given. Where it is annotated with a class that
is marked @together, the parameters of that class are declared in the same way, and the command is given one of it: so
commands share options. The values here are named tuples, which are made 0.5 ms sooner than dataclasses are, at every
start.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import EnumType, StrEnum
from typing import Annotated, Any, NamedTuple, TypeVar

Command = Callable[..., int | None]
"""Returns an exit code, or nothing where all went well."""

REQUIRED: Any = object()

T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., int | None])

_TOGETHER: set[type] = set()
_WITHOUT_JSON = "without_json"


class Group(NamedTuple):
    """Commands under one name.

    options: a function that takes what stands in front of the command's name, and returns what becomes the first
    parameter of the command; version: what --version prints.
    """

    help: str
    commands: "Mapping[str, Command | Group]"
    options: Callable[..., Any] | None = None
    version: str | None = None
    epilog: str | None = None


class Guide(NamedTuple):
    """What --help has beside the declarations.

    A command with a parameter `guide` is given it. commands: all of them; headings: the names of the outermost ones, by
    what stands above them; examples: command lines, by the words that name a command behind the program's own name.
    """

    commands: Group = Group(help="", commands={})
    headings: Mapping[str, Sequence[str]] = {}
    examples: Mapping[str, Sequence[str]] = {}


class Declaration(NamedTuple):
    """What gives a parameter its value: an argument has no names, and a flag has no metavar.

    opposite: the option that turns a flag off; env: the variable that stands in for an option or argument; writes: the
    value names a file that is written; in_place: it names one whose place the only output may take.
    """

    help: str
    names: tuple[str, ...] = ()
    metavar: str = ""
    type: Callable[[str], Any] = str
    repeatable: bool = False
    opposite: str | None = None
    env: str | None = None
    writes: bool = False
    in_place: bool = False
    default: Any = REQUIRED

    def __str__(self) -> str:
        return f"option '{self.names[-1]}'" if self.names else f"argument '{self.metavar}'"


def option(
    *names: str,
    help: str,
    metavar: str = "",
    type: Callable[[str], Any] = str,
    repeatable: bool = False,
    env: str | None = None,
    writes: bool = False,
) -> Declaration:
    """Declare an option with a value, or with a list of them. A Choice needs no metavar."""
    return Declaration(
        names=names,
        metavar=metavar or _words_of(type),
        help=help,
        type=type,
        repeatable=repeatable,
        env=env,
        writes=writes,
    )


def flag(*names: str, help: str, opposite: str | None = None) -> Declaration:
    """Declare an option that is there or not."""
    return Declaration(names=names, help=help, opposite=opposite, default=False)


def argument(
    metavar: str = "",
    *,
    help: str,
    type: Callable[[str], Any] = str,
    repeatable: bool = False,
    env: str | None = None,
    in_place: bool = False,
) -> Declaration:
    """Declare a value that is known by its place, or the list of all that follow. A Choice needs no metavar."""
    return Declaration(
        metavar=metavar or _words_of(type), help=help, type=type, repeatable=repeatable, env=env, in_place=in_place
    )


def together(kind: type[T]) -> type[T]:
    """Let a class stand for all its parameters where it annotates a command's parameter.

    A class with a function table() has the parameters whose declarations that returns, by their names.
    """
    _TOGETHER.add(kind)
    return kind


def without_json(why: str) -> Callable[[C], C]:
    """Let a command take no --json, which all others do; docs/commands.md says why."""

    def mark(command: C) -> C:
        command.__dict__[_WITHOUT_JSON] = why
        return command

    return mark


def why_no_json(command: Command) -> str | None:
    """Return why a command takes no --json, or None where it does."""
    return command.__dict__.get(_WITHOUT_JSON)


def options_of_all(node: Command | Group) -> dict[str, Declaration]:
    """Return the options that no command declares, since all take them."""
    told = {"quiet": _QUIET, "verbose": VERBOSE, "help": HELP}
    return told if isinstance(node, Group) or why_no_json(node) is not None else {"json": _JSON, **told}


def options_in_front(group: Group) -> dict[str, Declaration]:
    """Return the options of a group's own, which stand in front of the command's name."""
    options = {} if group.options is None else declared(group.options)
    return options if group.version is None else {**options, "version": _VERSION}


def declared(function: Callable[..., Any]) -> dict[str, Declaration]:
    """Return the declarations of a function's parameters, with the defaults that these have there."""
    found: dict[str, Declaration] = {}
    for name, annotation, default in _parameters(function):
        if hasattr(annotation, "__metadata__"):
            found[name] = annotation.__metadata__[0]._replace(default=default)
        elif annotation in _TOGETHER:
            found |= declared(annotation)
    return found


def gathered(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to call a function with, given the values of its declarations that have one."""
    keywords: dict[str, Any] = {}
    for name, annotation, _ in _parameters(function):
        if name in values:
            keywords[name] = values[name]
        elif annotation in _TOGETHER:
            keywords[name] = annotation(**gathered(annotation, values))
    return keywords


def _parameters(function: Callable[..., Any]) -> Iterator[tuple[str, Any, Any]]:
    """Give name, annotation and default of each annotated parameter of a function, or of what makes a class's values.

    As inspect.signature() does, which takes 6 ms to import.
    """
    table = getattr(function, "table", None)
    if table is not None:
        for name, declaration in table().items():
            yield name, Annotated[Any, declaration], declaration.default
        return
    made: Any = getattr(function, "__wrapped__", function)
    if isinstance(made, type):
        made = made.__new__ if issubclass(made, tuple) else made.__init__
    names = made.__code__.co_varnames[: made.__code__.co_argcount]
    defaults = made.__defaults__ or ()
    default_of = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True)) | (made.__kwdefaults__ or {})
    for name, annotation in made.__annotations__.items():
        if name != "return":
            yield name, annotation, default_of.get(name, REQUIRED)


class Choice(StrEnum):
    """One of a few words."""

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise ValueError(f"{value!r} is not one of {', '.join(cls)}")


def _words_of(type: Callable[[str], Any]) -> str:
    return "|".join(type) if isinstance(type, EnumType) else ""


class Number(NamedTuple):
    """The type of numbers within bounds, which are part of it; they are whole where the least of them is an int."""

    least: float
    most: float = math.inf

    def __call__(self, text: str) -> float:
        """Return the number that a text stands for. Raises ValueError."""
        whole = isinstance(self.least, int)
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a {'whole number' if whole else 'number'}") from None
        if not self.least <= value <= self.most:  # false for nan, too
            raise ValueError(f"{value} is not {self}")
        return value

    def __str__(self) -> str:
        return f"at least {self.least}" if self.most == math.inf else f"from {self.least} to {self.most}"


def at_least(least: float) -> Number:
    """Return the type of the numbers from one on."""
    return Number(least)


def between(least: float, most: float) -> Number:
    """Return the type of the numbers from one to another."""
    return Number(least, most)


HELP = flag("-h", "--help", help="Show this message and exit.")
_JSON = flag("--json", help="Print JSON, for scripts.")
_QUIET = flag("-q", "--quiet", help="Print what was asked for, warnings and errors, and nothing else.")
VERBOSE = flag("-v", "--verbose", help="Print the traceback where capseal fails by a mistake of its own.")
_VERSION = flag("-V", "--version", help="Print the version and exit.")
