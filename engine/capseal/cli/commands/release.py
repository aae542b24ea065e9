"""capseal release: one command for CI, from a web build to a published update."""

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

from ...errors import UsageError
from ..framework import console, content, options, progress, servers
from ..framework.arguments import argument, at_least, flag, option
from ..framework.bases import Opener
from ..framework.extras import has, lacking, need
from ..framework.passphrases import Passphrases
from ..framework.titles import counted, sized
from . import capgo_texts as texts

if TYPE_CHECKING:
    from ...recipes.making import MadeRecipe

FOLDER = "releases"


def release(
    version: Annotated[str, option("--version", metavar="TEXT", help="The version, for people.")],
    source: Annotated[str | None, argument("WEBDIR", help="A folder or file; default: 'web' in capseal.toml.")] = None,
    folder: Annotated[
        str | None,
        option(
            "-o",
            "--output",
            metavar="DIR",
            help="Where seal and payload go; made if missing; default: releases, beside capseal.toml.",
        ),
    ] = None,
    server: servers.Server = None,
    publish: Annotated[
        bool, flag("--publish", opposite="--no-publish", help="Do not publish, whatever is set.")
    ] = True,
    token_file: servers.TokenFile = None,
    signer: options.Signers = None,
    signer_command: options.SignerCommand = None,
    recipient: options.Recipients = None,
    trust: options.Trust = None,
    app: Annotated[str | None, option("--app", metavar="ID", help="What it is for, e.g. com.example.game.")] = None,
    sequence: Annotated[
        int | None,
        option("--sequence", metavar="N", type=at_least(1), help="The version, for machines; default: Unix time."),
    ] = None,
    channel: Annotated[str | None, option("--channel", metavar="NAME", help="Default: production.")] = None,
    *,
    requirements: options.Requirements,
    log: Annotated[
        str | None, option("--log", metavar="FILE", help="The release log to add to; default: 'log' in capseal.toml.")
    ] = None,
    exclude: content.Exclude = None,
    recipes: Annotated[
        bool, flag("--recipes", opposite="--no-recipes", help="Make no recipes for devices to update by.")
    ] = True,
    base: Annotated[
        list[str] | None,
        option(
            "--base",
            metavar="OLD|URL",
            repeatable=True,
            help="Make a recipe from this, too: a folder, zip, sealed bundle, or a server's latest release.",
        ),
    ] = None,
    archive: Annotated[
        str | None,
        option(
            "--archive",
            metavar="FILE",
            env="CAPSEAL_ARCHIVE",
            help="The key that opens earlier releases, to make recipes from; default: 'archive' in capseal.toml.",
        ),
    ] = None,
    capgo: Annotated[
        bool, flag("--capgo", help="Also for apps with Capgo's plugin: a zip, and every file for itself.")
    ] = False,
    capgo_key: Annotated[
        str, option("--capgo-key", metavar="FILE", help="Capgo's private key for that.")
    ] = texts.PRIVATE_KEY_FILE,
    strict: Annotated[
        bool,
        flag(
            "--strict",
            help="Refuse what is only warned of: no index.html at the root of the web folder, a --base that is none.",
        ),
    ] = False,
    head: options.SendHead = True,
    share: options.Share = None,
    allow_dirty: Annotated[bool, flag("--allow-dirty", help="Release although the git work tree has changes.")] = False,
    jobs: options.Jobs = None,
    offering: texts.Offering,
    passphrases: Passphrases,
) -> None:
    """Seal, verify with the production trust store as a device would, note in the release log, and publish."""
    from ...format.strictjson import shown_time
    from ...io.durable import make_folders
    from ...project import git as worktree
    from ...project import release as releasing
    from ...project.discovery import START_PAGE, has_start_page
    from ...project.log import pending_path
    from . import head_sending, head_signing

    config = options.find_config()
    folder = folder or os.path.normpath(os.path.join(options.project_folder(), FOLDER))
    source, app = source or config.web, app or config.app
    server, log = (server or config.server) if publish else None, log or config.log
    if source is None:
        raise UsageError(f"nothing to release: give WEBDIR, or set 'web' in {options.shown_config()}")
    if app is None:
        raise UsageError("no app: give --app ID, or make a project with 'capseal init'")
    if server is not None:
        need("client")
    if any(offering) and not capgo:
        raise UsageError("the options --capgo-… are for --capgo")
    offer = None
    if capgo:
        need("capgo")
        offer = offering.offer(version)
    chosen = options.chosen_channel(channel, config)
    beside = [head_signing.kept_path(config, app, chosen), *([] if log is None else [log, pending_path(log)])]
    if not allow_dirty:
        worktree.check_clean(".", except_for=[folder, *beside])
    if not has_start_page(source):
        missing = f"{source}: no {START_PAGE} at its root: web views would show nothing"
        if strict:
            raise UsageError(missing)
        console.complain(f"warning: {missing}")
    make_folders(folder)
    with ExitStack() as stack:
        connection = None
        if server is not None:
            connection = stack.enter_context(servers.connect(server, token_file))
        written = [folder, *beside]
        opened = content.open_content(source, exclude=exclude, leave_out=written)
        signers = options.load_signers(signer or config.signers, passphrases, command=signer_command)
        recipients = options.load_recipients(recipient or config.recipients)
        store = options.load_trust(trust or config.trust)
        bases = None
        if recipes and (base or has("delta")):
            need("delta")
            key = archive or (config.archive if config.archive and os.path.exists(config.archive) else None)
            opener = Opener(
                app=app,
                channel=options.chosen_channel(channel, config),
                folder=folder,
                trust=store,
                identity=None if key is None else options.load_private_key(key, passphrases),
                log=log,
                strict=strict,
            )
            bases = opener.open(base or (), sequence, signers, recipients, stack)
            opener.warn_of_deflated(source)
        elif recipes:
            console.complain(f"no recipes, devices download whole releases: {lacking('delta')}")
        released = releasing.release(
            source,
            folder,
            content=opened,
            signers=signers,
            recipients=recipients,
            bases=bases,
            capgo=texts.private_key(capgo_key) if capgo else None,
            capgo_offer=offer,
            same_version=offering.capgo_share is not None,
            app=app,
            version=version,
            trust=store,
            sequence=sequence,
            channel=chosen,
            requires=requirements.required(),
            log=log,
            connection=connection,
            jobs=jobs,
            steps=stack.enter_context(progress.in_steps()),
        )
        statement = released.verified.statement
        sent, devices = None, None
        if connection is not None and head:
            sent = head_sending.send_after_publishing(config, connection, passphrases, statement, log=log, share=share)
        if connection is not None:
            devices = head_sending.told_of_devices(config, connection, statement, sent)
    console.answer(
        {
            "statement": statement.to_json(),
            "seal": released.seal,
            "payload": released.payload,
            "published": released.published,
            "recipes": [
                {"name": one.name, "base": one.base, "bytes": one.bytes, "kept": one.kept} for one in released.recipes
            ],
        }
    )
    console.say(f"{released.seal} and .payload: {statement.app} {statement.version}, sequence {statement.sequence}")
    console.say(
        f"verified with the production trust store: {counted(len(released.verified.signers), 'trusted signature')}"
    )
    for one in released.recipes:
        console.say(_told(one, statement.payload.size))
    if released.entry is not None and released.entry.time > released.created:
        times = f"{shown_time(released.entry.time)}, as the one before; this machine's clock says"
        console.complain(f"warning: {log}: the entry is of {times} {shown_time(released.created)}")
    if released.published is None:
        publish_it = f"capseal publish {released.payload} URL --seal {released.seal}"
        console.say(f"not published; next: {publish_it}, or release with --server URL")
    else:
        head_sending.tell_after_publishing(sent, config, statement)
        installed = f"devices install it from there (capseal device --root DIR --builtin WEBDIR install {server})"
        console.say(f"published at {server}; next: {devices or installed}")


def _told(recipe: "MadeRecipe", payload_bytes: int) -> str:
    """Return what a device will download by a recipe."""
    what = "from nothing" if recipe.base is None else f"from {recipe.base}"
    if recipe.kept:
        return f"devices download {sized(recipe.bytes)} of {sized(payload_bytes)} {what}"
    return f"no recipe {what}: {sized(recipe.bytes)} would be no gain"


COMMANDS = {"release": release}
