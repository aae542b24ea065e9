"""What a command seals: a file, standard input, or a folder, of which it says what does not ship."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, BinaryIO

from ...errors import UsageError
from . import console
from .arguments import flag, option

if TYPE_CHECKING:
    from ...io.source import Source

_MOST_NAMED = 5

Deflate = Annotated[bool, flag("--deflate", help="Compress what is in the folder.")]
Exclude = Annotated[
    list[str] | None,
    option(
        "--exclude",
        metavar="GLOB",
        repeatable=True,
        help="Leave out of the folder what matches, as in .gitignore; repeatable. .capsealignore holds more.",
    ),
]


def open_content(
    source: str, *, deflate: bool = False, exclude: Sequence[str] | None = None, leave_out: Sequence[str] = ()
) -> "str | BinaryIO | Source":
    """Return what the library shall read; of a folder, say what is left out of it, and what may not have to ship.

    leave_out: paths that this command writes. Raises UsageError, OSError.
    """
    if source == console.STANDARD or not os.path.isdir(source):
        if exclude:
            raise UsageError(f"--exclude {exclude[0]}: {source} is no folder")
        return console.open_input(source)
    from ...archive.folder_zip import FolderZip

    outputs = [path for path in leave_out if path != console.STANDARD]
    folder = FolderZip(source, deflate=deflate, exclude=exclude or (), leave_out=outputs)
    if folder.left_out:
        console.note(f"left out of {source}: {_named(folder.left_out)}")
    if all(name.endswith(b"/") for name in folder.names):
        console.complain(f"warning: {source} has nothing in it that ships; devices would run an empty app")
    for path in folder.doubtful:
        console.complain(f"warning: {path} ships with {source}; --exclude {path} leaves it out")
    return folder


def base_of(source: str) -> str:
    """Return what an output is named after: the source's path, or the folder's own name for '.' and '..'."""
    path = os.path.normpath(source)
    return os.path.basename(os.path.abspath(path)) if os.path.basename(path) in (".", "..") else path


def _named(paths: Sequence[str]) -> str:
    shown = ", ".join(sorted(paths)[:_MOST_NAMED])
    return shown if len(paths) <= _MOST_NAMED else f"{shown} and {len(paths) - _MOST_NAMED} more"
