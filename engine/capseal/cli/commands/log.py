"""capseal log: show and check the release log."""

from typing import TYPE_CHECKING, Annotated

from ...errors import UsageError
from ..framework import options, progress
from ..framework.arguments import Group, argument, option
from ..framework.console import answer, print_line, say
from ..framework.passphrases import Passphrases
from ..framework.titles import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...project.log import Entry, Logged
    from ...trust.store import TrustStore

File = Annotated[str | None, argument("LOG", help="The log; default: 'log' in capseal.toml.")]


def verify(
    file: File = None,
    trust: Annotated[
        list[str] | None,
        option(
            "--trust",
            metavar="FILE",
            repeatable=True,
            help="Who may have signed; repeat it for stores of the past. Default: capseal.toml's, and those "
            "before it that updates/ has.",
        ),
    ] = None,
    update: Annotated[
        list[str] | None,
        option(
            "--update",
            metavar="FILE",
            repeatable=True,
            help="An update of a store of --trust, or of one that another update brings; repeat it.",
        ),
    ] = None,
    head: Annotated[
        str | None, option("--head", metavar="DIGEST", help="A head that was seen before: it must still be in the log.")
    ] = None,
) -> None:
    """Check every entry's signature and the chain, and print the entries and the head."""
    from ...project.log import FIRST, ReleaseEntry, load_pending, verify_log

    config = options.find_config()
    path = file or config.log
    if path is None:
        raise UsageError(f"no log: give LOG, or set 'log' in {options.shown_config()}")
    stores = _followed(options.load_trusts(trust, config.trust), update or ())
    if not trust and not update:
        from ...project.trust_history import past

        stores += past(options.project_folder(), stores[0])
    with progress.waiting("Verifying the log"):
        logged = verify_log(path, trust=stores, head=head)
    last = logged[-1].digest if logged else FIRST
    pending = load_pending(path)
    waiting = None
    if pending is not None and isinstance(pending.entry, ReleaseEntry):
        waiting = {"sequence": pending.entry.sequence, "server": pending.server}
    answer({"verified": True, "head": last, "entries": [_value(item) for item in logged], "pending": waiting})
    for item in logged:
        print_line(_line(item.entry))
    print_line(f"verified: {counted(len(logged), 'entry')}, head {last}")
    if pending is not None and isinstance(pending.entry, ReleaseEntry):
        entry, server = pending.entry, pending.server or "the folder"
        print_line(
            f"pending: {entry.app} {entry.version} (sequence {entry.sequence}); the next release asks {server} for it"
        )


def _followed(stores: "list[TrustStore]", files: "Sequence[str]") -> "list[TrustStore]":
    """Return stores and those that updates bring, taken as by a device. Raises RejectedError, UsageError."""
    from ...trust.updates import accept_update, read_update

    updates = [(path, options.read_document(path)) for path in files]
    for path, data in sorted(updates, key=lambda one: read_update(one[1])[1].version):
        previous, new = read_update(data)
        before = next((store for store in stores if store.digest == previous), None)
        if before is None:
            raise UsageError(
                f"{path}: brings version {new.version} of a trust store of which version {new.version - 1} was not "
                "given: --trust FILE"
            )
        stores = [*stores, accept_update(before, data)]
    return stores


def _value(item: "Logged") -> dict[str, object]:
    from ...format.strictjson import shown_time
    from ...project.log import ReleaseEntry

    entry = item.entry
    value: dict[str, object] = {"number": entry.number, "time": shown_time(entry.time), "trust": entry.trust}
    if isinstance(entry, ReleaseEntry):
        names = ("app", "channel", "version", "sequence", "payload", "seal", "replaces")
        value |= {name: getattr(entry, name) for name in names} | {"signers": list(entry.signers)}
    return value | {"by": [trusted.key.fingerprint for trusted in item.by]}


def _line(entry: "Entry") -> str:
    from ...format.strictjson import shown_time
    from ...project.log import ReleaseEntry

    start = f"{entry.number:>4}  {shown_time(entry.time)}  "
    if not isinstance(entry, ReleaseEntry):
        return f"{start}trust store version {entry.trust} begins"
    signers = ", ".join(signer[:16] for signer in entry.signers)
    again = "" if entry.replaces is None else f", in place of seal {entry.replaces[:16]}"
    return (
        f"{start}{entry.app} {entry.version} (sequence {entry.sequence}, {entry.channel}{again})  signed by {signers}"
    )


def store(
    file: File = None,
    trust: options.Trust = None,
    signer: options.Signers = None,
    *,
    passphrases: Passphrases,
) -> None:
    """Note that the present version of the trust store begins, so that keys which it has not sign no entry any more."""
    from datetime import UTC, datetime

    from ...project.release import log_store

    config = options.find_config()
    path = file or config.log
    if path is None:
        raise UsageError(f"no log: give LOG, or set 'log' in {options.shown_config()}")
    loaded = options.load_trust(trust or config.trust)
    one = options.load_signers(signer or config.signers, passphrases)[0]
    noted = log_store(path, trust=loaded, signer=one, now=datetime.now(UTC))
    answer({"log": path, "trust_version": loaded.version, "noted": noted})
    say(f"{path}: trust store version {loaded.version} " + ("begins" if noted else "has begun already, or nothing has"))


COMMANDS = {
    "log": Group(
        help="Who released what when: the append-only log that 'capseal release' writes.",
        commands={"verify": verify, "store": store},
    ),
}
