"""capseal capgo import: an app that was Capgo's, with its key and a bundle made by Capgo's command line, to a store."""

import errno
import os
from typing import TYPE_CHECKING, Annotated, Any

from ...errors import FormatError, UsageError
from ..framework import console, options, progress
from ..framework.arguments import argument, at_least, flag, option
from ..framework.extras import need
from ..framework.passphrases import Passphrases
from ..framework.titles import sized
from . import capgo_texts as texts
from .capgo_conversion import vouching

if TYPE_CHECKING:
    from ...capgo import CapacitorConfig
    from ...project.config import Config

_NAME = "app.capgo"
_MOST_CONFIG_BYTES = 1024 * 1024
_TRANSFERS = 4
"""At once."""
_ZIP = b"PK\x03\x04"


def import_bundle(
    bundle: Annotated[str, argument("BUNDLE", help="What 'bundle encrypt' of Capgo's command line wrote.")],
    version: Annotated[str, option("--version", metavar="TEXT", help="The version, as the plugin shall know it.")],
    made: Annotated[
        str | None,
        option("--made", metavar="FILE.json", help="What 'bundle encrypt --json' printed: both texts are in it."),
    ] = None,
    key: Annotated[
        str | None, option("-k", "--key", metavar="FILE", help="Default: .capgo_key_v2 in the app's folder.")
    ] = None,
    session_key: texts.SessionKey = None,
    checksum: texts.Checksum = None,
    app_folder: Annotated[
        str, option("--app-folder", metavar="DIR", help="Where capacitor.config.* and the key are; default: here.")
    ] = ".",
    output: Annotated[
        str | None,
        option("-o", "--output", metavar="FILE", help="The sealed bundle; default: BUNDLE.sealed.", writes=True),
    ] = None,
    server: Annotated[
        str | None,
        option(
            "--server", metavar="URL", env="CAPSEAL_SERVER", help="Publish there; default: 'server' in capseal.toml."
        ),
    ] = None,
    publish: Annotated[
        bool, flag("--publish", opposite="--no-publish", help="Do not publish, whatever is set.")
    ] = True,
    token_file: Annotated[
        str | None,
        option("--token-file", metavar="FILE", env="CAPSEAL_TOKEN_FILE", help="The server's token, in a file."),
    ] = None,
    signer: options.Signers = None,
    recipient: options.Recipients = None,
    app: Annotated[str | None, option("--app", metavar="ID", help="Default: appId in capacitor.config.")] = None,
    sequence: Annotated[
        int | None, option("--sequence", metavar="N", type=at_least(1), help="Strictly increasing; default: Unix time.")
    ] = None,
    channel: Annotated[
        str | None, option("--channel", metavar="NAME", help="Default: defaultChannel in capacitor.config.")
    ] = None,
    dry_run: Annotated[bool, flag("--dry-run", help="Check everything, and write and send nothing.")] = False,
    force: options.Force = False,
    jobs: options.Jobs = None,
    *,
    offering: texts.Offering,
    passphrases: Passphrases,
) -> None:
    """Check a bundle that Capgo's command line made, seal what is in it, and publish both: the same app goes on."""
    from ... import capgo

    config = options.find_config()
    server = (server or config.server) if publish else None
    if server is not None:
        need("client")
    session_key, checksum = _texts(made, session_key, checksum)
    where, said = _app_config(app_folder)
    named = _app_of(app, said.app, where, config)
    chosen = channel or said.default_channel or options.chosen_channel(None, config)
    private = texts.private_key(key or os.path.join(app_folder, texts.PRIVATE_KEY_FILE))
    if where is not None:
        capgo.check_app_key(said, private, where)
    _check_encrypted(bundle)
    with progress.shown("Checking", bundle) as advance:
        record = capgo.record_of(bundle, key=private, session_key=session_key, checksum=checksum, progress=advance)
    offer = offering.offer(version)
    output = output or f"{bundle}.sealed"
    if os.path.lexists(output) and not force:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), output)
    if server is not None and offering.capgo_share is None:
        _check_unpublished(server, named, chosen, version)
    todo = [] if where is None else capgo.left_to_do(said, updates=f"{(server or 'URL').rstrip('/')}/v1/capgo/updates")
    told: dict[str, Any] = {
        "app": named,
        "channel": chosen,
        "version": version,
        "config": where,
        "record": record.to_json(),
        "sequence": None,
        "sealed": None,
        "published": None,
        "left_to_do": todo,
    }
    if not dry_run:
        signers = options.load_signers(signer or config.signers, passphrases)
        with progress.shown("Sealing", bundle, output=output) as advance:
            sealed = capgo.to_sealed(
                bundle,
                console.open_output(output),
                key=private.public_key,
                session_key=session_key,
                checksum=record.checksum_v3,
                signer=signers,
                recipients=options.load_recipients(recipient or config.recipients),
                app=named,
                version=version,
                sequence=sequence,
                channel=chosen,
                role=options.chosen_role(None, signers, config),
                overwrite=force,
                jobs=jobs,
                progress=advance,
                **vouching(record, bundle, files=False, offer=offer, name=_NAME),
            )
        told |= {"sealed": output, "sequence": sealed.statement.sequence}
        if server is not None:
            told["published"] = _published(output, bundle, server, token_file, config, passphrases)
    console.answer(told)
    _tell(told, bundle, server, dry_run=dry_run)


