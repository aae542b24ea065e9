"""What bundles are called on the terminal."""

import os
from typing import TYPE_CHECKING

from .console import STANDARD, answer, say

if TYPE_CHECKING:
    from ...format.statement import Statement


def counted(number: int, what: str) -> str:
    """Return how many there are of something, in words: '1 file', '2 files'."""
    if number == 1:
        return f"1 {what}"
    return f"{number} {what.removesuffix('y')}ies" if what.endswith("ry") else f"{number} {what}s"


def sized(size: int) -> str:
    """Return a size for people, in the units of the bar: bytes up to 1023, then KiB, MiB, GiB or TiB."""
    if size < 1024:
        return counted(size, "byte")
    value, unit = float(size), ""
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 1023.95 or unit == "TiB":  # which would be shown as 1024.0
            break
    return f"{value:.1f} {unit}"


def title(statement: "Statement") -> str:
    """Return a bundle's name for people."""
    return f"{statement.app} {statement.version} (sequence {statement.sequence}, {statement.channel})"


def tell_written(output: str, statement: "Statement", **more: object) -> None:
    """Print what was written where, unless that was standard output, under whatever name. more: for JSON alone."""
    if output != STANDARD and not os.path.samestat(os.stat(output), os.fstat(1)):
        answer({"output": output, **more, "statement": statement.to_json()})
        say(f"{output}: {title(statement)}")
