"""capseal init: keys, certificates, trust stores and capseal.toml, once per project."""

from typing import TYPE_CHECKING, Annotated

from ...errors import UsageError
from ..framework import console, options, progress
from ..framework.arguments import at_least, flag, option
from ..framework.passphrases import Passphrases

if TYPE_CHECKING:
    from ...project.creation import Created


def init(
    app: Annotated[
        str | None,
        option("--app", metavar="ID", help="The app id; default: what capacitor.config or package.json says."),
    ] = None,
    web: Annotated[
        str | None,
        option("--web", metavar="DIR", help="The web build; default: as capacitor.config says, or dist, www."),
    ] = None,
    days: Annotated[
        int | None,
        option(
            "--days", metavar="N", type=at_least(1), help="How long the certificates are valid; default: ten years."
        ),
    ] = None,
    csr: Annotated[
        bool, flag("--csr", help="Make a certificate request for your company's CA in place of a certificate.")
    ] = False,
    signing_key: Annotated[
        str | None, option("--signing-key", metavar="FILE|URI", help="A signing key that is there already.")
    ] = None,
    root_key: Annotated[
        str | None, option("--root-key", metavar="FILE|URI", help="A root key that is there already, as in an HSM.")
    ] = None,
    head_key: Annotated[
        str | None, option("--head-key", metavar="FILE|URI", help="A head key that is there already.")
    ] = None,
    passphrase: Annotated[bool, flag("--passphrase", help="Encrypt the keys; asks for a passphrase.")] = False,
    *,
    passphrases: Passphrases,
) -> None:
    """Make keys, certificates, trust stores and capseal.toml in this folder. Nothing is overwritten."""
    from datetime import UTC, datetime

    from ...project import creation

    app, web = _found(app, web)
    secret = passphrases.new() if passphrase or passphrases.given else None
    given = {}
    for name, reference in ((creation.SIGNING, signing_key), (creation.ROOT, root_key), (creation.HEAD, head_key)):
        if reference is not None:
            signer = options.load_one_signer([reference], passphrases)
            given[name] = creation.Given(reference, signer.public_key)
    with progress.waiting("Making keys"):
        made = creation.create_project(
            "", app=app, web=web, now=datetime.now(UTC), days=days, csr=csr, passphrase=secret, given=given
        )
    _tell(app, web, made, csr=csr)


def _found(app: str | None, web: str | None) -> tuple[str, str | None]:
    """Return app id and web folder: as given, else as found. Raises UsageError."""
    from ...errors import FormatError
    from ...format.strictjson import check_name
    from ...project.discovery import find_web_app

    try:
        if app is not None:
            check_name(app, "--app")
    except FormatError as error:
        raise UsageError(str(error)) from None
    found = find_web_app(".")
    if app is None and found.app is None:
        raise UsageError("no app id found in capacitor.config or package.json here; go to the app's, or give --app ID")
    if app is None:
        console.say(f"app id {found.app}, as {found.source} says")
    return app or str(found.app), web or found.web


def _tell(app: str, web: str | None, made: "Created", *, csr: bool) -> None:
    from ...project import creation
    from ...project.config import FILE_NAME
    from ...project.git import has_repository

    listed = (
        (f"{creation.SIGNING}.pem", "secret: signs releases; for the release machine only"),
        (f"{creation.DEVELOPMENT}.pem", "secret: signs what 'capseal dev' serves; for developers' machines"),
        (f"{creation.RECIPIENT}.pem", "secret: opens bundles; goes into the app, on the devices"),
        (f"{creation.ARCHIVE}.pem", "secret: opens all releases, to make recipes; for the release machine only"),
        (f"{creation.ROOT}.pem", "secret: may replace all other keys; to be kept offline, away from them"),
        (f"{creation.HEAD}.pem", "secret: says what is current; for what renews that, such as CI"),
        (f"{creation.DEVELOPMENT_HEAD}.pem", "secret: the same for development builds"),
        (creation.TRUST, "public: who may vouch in production builds; goes into them and to servers"),
        (creation.DEVELOPMENT_TRUST, "public: the same for development builds"),
        (made.paper, "public: for your company's CA" if csr else "public: the certificate that goes with signatures"),
        (FILE_NAME, "public: found by every capseal command in this folder and below"),
        (creation.IGNORE, "keeps the secret ones, and what capseal makes here, out of git"),
    )
    files = [
        (path, what)
        for path, what in listed
        if path is not None and (not what.startswith("secret") or path.removesuffix(".pem") in made.made)
    ]
    told = [{"path": path, "secret": what.startswith("secret")} for path, what in files]
    console.answer({"app": app, "web": web, "files": told})
    for path, what in files:
        console.say(f"{path:<28} {what}")
    if csr:
        console.say(f"next: have {made.paper} signed, then 'capseal key import CHAIN.pem'")
    if creation.ROOT in made.made:
        console.say(f"keep {creation.ROOT}.pem offline: a stick in a safe, away from the other keys (docs/keys.md)")
    if has_repository("."):
        console.say(f"next: git add {creation.IGNORE} {FILE_NAME} {creation.KEYS} && git commit -m capseal")
    console.say(f"next: capseal release{'' if web else ' WEBDIR'} --version 1.0.0")


COMMANDS = {"init": init}
