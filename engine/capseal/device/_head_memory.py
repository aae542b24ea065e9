"""What a device remembers of its channel's heads, in its state file. No I/O, no clock."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..constants import ROLLOUT_SECRET_BYTES
from ..errors import FormatError
from ..format.strictjson import Members, shown_time, to_base64
from ..trust.heads import SignedHead

_MAX_PROBLEM_CHARS = 512


@dataclass(frozen=True, slots=True)
class HeadMemory:
    """What is remembered of heads.

    secret: 32 bytes, drawn with the first head, which never leave the device: they say in whose share it is. document:
    the last head, as it was signed, or nothing. problem, since: why it is uncertain what is current, and from when on,
    or nothing.
    """

    secret: bytes = b""
    document: bytes = b""
    problem: str = ""
    since: datetime | None = None

    @property
    def last(self) -> SignedHead | None:
        """The last head that was accepted."""
        return SignedHead.of(self.document) if self.document else None

    def withdrawn(self, *, epoch: int) -> tuple[int, ...]:
        """Return the sequences that are withdrawn; what a past epoch's head said has ended."""
        last = self.last
        return last.head.withdrawn if last is not None and last.head.epoch == epoch else ()

    def with_head(self, signed: SignedHead, *, secret: bytes) -> "HeadMemory":
        """Return the memory with a head that was accepted. secret: kept where there is none yet."""
        return replace(self, document=signed.document, secret=self.secret or secret)

    def certain(self) -> "HeadMemory":
        """Return the memory without a problem."""
        return replace(self, problem="", since=None)

    def uncertain(self, problem: str, since: datetime) -> "HeadMemory":
        """Return the memory with a problem; where there was one already, it began when that did."""
        text = "".join(c if c.isprintable() else "?" for c in problem)[:_MAX_PROBLEM_CHARS]
        return replace(self, problem=text, since=self.since or since)

    def to_json(self) -> dict[str, Any]:
        """Return the memory as JSON values; empty where there is none."""
        value: dict[str, Any] = {}
        if self.document:
            value |= {"secret": to_base64(self.secret), "document": to_base64(self.document)}
        if self.since is not None:
            value |= {"problem": self.problem, "since": shown_time(self.since)}
        return value

    @classmethod
    def parse(cls, value: object) -> "HeadMemory":
        """Parse such values. Raises FormatError."""
        names = ("secret", "document", "problem", "since")
        members = Members(value, "state.heads", required=(), optional=names)
        if ("secret" in members) != ("document" in members) or ("problem" in members) != ("since" in members):
            raise FormatError("state.heads: secret and document belong together, and so do problem and since")
        memory = cls()
        if "document" in members:
            memory = cls(members.base64("secret"), members.base64("document"))
            if len(memory.secret) != ROLLOUT_SECRET_BYTES:
                raise FormatError(f"state.heads.secret: {len(memory.secret)} bytes, expected {ROLLOUT_SECRET_BYTES}")
            SignedHead.of(memory.document)
        if "since" in members:
            memory = replace(memory, problem=members.take("problem", str), since=members.time("since"))
        return memory
