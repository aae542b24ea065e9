"""capseal inspect: what a seal claims, not verified."""

from typing import Annotated

from ..framework import console, options
from ..framework.arguments import argument


def inspect(
    bundle: Annotated[str, argument("BUNDLE", help="A sealed bundle or a detached seal; '-': stdin.")],
    json: options.Json = False,
) -> None:
    """Print what a seal claims. Nothing of it is verified."""
    import capseal

    from ..framework import reports

    envelope, statement = capseal.inspect(console.open_input(bundle))
    if json:
        console.print_json(reports.claims(envelope, statement))
    else:
        for line in reports.claim_lines(envelope, statement):
            console.say(line)


COMMANDS = {"inspect": inspect}
