"""capseal unseal: check and decrypt."""

from ..framework import console, options, progress, titles
from ..framework.passphrases import Passphrases


def unseal(
    bundle: options.Bundle,
    output: options.Output,
    identity: options.Identities = None,
    *,
    demands: options.Demands,
    seal: options.Seal = None,
    force: options.Force = False,
    jobs: options.Jobs = None,
    passphrases: Passphrases,
) -> None:
    """Check and decrypt a sealed bundle. The output appears only if everything checked out."""
    import capseal

    config = options.find_config()
    target = console.open_output(output)
    with progress.shown("Unsealing", bundle, output=output) as advance:
        verified = capseal.unseal(
            console.open_input(bundle),
            target,
            identity=options.load_identities(identity or config.identities, passphrases),
            trust=demands.trusted(config),
            expect=demands.expected(config),
            seal=options.seal_of(bundle, seal),
            overwrite=force,
            jobs=jobs,
            progress=advance,
        )
    titles.tell_written(output, verified.statement)


COMMANDS = {"unseal": unseal}
