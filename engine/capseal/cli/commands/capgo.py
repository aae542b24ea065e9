"""capseal capgo: Capgo's own wire format, for apps that are in the field already."""

import warnings
from typing import Annotated

from ...errors import UsageError
from ..framework import console, content, options, outputs, progress
from ..framework.arguments import Choice, Group, argument, between, flag, option
from ..framework.extras import need
from ..framework.titles import counted, sized
from . import capgo_texts as texts
from .capgo_conversion import to_capgo, to_sealed
from .capgo_import import import_bundle
from .capgo_statistics import statistics

Quality = Annotated[int, option("--quality", metavar="N", type=between(0, 11), help="Of the compression of files.")]


class Read(Choice):
    """Generations of the format that are read."""

    V1 = "v1"
    V2 = "v2"
    V3 = "v3"


def keygen(
    folder: Annotated[str, argument("FOLDER", help="Where the two files go.")] = ".",
) -> None:
    """Make .capgo_key_v2, which is secret, and .capgo_key_v2.pub, which the app ships."""
    from ... import capgo

    key = capgo.PrivateKey.generate()
    try:
        private, public = key.save(folder)
    except FileExistsError as error:
        raise UsageError(f"{error.filename}: exists already, and is not overwritten") from None
    console.answer({"key_id": key.public_key.key_id, "private_key": private, "public_key": public})
    console.say(f"{private} and {public}: key {key.public_key.key_id}")


def encrypt(
    source: Annotated[str, argument("SOURCE", help="A zip, a folder (zipped on the way); '-': stdin.")],
    output: Annotated[
        str | None,
        option(
            "-o",
            "--output",
            metavar="FILE",
            type=console.output_path,
            help="Where to write; default: SOURCE_encrypted.zip.",
            writes=True,
        ),
    ] = None,
    key: texts.Private = texts.PRIVATE_KEY_FILE,
    format: texts.Format = texts.Written.V3,
    record: texts.NewRecord = None,
    deflate: content.Deflate = False,
    exclude: content.Exclude = None,
    files: Annotated[
        bool,
        flag("--files", help="Also every file for itself, so that devices fetch what changed: FILE.pack, FILE.files."),
    ] = False,
    quality: Quality = 11,
    jobs: options.Jobs = None,
    force: options.Force = False,
) -> None:
    """Encrypt a zip for the plugin. With --json, prints what Capgo's own command prints."""
    from ... import capgo

    target = _output(source, output, key, "_encrypted.zip")
    loaded = texts.private_key(key)
    if files:
        need("capgo")
        if console.STANDARD in (source, target):
            raise UsageError("with --files, source and output must be files: the single files lie beside the output")
        beside = [target + texts.PACK_SUFFIX, target + texts.FILES_SUFFIX]
        outputs.check([target, *beside], [source, key])
        with progress.shown("Encrypting", source, output=target) as advance:
            bundle, packed = capgo.encrypt_with_files(
                content.open_content(source, deflate=deflate, exclude=exclude, leave_out=[target, *beside]),
                target,
                key=loaded,
                pack=beside[0],
                files=beside[1],
                quality=quality,
                jobs=jobs,
                overwrite=force,
                progress=advance,
            )
        texts.report(bundle, target, record=record, format=format, force=force, files=True)
        console.say(f"{beside[0]}: {counted(len(packed.files), 'file')} in {sized(packed.pack_bytes)}")
        return
    with progress.shown("Encrypting", source, output=target) as advance:
        bundle = capgo.encrypt(
            content.open_content(source, deflate=deflate, exclude=exclude, leave_out=[target]),
            console.open_output(target),
            key=loaded,
            overwrite=force,
            progress=advance,
        )
    texts.report(bundle, target, record=record, format=format, force=force)


