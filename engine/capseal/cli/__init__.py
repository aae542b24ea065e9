"""The command line: arguments, progress, messages and exit codes; the work is done by the library.

Every topic is a module here with a function `register(app)` or a typer.Typer named `app`, mounted in
app.py. At their top, topics import the standard library and typer only: the library is imported
inside the commands, so that starting up stays quick.
"""


def main() -> None:
    """Run the command line and exit: 0 done, 1 rejected, 2 usage, 3 environment, 128 + n for signal n."""
    try:
        from .app import run
    except KeyboardInterrupt:  # before signals are ours
        raise SystemExit(130) from None
    raise SystemExit(run())
