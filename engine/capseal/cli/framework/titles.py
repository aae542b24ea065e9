"""What bundles are called on the terminal."""

import os
from typing import TYPE_CHECKING

from .console import STANDARD, say

if TYPE_CHECKING:
    from ...format.statement import Statement


def counted(number: int, what: str) -> str:
    """Return how many there are of something, in words: '1 file', '2 files'."""
    if number == 1:
        return f"1 {what}"
    return f"{number} {what.removesuffix('y')}ies" if what.endswith("ry") else f"{number} {what}s"


def title(statement: "Statement") -> str:
    """Return a bundle's name for people."""
    return f"{statement.app} {statement.version} (sequence {statement.sequence}, {statement.channel})"


def say_written(output: str, statement: "Statement") -> None:
    """Print what was written where, unless that was standard output, under whatever name."""
    if output != STANDARD and not os.path.samestat(os.stat(output), os.fstat(1)):
        say(f"{output}: {title(statement)}")