def decrypt(
    source: texts.Ciphertext,
    output: Annotated[
        str | None,
        option(
            "-o",
            "--output",
            metavar="FILE",
            type=console.output_path,
            help="Where to write; default: FILE_decrypted.zip.",
            writes=True,
        ),
    ] = None,
    key: Annotated[
        str, option("-k", "--key", metavar="FILE", help="The public key; for v1 the private key.")
    ] = texts.PUBLIC_KEY_FILE,
    session_key: texts.SessionKey = None,
    checksum: texts.Checksum = None,
    record: texts.Record = None,
    format: Annotated[Read, option("--format", type=Read, help="Which generation wrote the bundle.")] = Read.V3,
    force: options.Force = False,
) -> None:
    """Check and decrypt a bundle. The output appears only if the checksum fits."""
    from ... import capgo

    target = _output(source, output, key, "_decrypted.zip")
    version = texts.Written.V3 if format is Read.V1 else texts.Written(format.value)
    session_key, checksum, _, _ = texts.given(session_key, checksum, record, version)
    opened = console.open_output(target)
    with progress.shown("Decrypting", source, output=target) as advance:
        if format is Read.V1:
            old = texts.private_key(key)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", capgo.InsecureFormatWarning)
                size = capgo.decrypt_v1(
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
            size = capgo.decrypt(
                console.open_input(source),
                opened,
                key=texts.public_key(key),
                session_key=session_key,
                checksum=checksum,
                checksum_version=texts.checksum_version(version),
                overwrite=force,
                progress=advance,
            )
    console.answer({"output": target, "plaintext_bytes": size})
    if target != console.STANDARD:
        console.say(f"{target}: {sized(size)} of plaintext")


def verify(
    source: texts.Ciphertext,
    key: texts.Public = texts.PUBLIC_KEY_FILE,
    session_key: texts.SessionKey = None,
    checksum: texts.Checksum = None,
    record: texts.Record = None,
    format: texts.Format = texts.Written.V3,
) -> None:
    """Check a bundle as 'decrypt' does, without writing anything."""
    from ... import capgo

    session_key, checksum, _, _ = texts.given(session_key, checksum, record, format)
    with progress.shown("Verifying", source) as advance:
        size = capgo.verify(
            console.open_input(source),
            key=texts.public_key(key),
            session_key=session_key,
            checksum=checksum,
            checksum_version=texts.checksum_version(format),
            progress=advance,
        )
    console.answer({"verified": True, "plaintext_bytes": size})
    console.say(f"{source}: whole, {sized(size)} of plaintext")


def manifest(
    folder: Annotated[str, argument("FOLDER", help="The web app, e.g. dist.")],
    output: Annotated[str, option("-o", "--output", metavar="FOLDER", help="The folder to make.")],
    base_url: Annotated[str, option("--base-url", metavar="URL", help="Where its 'files' will be served.")],
    key: texts.Private = texts.PRIVATE_KEY_FILE,
    session_key: Annotated[
        str | None, option("--session-key", metavar="TEXT", help="That of the same release's zip, if it has one.")
    ] = None,
    format: texts.Format = texts.Written.V3,
    quality: Quality = 11,
    jobs: options.Jobs = None,
) -> None:
    """Compress and encrypt every file for delta updates, and list them in manifest.json."""
    from ... import capgo

    loaded = texts.private_key(key)
    try:
        with progress.shown("Compressing", folder) as advance:
            made = capgo.write_manifest(
                folder,
                output,
                key=loaded,
                base_url=base_url,
                session_key=session_key,
                quality=quality,
                jobs=jobs,
                progress=advance,
            )
    except FileExistsError as error:
        raise UsageError(f"{error.filename}: exists already, and is not overwritten") from None
    for name in made.skipped:
        console.complain(f"skipped {name}")
    version = texts.checksum_version(format)
    entries = [entry.to_json(version) for entry in made.entries]
    console.answer({"session_key": made.session_key, "key_id": made.key_id, "manifest": entries})
    console.say(f"{output}: {counted(len(made.entries), 'file')} and manifest.json")


def _output(source: str, output: str | None, key: str, suffix: str) -> str:
    if output is not None:
        return output
    if source == console.STANDARD:
        raise UsageError("give -o FILE, or -o - for standard output")
    output = content.base_of(source) + suffix
    outputs.check([output], [source, key])
    return output


COMMANDS = {
    "capgo": Group(
        help="Read and write Capgo's own format, for apps in the field.",
        commands={
            "keygen": keygen,
            "encrypt": encrypt,
            "decrypt": decrypt,
            "verify": verify,
            "manifest": manifest,
            "import": import_bundle,
            "statistics": statistics,
            "convert": Group(
                help="Turn a sealed bundle into a Capgo bundle, and back.",
                commands={"to-capgo": to_capgo, "to-sealed": to_sealed},
            ),
        },
    )
}
