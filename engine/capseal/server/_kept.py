"""What was used last, as much of it as there is room for."""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Values by key. most: of what they weigh together; what was not used for the longest time is forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._weight = 0
        self._values: dict[K, tuple[V, int]] = {}

    def get(self, key: K) -> V | None:
        """Return a value that is kept."""
        kept = self._values.pop(key, None)
        if kept is None:
            return None
        self._values[key] = kept
        return kept[0]

    def put(self, key: K, value: V, *, weight: int = 1) -> None:
        """Keep a value, the last one whatever it weighs."""
        self.drop(key)
        self._values[key] = value, weight
        self._weight += weight
        while self._weight > self._most and len(self._values) > 1:
            self.drop(next(iter(self._values)))

    def drop(self, key: K) -> None:
        """Forget a value."""
        kept = self._values.pop(key, None)
        if kept is not None:
            self._weight -= kept[1]

    def values(self) -> list[V]:
        """Return all that is kept."""
        return [value for value, _ in self._values.values()]