def _texts(made: str | None, session_key: str | None, checksum: str | None) -> tuple[str, str]:
    """Return session key and checksum. Raises UsageError."""
    if made is None:
        if session_key is None or checksum is None:
            raise UsageError(
                "give --made FILE.json, what 'bundle encrypt --json' printed, or --session-key and --checksum"
            )
        return session_key, checksum
    if session_key is not None or checksum is not None:
        raise UsageError("give --made, or --session-key and --checksum, not both")
    from ...format import strictjson

    with open(made, "rb") as file:
        data = file.read(_MOST_CONFIG_BYTES)
    try:
        value = strictjson.parse(data, made)
    except FormatError as error:
        raise UsageError(str(error)) from None
    members = value if type(value) is dict else {}
    found = members.get("ivSessionKey"), members.get("checksum")
    if type(found[0]) is not str or type(found[1]) is not str:
        raise UsageError(
            f"{made}: expected an object with ivSessionKey and checksum, as 'bundle encrypt --json' prints it"
        )
    return found[0], found[1]


def _app_config(folder: str) -> "tuple[str | None, CapacitorConfig]":
    """Return the path of the app's configuration, None where there is none, and what it says. Raises UsageError."""
    from ... import capgo

    for name in capgo.CAPACITOR_CONFIGS:
        path = os.path.normpath(os.path.join(folder, name))
        try:
            with open(path, "rb") as file:
                data = file.read(_MOST_CONFIG_BYTES)
        except FileNotFoundError:
            continue
        return path, capgo.CapacitorConfig.parse(data, path)
    return None, capgo.CapacitorConfig()


def _app_of(given: str | None, said: str | None, where: str | None, config: "Config") -> str:
    if given is None and said is not None and config.app not in (None, said):
        raise UsageError(f"{where}: appId is {said}, capseal.toml's app is {config.app}; say which one by --app")
    if given is None and said is None and where is not None and config.app is None:
        raise UsageError(f"{where}: appId is not found in its text; give --app ID")
    return options.chosen_app(given or said, config)


def _check_encrypted(bundle: str) -> None:
    if bundle == console.STANDARD:
        raise UsageError("the Capgo bundle must be a file: the seal names it")
    with open(bundle, "rb") as file:
        if file.read(len(_ZIP)) == _ZIP:
            raise UsageError(f"{bundle}: a zip that is not encrypted; 'capseal capgo encrypt {bundle}' does that")


def _check_unpublished(server: str, app: str, channel: str, version: str) -> None:
    """Raise UsageError where a server has a release of that version: devices with the plugin know it by that alone."""
    from ...client import Connection, listed_releases

    with Connection(server) as connection:
        for one in listed_releases(connection, app=app, channel=channel):
            if one.version == version:
                raise UsageError(
                    f"{server}: has version {version} of {app} on {channel}, as sequence {one.sequence}, and devices "
                    "with the plugin take no other of that name; choose another --version"
                )


def _published(
    sealed: str, bundle: str, server: str, token_file: str | None, config: "Config", passphrases: Passphrases
) -> dict[str, Any]:
    from ...bundle.verify import inspect
    from ...client import Connection, load_token
    from ...client import publish as send
    from . import head_sending

    token = None if token_file is None else load_token(token_file)
    with Connection(server, token=token) as connection:
        with progress.transferred("Publishing") as bar:
            release = send(sealed, connection, seal=None, companions={_NAME: bundle}, jobs=_TRANSFERS, **bar)
        head_sending.send_after_publishing(
            config, connection, passphrases, inspect(sealed)[1], log=config.log, share=None
        )
    return release


def _tell(told: dict[str, Any], bundle: str, server: str | None, *, dry_run: bool) -> None:
    record = told["record"]
    console.say(f"{bundle}: whole, {sized(record['size'])} of plaintext, key {record['key_id']}")
    what = f"{told['app']} {told['version']} on {told['channel']}"
    if dry_run:
        console.say(f"would be {what}; nothing was written or sent")
    elif told["published"] is None:
        console.say(f"{told['sealed']}: {what}, sequence {told['sequence']}")
        console.say(f"not published; next: capseal publish {told['sealed']} URL --attachment {_NAME}={bundle}")
    else:
        console.say(f"{told['sealed']}: {what}, sequence {told['sequence']}, published at {server}")
    for one in told["left_to_do"]:
        console.say(f"{told['config']}: {one}")
