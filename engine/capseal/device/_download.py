"""What it took to download a bundle, as the state remembers it."""

from dataclasses import dataclass
from typing import Any

from ..format.strictjson import Members, check_text


@dataclass(frozen=True, slots=True)
class Download:
    """How much was downloaded of a bundle, beside its seal. source: the recipe that gave most of it, or `payload`.

    bytes: of recipes, their indexes, and segments of the payload; payload_bytes: what all of the payload would have
    been. problem: of the recipes that did not give all, for the log.
    """

    bytes: int
    payload_bytes: int
    source: str
    problem: str | None = None

    @property
    def saved_bytes(self) -> int:
        """How much less was downloaded than the payload; 0 where it was more."""
        return max(0, self.payload_bytes - self.bytes)

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in the state; problem is not kept."""
        return {"bytes": self.bytes, "of": self.payload_bytes, "source": self.source}

    @classmethod
    def from_json(cls, value: object, place: str) -> "Download":
        """Parse it. Raises FormatError."""
        members = Members(value, place, required=("bytes", "of", "source"))
        return cls(
            members.integer("bytes", least=0), members.integer("of", least=0), members.text("source", check_text)
        )
