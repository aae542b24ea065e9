"""What git says of a project's files. A folder that no git looks after is no error."""

import os
import subprocess
from collections.abc import Sequence

from ..errors import UsageError

_SHOWN = 3


def is_tracked(path: str) -> bool:
    """Return whether git has a file in its index."""
    folder, name = os.path.split(os.path.abspath(path))
    done = _git(folder, "ls-files", "--error-unmatch", "--", name)
    return done is not None and done.returncode == 0


def check_clean(folder: str, *, except_for: Sequence[str] = ()) -> bool:
    """Raise UsageError if a folder's work tree has changes that are not committed, or unknown files.

    except_for: paths that may have changed. Returns False where git does not look after the folder.
    """
    if not has_repository(folder):
        return False
    excluded = [f":(exclude,top){path}" for path in _from_top(folder, except_for)]
    status = _git(folder, "status", "--porcelain=v1", "-z", "--untracked-files=normal", "--", ":/", *excluded)
    if status is None or status.returncode != 0:
        said = b"git is not installed" if status is None else status.stderr
        raise UsageError(f"git cannot tell whether {folder} is clean: {said.decode('utf-8', 'replace').strip()[:200]}")
    changed = [entry[3:].decode("utf-8", "replace") for entry in status.stdout.split(b"\0") if entry[3:]]
    if changed:
        shown = ", ".join(changed[:_SHOWN]) + (", …" if len(changed) > _SHOWN else "")
        many = f"{len(changed)} files are not as they were"
        what = "1 file is not as it was" if len(changed) == 1 else many
        raise UsageError(f"{what} committed: {shown}; 'git commit' first, or give --allow-dirty")
    return True


def has_repository(folder: str) -> bool:
    """Return whether a folder, or one above it, is under git."""
    here = os.path.realpath(folder)
    while not os.path.lexists(os.path.join(here, ".git")):
        here, before = os.path.dirname(here), here
        if here == before:
            return False
    return True


def _from_top(folder: str, paths: Sequence[str]) -> list[str]:
    """Return those paths that are in the work tree, relative to its top."""
    done = _git(folder, "rev-parse", "--show-toplevel")
    if done is None or done.returncode != 0:
        return []
    top = os.path.realpath(os.fsdecode(done.stdout.rstrip(b"\n")))
    relative = [os.path.relpath(os.path.realpath(path), top) for path in paths]
    return [path for path in relative if path != os.curdir and path.split(os.sep)[0] != os.pardir]


def _git(folder: str, *arguments: str) -> subprocess.CompletedProcess[bytes] | None:
    try:
        command = ["git", "--no-optional-locks", "-C", folder, *arguments]
        return subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        return None
