"""capseal rewrap and cosign: new seals for old payloads."""

from typing import TYPE_CHECKING

from ..framework import console, options, progress, titles
from ..framework.passphrases import Passphrases

if TYPE_CHECKING:
    from ...crypto.keys import Signer
    from ...errors import CapsealError
    from ...format.seal import Seal
    from ...project.config import Config


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
    signers = options.load_signers(signer or config.signers, passphrases, command=signer_command)
    before = _seal_in(bundle, seal)
    with progress.shown("Rewrapping", bundle, output=output) as advance:
        written = capseal.rewrap(
            console.open_input(bundle),
            target,
            identity=options.load_identities(identity or config.identities, passphrases),
            signer=signers,
            recipients=options.load_recipients(recipient or config.recipients),
            trust=demands.trusted(config),
            expect=demands.expected(config),
            seal=options.seal_of(bundle, seal),
            overwrite=force,
            jobs=jobs,
            progress=advance,
        )
    _tell(config, output, before, written, signers[0])


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
    one = options.load_one_signer(signer or config.signers, passphrases, command=signer_command)
    before = _seal_in(bundle, seal)
    with progress.shown("Cosigning", bundle, output=output) as advance:
        written = capseal.cosign(
            console.open_input(bundle),
            target,
            signer=one,
            trust=demands.trusted(config),
            expect=demands.expected(config),
            seal=options.seal_of(bundle, seal),
            overwrite=force,
            jobs=jobs,
            progress=advance,
        )
    _tell(config, output, before, written, one)


def _seal_in(bundle: str, seal: str | None) -> "Seal | None":
    """Return the seal that is replaced; None where it comes from a pipe, and so is read once."""
    import os
    from contextlib import closing

    from ...bundle.reading_order import parse_seal, pull
    from ...io.source import open_source

    path = options.seal_of(bundle, seal) or bundle
    if not os.path.isfile(path):
        return None
    with closing(open_source(path)) as source:
        return pull(parse_seal(), source)


def _tell(config: "Config", output: str, before: "Seal | None", written: "Seal", signer: "Signer") -> None:
    """Note the new seal in the project's release log, and print what was written."""
    noted, problem = _note(config, before, written, signer)
    signers = [signature.keyid for signature in written.envelope.signatures]
    titles.tell_written(output, written.statement, signers=signers, logged=noted)
    if problem is not None:
        console.complain(f"warning: the new seal is not in {config.log}: {problem}")
    if noted:
        console.say(f"{config.log}: the new seal is noted in place of the one before")


def _note(
    config: "Config", before: "Seal | None", written: "Seal", signer: "Signer"
) -> "tuple[bool, CapsealError | None]":
    """Add the new seal to the project's release log, where that has the one which it replaces.

    Return whether it is there now, and what was against it.
    """
    import os
    from datetime import UTC, datetime

    from ...errors import RejectedError, UsageError
    from ...project.release import log_seal

    if config.log is None or config.trust is None or before is None or not os.path.exists(config.log):
        return False, None
    trust = options.load_trust(config.trust)
    try:
        noted = log_seal(config.log, written, replaces=before, trust=trust, signer=signer, now=datetime.now(UTC))
    except (RejectedError, UsageError) as error:
        return False, error
    return noted, None


COMMANDS = {"rewrap": rewrap, "cosign": cosign}
