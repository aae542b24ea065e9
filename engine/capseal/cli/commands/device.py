"""capseal device: what a device does with updates, on this machine."""

import os
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from ...errors import UsageError
from ..framework import console, options, progress, servers
from ..framework.arguments import Choice, Group, at_least, flag, option
from ..framework.extras import need
from ..framework.passphrases import Passphrases
from ..framework.titles import counted

if TYPE_CHECKING:
    from datetime import datetime

    from ...device import Bundle, DeviceStore, Download, Running, Status


class HeadUse(Choice):
    """How a device uses heads, named here so that --help need not import the library."""

    USED = "used"
    REQUIRED = "required"
    IGNORED = "ignored"


class Device(NamedTuple):
    """The options in front of the command: a device, and what it accepts."""

    root: Annotated[str, option("--root", metavar="DIR", help="The device's folder; made by the first install.")]
    builtin: Annotated[
        str, option("--builtin", metavar="DIR", help="What the app was shipped with; runs where nothing else does.")
    ]
    builtin_sequence: Annotated[
        int,
        option(
            "--builtin-sequence",
            metavar="N",
            type=at_least(0),
            help="Install and run nothing at or below this sequence.",
        ),
    ] = 0
    app: options.ExpectApp = None
    channel: options.ExpectChannel = None
    trust: options.Trust = None
    role: options.ExpectRole = options.RoleName.PRODUCTION
    native: options.ExpectNative = None
    platform: options.ExpectPlatform = None
    head: Annotated[
        HeadUse,
        option(
            "--head", type=HeadUse, help="'required': install only what a fresh head names; 'ignored': ask for none."
        ),
    ] = HeadUse.USED
    boots: Annotated[
        int, option("--boots", metavar="N", type=at_least(1), help="Starts that a new bundle has to be confirmed in.")
    ] = 1
    confirm_within_s: Annotated[
        float,
        option("--confirm-within", metavar="SECONDS", type=at_least(0.0), help="Time to confirm after each of them."),
    ] = 10.0
    recipe_memory_mib: Annotated[
        int,
        option(
            "--recipe-memory",
            metavar="MIB",
            type=at_least(0),
            help="Apply no recipe that takes more memory than that; 0: none at all.",
        ),
    ] = 112
    lock_timeout_s: Annotated[
        float,
        option("--lock-timeout", metavar="SECONDS", type=at_least(0.0), help="How long to wait for another process."),
    ] = 10.0

    def store(self, identities: options.Identities = None, passphrases: Passphrases | None = None) -> "DeviceStore":
        """Return the store; identities are only loaded where they are needed."""
        from ...device import DeviceStore
        from ...format.strictjson import Role

        if not os.path.exists(self.builtin):
            raise UsageError(f"{self.builtin}: no such file or folder; --builtin has to name what runs at first")
        if os.path.exists(self.root) and not os.path.isdir(self.root):
            raise UsageError(f"{self.root}: not a folder; --root has to name the device's")
        config = options.find_config()
        app = options.chosen_app(self.app, config)
        keys = [] if passphrases is None else options.load_identities(identities or config.identities, passphrases)
        return DeviceStore(
            self.root,
            trust=options.load_trust(self.trust or config.trust),
            identity=keys,
            app=app,
            channel=options.chosen_channel(self.channel, config),
            role=Role(self.role.value),
            native=self.native,
            platform=self.platform,
            builtin=self.builtin,
            builtin_sequence=self.builtin_sequence,
            boots=self.boots,
            confirm_within_s=self.confirm_within_s,
            recipe_memory_bytes=self.recipe_memory_mib * 1024 * 1024,
            lock_timeout_s=self.lock_timeout_s,
            head=self.head.value,
        )


def install(
    chosen: Device,
    bundle: options.Bundle,
    seal: options.Seal = None,
    identity: options.Identities = None,
    json: options.Json = False,
    *,
    passphrases: Passphrases,
) -> None:
    """Check a sealed bundle, or a server's latest release (a URL), completely, unpack it and stage it."""
    store = chosen.store(identity, passphrases)
    with progress.transferred("Installing") as bar:
        source = bundle if bundle.startswith(("https://", "http://")) else console.open_input(bundle)
        staged = store.install(source, seal=options.seal_of(bundle, seal), **bar)
    if staged.download is not None and staged.download.problem is not None:
        console.complain(f"warning: {staged.download.problem}")
    if json:
        console.print_json({"staged": _json(staged)})
        return
    console.say(f"staged: {_told(staged)}")
    if staged.download is not None:
        console.say(f"downloaded: {_told_of(staged.download)}")
    console.say("next: capseal device ... activate")


def refresh(chosen: Device, server: servers.Url = None) -> None:
    """Take the channel's head: what is current, withdrawn and recalled. Nothing is installed."""
    need("client")
    store = chosen.store()
    store.refresh(servers.chosen_server(server, options.find_config()))
    _tell_head(store.status())


