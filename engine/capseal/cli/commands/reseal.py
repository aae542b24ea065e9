"""capseal rewrap and cosign: new seals for old payloads."""

from ...project import config
from ..framework import console, options, progress
from ..framework.passphrases import Passphrases


def rewrap(
    bundle: options.Bundle,
    output: options.Output,
    identity: options.Identities = None,
    signer: options.Signers = None,
    signer_command: options.SignerCommand = None,
    recipient: options.Recipients = None,
    trust: options.Trust = None,
    seal: options.Seal = None,
    app: options.ExpectApp = None,
    channel: options.ExpectChannel = None,
    min_sequence: options.MinSequence = None,
    role: options.ExpectRole = options.RoleName.PRODUCTION,
    force: options.Force = False,
    jobs: options.Jobs = None,
    passphrase_file: options.PassphraseFile = None,
    passphrase_fd: options.PassphraseFd = None,
) -> None:
    """Seal the same payload for other recipients, with a new signature. With --seal, only a seal is written."""
    import capseal

    from ..framework import reports

    settings = config.find()
    passphrases = Passphrases(passphrase_file, passphrase_fd)
    target = console.open_output(output)
    with progress.shown("Rewrapping", bundle, output=output) as advance:
        written = capseal.rewrap(
            console.open_input(bundle),
            target,
            identity=options.load_identities(identity or settings.identities, passphrases),
            signer=options.load_signers(signer or settings.signers, passphrases, command=signer_command),
            recipients=options.load_recipients(recipient or settings.recipients),
            trust=options.load_trust(trust or settings.trust),
            expect=options.expectation(app=app or settings.app, channel=channel, min_sequence=min_sequence, role=role),
            seal=seal,
            overwrite=force,
            jobs=jobs,
            progress=advance,
        )
    reports.say_written(output, written.statement)


def cosign(
    bundle: options.Bundle,
    output: options.Output,
    signer: options.Signers = None,
    signer_command: options.SignerCommand = None,
    trust: options.Trust = None,
    seal: options.Seal = None,
    app: options.ExpectApp = None,
    channel: options.ExpectChannel = None,
    min_sequence: options.MinSequence = None,
    role: options.ExpectRole = options.RoleName.PRODUCTION,
    force: options.Force = False,
    jobs: options.Jobs = None,
    passphrase_file: options.PassphraseFile = None,
    passphrase_fd: options.PassphraseFd = None,
) -> None:
    """Check a bundle and add a signature to those that it has. With --seal, only a seal is written."""
    import capseal

    from ..framework import reports

    settings = config.find()
    passphrases = Passphrases(passphrase_file, passphrase_fd)
    target = console.open_output(output)
    with progress.shown("Cosigning", bundle, output=output) as advance:
        written = capseal.cosign(
            console.open_input(bundle),
            target,
            signer=options.load_one_signer(signer or settings.signers, passphrases, command=signer_command),
            trust=options.load_trust(trust or settings.trust),
            expect=options.expectation(app=app or settings.app, channel=channel, min_sequence=min_sequence, role=role),
            seal=seal,
            overwrite=force,
            jobs=jobs,
            progress=advance,
        )
    reports.say_written(output, written.statement)


COMMANDS = {"rewrap": rewrap, "cosign": cosign}
