"""capseal capgo: Capgo's own wire format, for apps that are in the field already."""

import os
import warnings
from typing import TYPE_CHECKING, Annotated

from ...errors import FormatError, KeyFileError, UsageError
from ..framework import console, options, progress
from ..framework.arguments import Choice, Group, argument, at_least, between, flag, option
from ..framework.exit_codes import line_of
from ..framework.passphrases import Passphrases

if TYPE_CHECKING:
    from ...capgo import Bundle, ChecksumVersion, PrivateKey, PublicKey


class Written(Choice):
    """Generations of the format that are written."""

    V2 = "v2"
    V3 = "v3"


class Read(Choice):
    """Generations of the format that are read."""

    V1 = "v1"
    V2 = "v2"
    V3 = "v3"


Private = Annotated[str, option("-k", "--key", metavar="FILE", help="The private key.")]
Public = Annotated[str, option("-k", "--key", metavar="FILE", help="The public key.")]
For = Annotated[
    Written, option("--format", type=Written, help="v3: for plugins from 5.30, 6.30 and 7.30 on; v2: for older ones.")
]
SessionKey = Annotated[str | None, option("--session-key", metavar="TEXT", help="What Capgo names ivSessionKey.")]
Checksum = Annotated[str | None, option("--checksum", metavar="TEXT", help="The checksum that came with it.")]
Record = Annotated[
    str | None, option("--record", metavar="FILE.json", help="In place of both: what 'encrypt' recorded.")
]
NewRecord = Annotated[str | None, option("--record", metavar="FILE.json", help="Write what the server must know.")]
Ciphertext = Annotated[str, argument("FILE", help="An encrypted bundle; '-': stdin.")]

PRIVATE_KEY_FILE = ".capgo_key_v2"
PUBLIC_KEY_FILE = ".capgo_key_v2.pub"


def keygen(
    folder: Annotated[str, argument("FOLDER", help="Where the two files go.")] = ".",
    json: options.Json = False,
) -> None:
    """Make .capgo_key_v2, which is secret, and .capgo_key_v2.pub, which the app ships."""
    from ... import capgo

    key = capgo.PrivateKey.generate()
    try:
        private, public = key.save(folder)
    except FileExistsError as error:
        raise UsageError(f"{error.filename}: exists already, and is not overwritten") from None
    if json:
        console.print_json({"key_id": key.public_key.key_id, "private_key": private, "public_key": public})
    else:
        console.say(f"{private} and {public}: key {key.public_key.key_id}")


def encrypt(
    source: Annotated[str, argument("SOURCE", help="A zip, a folder (zipped on the way); '-': stdin.")],
    output: Annotated[
        str | None,
        option("-o", "--output", metavar="FILE", help="Where to write; default: SOURCE_encrypted.zip."),
    ] = None,
    key: Private = PRIVATE_KEY_FILE,
    format: For = Written.V3,
    record: NewRecord = None,
    deflate: Annotated[bool, flag("--deflate", help="Compress what is in the folder.")] = False,
    json: options.Json = False,
    force: options.Force = False,
) -> None:
    """Encrypt a zip for the plugin. With --json, prints what Capgo's own command prints."""
    from ... import capgo

    target = _output(source, output, "_encrypted.zip")
    loaded = _private_key(key)
    with progress.shown("Encrypting", source, output=target) as advance:
        bundle = capgo.encrypt(
            console.open_input(source),
            console.open_output(target),
            key=loaded,
            deflate=deflate,
            overwrite=force,
            progress=advance,
        )
    _report(bundle, target, record=record, format=format, json=json, force=force)


