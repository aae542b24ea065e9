"""Options that several commands share, and what they mean to the library."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

from ...errors import KeyFileError, UsageError
from .arguments import Choice, argument, at_least, between, flag, option, together
from .console import output_path
from .exit_codes import line_of

if TYPE_CHECKING:
    from ...crypto.keys import PrivateKey, PublicKey, Signer
    from ...format.requires import Requires
    from ...format.strictjson import Role
    from ...project.config import Config
    from ...trust.expect import Expect
    from ...trust.store import TrustStore
    from .passphrases import Passphrases

T = TypeVar("T")

SIGNER_VARIABLE = "CAPSEAL_SIGNER"
"""Stands in for a key for releases, and for no other: root, head and development keys have purposes of their own."""

_MAX_DOCUMENT_BYTES = 1024 * 1024
_PAYLOAD = ".payload"
_SET_ASIDE = ".old"
"""What follows the name of a seal under way where it names the seal that is to be replaced."""

Store = Annotated[str, argument("STORE", help="A folder, or an s3://, gs:// or az:// URL, as for 'serve'.")]
Bundle = Annotated[
    str, argument("BUNDLE", help="A sealed bundle, or a payload with --seal; '-': stdin.", in_place=True)
]
Output = Annotated[
    str, option("-o", "--output", metavar="FILE", type=output_path, help="Where to write; '-': stdout.", writes=True)
]
Seal = Annotated[
    str | None,
    option("--seal", metavar="FILE", help="The detached seal of a payload; of X.payload, default: X.seal beside it."),
]
Trust = Annotated[
    str | None,
    option("--trust", metavar="FILE", help="Who may vouch: a trust store, or a PEM file of public keys."),
]
Signers = Annotated[
    list[str] | None,
    option(
        "-s",
        "--signer",
        metavar="FILE|URI",
        repeatable=True,
        env=SIGNER_VARIABLE,
        help="Sign with this private key, or pkcs11: URI, or command:PUBLIC.pem:PROGRAM; all of several sign.",
    ),
]
OtherSigners = Annotated[
    list[str] | None,
    option(
        "-s",
        "--signer",
        metavar="FILE|URI",
        repeatable=True,
        help="Sign with this key, which is none for releases; as file, URI or command; repeatable.",
    ),
]
SignerCommand = Annotated[
    str | None,
    option(
        "--signer-command",
        metavar="COMMAND",
        help="Sign by this command: message in, signature out. -s is the public key.",
    ),
]
Recipients = Annotated[
    list[str] | None,
    option(
        "-r", "--recipient", metavar="FILE", repeatable=True, help="Seal for the public keys in this file; repeatable."
    ),
]
Identities = Annotated[
    list[str] | None,
    option("-i", "--identity", metavar="FILE", repeatable=True, help="Open with this private key; repeatable."),
]
Force = Annotated[bool, flag("-f", "--force", help="Replace the output if it exists.")]
Jobs = Annotated[
    int | None, option("-j", "--jobs", metavar="N", type=at_least(1), help="Threads; default: one per core.")
]
ExpectApp = Annotated[str | None, option("--app", metavar="ID", help="Reject bundles of any other app.")]
ExpectChannel = Annotated[str | None, option("--channel", metavar="NAME", help="Reject bundles of any other channel.")]
MinSequence = Annotated[
    int | None, option("--min-sequence", metavar="N", type=at_least(1), help="Reject bundles with a lower sequence.")
]
SendHead = Annotated[
    bool, flag("--head", opposite="--no-head", help="Send no head, though the project has a head key.")
]
Share = Annotated[
    int | None,
    option("--share", metavar="N", type=between(0, 1000), help="Only for so many of 1000 devices at first."),
]


class RoleName(Choice):
    """The roles of trust.Role, named here so that --help need not import the library."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


ExpectRole = Annotated[
    RoleName,
    option("--role", type=RoleName, help="'development' also accepts what is signed or meant for development."),
]
ExpectNative = Annotated[
    str | None, option("--native", metavar="VERSION", help="Reject bundles that this version of the app cannot run.")
]
ExpectPlatform = Annotated[
    str | None, option("--platform", metavar="NAME", help="Reject bundles for other platforms, e.g. android.")
]


