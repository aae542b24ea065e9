"""The lists of mutants are well-formed, and of each room one is caught here; all of them: python -m tests.mutants."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from mutants.harness import Verdict, judge
from mutants.mutant import PACKAGE, Mutant, StaleMutantError
from mutants.rooms import ROOMS, all_mutants, mutants_of

SAMPLE = [mutants_of(room)[0] for room in ROOMS]
"""The first of each list: one that is noticed soon, as some are only once a test has waited in vain."""

WITHOUT_CHECKS = {"native", "fleet", "delta"}
"""Rooms that decide nothing about what is trusted; the compiled code is held against hashlib."""


@pytest.mark.parametrize("room", ROOMS)
def test_every_mutant_is_a_patch_of_code_that_is_there_and_names_a_test_that_is_there(room: str) -> None:
    for mutant in mutants_of(room):
        ast.parse(mutant.applied())  # raises where the text is not there once
        assert mutant.applied() != (PACKAGE / mutant.file).read_text(), mutant
        assert mutant.lines(), mutant
        assert mutant.has_test, mutant.test


def test_no_line_of_code_has_two_mutants() -> None:
    lines = Counter((mutant.file, line) for mutant in all_mutants() for line in mutant.lines())
    assert {place: count for place, count in lines.items() if count > 1} == {}


def test_every_room_has_five_mutants_of_its_own() -> None:
    counts = Counter(mutant.room for mutant in all_mutants())
    assert {room: counts[room] for room in ROOMS if counts[room] < 5} == {}
    found = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if not path.name.startswith("_")}
    modules = {"constants", "errors", "py.typed"}
    assert found - set(ROOMS) - WITHOUT_CHECKS - modules == set()


def test_a_mutant_whose_text_moved_is_noticed() -> None:
    for old in ("no such text", "import"):
        with pytest.raises(StaleMutantError, match="must occur once"):
            Mutant("format/dsse.py", old, "", "tests/format/test_dsse.py::test_an_envelope_comes_back").applied()


@pytest.fixture(scope="module")
def verdict_of() -> Iterator[Callable[[Mutant], Verdict]]:
    verdicts = judge([*SAMPLE, *(mutant for mutant, _ in NOT_CAUGHT.values())])
    found: dict[Mutant, Verdict] = {}

    def verdict_of(mutant: Mutant) -> Verdict:
        while mutant not in found:
            verdict = next(verdicts)
            found[verdict.mutant] = verdict
        return found[mutant]

    yield verdict_of
    verdicts.close()


@pytest.mark.timeout(900)  # on a busy machine the first one waits for all tests to pass without mutants
@pytest.mark.parametrize("mutant", SAMPLE, ids=ROOMS)
def test_a_weakened_check_is_noticed(mutant: Mutant, verdict_of: Callable[[Mutant], Verdict]) -> None:
    assert verdict_of(mutant).outcome == "caught"


NOT_CAUGHT = {
    "a test that notices nothing": (
        Mutant(
            "format/dsse.py",
            "if envelope._encode() != data:",
            "if False:",
            "tests/format/test_dsse.py::test_an_envelope_comes_back",
        ),
        "SURVIVED",
    ),
    "a test that fails otherwise": (
        Mutant(
            "format/dsse.py",
            "if envelope._encode() != data:",
            "if envelope._encoded() != data:",
            "tests/format/test_dsse.py::test_an_envelope_comes_back",
        ),
        "badly caught: AttributeError",
    ),
    "code that cannot be imported": (
        Mutant(
            "format/dsse.py",
            "from . import strictjson\n",
            "from . import strictjsom\n",
            "tests/format/test_dsse.py::test_an_envelope_comes_back",
        ),
        "badly caught: pytest ended with",
    ),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NOT_CAUGHT)
def test_what_no_assertion_notices_is_not_caught(name: str, verdict_of: Callable[[Mutant], Verdict]) -> None:
    mutant, outcome = NOT_CAUGHT[name]
    verdict = verdict_of(mutant)
    assert not verdict.caught
    assert verdict.outcome.startswith(outcome)