def decrypt(
    source: Ciphertext,
    output: Annotated[
        str | None,
        option("-o", "--output", metavar="FILE", help="Where to write; default: FILE_decrypted.zip."),
    ] = None,
    key: Annotated[
        str, option("-k", "--key", metavar="FILE", help="The public key; for v1 the private key.")
    ] = PUBLIC_KEY_FILE,
    session_key: SessionKey = None,
    checksum: Checksum = None,
    record: Record = None,
    format: Annotated[Read, option("--format", type=Read, help="Which generation wrote the bundle.")] = Read.V3,
    force: options.Force = False,
) -> None:
    """Check and decrypt a bundle. The output appears only if the checksum fits."""
    from ... import capgo

    target = _output(source, output, "_decrypted.zip")
    version = Written.V3 if format is Read.V1 else Written(format.value)
    session_key, checksum, _ = _texts(session_key, checksum, record, version)
    opened = console.open_output(target)
    with progress.shown("Decrypting", source, output=target) as advance:
        if format is Read.V1:
            old = _private_key(key)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", capgo.InsecureFormatWarning)
                capgo.decrypt_v1(
                    console.open_input(source),
                    opened,
                    key=old,
                    session_key=session_key,
                    checksum=checksum,
                    overwrite=force,
                    progress=advance,
                )
            for warning in caught:
                console.complain(f"warning: {warning.message}")
        else:
            capgo.decrypt(
                console.open_input(source),
                opened,
                key=_public_key(key),
                session_key=session_key,
                checksum=checksum,
                checksum_version=_version(version),
                overwrite=force,
                progress=advance,
            )


def verify(
    source: Ciphertext,
    key: Public = PUBLIC_KEY_FILE,
    session_key: SessionKey = None,
    checksum: Checksum = None,
    record: Record = None,
    format: For = Written.V3,
) -> None:
    """Check a bundle as 'decrypt' does, without writing anything."""
    from ... import capgo

    session_key, checksum, _ = _texts(session_key, checksum, record, format)
    with progress.shown("Verifying", source) as advance:
        size = capgo.verify(
            console.open_input(source),
            key=_public_key(key),
            session_key=session_key,
            checksum=checksum,
            checksum_version=_version(format),
            progress=advance,
        )
    console.say(f"{source}: whole, {size} bytes of plaintext")


def manifest(
    folder: Annotated[str, argument("FOLDER", help="The web app, e.g. dist.")],
    output: Annotated[str, option("-o", "--output", metavar="FOLDER", help="The folder to make.")],
    base_url: Annotated[str, option("--base-url", metavar="URL", help="Where its 'files' will be served.")],
    key: Private = PRIVATE_KEY_FILE,
    session_key: Annotated[
        str | None, option("--session-key", metavar="TEXT", help="That of the same release's zip, if it has one.")
    ] = None,
    format: For = Written.V3,
    quality: Annotated[int, option("--quality", metavar="N", type=between(0, 11), help="Of the compression.")] = 11,
    jobs: options.Jobs = None,
    json: options.Json = False,
) -> None:
    """Compress and encrypt every file for delta updates, and list them in manifest.json."""
    from ... import capgo

    loaded = _private_key(key)
    try:
        made = capgo.write_manifest(
            folder,
            output,
            key=loaded,
            base_url=base_url,
            session_key=session_key,
            quality=quality,
            jobs=jobs,
        )
    except FileExistsError as error:
        raise UsageError(f"{error.filename}: exists already, and is not overwritten") from None
    except ModuleNotFoundError as error:
        raise UsageError(str(error)) from None
    for name in made.skipped:
        console.complain(f"skipped {name}")
    if json:
        version = _version(format)
        entries = [entry.to_json(version) for entry in made.entries]
        console.print_json({"session_key": made.session_key, "key_id": made.key_id, "manifest": entries})
    else:
        console.say(f"{output}: {len(made.entries)} files and manifest.json")


def to_capgo(
    bundle: options.Bundle,
    output: options.Output,
    key: Private = PRIVATE_KEY_FILE,
    format: For = Written.V3,
    record: NewRecord = None,
    identity: options.Identities = None,
    *,
    demands: options.Demands,
    seal: options.Seal = None,
    json: options.Json = False,
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
            key=_private_key(key),
            identity=options.load_identities(identity or config.identities, passphrases),
            trust=demands.trusted(config),
            expect=demands.expected(config),
            seal=seal,
            overwrite=force,
            progress=advance,
        )
    _report(made, output, record=record, format=format, json=json, force=force)


