"""What strace saw of a command's writing, judged: what has a name at its end would have it after a power cut."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import capseal
from capseal.cli.framework.arguments import Group
from support.device_tracing import require_strace

_NAMING = ("rename", "renameat", "renameat2", "link", "linkat")
_WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "copy_file_range", "sendfile", "splice")
_SYNCS = ("fsync", "fdatasync")
_MAKES = ("openat", "open", "creat", "mkdir", "mkdirat")
_UNMAKES = ("unlink", "unlinkat", "rmdir")
_SYNC_ALL = "syncfs"
_CALLS = (*_NAMING, *_WRITES, *_SYNCS, _SYNC_ALL, *_MAKES, *_UNMAKES)

_LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)(?:<(.*)>)?")
_PARTS = re.compile(r'"((?:[^"\\]|\\.)*)"|(?:AT_FDCWD|\d+)<([^>]*)>')


@dataclass
class Trace:
    """root: the folder that the command ran in, and that counts.

    problems: what would not survive; namings: names before and after; made: files and folders.
    """

    root: Path
    problems: list[str] = field(default_factory=list)
    namings: list[tuple[str, str]] = field(default_factory=list)
    made: set[str] = field(default_factory=set)
    _there: set[str] = field(default_factory=set)  # before
    _dirty: set[str] = field(default_factory=set)  # files written to since they were synced
    _loose: dict[str, str] = field(default_factory=dict)  # names whose folder has not been synced since: how they came

    @classmethod
    def of(cls, root: Path) -> "Trace":
        """Return the trace of a command that is about to start. root: "/" for one that leaves nothing behind."""
        there = [] if root == Path("/") else root.rglob("*")
        return cls(root, _there={str(path) for path in there})

    def judge(self, log: str, *, synced_late: str = "(?!)") -> "Trace":
        """Go through strace's lines. synced_late: names that may be given before the sync, if it comes after."""
        late = re.compile(synced_late)
        for call, arguments, opened in _calls(log):
            paths = [os.path.join(self.root, path) for path in _paths(call, arguments)]
            if call in _MAKES:
                if call.startswith("mkdir") or (opened is not None and "O_CREAT" in arguments):
                    self._make(opened if opened is not None else paths[-1])
            elif call in _WRITES:
                self._dirty.add(_descriptor(arguments))
            elif call in _SYNCS:
                path = _descriptor(arguments)
                self._dirty.discard(path)
                for name in [name for name in self._loose if os.path.dirname(name) == path]:
                    del self._loose[name]
            elif call == _SYNC_ALL:  # all that the tests write is on one file system
                self._dirty.clear()
                self._loose.clear()
            elif call in _UNMAKES:
                self._forget(paths[-1])
            elif self._is_ours(paths[-1]):
                self._name(call, *paths[-2:], late=bool(late.search(paths[-2])))
        self.problems += [f"{name}: {how}, its folder was never synced" for name, how in self._loose.items()]
        self.problems += [f"{name}: written, never synced" for name in sorted(self._dirty) if name in self.made]
        return self

    def _is_ours(self, path: str) -> bool:
        return Path(path).is_relative_to(self.root)

    def _make(self, path: str) -> None:
        if self._is_ours(path) and path not in self.made | self._there and not path.endswith(" (deleted)"):
            self.made.add(path)
            self._loose[path] = "made"

    def _forget(self, path: str) -> None:
        self._there.discard(path)
        self.made.discard(path)
        self._dirty.discard(path)
        self._loose.pop(path, None)

    def _name(self, call: str, old: str, new: str, *, late: bool) -> None:
        below = [path for path in self._dirty | self._loose.keys() if path == old or path.startswith(f"{old}/")]
        for path in below:
            if path in self._dirty and not late:
                self.problems.append(f"{path}: named {new} before it was synced")
            if path in self._loose and path != old:
                self.problems.append(f"{path}: its folder was named {new} before it was synced")
        self.namings.append((old, new))
        for path in [path for path in self.made | set(below) if path == old or path.startswith(f"{old}/")]:
            moved = new + path.removeprefix(old)
            self.made.add(moved)
            if path in self._dirty:
                self._dirty.add(moved)
            if call.startswith("rename"):
                self._forget(path)
        self._loose[new] = f"named by {call} from {old}"


def traced(*command: object, cwd: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start capseal under strace, which writes to a log."""
    traced_calls = "trace=" + ",".join(f"?{call}" for call in _CALLS)
    return subprocess.Popen(
        [
            *(*require_strace(), "-y", "-qq", "-s", "4096", "-z", "-e", "signal=none", "-e", traced_calls),
            *("-o", str(log), sys.executable, "-m", "capseal", *map(str, command)),
        ],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ
        | {"PYTHONPATH": str(Path(capseal.__file__).parent.parent), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(cwd)},
    )


def _calls(log: str) -> Iterator[tuple[str, str, str | None]]:
    """Iterate over call, arguments and, where one was opened, path of those that succeeded, in order of their end."""
    begun: dict[tuple[str, str], str] = {}
    for line in log.splitlines():
        pid, _, rest = line.partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            begun[pid, rest.split("(")[0]] = rest.removesuffix("<unfinished ...>")
            continue
        resumed = re.match(r"<\.\.\. (\w+) resumed>", rest)
        if resumed:
            rest = begun.pop((pid, resumed[1])) + rest[resumed.end() :]
        match = _LINE.fullmatch(f"{pid} {rest}")
        if match and int(match[4]) >= 0:
            yield match[2], match[3], match[5]


def _paths(call: str, arguments: str) -> Iterator[str]:
    """Iterate over the paths that are named, each made whole by the folder before it."""
    folder = ""
    for match in _PARTS.finditer(arguments):
        if match[1] is None:
            folder = match[2]
        else:
            yield os.path.normpath(os.path.join(folder, match[1].encode().decode("unicode_escape")))
            if not call.endswith("at") and call != "renameat2":
                folder = ""


def _descriptor(arguments: str) -> str:
    match = re.match(r"\d+<([^>]*)>", arguments)
    return match[1] if match else ""


def leaves(group: Group, before: str = "") -> Iterator[str]:
    """Iterate over the full names of all commands of a declared group."""
    for name, command in group.commands.items():
        if isinstance(command, Group):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"
