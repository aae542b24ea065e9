"""capseal split and join: attached <-> detached."""

from typing import Annotated

from ..framework import console, options, progress, titles
from ..framework.arguments import argument, option

SealPart = Annotated[str, option("--seal", metavar="FILE", help="The seal, a file of its own.")]
PayloadPart = Annotated[str, option("--payload", metavar="FILE", help="The payload, a file of its own.")]
NewSeal = Annotated[str, option("--seal", metavar="FILE", help="Where to write the seal.", writes=True)]
NewPayload = Annotated[str, option("--payload", metavar="FILE", help="Where to write the payload.", writes=True)]


def split(
    bundle: Annotated[str, argument("BUNDLE", help="An attached sealed bundle; '-': stdin.")],
    seal: NewSeal,
    payload: NewPayload,
    force: options.Force = False,
) -> None:
    """Write seal and payload of a bundle as two files. Bytes are copied; nothing is verified."""
    import capseal

    with progress.shown("Splitting", bundle) as advance:
        written = capseal.split(
            console.open_input(bundle),
            capseal.Detached(seal=seal, payload=payload),
            overwrite=force,
            progress=advance,
        )
    titles.tell_written(payload, written.statement, seal=seal)


def join(
    seal: SealPart,
    payload: PayloadPart,
    output: options.Output,
    force: options.Force = False,
) -> None:
    """Write seal and payload as one bundle. Bytes are copied; nothing is verified."""
    import capseal

    target = console.open_output(output)
    with progress.shown("Joining", payload, output=output) as advance:
        written = capseal.join(
            console.open_input(payload),
            target,
            seal=seal,
            overwrite=force,
            progress=advance,
        )
    titles.tell_written(output, written.statement)


COMMANDS = {"split": split, "join": join}