def to_sealed(
    source: Ciphertext,
    output: options.Output,
    version: Annotated[str, option("--version", metavar="TEXT", help="The version, for people.")],
    key: Public = PUBLIC_KEY_FILE,
    session_key: SessionKey = None,
    checksum: Checksum = None,
    record: Record = None,
    format: For = Written.V3,
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
    passphrases: Passphrases,
) -> None:
    """Check a Capgo bundle, and seal what is in it. With --record, the seal vouches for the Capgo file too."""
    from ... import capgo

    config = options.find_config()
    app = options.chosen_app(app, config)
    session_key, checksum, bundle = _texts(session_key, checksum, record, format)
    vouched = {} if bundle is None else _vouched(bundle, source)
    with progress.shown("Converting", source, output=output) as advance:
        capgo.to_sealed(
            console.open_input(source),
            console.open_output(output),
            key=_public_key(key),
            session_key=session_key,
            checksum=checksum,
            checksum_version=_version(format),
            signer=options.load_signers(signer or config.signers, passphrases),
            recipients=options.load_recipients(recipient or config.recipients),
            app=app,
            version=version,
            sequence=sequence,
            channel=options.chosen_channel(channel, config),
            overwrite=force,
            jobs=jobs,
            progress=advance,
            **vouched,
        )


def _vouched(bundle: "Bundle", source: str) -> dict[str, object]:
    from ... import capgo

    if source == console.STANDARD:
        raise UsageError("with --record, the Capgo bundle must be a file: the seal names it")
    attachment, member = capgo.attach(bundle, source)
    return {"attachments": [attachment], "custom": {capgo.CUSTOM_MEMBER: member}}


def _output(source: str, output: str | None, suffix: str) -> str:
    if output is not None:
        return output
    if source == console.STANDARD:
        raise UsageError("give -o FILE, or -o - for standard output")
    return os.path.normpath(source) + suffix


def _report(bundle: "Bundle", target: str, *, record: str | None, format: Written, json: bool, force: bool) -> None:
    if record is not None:
        from json import dumps

        from ...io.sink import FileSink

        with FileSink(record, overwrite=force) as file:
            file.write_at(0, dumps(bundle.to_json(), indent=1).encode("ascii") + b"\n")
            file.commit()
    checksum = bundle.checksum(_version(format))
    if json:
        console.print_json({"checksum": checksum, "filename": target, "ivSessionKey": bundle.session_key})
    elif target != console.STANDARD:
        console.say(f"file: {target}")
        console.say(f"checksum: {checksum}")
        console.say(f"session key: {bundle.session_key}")
        console.say(f"key id: {bundle.key_id}")


def _texts(
    session_key: str | None, checksum: str | None, record: str | None, format: Written
) -> tuple[str, str, "Bundle | None"]:
    """Return session key and checksum, and the record that they are from if they are."""
    if record is None:
        if session_key is None or checksum is None:
            raise UsageError("give --session-key TEXT and --checksum TEXT, or --record FILE.json")
        return session_key, checksum, None
    if session_key is not None or checksum is not None:
        raise UsageError("give --record, or --session-key and --checksum, not both")
    from ... import capgo
    from ...format import strictjson

    with open(record, "rb") as file:
        data = file.read()
    try:
        bundle = capgo.Bundle.from_json(strictjson.parse(data, record), record)
    except FormatError as error:
        raise UsageError(str(error)) from None
    return bundle.session_key, bundle.checksum(_version(format)), bundle


def _version(format: Written) -> "ChecksumVersion":
    from ... import capgo

    return capgo.ChecksumVersion(format.value)


def _private_key(path: str) -> "PrivateKey":
    from ... import capgo

    try:
        return capgo.load_private_key(path)
    except OSError as error:
        raise KeyFileError(line_of(error)) from None


def _public_key(path: str) -> "PublicKey":
    from ... import capgo

    try:
        return capgo.load_public_key(path)
    except OSError as error:
        raise KeyFileError(line_of(error)) from None


COMMANDS = {
    "capgo": Group(
        help="Read and write Capgo's own format, for apps in the field.",
        commands={
            "keygen": keygen,
            "encrypt": encrypt,
            "decrypt": decrypt,
            "verify": verify,
            "manifest": manifest,
            "convert": Group(
                help="Turn a sealed bundle into a Capgo bundle, and back.",
                commands={"to-capgo": to_capgo, "to-sealed": to_sealed},
            ),
        },
    )
}
