"""What is told of a head, and how sequences are read that are to stand in one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import UsageError
from ..framework.console import answer, say
from ..framework.titles import counted

if TYPE_CHECKING:
    from ...format.head import NamedRelease
    from ...project.heads import HeadSigning
    from ...trust.heads import SignedHead


def numbers(option: str, texts: Sequence[str] | None) -> list[int]:
    """Return sequences as they were given. Raises UsageError."""
    for text in texts or ():
        if not (text.isascii() and text.isdigit() and 0 < int(text[:17]) < 2**53):
            raise UsageError(f"{option}: {text[:40]!r} is not a sequence, a number from 1 on")
    return [int(text) for text in texts or ()]


def tell_sent(sent: "SignedHead", asked: "HeadSigning", **more: object) -> None:
    """Say which head was sent, and what is to be kept of it. more: for JSON alone."""
    kept = {"server": asked.connection.url, "kept": asked.path}
    answer({"digest": sent.digest, "head": sent.head.to_json(), **kept, **more})
    for line in head_lines(sent):
        say(line)
    say(f"sent to {asked.connection.url}; keep {asked.path}: the next head follows this one")


def head_lines(signed: "SignedHead") -> list[str]:
    """Return what a head says, for people."""
    head = signed.head
    value = head.to_json()
    lines = [
        f"head {head.number} of epoch {head.epoch}: {head.app} on {head.channel}, {head.role.value}",
        f"issued {value['issued']}, expires {value['expires']}, under version {head.store.version} of the trust store",
    ]
    lines.append(f"current: {', '.join(map(_told, head.current))}")
    if head.candidate is not None:
        one = head.candidate
        lines.append(f"candidate: {_told(one.release)}, for {one.share} of 1000{', paused' if one.paused else ''}")
    if head.withdrawn:
        lines.append(f"withdrawn: {', '.join(map(str, head.withdrawn))}")
    if head.recalls:
        lines.append(f"recalls: {', '.join(digest[:16] for digest in head.recalls)}")
    if head.log is not None:
        lines.append(f"log: {counted(head.log.number, 'entry')}, the last {head.log.digest[:16]}")
    return lines


def _told(release: "NamedRelease") -> str:
    return f"{release.sequence}" + (f" ({release.requires.shown})" if release.requires else "")
