"""Draws the table of layers into docs/architecture.md: PYTHONPATH=tests python -m house.draw."""

from collections.abc import Iterator

from house.layers import GROUND, REACHES, ROOMS, Room
from support.places import ROOT

DOCUMENT = ROOT / "docs" / "architecture.md"
BEGIN = "<!-- drawn by tests/house/draw.py from tests/house/layers.py; do not edit -->"
END = "<!-- end of what is drawn -->"


def floors() -> dict[str, int]:
    """The floor of each room, the ground being 1: one above the highest that it uses."""
    found: dict[str, int] = {}

    def floor(room: str) -> int:
        if room not in found:
            found[room] = 1 + max([1, *map(floor, ROOMS[room].uses)])
        return found[room]

    for room in ROOMS:
        floor(room)
    return found


def _below(room: str) -> set[str]:
    return {one for used in ROOMS[room].uses for one in (used, *_below(used))}


def picture() -> Iterator[str]:
    """A flowchart of the rooms; what is used through another room anyway has no arrow of its own."""
    yield "```mermaid"
    yield "flowchart TD"
    for room, number in sorted(floors().items(), key=lambda item: -item[1]):
        nearest = ROOMS[room].uses.keys() - {one for used in ROOMS[room].uses for one in _below(used)}
        for other in sorted(nearest, key=lambda one: (-floors()[one], one)):
            yield f"    {_node(room)} --> {_node(other)}"
        if number == 2:
            yield f"    {_node(room)} --> ground([{', '.join(GROUND)}])"
    yield "```"


def _node(room: str) -> str:
    return f"{room.strip('_')}[{room}]"


def table() -> Iterator[str]:
    """Rooms from the top to the ground, what each is for and what it may use."""
    yield "| floor | room | its one reason to exist | may use |"
    yield "|---|---|---|---|"
    for room, number in sorted(floors().items(), key=lambda item: (-item[1], item[0])):
        yield f"| {number} | `{room}` | {ROOMS[room].why} | {_uses(ROOMS[room])} |"
        for name, inner in ROOMS[room].inner.items():
            yield f"| | `{room}/{name}` | {inner.why} | {_uses(inner)} |"
    for name, why in GROUND.items():
        yield f"| 1 | `{name}` | {why} | nothing |"


def _uses(room: Room) -> str:
    return "; ".join(f"`{name}`: {why}" for name, why in room.uses.items()) or "the ground only"


def reaches() -> Iterator[str]:
    """Who may reach for what lies outside of his arguments."""
    yield "| what | who, and why |"
    yield "|---|---|"
    for kind, allowed in REACHES.items():
        who = "<br>".join(f"`{path}`: {why}" for path, why in allowed.items())
        yield f"| {kind} | {who or 'nobody'} |"


def drawn() -> str:
    """Everything between the two marks, without them."""
    return "\n".join(["", *picture(), "", *table(), "", *reaches(), ""])


def redrawn(text: str) -> str:
    """The document with what is drawn in its place. Raises ValueError where a mark is missing."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{drawn()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(redrawn(DOCUMENT.read_text()))
