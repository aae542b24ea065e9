"""What may be wrong with the key of apps with Capgo's plugin, which Capgo's own tools put beside a project's files."""

import os
import stat
from collections.abc import Iterator

from ._findings import Finding, error_at
from .git import is_tracked

CAPGO_KEY = ".capgo_key_v2"
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


def is_key_name(name: str) -> bool:
    """Whether a file of that name is looked into for a private key."""
    return name.endswith((".pem", ".key")) or name == CAPGO_KEY


def capgo_key_findings(folder: str) -> Iterator[Finding]:
    """Find what is wrong with the key in a project's folder, if it has one."""
    path = os.path.normpath(os.path.join(folder, CAPGO_KEY))
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return
    if mode & _OTHERS_MAY:
        yield error_at(path, f"others may read Capgo's private key (mode {mode:04o})", f"chmod 600 {path}")
    if is_tracked(path):
        yield error_at(
            path,
            "Capgo's private key is tracked by git",
            f"git rm --cached {path}, add it to .gitignore, and replace the key in new builds of the app: whoever has "
            "a clone can make updates for every build with its public key",
        )