@together
class Requirements(NamedTuple):
    """What a bundle needs of the app that runs it."""

    native_min: Annotated[
        str | None,
        option("--native-min", metavar="VERSION", help="The lowest version of the native app that can run it."),
    ] = None
    native_below: Annotated[
        str | None,
        option("--native-below", metavar="VERSION", help="The lowest version of the native app that can no longer."),
    ] = None
    platforms: Annotated[
        list[str] | None,
        option("--platform", metavar="NAME", repeatable=True, help="Only for this platform, e.g. android; repeatable."),
    ] = None

    def required(self) -> "Requires | None":
        """Return what the library shall put into the statement."""
        if not any(self):
            return None
        from ...format.requires import Requires

        return Requires(
            native_min=self.native_min, native_below=self.native_below, platforms=tuple(self.platforms or ())
        )


def load_signers(
    references: Sequence[str], passphrases: "Passphrases", *, command: str | None = None
) -> list["Signer"]:
    """Load the keys to sign with; with a command, the public key of what it signs with.

    Raises UsageError where there is none, or where there is a command and not one key.
    """
    from ...trust.signers import COMMAND_SCHEME, load_signer

    if not references:
        raise UsageError("no signer: give -s FILE, a private key, or make a project with 'capseal init'")
    if command is not None:
        if len(references) > 1:
            raise UsageError(f"{len(references)} signers: --signer-command signs with one, whose public key -s names")
        references = [f"{COMMAND_SCHEME}{references[0]}:{command}"]
    return [
        _loaded(reference, lambda reference: load_signer(reference, secret=passphrases.of(reference)))
        for reference in references
    ]


def load_one_signer(references: Sequence[str], passphrases: "Passphrases", *, command: str | None = None) -> "Signer":
    """Load the key to add a signature with. Raises UsageError where there is none, or more than one."""
    signers = load_signers(references, passphrases, command=command)
    if len(signers) > 1:
        raise UsageError(f"{len(signers)} signers: a signature is added by one at a time")
    return signers[0]


def read_document(path: str) -> bytes:
    """Return the bytes of a small file: a trust store or what goes into one, its update, a recall. Raises OSError."""
    with open(path, "rb") as file:
        return file.read(_MAX_DOCUMENT_BYTES)


def cosign_file(
    path: str, cosign: "Callable[[bytes, Signer], bytes]", references: Sequence[str], passphrases: "Passphrases"
) -> "PublicKey":
    """Put a document with one more signature in its file's place; return whose it is.

    cosign: adds it; references: of the one key that signs. Raises UsageError, KeyFileError, RejectedError, OSError.
    """
    from ...io.drafts import replace_file

    signer = load_one_signer(references, passphrases)
    replace_file(path, cosign(read_document(path), signer), mode=0o644)
    return signer.public_key


def load_identities(paths: Sequence[str], passphrases: "Passphrases") -> list["PrivateKey"]:
    """Load the keys to open with. Raises UsageError where there is none."""
    if not paths:
        raise UsageError("no identity: give -i FILE, a private key, or make a project with 'capseal init'")
    return [load_private_key(path, passphrases) for path in paths]


def load_private_key(path: str, passphrases: "Passphrases") -> "PrivateKey":
    """Load one private key. Raises KeyFileError."""
    from ...crypto import keys

    return _loaded(path, lambda path: keys.load_private_key(path, passphrase=passphrases.of(path)))


def load_recipients(paths: Sequence[str]) -> list["PublicKey"]:
    """Load every public key of every file. Raises UsageError where there is none."""
    from ...crypto.keys import load_public_keys

    if not paths:
        raise UsageError("no recipient: give -r FILE, a public key, or make a project with 'capseal init'")
    return [key for path in paths for key in _loaded(path, load_public_keys)]


def load_public(reference: str, passphrases: "Passphrases") -> list["PublicKey"]:
    """Return the public keys of a file, or that of a key in hardware, by its URI. Raises KeyFileError, OSError."""
    from ...crypto.keys import load_public_keys
    from ...trust.signers import PKCS11_SCHEME

    if reference.startswith(PKCS11_SCHEME):
        return [signer.public_key for signer in load_signers([reference], passphrases)]
    return load_public_keys(reference)


def load_trust(path: str | None) -> "TrustStore":
    """Load who may vouch. Raises UsageError where nobody is named."""
    from ...trust import store as trust

    if path is None:
        raise UsageError("nobody is trusted: give --trust FILE, or make a project with 'capseal init'")
    return _loaded(path, trust.load_trust)


def load_trusts(paths: Sequence[str] | None, default: str | None) -> "list[TrustStore]":
    """Load the present store, and those of the past where they are named behind it. Raises as load_trust() does."""
    return [load_trust(path) for path in paths or (default,)]


def find_config() -> "Config":
    """Return what capseal.toml says, here or in a folder above. Raises UsageError where it cannot be used."""
    from ...project.config import find

    return find()


