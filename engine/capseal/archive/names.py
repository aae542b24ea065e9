"""Which names an archive may have: those that every file system can hold, each under a name of its own.

Refused is what some platform cannot store or shows as something else. Names that people have are allowed:
any script, emoji, no-break and ideographic spaces, joiners (docs/device.md, Archives).
"""

import re
import string
import unicodedata
from collections.abc import Callable, Sequence

from ..errors import FormatError

MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 255
MAX_LEVELS = 64
_SHOWN_CHARS = 64

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_INVISIBLE = re.compile(f"[\\x00-\\x1f\\x7f-\\x9f\u2028\u2029\ud800-\udfff{_BIDI}{_NONCHARACTERS}]")
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*]')
_PLAIN = re.compile(
    "(?![cCpPaAnNlL][oOrRuUpP][nNxXlLmMtT])"  # how names of devices begin
    r"[A-Za-z0-9_ @+~$#()\[\]{}!,;=&%'^`.-]{0,254}[A-Za-z0-9_@+~$#()\[\]{}!,;=&%'^`-]"
).fullmatch
"""What needs no closer look, as nearly every name: the other patterns would cost more."""

_PLAIN_BYTES = (string.ascii_letters + string.digits + "_ @+~$#()[]{}!,;=&%'^`.-/\0").encode()

# Names of devices in every folder of Windows, whatever follows a dot (learn.microsoft.com, "Naming Files").
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in "0123456789\u00b9\u00b2\u00b3"}
)
_DEVICE_PARTS = f"\0(?:{'|'.join(re.escape(name) for name in sorted(_DEVICES) if name.isascii())})[.\0]"


def shown(path: str, spelled: Callable[[str], str] = repr) -> str:
    """Return a name as a message shows it: quoted, escaped, and cut."""
    return spelled(path if len(path) <= _SHOWN_CHARS else path[:_SHOWN_CHARS] + "…")


def check_path(path: str) -> None:
    """Check a path with '/' between its parts. Raises FormatError, which names it and says what to do."""
    check_length(path)
    for part in path.split("/"):
        check_part(part, path)


def check_part(part: str, path: str) -> None:
    """Check one part of a path, which is for the message. Raises FormatError."""
    if _PLAIN(part):
        return
    if part in ("", ".", ".."):
        raise FormatError(f"entry {shown(path)}: has an empty part, '.' or '..'; zip it again with plain names")
    if found := _INVISIBLE.search(part):
        code = f"U+{ord(found[0]):04X}"
        raise FormatError(f"entry {shown(path)}: has {code}, which cannot be seen or stored everywhere; rename it")
    if "\\" in part:
        raise FormatError(f"entry {shown(path)}: has a backslash; zip it again with '/' between folders, or rename it")
    if found := _NOT_ON_WINDOWS.search(part):
        raise FormatError(f"entry {shown(path)}: has {found[0]!r}, which Windows cannot store; rename it")
    if part[-1] in ". ":
        raise FormatError(f"entry {shown(path)}: {part!r} ends in a dot or space, which Windows drops; rename it")
    if _is_device(part):
        raise FormatError(f"entry {shown(path)}: {part!r} is the name of a device on Windows; rename it")
    if len(part.encode()) > MAX_NAME_BYTES:
        raise _too_long(path)


