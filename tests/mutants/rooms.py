"""The lists of all rooms."""

from collections.abc import Sequence
from importlib import import_module

from .mutant import Mutant

ROOMS = (
    *("format", "crypto", "trust", "io", "archive", "bundle", "http", "client", "server", "device"),
    *("capgo", "delta", "recipes", "development", "project", "cli", "embedding", "fleet"),
)


def mutants_of(room: str) -> Sequence[Mutant]:
    """The mutants of a room."""
    found: Sequence[Mutant] = import_module(f".{room}", __package__).MUTANTS
    return found


def all_mutants() -> list[Mutant]:
    """The mutants of all rooms, room by room."""
    return [mutant for room in ROOMS for mutant in mutants_of(room)]
