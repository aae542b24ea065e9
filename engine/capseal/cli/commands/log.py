"""capseal log: show and check the release log."""

from typing import Annotated

from ...errors import UsageError
from ..framework import options
from ..framework.arguments import Group, argument, option
from ..framework.console import print_json, say
from ..framework.titles import counted

File = Annotated[str | None, argument("LOG", help="The log; default: 'log' in capseal.toml.")]


def verify(
    file: File = None,
    trust: Annotated[
        list[str] | None,
        option(
            "--trust", metavar="FILE", repeatable=True, help="Who may have signed; repeat it for stores of the past."
        ),
    ] = None,
    head: Annotated[
        str | None, option("--head", metavar="DIGEST", help="A head that was seen before: it must still be in the log.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Check every entry's signature and the chain, and print the entries and the head."""
    from ...format.strictjson import shown_time
    from ...project.log import FIRST, load_pending, verify_log

    config = options.find_config()
    path = file or config.log
    if path is None:
        raise UsageError("no log: give LOG, or set 'log' in capseal.toml")
    stores = [options.load_trust(store) for store in trust or (config.trust,)]
    logged = verify_log(path, trust=stores, head=head)
    last = logged[-1].digest if logged else FIRST
    pending = load_pending(path)
    if json:
        entries = [
            {
                "number": item.entry.number,
                "time": shown_time(item.entry.time),
                "app": item.entry.app,
                "channel": item.entry.channel,
                "version": item.entry.version,
                "sequence": item.entry.sequence,
                "payload": item.entry.payload,
                "seal": item.entry.seal,
                "signers": list(item.entry.signers),
                "by": [trusted.key.fingerprint for trusted in item.by],
            }
            for item in logged
        ]
        waiting = None if pending is None else {"sequence": pending.entry.sequence, "server": pending.server}
        print_json({"verified": True, "head": last, "entries": entries, "pending": waiting})
        return
    for item in logged:
        entry = item.entry
        signers = ", ".join(signer[:16] for signer in entry.signers)
        say(
            f"{entry.number:>4}  {shown_time(entry.time)}  {entry.app} {entry.version} "
            f"(sequence {entry.sequence}, {entry.channel})  signed by {signers}"
        )
    say(f"verified: {counted(len(logged), 'entry')}, head {last}")
    if pending is not None:
        entry, server = pending.entry, pending.server or "the folder"
        say(f"pending: {entry.app} {entry.version} (sequence {entry.sequence}); the next release asks {server} for it")


COMMANDS = {
    "log": Group(
        help="Who released what when: the append-only log that 'capseal release' writes.", commands={"verify": verify}
    ),
}
