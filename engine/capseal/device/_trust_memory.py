"""What a device remembers of its trust store: the updates that it followed, in its state file. No I/O, no clock."""

from dataclasses import dataclass, replace
from typing import Any

from ..errors import FormatError
from ..format.strictjson import Members, from_base64, to_base64
from ..trust.key_sets import Restart

_MAX_UPDATES = 100_000  # each one took a signature by a root


@dataclass(frozen=True, slots=True)
class TrustMemory:
    """What is kept. updates: those that were followed, as they were signed; restarted: the last restart applied."""

    updates: tuple[bytes, ...] = ()
    restarted: Restart | None = None

    def with_update(self, update: bytes) -> "TrustMemory":
        """Return the memory with one more update, which was accepted."""
        return replace(self, updates=(*self.updates, update))

    def to_json(self) -> dict[str, Any]:
        """Return the memory as JSON values; empty where there is none."""
        value: dict[str, Any] = {}
        if self.updates:
            value["updates"] = [to_base64(update) for update in self.updates]
        if self.restarted is not None:
            value["restarted"] = self.restarted.to_value()
        return value

    @classmethod
    def parse(cls, value: object) -> "TrustMemory":
        """Parse such values. Raises FormatError."""
        members = Members(value, "state.trust", required=(), optional=("updates", "restarted"))
        updates: list[bytes] = []
        for i, text in enumerate(members.array("updates", least=1, most=_MAX_UPDATES) if "updates" in members else ()):
            place = f"{members.place('updates')}[{i}]"
            if type(text) is not str:
                raise FormatError(f"{place}: expected a string")
            updates.append(from_base64(text, place))
        restarted = members.take("restarted", dict) if "restarted" in members else None
        return cls(
            tuple(updates),
            None if restarted is None else Restart.parse(restarted, members.place("restarted")),
        )