def caseless(name: str) -> str:
    """Return the key of canonical caseless matching (The Unicode Standard, section 3.13, D145)."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


class Names:
    """The names of one archive, taken one by one: all allowed, and none that is another's on some file system.

    limit: files and folders together, implied folders too, at which adding stops with FormatError.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._spelling: dict[str, str] = {}  # caseless -> as it is named
        self._folders: dict[str, str] = {"": ""}  # path -> caseless, with a final '/'
        self._named: set[str] = set()  # folders that have an entry of their own

    @property
    def folders(self) -> list[str]:
        """Every folder, named or implied, parents first."""
        return sorted(path for path in self._folders if path)

    def add_file(self, path: str) -> None:
        """Take a file and the folders that it is in. Raises FormatError."""
        check_length(path)
        parent, _, name = path.rpartition("/")
        above = self._folders.get(parent)
        if above is None:
            above = self._enter(parent)
        check_part(name, path)
        self._claim(above + (name.lower() if name.isascii() else caseless(name)), path)

    def add_folder(self, path: str) -> None:
        """Take a folder's own entry, once, and the folders that it is in. Raises FormatError."""
        if path in self._named:
            raise FormatError(f"entry {shown(path)}: appears twice; zip it again")
        self._named.add(path)
        if path not in self._folders:
            check_length(path)
            self._enter(path)

    def _enter(self, path: str) -> str:
        """Take a folder that is new, and those above it that are new too; return its caseless name."""
        above, start = "", 0
        while True:
            end = path.find("/", start)
            folder = path if end < 0 else path[:end]
            known = self._folders.get(folder)
            if known is None:
                name = folder[start:]
                check_part(name, path)
                key = above + caseless(name)
                self._claim(key, folder)
                known = self._folders[folder] = key + "/"
            if end < 0:
                return known
            above, start = known, end + 1

    def _claim(self, key: str, path: str) -> None:
        other = self._spelling.get(key)
        if other == path:
            raise FormatError(f"entry {shown(path)}: appears twice, or as a file and as a folder; zip it again")
        if other is not None:
            # Two that differ in their Unicode form only look alike.
            spelled = repr if unicodedata.normalize("NFC", path) != unicodedata.normalize("NFC", other) else ascii
            one, two = shown(path, spelled), shown(other, spelled)
            raise FormatError(f"entry {one}: the same name as {two} on some file systems; rename one")
        self._spelling[key] = path
        if len(self._spelling) > self._limit:
            raise self._too_many(path)

    def _too_many(self, path: str) -> FormatError:
        return FormatError(
            f"entry {shown(path)}: more than {self._limit} files and folders, folders without an entry of their "
            "own counted; ship fewer, or pack them into files"
        )


def check_tree(paths: Sequence[str], *, limit: int) -> None:
    """Check all paths of one folder, those of the folders in it with a final '/'. Raises FormatError."""
    if _is_plain_tree(paths, limit):
        return
    names = Names(limit=limit)
    for path in paths:
        if path.endswith("/"):
            names.add_folder(path[:-1])
        else:
            names.add_file(path)


def _is_plain_tree(paths: Sequence[str], limit: int) -> bool:
    """Say whether no path needs a closer look, all at once: one by one takes as long as to read small files."""
    if not paths:
        return True
    text = "\0".join(paths) + "\0"
    if len(paths) > limit or not text.isascii() or text.encode().translate(None, _PLAIN_BYTES):
        return False
    text = text.replace("/\0", "\0").lower()
    lowered = text[:-1].split("\0")
    longest = max(map(len, lowered))
    if longest > MAX_NAME_BYTES:
        return False
    if longest >= 2 * MAX_LEVELS and any(path.count("/") >= MAX_LEVELS for path in lowered):
        return False
    parts = "\0" + text.replace("/", "\0")
    if "\0\0" in parts or ".\0" in parts or (" " in parts and (" \0" in parts or " ." in parts)):
        return False
    return len(set(lowered)) == len(paths) and not re.search(_DEVICE_PARTS, parts)


def check_length(path: str) -> None:
    """Check a whole path's length and depth, and that it is relative. Raises FormatError."""
    if path[:1] == "/":
        raise FormatError(f"entry {shown(path)}: an absolute path; zip the folder's content with relative names")
    if path.count("/") >= MAX_LEVELS or (len(path) > MAX_PATH_BYTES // 4 and _bytes_of(path) > MAX_PATH_BYTES):
        raise _too_long(path)


def _is_device(part: str) -> bool:
    return part.partition(".")[0].rstrip(" ").lower() in _DEVICES


def _bytes_of(path: str) -> int:
    return len(path.encode(errors="surrogatepass"))


def _too_long(path: str) -> FormatError:
    longest = max(map(_bytes_of, path.split("/")))
    return FormatError(
        f"entry {shown(path)}: {_bytes_of(path)} bytes, {longest} in a part, {path.count('/') + 1} levels; at most "
        f"{MAX_PATH_BYTES}, {MAX_NAME_BYTES} and {MAX_LEVELS} are allowed; shorten it"
    )
