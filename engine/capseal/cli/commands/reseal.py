"""capseal rewrap and cosign: new seals for old payloads."""

from ..framework import console, options, progress, titles
from ..framework.passphrases import Passphrases


def rewrap(
    bundle: options.Bundle,
    output: options.Output,
    identity: options.Identities = None,
    signer: options.Signers = None,
    signer_command: options.SignerCommand = None,
    recipient: options.Recipients = None,
    *,
    demands: options.Demands,
    seal: options.Seal = None,
    force: options.Force = False,
    jobs: options.Jobs = None,
    passphrases: Passphrases,
) -> None:
    """Seal the same payload for other recipients, with a new signature. With --seal, only a seal is written."""
    import capseal

    config = options.find_config()
    target = console.open_output(output)
    with progress.shown("Rewrapping", bundle, output=output) as advance:
        written = capseal.rewrap(
            console.open_input(bundle),
            target,
            identity=options.load_identities(identity or config.identities, passphrases),
            signer=options.load_signers(signer or config.signers, passphrases, command=signer_command),
            recipients=options.load_recipients(recipient or config.recipients),
            trust=demands.trusted(config),
            expect=demands.expected(config),
            seal=options.seal_of(bundle, seal),
            overwrite=force,
            jobs=jobs,
            progress=advance,
        )
    titles.say_written(output, written.statement)


def cosign(
    bundle: options.Bundle,
    output: options.Output,
    signer: options.Signers = None,
    signer_command: options.SignerCommand = None,
    *,
    demands: options.Demands,
    seal: options.Seal = None,
    force: options.Force = False,
    jobs: options.Jobs = None,
    passphrases: Passphrases,
) -> None:
    """Check a bundle and add a signature to those that it has. With --seal, only a seal is written."""
    import capseal

    config = options.find_config()
    target = console.open_output(output)
    with progress.shown("Cosigning", bundle, output=output) as advance:
        written = capseal.cosign(
            console.open_input(bundle),
            target,
            signer=options.load_one_signer(signer or config.signers, passphrases, command=signer_command),
            trust=demands.trusted(config),
            expect=demands.expected(config),
            seal=options.seal_of(bundle, seal),
            overwrite=force,
            jobs=jobs,
            progress=advance,
        )
    titles.say_written(output, written.statement)


COMMANDS = {"rewrap": rewrap, "cosign": cosign}
