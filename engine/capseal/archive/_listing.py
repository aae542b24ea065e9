"""What of a folder ships: every file and folder, but for what was never meant to, which is named and left out."""

import os
import re
import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from ..errors import FormatError, UsageError
from ..native.filereader import FOLDER, OTHER
from ..native.filereader import list_folder as list_one
from ._own_files import is_sealed
from ._private_keys import KEY_ENDINGS, MAX_KEY_BYTES, refuse_label
from .names import check_tree
from .stores import STORE_FILE, check_no_store, is_store

IGNORE_FILE = ".capsealignore"

_NEVER_SHIPPED = frozenset({b".git", b".DS_Store", b"__MACOSX", IGNORE_FILE.encode(), b"capseal.toml"})
_DOUBTFUL = b"node_modules"
_STORES = ({b"state.json", b"state.lock", b"bundles"}, {b"releases", b"payloads"})
"""What a device store and a server's storage have in them (docs/device.md, On disk; docs/server.md)."""

_TELLING = frozenset({b"sealed", b"seal", b"payload", b"pem", b"key", b"p8", b"capgo_key_v2", b"capgo_key"})
"""What may follow the last dot of a name that needs a closer look."""
_TELLS = b"\\.(?:" + b"|".join(sorted(_TELLING)) + b")\0"


@dataclass(slots=True)
class Listing:
    """What ships, sorted by name, and what does not. left_out, doubtful: paths, a folder's with a final '/'.

    Of what ships, in columns, since tens of thousands of rows would keep the garbage collector busy: names in the zip,
    a folder's with a final '/'; sizes, -1 of a folder; times of the last change in nanoseconds.
    """

    names: list[bytes] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    changed_ns: list[int] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)


def list_folder(folder: str, *, exclude: Sequence[str], leave_out: Collection[str], entries: int) -> Listing:
    """List a folder for its zip. Raises UsageError at a link, a private key and names no device takes; OSError.

    exclude: patterns in gitignore syntax, after those of the folder's .capsealignore; leave_out: paths of
    files that are being made; entries: at most so many files and folders.
    """
    return _Lister(folder, exclude, leave_out, entries).list()


