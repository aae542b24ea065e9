"""How much is measured: sizes, rounds, and where the messages go."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from .machine import GIB, MIB

_UNITS = {"KiB": 1024, "MiB": MIB, "GiB": GIB}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """size_bytes: the file that is sealed; verify_bytes: the bundle that is verified and read at random;
    max_bytes: the end of the scaling run. keys: a folder with what make_keys() wrote."""

    full: bool
    rounds: int
    size_bytes: int
    verify_bytes: int
    max_bytes: int
    keys: str
    say: Callable[[str], None]


def parse_size(text: str) -> int:
    """Return bytes from text such as 64MiB or 16GiB. Raises ValueError."""
    match = re.fullmatch(r"(\d+)(KiB|MiB|GiB)", text)
    if match is None:
        raise ValueError(f"size {text!r} is not a number followed by KiB, MiB or GiB")
    return int(match[1]) * _UNITS[match[2]]


def shown(size_bytes: int) -> str:
    """Return a size in the largest unit that leaves a whole number."""
    for unit, factor in reversed(_UNITS.items()):
        if size_bytes >= factor and size_bytes % factor == 0:
            return f"{size_bytes // factor} {unit}"
    return f"{size_bytes} bytes"
