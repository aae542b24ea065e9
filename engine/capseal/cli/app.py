"""The command `capseal`: every topic mounted, every error turned into one line and an exit code."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from .._version import __version__
from . import (
    bundles,
    capgo,
    demo,
    dev,
    device,
    doctor,
    exits,
    init,
    inspecting,
    keys,
    log,
    parting,
    release,
    resealing,
    server,
    trust,
)
from .console import say

app = typer.Typer(
    name="capseal",
    help="Ship huge app updates that nobody on the way can read or alter.",
    epilog="Exit codes: 0 done, 1 rejected, 2 usage, 3 environment (I/O, network), 130 interrupted.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"capseal {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


# The order is that of --help. A topic that is a group of its own: app.add_typer(topic.app, name="topic").
for _topic in (init, dev, release, bundles, inspecting, resealing, parting, server, demo, doctor):
    _topic.register(app)
app.add_typer(keys.app, name="key")
app.add_typer(trust.app, name="trust")
app.add_typer(log.app, name="log")
app.add_typer(capgo.app, name="capgo")
app.add_typer(device.app, name="device")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, by default this process's, and return its exit code."""
    exits.catch_signals()
    return exits.code_of(app, sys.argv[1:] if arguments is None else arguments, sys.stdout)
