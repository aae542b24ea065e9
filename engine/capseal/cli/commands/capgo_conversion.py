"""capseal capgo convert: a bundle of one format as a bundle of the other."""

from typing import TYPE_CHECKING, Annotated, Any

from ...errors import UsageError
from ..framework import console, options, progress, titles
from ..framework.arguments import at_least, option
from ..framework.passphrases import Passphrases
from . import capgo_texts as texts

if TYPE_CHECKING:
    from ...capgo import Bundle, Offer


def to_capgo(
    bundle: options.Bundle,
    output: options.Output,
    key: texts.Private = texts.PRIVATE_KEY_FILE,
    format: texts.Format = texts.Written.V3,
    record: texts.NewRecord = None,
    identity: options.Identities = None,
    *,
    demands: options.Demands,
    seal: options.Seal = None,
    force: options.Force = False,
    passphrases: Passphrases,
) -> None:
    """Check a sealed bundle, and encrypt what is in it for the plugin."""
    from ... import capgo

    config = options.find_config()
    with progress.shown("Converting", bundle, output=output) as advance:
        made = capgo.to_capgo(
            bundle,
            console.open_output(output),
            key=texts.private_key(key),
            identity=options.load_identities(identity or config.identities, passphrases),
            trust=demands.trusted(config),
            expect=demands.expected(config),
            seal=options.seal_of(bundle, seal),
            overwrite=force,
            progress=advance,
        )
    texts.report(made, output, record=record, format=format, force=force)


def to_sealed(
    source: texts.Ciphertext,
    output: options.Output,
    version: Annotated[str, option("--version", metavar="TEXT", help="The version, for people.")],
    key: texts.Public = texts.PUBLIC_KEY_FILE,
    session_key: texts.SessionKey = None,
    checksum: texts.Checksum = None,
    record: texts.Record = None,
    format: texts.Format = texts.Written.V3,
    signer: options.Signers = None,
    recipient: options.Recipients = None,
    app: Annotated[str | None, option("--app", metavar="ID", help="What it is for, e.g. com.example.game.")] = None,
    sequence: Annotated[
        int | None, option("--sequence", metavar="N", type=at_least(1), help="Strictly increasing; default: Unix time.")
    ] = None,
    channel: Annotated[str | None, option("--channel", metavar="NAME", help="Default: production.")] = None,
    force: options.Force = False,
    jobs: options.Jobs = None,
    *,
    offering: texts.Offering,
    passphrases: Passphrases,
) -> None:
    """Check a Capgo bundle, and seal what is in it. With --record, the seal vouches for the Capgo file too."""
    from ... import capgo

    config = options.find_config()
    app = options.chosen_app(app, config)
    session_key, checksum, bundle, files = texts.given(session_key, checksum, record, format)
    offer = offering.offer(version)
    if bundle is None and any(offering):
        raise UsageError("to which devices it is offered is said with --record: the seal vouches for the file then")
    vouched = {} if bundle is None else vouching(bundle, source, files=files, offer=offer)
    signers = options.load_signers(signer or config.signers, passphrases)
    meant_for = options.chosen_role(None, signers, config)
    with progress.shown("Converting", source, output=output) as advance:
        sealed = capgo.to_sealed(
            console.open_input(source),
            console.open_output(output),
            key=texts.public_key(key),
            session_key=session_key,
            checksum=checksum,
            checksum_version=texts.checksum_version(format),
            signer=signers,
            recipients=options.load_recipients(recipient or config.recipients),
            app=app,
            version=version,
            sequence=sequence,
            channel=options.chosen_channel(channel, config),
            role=meant_for,
            overwrite=force,
            jobs=jobs,
            progress=advance,
            **vouched,
        )
    titles.tell_written(output, sealed.statement, record=record)


def vouching(bundle: "Bundle", source: str, *, files: bool, offer: "Offer", name: str | None = None) -> dict[str, Any]:
    """Return what makes a seal vouch for a Capgo file, and for its single files where they lie beside it.

    name: the companion's, by default that of the file.
    """
    from ... import capgo

    if source == console.STANDARD:
        raise UsageError("with --record, the Capgo bundle must be a file: the seal names it")
    companion, member = capgo.attach(bundle, source, name=name)
    companions, custom = [companion], {capgo.CUSTOM_MEMBER: member}
    if files:
        packed, custom[capgo.FILES_MEMBER] = capgo.attach_files(
            bundle, source + texts.PACK_SUFFIX, source + texts.FILES_SUFFIX
        )
        companions += packed
    if said := offer.to_json():
        custom[capgo.OFFER_MEMBER] = said
    return {"companions": companions, "custom": custom}
