"""The house stands as its table says, and every way of breaking it that we could think of is found."""

import pytest

from house.layers import DEBTS, MAX_FLOORS, MAX_ROOT_FILES
from house.mutants import LOW, MUTANTS, SOURCES, TABLE
from house.reading_imports import circles, longest_chain
from house.rules import RULES, graph_of_files, graph_of_rooms

RULE_OF = {rule.__name__: rule for rule in RULES}


def breaches(rule, sources):
    """What breaks one rule: its name for DEBTS, and its text."""
    return {one.key: str(one) for one in RULE_OF[rule](sources)}


STANDING = {rule: breaches(rule, SOURCES) for rule in RULE_OF}


@pytest.mark.parametrize("rule", RULE_OF)
def test_the_house_keeps_every_rule(rule):
    assert [text for key, text in STANDING[rule].items() if key not in DEBTS] == []


def test_no_debt_is_paid_already():
    assert DEBTS.keys() <= {key for found in STANDING.values() for key in found}


def test_figures_of_the_house(capsys):
    files, rooms = graph_of_files(SOURCES), graph_of_rooms(SOURCES)
    floors = longest_chain(rooms) if not circles(rooms) else []
    root = sorted(path for path in SOURCES if "/" not in path)
    with capsys.disabled():
        print(
            f"\n{len(files)} modules, {sum(map(len, files.values()))} import edges between them, {len(rooms)} rooms, "
            f"{sum(map(len, rooms.values()))} edges between those"
            f"\n{len(floors)} floors of at most {MAX_FLOORS}: {' > '.join(floors)}"
            f"\n{len(root)} files at the root of at most {MAX_ROOT_FILES}: {', '.join(root)}"
            f"\n{len(circles(files))} circles of files, {len(circles(rooms))} circles of rooms"
        )
    assert sum(map(len, files.values())) > 500


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_of_the_house_is_found(name):
    sources, rule, words = MUTANTS[name]
    found = breaches(rule, sources)
    assert [text for key, text in found.items() if key not in STANDING[rule] and words in text], found


def test_a_permission_that_nobody_uses_is_found():
    without = {path: text.replace("from ..native.filehints", "from .nothing") for path, text in SOURCES.items()}
    without = {path: text.replace("from ..native import", "from .nothing import") for path, text in without.items()}
    without = {path: text.replace("from ..native.hashing", "from .nothing") for path, text in without.items()}
    assert "io: may use native and does not" in breaches(TABLE, without)


def test_a_file_that_no_longer_reaches_for_what_it_may_is_found():
    without = {**SOURCES, "bundle/seal.py": ""}
    assert "bundle/seal.py: may reach for the randomness and does not" in breaches(
        "no_permission_to_reach_is_unused", without
    )


def test_a_thirteenth_floor_is_found():
    tower = {f"floor{number}/__init__.py": f"from .. import floor{number + 1}" for number in range(13)}
    found = list(breaches(LOW, {**tower, "floor13/__init__.py": ""}).values())
    assert len(found) == 1
    assert "stands on 14 floors" in found[0]
