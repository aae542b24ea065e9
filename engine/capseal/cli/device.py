"""capseal device: what a device does with updates, on this machine."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from . import config, console, options, progress
from .passphrases import Passphrases

if TYPE_CHECKING:
    from ..device import Bundle, DeviceStore, Running

app = typer.Typer(help="Install bundles as a device does, and choose what to run.", no_args_is_help=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the options in front of the command say."""

    root: str
    builtin: str
    builtin_sequence: int
    app: str | None
    channel: str | None
    trust: str | None
    role: options.RoleName
    boots: int
    confirm_within_s: float
    lock_timeout_s: float

    def store(self, identities: options.Identities = None, passphrases: Passphrases | None = None) -> "DeviceStore":
        """Return the store; identities are only loaded where they are needed."""
        from ..device import DeviceStore
        from ..trust import Role

        settings = config.find()
        app = self.app or settings.app
        if app is None:
            raise UsageError("no app: give --app ID, or make a project with 'capseal init'")
        keys = [] if passphrases is None else options.load_identities(identities or settings.identities, passphrases)
        return DeviceStore(
            self.root,
            trust=options.load_trust(self.trust or settings.trust),
            identity=keys,
            app=app,
            channel=self.channel or settings.channel or "production",
            role=Role(self.role.value),
            builtin=self.builtin,
            builtin_sequence=self.builtin_sequence,
            boots=self.boots,
            confirm_within_s=self.confirm_within_s,
            lock_timeout_s=self.lock_timeout_s,
        )


@app.callback()
def device(
    context: typer.Context,
    root: Annotated[str, typer.Option(metavar="DIR", help="The device's folder; made by the first install.")],
    builtin: Annotated[
        str, typer.Option(metavar="DIR", help="What the app was shipped with; runs where nothing else does.")
    ],
    builtin_sequence: Annotated[
        int, typer.Option(metavar="N", min=0, help="Install and run nothing at or below this sequence.")
    ] = 0,
    app: options.ExpectApp = None,
    channel: options.ExpectChannel = None,
    trust: options.Trust = None,
    role: options.ExpectRole = options.RoleName.PRODUCTION,
    boots: Annotated[
        int, typer.Option(metavar="N", min=1, help="Starts that a new bundle has to be confirmed in.")
    ] = 1,
    confirm_within_s: Annotated[
        float, typer.Option("--confirm-within", metavar="SECONDS", help="Time to confirm after each of them.")
    ] = 10.0,
    lock_timeout_s: Annotated[
        float, typer.Option("--lock-timeout", metavar="SECONDS", min=0, help="How long to wait for another process.")
    ] = 10.0,
) -> None:
    """Install bundles as a device does, and choose what to run."""
    context.obj = Settings(
        root=root,
        builtin=builtin,
        builtin_sequence=builtin_sequence,
        app=app,
        channel=channel,
        trust=trust,
        role=role,
        boots=boots,
        confirm_within_s=confirm_within_s,
        lock_timeout_s=lock_timeout_s,
    )


@app.command()
def install(
    context: typer.Context,
    bundle: options.Bundle,
    seal: options.Seal = None,
    identity: options.Identities = None,
    passphrase_file: options.PassphraseFile = None,
    passphrase_fd: options.PassphraseFd = None,
) -> None:
    """Check a sealed bundle, or a server's latest release (a URL), completely, unpack it and stage it."""
    store = _settings(context).store(identity, Passphrases(passphrase_file, passphrase_fd))
    with progress.shown("Installing", bundle) as advance:
        source = bundle if bundle.startswith(("https://", "http://")) else console.open_input(bundle)
        staged = store.install(source, seal=seal, progress=advance)
    console.say(f"staged: {_told(staged)}")


@app.command()
def activate(context: typer.Context) -> None:
    """Let the next boot start the staged bundle."""
    console.say(f"pending: {_told(_settings(context).store().activate())}")


@app.command()
def boot(
    context: typer.Context,
    verify: Annotated[bool, typer.Option("--verify", help="Check signature and every byte of it first.")] = False,
) -> None:
    """Choose what to run, and print its path."""
    _tell_running(_settings(context).store().boot(verify=verify))


@app.command()
def confirm(context: typer.Context) -> None:
    """Say that what runs has started well."""
    _tell_running(_settings(context).store().confirm())


@app.command()
def rollback(context: typer.Context) -> None:
    """Fail what is pending or runs, and go back to the bundle before."""
    _tell_running(_settings(context).store().rollback())


@app.command()
def current(context: typer.Context) -> None:
    """Print the path of what the last boot chose."""
    console.say(_settings(context).store().current())


@app.command()
def prune(
    context: typer.Context,
    keep: Annotated[int, typer.Option(metavar="N", min=0, help="Older confirmed bundles to keep.")] = 1,
) -> None:
    """Delete what is not needed any more."""
    for name in _settings(context).store().prune(keep=keep):
        console.say(f"deleted: {name}")


@app.command()
def verify(context: typer.Context) -> None:
    """Check signature and every byte of what is installed."""
    checked = _settings(context).store().verify()
    for one in checked:
        console.say(f"{_told(one.bundle)}: {one.problem or 'whole, and signed by a trusted key'}")
    for one in checked:
        if one.problem is not None:
            raise one.problem


@app.command()
def status(context: typer.Context, as_json: options.Json = False) -> None:
    """Show what is installed, and the sequence floor."""
    found = _settings(context).store().status()
    if as_json:
        console.print_json(
            {
                "floor": found.floor,
                "current": _json(found.current),
                "staged": _json(found.staged),
                "pending": _json(found.pending),
                "starts": found.starts,
                "confirmed": [_json(bundle) for bundle in found.confirmed],
                "failed": [
                    {
                        "digest": failed.digest,
                        "sequence": failed.sequence,
                        "version": failed.version,
                        "reason": failed.reason,
                    }
                    for failed in found.failed
                ],
            }
        )
        return
    console.say(f"runs:      {_told(found.current)}")
    console.say(f"floor:     {found.floor}")
    if found.staged is not None:
        console.say(f"staged:    {_told(found.staged)}")
    if found.pending is not None:
        console.say(f"pending:   {_told(found.pending)}, started {found.starts} times")
    for bundle in found.confirmed:
        console.say(f"confirmed: {_told(bundle)}")
    for failed in found.failed:
        console.say(f"failed:    {failed.version} (sequence {failed.sequence}): {failed.reason}")


def _settings(context: typer.Context) -> Settings:
    settings: Settings = context.obj
    return settings


def _told(bundle: "Bundle | None") -> str:
    return "the built-in bundle" if bundle is None else f"{bundle.version} (sequence {bundle.sequence})"


def _json(bundle: "Bundle | None") -> dict[str, str | int] | None:
    if bundle is None:
        return None
    return {"id": bundle.id, "version": bundle.version, "sequence": bundle.sequence, "digest": bundle.digest}


def _tell_running(running: "Running") -> None:
    if running.problem is not None:
        console.complain(f"{_told(running.bundle)} runs: {running.problem}")
    console.say(running.path)
