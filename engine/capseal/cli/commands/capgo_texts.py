"""What the commands of Capgo share: keys, and the texts that travel beside a ciphertext, as options and as values."""

from typing import TYPE_CHECKING, Annotated, NamedTuple

from ...errors import FormatError, KeyFileError, UsageError
from ..framework import console
from ..framework.arguments import Choice, argument, between, flag, option, together
from ..framework.exit_codes import line_of

if TYPE_CHECKING:
    from ...capgo import Bundle, ChecksumVersion, Offer, PrivateKey, PublicKey


class Written(Choice):
    """Generations of the format that are written."""

    V2 = "v2"
    V3 = "v3"


Private = Annotated[str, option("-k", "--key", metavar="FILE", help="The private key.")]
Public = Annotated[str, option("-k", "--key", metavar="FILE", help="The public key.")]
Format = Annotated[
    Written, option("--format", type=Written, help="v3: for plugins from 5.30, 6.30 and 7.30 on; v2: for older ones.")
]
SessionKey = Annotated[str | None, option("--session-key", metavar="TEXT", help="What Capgo names ivSessionKey.")]
Checksum = Annotated[str | None, option("--checksum", metavar="TEXT", help="The checksum that came with it.")]
Record = Annotated[
    str | None, option("--record", metavar="FILE.json", help="In place of both: what 'encrypt' recorded.")
]
NewRecord = Annotated[
    str | None, option("--record", metavar="FILE.json", help="Write what the server must know.", writes=True)
]
Ciphertext = Annotated[str, argument("FILE", help="An encrypted bundle; '-': stdin.")]


@together
class Offering(NamedTuple):
    """To which devices with Capgo's plugin a release is offered, and what they are told of it."""

    capgo_share: Annotated[
        int | None,
        option("--capgo-share", metavar="N", type=between(0, 1000), help="To so many of 1000 devices with the plugin."),
    ] = None
    capgo_salt: Annotated[
        str | None,
        option("--capgo-salt", metavar="TEXT", help="Which ones they are hangs on this; default: the version."),
    ] = None
    capgo_min_update_version: Annotated[
        str | None,
        option("--capgo-min-update-version", metavar="VERSION", help="To native versions from this one on."),
    ] = None
    capgo_breaking: Annotated[
        bool, flag("--capgo-breaking", help="Native versions too old for it are told to look in the store.")
    ] = False
    capgo_link: Annotated[str | None, option("--capgo-link", metavar="URL", help="For the app: what is new.")] = None
    capgo_comment: Annotated[str | None, option("--capgo-comment", metavar="TEXT", help="For the app.")] = None

    def offer(self, version: str) -> "Offer":
        """Return what the seal of a release of that version shall say. Raises UsageError."""
        from ...capgo import Offer

        if self.capgo_salt is not None and self.capgo_share is None:
            raise UsageError("--capgo-salt is for --capgo-share")
        said = {
            "share": self.capgo_share,
            "salt": None if self.capgo_share is None else self.capgo_salt or version,
            "min_update_version": self.capgo_min_update_version,
            "breaking": self.capgo_breaking or None,
            "link": self.capgo_link,
            "comment": self.capgo_comment,
        }
        given = {name: value for name, value in said.items() if value is not None}
        try:
            return Offer.from_json(given, "offer for Capgo's plugin")
        except FormatError as error:
            raise UsageError(str(error)) from None


PACK_SUFFIX = ".pack"
FILES_SUFFIX = ".files"
"""What `encrypt --files` writes beside a file."""
_FILES_MEMBER = "files"
PRIVATE_KEY_FILE = ".capgo_key_v2"
PUBLIC_KEY_FILE = ".capgo_key_v2.pub"


def report(
    bundle: "Bundle", target: str, *, record: str | None, format: Written, force: bool, files: bool = False
) -> None:
    """files: whether single files were made beside it."""
    if record is not None:
        from json import dumps

        from ...io.sink import FileSink

        with FileSink(record, overwrite=force) as file:
            value = bundle.to_json() | ({_FILES_MEMBER: True} if files else {})
            file.write_at(0, dumps(value, indent=1).encode("ascii") + b"\n")
            file.commit()
    checksum = bundle.checksum(checksum_version(format))
    console.answer({"checksum": checksum, "filename": target, "ivSessionKey": bundle.session_key})
    if target != console.STANDARD:
        console.say(f"file: {target}")
        # Without a record, nothing else has these two.
        console.print_line(f"checksum: {checksum}")
        console.print_line(f"session key: {bundle.session_key}")
        console.say(f"key id: {bundle.key_id}")


def given(
    session_key: str | None, checksum: str | None, record: str | None, format: Written
) -> tuple[str, str, "Bundle | None", bool]:
    """Return session key and checksum, the record that they are from if they are, and whether that has single files."""
    if record is None:
        if session_key is None or checksum is None:
            raise UsageError("give --session-key TEXT and --checksum TEXT, or --record FILE.json")
        return session_key, checksum, None, False
    if session_key is not None or checksum is not None:
        raise UsageError("give --record, or --session-key and --checksum, not both")
    from ... import capgo
    from ...format import strictjson

    with open(record, "rb") as file:
        data = file.read()
    try:
        value = strictjson.parse(data, record)
        files = type(value) is dict and value.pop(_FILES_MEMBER, False) is True
        bundle = capgo.Bundle.from_json(value, record)
    except FormatError as error:
        raise UsageError(str(error)) from None
    return bundle.session_key, bundle.checksum(checksum_version(format)), bundle, files


def checksum_version(format: Written) -> "ChecksumVersion":
    from ... import capgo

    return capgo.ChecksumVersion(format.value)


def private_key(path: str) -> "PrivateKey":
    from ... import capgo

    try:
        return capgo.load_private_key(path)
    except OSError as error:
        raise KeyFileError(line_of(error)) from error


def public_key(path: str) -> "PublicKey":
    from ... import capgo

    try:
        return capgo.load_public_key(path)
    except OSError as error:
        raise KeyFileError(line_of(error)) from error
