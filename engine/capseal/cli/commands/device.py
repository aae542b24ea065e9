"""capseal device: what a device does with updates, on this machine."""

import errno
import os
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from ...errors import UsageError
from ..framework import console, options, progress, servers
from ..framework.arguments import Choice, Group, at_least, flag, option
from ..framework.extras import need
from ..framework.passphrases import Passphrases
from ..framework.titles import counted, sized

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
            told = "No such file or folder; --builtin has to name what runs at first"
            raise FileNotFoundError(errno.ENOENT, told, self.builtin)
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
    *,
    passphrases: Passphrases,
) -> None:
    """Check a sealed bundle, or a server's latest release (a URL), completely, unpack it and stage it."""
    from ...errors import RollbackError

    store = chosen.store(identity, passphrases)
    is_url = bundle.startswith(("https://", "http://"))
    try:
        with progress.transferred("Installing") as bar:
            source = bundle if is_url else console.open_input(bundle)
            staged = store.install(source, seal=options.seal_of(bundle, seal), **bar)
    except RollbackError as error:
        found = store.status()
        runs = chosen.builtin_sequence if found.current is None else found.current.sequence
        if not is_url or error.sequence != runs:
            raise
        _tell_already(found)
        return
    if staged.download is not None and staged.download.problem is not None:
        console.complain(f"warning: {staged.download.problem}")
    console.answer({"staged": _json(staged), "already": None})
    console.say(f"staged: {_told(staged)}")
    if staged.download is not None:
        console.say(f"downloaded: {_told_of(staged.download)}")
    console.say("next: capseal device ... activate")


def _tell_already(found: "Status") -> None:
    """Say that a server's latest release is what runs."""
    if found.uncertain is not None:
        doubt = "whether something newer is withheld, nobody can say"
        console.complain(f"warning: {found.uncertain.why}; {doubt}")
    console.answer({"staged": None, "already": _json(found.current)})
    console.say(f"already up to date: {_told(found.current)} runs")


def refresh(chosen: Device, server: servers.Url = None) -> None:
    """Take the channel's head: what is current, withdrawn and recalled. Nothing is installed."""
    need("client")
    store = chosen.store()
    store.refresh(servers.chosen_server(server, options.find_config()))
    found = store.status()
    console.answer(_json_of_head(found))
    _tell_head(found)


def activate(chosen: Device) -> None:
    """Let the next boot start the staged bundle."""
    pending = chosen.store().activate()
    console.answer({"pending": _json(pending)})
    console.say(f"pending: {_told(pending)}")
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
    path = chosen.store().current()
    console.answer({"path": path})
    console.print_line(path)


def prune(
    chosen: Device,
    keep: Annotated[int, option("--keep", metavar="N", type=at_least(0), help="Older confirmed bundles to keep.")] = 1,
) -> None:
    """Delete what is not needed any more."""
    deleted = chosen.store().prune(keep=keep)
    console.answer({"deleted": deleted})
    for name in deleted:
        console.say(f"deleted: {name}")


def verify(chosen: Device) -> None:
    """Check signature and every byte of what is installed."""
    with progress.shown("Verifying", chosen.root) as advance:
        checked = chosen.store().verify(progress=advance)
    problems = (None if one.problem is None else str(one.problem) for one in checked)
    console.answer(
        [{"bundle": _json(one.bundle), "problem": told} for one, told in zip(checked, problems, strict=True)]
    )
    for one in checked:
        console.say(f"{_told(one.bundle)}: {one.problem or 'whole, and signed by a trusted key'}")
    for one in checked:
        if one.problem is not None:
            raise one.problem


def status(chosen: Device) -> None:
    """Show what is installed, and the sequence floor."""
    found = chosen.store().status()
    console.answer(
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
            **_json_of_head(found),
        }
    )
    console.print_line(f"runs:      {_told(found.current)}")
    console.print_line(f"floor:     {found.floor}")
    if found.staged is not None:
        console.print_line(f"staged:    {_told(found.staged)}{_downloaded(found.staged)}")
    if found.pending is not None:
        started = f", started {counted(found.starts, 'time')}"
        console.print_line(f"pending:   {_told(found.pending)}{started}{_downloaded(found.pending)}")
    for bundle in found.confirmed:
        console.print_line(f"confirmed: {_told(bundle)}{_downloaded(bundle)}")
    for failed in found.failed:
        console.print_line(f"failed:    {failed.version} (sequence {failed.sequence}): {failed.reason}")
    _tell_head(found)


def _tell_head(found: "Status") -> None:
    from ...format.strictjson import shown_time

    if found.head is not None:
        console.print_line(f"head:      {found.head.number}, until {shown_time(found.head.expires)}")
    if found.uncertain is not None:
        since = _moment(found.uncertain.since)
        console.print_line(
            f"uncertain: {'from the start' if since is None else f'since {since}'}: {found.uncertain.why}"
        )


def _moment(time: "datetime | None") -> str | None:
    from ...format.strictjson import shown_time

    return None if time is None else shown_time(time)


def _told(bundle: "Bundle | None") -> str:
    return "the built-in bundle" if bundle is None else f"{bundle.version} (sequence {bundle.sequence})"


def _downloaded(bundle: "Bundle") -> str:
    return "" if bundle.download is None else f"; downloaded {_told_of(bundle.download)}"


def _told_of(download: "Download") -> str:
    said = f"{sized(download.bytes)} beside the seal, by its {download.source}"
    return (
        f"{said}; {sized(download.saved_bytes)} of {sized(download.payload_bytes)} saved"
        if download.saved_bytes
        else said
    )


def _json(bundle: "Bundle | None") -> dict[str, Any] | None:
    if bundle is None:
        return None
    told = {"id": bundle.id, "version": bundle.version, "sequence": bundle.sequence, "digest": bundle.digest}
    download = bundle.download
    if download is None:
        return told
    saved = {"source": download.source, "bytes": download.bytes, "saved_bytes": download.saved_bytes}
    return told | {"download": saved}


def _json_of_head(found: "Status") -> dict[str, Any]:
    from ...format.strictjson import shown_time

    head = None
    if found.head is not None:
        times = {"issued": shown_time(found.head.issued), "expires": shown_time(found.head.expires)}
        head = {"epoch": found.head.epoch, "number": found.head.number, **times}
    doubt = found.uncertain
    return {
        "head": head,
        "uncertain": None if doubt is None else {"since": _moment(doubt.since), "why": doubt.why},
    }


def _tell_running(running: "Running") -> None:
    problem = None if running.problem is None else str(running.problem)
    console.answer({"path": running.path, "running": _json(running.bundle), "problem": problem})
    if running.problem is not None:
        console.complain(f"{_told(running.bundle)} runs: {running.problem}")
    console.print_line(running.path)


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