class _Lister:
    """Goes through a folder once. Paths are bytes, as the system has them, until they are checked."""

    def __init__(self, folder: str, exclude: Sequence[str], leave_out: Collection[str], entries: int) -> None:
        self._folder = folder
        self._ignored = _patterns(folder, exclude)
        self._outputs = _below(folder, leave_out)
        self._entries = entries
        self._listing = Listing()

    def list(self) -> Listing:
        self._visit(b"")
        listing = self._listing
        paths = _decoded(listing.names, self._folder)
        order = sorted(range(len(paths)), key=paths.__getitem__)  # as text, which sorts as its UTF-8 does, but faster
        try:
            check_tree([paths[at] for at in order], limit=self._entries)
        except FormatError as error:
            raise UsageError(f"{self._folder}: {error}") from None
        listing.names = [listing.names[at] for at in order]
        listing.sizes = [listing.sizes[at] for at in order]
        listing.changed_ns = [listing.changed_ns[at] for at in order]
        return listing

    def _visit(self, prefix: bytes) -> None:
        """Take what is in a folder. prefix: its path with a final '/', empty for the root."""
        root = os.fsencode(self._folder)
        names, kinds, sizes, changed_ns = list_one(os.path.join(root, prefix[:-1]) if prefix else root)
        there = set(names)
        if not prefix:
            check_no_store(self._folder)
        elif any(telling <= there for telling in _STORES) or (
            STORE_FILE in there and is_store(os.path.join(root, prefix))
        ):
            self._leave_out(prefix)
            return
        files = [number for number, kind in enumerate(kinds) if kind != FOLDER]
        below = [name for name, kind in zip(names, kinds, strict=True) if kind == FOLDER]
        if self._needs_a_look(there, kinds):
            files = [at for at in files if self._ships(prefix, names[at], kinds[at], sizes[at], there)]
            below = [name for name in below if self._ships(prefix, name, FOLDER, 0, there)]
        listing = self._listing
        if prefix:
            listing.names.append(prefix)
            listing.sizes.append(-1)
            listing.changed_ns.append(0)
        listing.names += [prefix + names[at] for at in files]
        listing.sizes += [sizes[at] for at in files]
        listing.changed_ns += [changed_ns[at] for at in files]
        if len(listing.names) > self._entries:
            raise UsageError(
                f"{self._folder}: more than {self._entries} files and folders; ship fewer, or pack them into files"
            )
        for name in below:
            if name == _DOUBTFUL:
                listing.doubtful.append(os.fsdecode(prefix + name) + "/")
            self._visit(prefix + name + b"/")

    def _needs_a_look(self, names: set[bytes], kinds: Collection[int]) -> bool:
        """Say whether anything but plain files and folders that ship may be among them."""
        return bool(
            self._ignored is not None
            or self._outputs
            or OTHER in kinds
            or not _NEVER_SHIPPED.isdisjoint(names)
            or not _TELLING.isdisjoint(names)
            or re.search(_TELLS, b"\0".join(names) + b"\0")
        )

    def _ships(self, prefix: bytes, name: bytes, kind: int, size: int, siblings: Collection[bytes]) -> bool:
        """Say whether one ships. Raises UsageError where it may not and must not be left out without a word."""
        path = prefix + name
        ending = b"/" if kind == FOLDER else b""
        ignored = None if self._ignored is None else self._ignored(os.fsdecode(path + ending))
        if ignored or path in self._outputs or (name in _NEVER_SHIPPED and ignored is None):
            self._leave_out(path + ending)
            return False
        if kind == FOLDER:
            return True
        place = os.path.join(os.fsencode(self._folder), path)
        if kind == OTHER:
            raise UsageError(
                f"{os.fsdecode(place)}: neither a file nor a folder; links are not followed: put what it leads to in "
                "its place, or leave it out with --exclude"
            )
        if ignored is None and is_sealed(place, siblings):
            self._leave_out(path)
            return False
        if name.endswith(KEY_ENDINGS) and size <= MAX_KEY_BYTES:
            refuse_label(place)
        return True

    def _leave_out(self, path: bytes) -> None:
        self._listing.left_out.append(os.fsdecode(path))


def _below(folder: str, paths: Collection[str]) -> frozenset[bytes]:
    """Return those of some paths that lie in the folder, as paths in it."""
    root = os.path.join(os.path.realpath(folder), "")
    reals = [os.path.realpath(path) for path in paths]
    return frozenset(os.fsencode(real.removeprefix(root)) for real in reals if real.startswith(root))


def _decoded(names: Sequence[bytes], folder: str) -> list[str]:
    """Return paths as text. Raises UsageError where one is not UTF-8."""
    try:
        text = b"\0".join(names).decode()
    except UnicodeDecodeError:
        bad = next(name for name in names if not _is_utf8(name))
        raise UsageError(f"{os.path.join(folder, os.fsdecode(bad))!r}: the name is not UTF-8") from None
    return text.split("\0") if names else []


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


Ignored = Callable[[str], bool | None]
"""Says of a path, a folder's with a final '/', whether a pattern leaves it out, takes it back, or neither."""


def _patterns(folder: str, exclude: Sequence[str]) -> Ignored | None:
    lines: list[str] = []
    path = os.path.join(folder, IGNORE_FILE)
    if os.path.lexists(path):
        try:
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: not UTF-8: {error.reason}") from None
    lines += exclude
    if not lines:
        return None
    import pathspec  # here, since most folders have no patterns

    for line in lines:
        try:
            with warnings.catch_warnings():
                # Of a class that Python reads in another way than git: it would match what nobody meant.
                warnings.simplefilter("error", FutureWarning)
                pathspec.GitIgnoreSpec.from_lines([line])  # each by itself, to name the one
        except (ValueError, re.error, FutureWarning) as error:
            # A position would be one in what the pattern was translated to.
            reason = str(error).partition(" at position ")[0]
            where = f"pattern {line!r} in {IGNORE_FILE} or --exclude"
            raise UsageError(f"{where}: {reason[:1].lower()}{reason[1:]}") from None
    spec = pathspec.GitIgnoreSpec.from_lines(lines)
    return lambda path: spec.check_file(path).include
