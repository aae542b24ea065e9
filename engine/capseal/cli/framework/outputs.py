"""Outputs that would destroy what a command reads: refused before anything is read."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence

from ...errors import UsageError

_COMMAND = "command:"


def check(outputs: Sequence[str], inputs: Iterable[str]) -> None:
    """Refuse outputs that are the same file as an input, as one that capseal.toml names, or as one another.

    So are files in a folder that is read, but for those that capseal made. The same is what has the same place or
    inode, by whatever name or link. inputs: paths, as they stand on the command line: NAME=FILE and
    command:FILE:PROGRAM too. Raises UsageError.
    """
    places = [os.path.realpath(output) for output in outputs if output != "-"]
    if len(set(places)) < len(places):
        raise UsageError(f"{outputs[-1]}: two outputs cannot be the same file")
    there = [(output, found) for output in outputs if (found := _file_at(output)) is not None]
    if not there:
        return
    for named, path in _paths(inputs):
        for output, found in there:
            other = _file_at(path)
            if other is not None and os.path.samestat(found, other):
                raise UsageError(f"{output}: is also {named}, which is read, and would be lost; write to another file")
        if os.path.isdir(path):
            from ...archive.content import check_outputs

            check_outputs(path, [output for output, _ in there])


def _paths(inputs: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give every path that is read, and how to call it."""
    for word in inputs:
        yield word, word
        yield word, word.partition("=")[2]
        if word.startswith(_COMMAND):
            yield word, word.removeprefix(_COMMAND).partition(":")[0]
    from ...project.config import files_of, nearest

    configured = nearest()
    if configured is not None:
        yield configured, configured
        for path in files_of(configured):
            yield f"{path} of {configured}", path


def _file_at(path: str) -> os.stat_result | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None