def activate(chosen: Device) -> None:
    """Let the next boot start the staged bundle."""
    console.say(f"pending: {_told(chosen.store().activate())}")
    console.say("next: capseal device ... boot, which prints what to run; confirm once that has started well")


def boot(
    chosen: Device,
    verify: Annotated[bool, flag("--verify", help="Check signature and every byte of it first.")] = False,
) -> None:
    """Choose what to run, and print its path."""
    _tell_running(chosen.store().boot(verify=verify))


def confirm(chosen: Device) -> None:
    """Say that what runs has started well."""
    _tell_running(chosen.store().confirm())


def rollback(chosen: Device) -> None:
    """Fail what is pending or runs, and go back to the bundle before."""
    _tell_running(chosen.store().rollback())


def current(chosen: Device) -> None:
    """Print the path of what the last boot chose."""
    console.say(chosen.store().current())


def prune(
    chosen: Device,
    keep: Annotated[int, option("--keep", metavar="N", type=at_least(0), help="Older confirmed bundles to keep.")] = 1,
) -> None:
    """Delete what is not needed any more."""
    for name in chosen.store().prune(keep=keep):
        console.say(f"deleted: {name}")


def verify(chosen: Device, json: options.Json = False) -> None:
    """Check signature and every byte of what is installed."""
    with progress.shown("Verifying", chosen.root) as advance:
        checked = chosen.store().verify(progress=advance)
    if json:
        console.print_json(
            [
                {"bundle": _json(one.bundle), "problem": None if one.problem is None else str(one.problem)}
                for one in checked
            ]
        )
    for one in () if json else checked:
        console.say(f"{_told(one.bundle)}: {one.problem or 'whole, and signed by a trusted key'}")
    for one in checked:
        if one.problem is not None:
            raise one.problem


def status(chosen: Device, as_json: options.Json = False) -> None:
    """Show what is installed, and the sequence floor."""
    from ...format.strictjson import shown_time

    found = chosen.store().status()
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
                "head": None
                if found.head is None
                else {
                    "epoch": found.head.epoch,
                    "number": found.head.number,
                    "issued": shown_time(found.head.issued),
                    "expires": shown_time(found.head.expires),
                },
                "uncertain": None
                if found.uncertain is None
                else {"since": _moment(found.uncertain.since), "why": found.uncertain.why},
            }
        )
        return
    console.say(f"runs:      {_told(found.current)}")
    console.say(f"floor:     {found.floor}")
    if found.staged is not None:
        console.say(f"staged:    {_told(found.staged)}{_downloaded(found.staged)}")
    if found.pending is not None:
        started = f", started {counted(found.starts, 'time')}"
        console.say(f"pending:   {_told(found.pending)}{started}{_downloaded(found.pending)}")
    for bundle in found.confirmed:
        console.say(f"confirmed: {_told(bundle)}{_downloaded(bundle)}")
    for failed in found.failed:
        console.say(f"failed:    {failed.version} (sequence {failed.sequence}): {failed.reason}")
    _tell_head(found)


def _tell_head(found: "Status") -> None:
    from ...format.strictjson import shown_time

    if found.head is not None:
        console.say(f"head:      {found.head.number}, until {shown_time(found.head.expires)}")
    if found.uncertain is not None:
        since = _moment(found.uncertain.since)
        console.say(f"uncertain: {'from the start' if since is None else f'since {since}'}: {found.uncertain.why}")


def _moment(time: "datetime | None") -> str | None:
    from ...format.strictjson import shown_time

    return None if time is None else shown_time(time)


def _told(bundle: "Bundle | None") -> str:
    return "the built-in bundle" if bundle is None else f"{bundle.version} (sequence {bundle.sequence})"


def _downloaded(bundle: "Bundle") -> str:
    return "" if bundle.download is None else f"; downloaded {_told_of(bundle.download)}"


def _told_of(download: "Download") -> str:
    said = f"{download.bytes} bytes beside the seal, by its {download.source}"
    return f"{said}; {download.saved_bytes} of {download.payload_bytes} saved" if download.saved_bytes else said


def _json(bundle: "Bundle | None") -> dict[str, Any] | None:
    if bundle is None:
        return None
    told = {"id": bundle.id, "version": bundle.version, "sequence": bundle.sequence, "digest": bundle.digest}
    download = bundle.download
    if download is None:
        return told
    saved = {"source": download.source, "bytes": download.bytes, "saved_bytes": download.saved_bytes}
    return told | {"download": saved}


def _tell_running(running: "Running") -> None:
    if running.problem is not None:
        console.complain(f"{_told(running.bundle)} runs: {running.problem}")
    console.say(running.path)


COMMANDS = {
    "device": Group(
        help="Install bundles as a device does, and choose what to run.",
        options=Device,
        commands={
            "install": install,
            "refresh": refresh,
            "activate": activate,
            "boot": boot,
            "confirm": confirm,
            "rollback": rollback,
            "current": current,
            "prune": prune,
            "verify": verify,
            "status": status,
        },
    ),
}
