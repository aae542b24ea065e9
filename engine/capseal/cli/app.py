"""The command `capseal`: every topic mounted, every error turned into one line and an exit code."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from .._version import __version__
from . import exits
from .console import say

# Topics in the order of --help, each with its commands, or with the one name of its group. Only the topic that
# is asked for is imported, so that no command waits for the modules of another.
_TOPICS = {
    "init": ("init",),
    "dev": ("dev",),
    "release": ("release",),
    "bundles": ("seal", "verify", "unseal"),
    "inspecting": ("inspect",),
    "resealing": ("rewrap", "cosign"),
    "parting": ("split", "join"),
    "server": ("serve", "publish", "fetch", "withdraw"),
    "demo": ("demo",),
    "doctor": ("doctor",),
    "keys": ("key",),
    "trust": ("trust",),
    "log": ("log",),
    "capgo": ("capgo",),
    "device": ("device",),
}


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"capseal {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Ship huge app updates that nobody on the way can read or alter."""


def build(arguments: Sequence[str]) -> typer.Typer:
    """Return the application with the topic that a command line asks for, or with all of them."""
    app = typer.Typer(
        name="capseal",
        epilog="Exit codes: 0 done, 1 rejected, 2 usage, 3 environment (I/O, network), 130 interrupted.",
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    command = next((argument for argument in arguments if not argument.startswith("-")), None)
    asked_for = [topic for topic, commands in _TOPICS.items() if command in commands]
    for topic in asked_for or _TOPICS:
        module = import_module(f".{topic}", __package__)
        if hasattr(module, "register"):
            module.register(app)
        else:
            app.add_typer(module.app, name=_TOPICS[topic][0])
    return app


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, by default this process's, and return its exit code."""
    exits.catch_signals()
    arguments = sys.argv[1:] if arguments is None else arguments
    return exits.code_of(build(arguments), arguments, sys.stdout)
