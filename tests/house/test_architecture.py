"""docs/architecture.md shows the table that the tests use."""

import re

from house.draw import DOCUMENT, floors, redrawn
from house.layers import ROOMS
from house.reading_imports import read_sources
from house.rules import graph_of_rooms, longest_chain


def test_the_document_shows_the_table_as_it_is():
    text = DOCUMENT.read_text()
    assert redrawn(text) == text, "PYTHONPATH=tests python -m house.draw"


def test_the_floors_drawn_are_those_of_the_house():
    assert max(floors().values()) == len(longest_chain(graph_of_rooms(read_sources())))


def test_every_room_says_in_its_first_line_what_it_is_for():
    sources = read_sources()
    for room in ROOMS:
        text = sources.get(f"{room}/__init__.py")
        if text is not None:
            assert text.startswith('"""'), room
            assert len(text.splitlines()[0]) > 20, room


def test_every_module_on_the_ways_exists():
    sources = read_sources()
    ways = DOCUMENT.read_text().split("## The way of a sealed file")[1].split("## Outside of the package")[0]
    named = {f"{room}/{name}" for room, name in re.findall(r"(?<![\w/.])(\w+)/(\w+)", ways) if room in ROOMS}
    assert len(named) > 10
    missing = [name for name in named if not any(path.startswith((f"{name}.py", f"{name}/")) for path in sources)]
    assert missing == []
