"""The command `capseal`: every topic under its names, every error turned into one line and an exit code."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module

from .._version import __version__
from .framework import exit_codes, parsing
from .framework.arguments import Command, Group, Guide

# Commands, each with the topic that it is in.
_TOPIC_OF = {
    "init": "init",
    "dev": "dev",
    "release": "release",
    "seal": "seal",
    "verify": "verify",
    "unseal": "unseal",
    "inspect": "inspect",
    "rewrap": "reseal",
    "cosign": "reseal",
    "split": "split_join",
    "join": "split_join",
    "serve": "serve",
    "store": "store",
    "publish": "client",
    "fetch": "client",
    "withdraw": "client",
    "demo": "demo",
    "doctor": "doctor",
    "key": "keys",
    "trust": "trust",
    "head": "heads",
    "log": "log",
    "delta": "delta",
    "fleet": "fleet",
    "capgo": "capgo",
    "device": "device",
    "completion": "completion",
}

_RELOADED = ("serve",)
"""Commands that SIGHUP does not end: they read their files again."""


def _guide() -> Guide:
    """Return what --help has beside the declarations."""
    from ._examples import EXAMPLES, HEADINGS

    return Guide(CAPSEAL, HEADINGS, EXAMPLES)


class _Commands(Mapping[str, Command | Group]):
    """The commands by their names. A topic is imported when a command of it is looked at: none waits for another's."""

    def __getitem__(self, name: str) -> Command | Group:
        commands: Mapping[str, Command | Group] = import_module(f".commands.{_TOPIC_OF[name]}", __package__).COMMANDS
        return commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_TOPIC_OF)

    def __len__(self) -> int:
        return len(_TOPIC_OF)


CAPSEAL = Group(
    help="Ship huge app updates that nobody on the way can read or alter.",
    commands=_Commands(),
    version=f"capseal {__version__}",
    epilog=f"Exit codes: {exit_codes.EXIT_CODES}. 'capseal help COMMAND' says more of a command, with examples.",
)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, by default this process's, and return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] == "help":
        words = [*words[1:], "--help"]
    command = next((word for word in words if not word.startswith("-")), None)
    exit_codes.catch_signals(exit_codes.Hangups() if command in _RELOADED else None)
    return exit_codes.code_of(
        lambda: parsing.run("capseal", CAPSEAL, words, guide=_guide), sys.stdout, verbose=parsing.is_verbose(words)
    )
