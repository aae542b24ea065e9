"""What server and client share: paths, shapes, tokens, limits, problems."""

from .mutant import Mutant

SHAPES = "tests/http/test_shapes.py::"

MUTANTS = (
    Mutant(
        "http/paths.py",
        "{key: check_name(str(name), key) for key, name in names.items()}",
        "{key: str(name) for key, name in names.items()}",
        SHAPES + "test_nothing_but_a_name_gets_into_a_path",
    ),
    Mutant(
        "http/shapes.py",
        "if not reached <= start < stop <= size:",
        "if not reached <= start < stop <= size + 1:",
        SHAPES + "test_spans_that_are_none_of_the_payload_are_refused",
    ),
    Mutant(
        "http/shapes.py",
        "or not all(type(one) is int for one in value):",
        "or not all(isinstance(one, int) for one in value):",
        SHAPES + "test_spans_that_are_none_of_the_payload_are_refused",
    ),
    Mutant(
        "http/shapes.py",
        "        reached = stop\n",
        "        reached = start\n",
        SHAPES + "test_spans_that_are_none_of_the_payload_are_refused",
    ),
    Mutant(
        "http/token.py",
        "if len(token) < MIN_TOKEN_CHARS or",
        "if len(token) < 1 or",
        "tests/server/test_limits.py::test_a_token_file_that_is_none_is_refused",
    ),
    Mutant(
        "http/problems.py",
        "value if type(value) is int else missing",
        "value if value is not None else missing",
        SHAPES + "test_a_number_in_a_problem_is_a_number_or_nothing",
    ),
    Mutant(
        "http/shapes.py",
        'sequence=members.integer("sequence", least=1),\n            version=',
        'sequence=members.integer("sequence", least=0),\n            version=',
        SHAPES + "test_a_release_has_a_sequence_and_a_seal",
    ),
)