def project_folder() -> str:
    """Return the folder of capseal.toml, as seen from here; this folder where there is none."""
    from ...project.config import nearest

    found = nearest()
    return os.curdir if found is None else os.path.relpath(os.path.dirname(found))


def shown_config() -> str:
    """Return what messages call capseal.toml: where there is none, that is the mistake, such as another folder."""
    from ...project.config import FILE_NAME, nearest

    return FILE_NAME if nearest() else f"{FILE_NAME}: there is none here or above, and 'capseal init' makes it"


def seal_of(bundle: str, seal: str | None) -> str | None:
    """Return the detached seal of a bundle: as given, or X.seal beside X.payload; None for an attached bundle.

    Raises UsageError where a payload has no seal beside it, or that was set aside by a run that was killed; OSError.
    """
    if seal is not None:
        _check_not_set_aside(seal)
    if seal is not None or not bundle.endswith(_PAYLOAD) or not is_payload(bundle):
        return seal
    beside = bundle.removesuffix(_PAYLOAD) + ".seal"
    if not os.path.exists(beside):
        _check_not_set_aside(beside)
        raise UsageError(f"{bundle}: a payload, and {beside} is not there; name its seal with --seal FILE")
    return beside


def _check_not_set_aside(seal: str) -> None:
    """Raise UsageError where a seal is not there, since a run that replaced a pair was killed."""
    if os.path.lexists(seal):
        return
    from ...io.durable import is_part_of

    folder, final = os.path.split(seal)
    with suppress(OSError):  # then there is no such folder
        for name in os.listdir(folder or os.curdir):
            if name.endswith(_SET_ASIDE) and is_part_of(name.removesuffix(_SET_ASIDE), final):
                raise UsageError(
                    f"{seal}: is not there, since a run that was to replace the pair was killed; run that again "
                    f"(the seal before it is {os.path.join(folder, name)})"
                )


def is_payload(path: str) -> bool:
    """Say whether a file is none that begins with a seal. Raises OSError."""
    from ...constants import MAGIC

    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) != MAGIC


def chosen_app(app: str | None, config: "Config") -> str:
    """Return the app that a command is about. Raises UsageError where none is named."""
    chosen = app or config.app
    if chosen is None:
        raise UsageError("no app: give --app ID, or make a project with 'capseal init'")
    return chosen


def chosen_channel(channel: str | None, config: "Config") -> str:
    """Return the channel that a command is about."""
    return channel or config.channel or "production"


def chosen_role(role: RoleName | None, signers: Sequence["Signer"], config: "Config") -> "Role":
    """Return what a bundle is meant for: development where the project trusts all its signers for no more."""
    from ...format.strictjson import Role

    if role is not None:
        return Role(role.value)
    if config.development_trust is None:
        return Role.PRODUCTION
    store = load_trust(config.development_trust)
    known = {trusted.key.fingerprint: trusted.role for trusted in store.keys}
    development = all(known.get(signer.public_key.fingerprint) is Role.DEVELOPMENT for signer in signers)
    return Role.DEVELOPMENT if development else Role.PRODUCTION


def expectation(
    *,
    app: str | None,
    channel: str | None,
    min_sequence: int | None,
    role: RoleName,
    native: str | None = None,
    platform: str | None = None,
) -> "Expect":
    """Return what the library shall demand of a bundle."""
    from ...format.strictjson import Role
    from ...trust.expect import Expect

    floor = None if min_sequence is None else min_sequence - 1
    return Expect(app=app, channel=channel, floor=floor, role=Role(role.value), native=native, platform=platform)


@together
class Demands(NamedTuple):
    """What a bundle has to be: for whom, and signed by whom."""

    trust: Trust = None
    app: ExpectApp = None
    channel: ExpectChannel = None
    min_sequence: MinSequence = None
    role: ExpectRole = RoleName.PRODUCTION
    native: ExpectNative = None
    platform: ExpectPlatform = None

    def trusted(self, config: "Config") -> "TrustStore":
        """Load who may vouch. Raises UsageError where nobody is named."""
        return load_trust(self.trust or config.trust)

    def expected(self, config: "Config") -> "Expect":
        """Return what the library shall demand."""
        return expectation(
            app=self.app or config.app,
            channel=self.channel,
            min_sequence=self.min_sequence,
            role=self.role,
            native=self.native,
            platform=self.platform,
        )


def _loaded(path: str, load: Callable[[str], T]) -> T:
    try:
        return load(path)
    except OSError as error:
        # A key that cannot be read is a key that cannot be used.
        raise KeyFileError(line_of(error)) from error
