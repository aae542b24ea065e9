"""The single files of a release as two companions: a pack of their ciphertexts, and the list of what lies where in it.

No I/O: bytes in, values out, and back (docs/capgo.md, Deltas).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import FormatError
from ..format import strictjson
from ..format.strictjson import Members, check_text
from ._manifest import ManifestEntry
from ._wire import BLOCK_BYTES, check_session_key, check_v2, check_v3

FILES_TYPE = "capseal-capgo-files-v1"
MAX_FILES = 20_000
MAX_FILES_BYTES = 64 * 1024 * 1024
"""Of the list: 20,000 files with names of a kilobyte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedFile:
    """One file. name: as in a ManifestEntry; offset, size: of its ciphertext in the pack, in bytes."""

    name: str
    offset: int
    size: int
    checksum_v2: str
    checksum_v3: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CapgoFiles:
    """What a pack holds. session_key: the text for all of them, that of the release's zip; pack_bytes: its size."""

    session_key: str
    pack_bytes: int
    files: tuple[PackedFile, ...]

    def entries(self, urls: Sequence[str]) -> list[ManifestEntry]:
        """Return what the plugin is told. urls: where the ciphertext of each file is."""
        return [
            ManifestEntry(name=one.name, checksum_v2=one.checksum_v2, checksum_v3=one.checksum_v3, url=url)
            for one, url in zip(self.files, urls, strict=True)
        ]

    def encode(self) -> bytes:
        """Return the list that parse() reads."""
        files = [[one.name, one.offset, one.size, one.checksum_v2, one.checksum_v3] for one in self.files]
        value = {"type": FILES_TYPE, "session_key": self.session_key, "pack_bytes": self.pack_bytes, "files": files}
        return strictjson.encode(value) + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> "CapgoFiles":
        """Parse such a list: each file lies in the pack, and no two have a name. Raises FormatError."""
        required = ("type", "session_key", "pack_bytes", "files")
        members = Members(strictjson.parse(data, "files"), "files", required=required)
        if members.take("type", str) != FILES_TYPE:
            raise FormatError(f"files: not of type {FILES_TYPE}")
        pack_bytes = members.integer("pack_bytes", least=BLOCK_BYTES)
        files = tuple(
            _parse_file(value, f"files.files[{number}]", pack_bytes)
            for number, value in enumerate(members.array("files", least=1, most=MAX_FILES))
        )
        if len({one.name for one in files}) != len(files):
            raise FormatError("files: two have the same name")
        session_key = members.text("session_key", check_session_key)
        return cls(session_key=session_key, pack_bytes=pack_bytes, files=files)


def _parse_file(value: Any, place: str, pack_bytes: int) -> PackedFile:
    if type(value) is not list or [type(one) for one in value] != [str, int, int, str, str]:
        raise FormatError(f"{place}: expected a name, an offset, a size and two checksums")
    name, offset, size, checksum_v2, checksum_v3 = value
    check_text(name, place)
    check_file_name(name, place)
    if size < BLOCK_BYTES or size % BLOCK_BYTES or not 0 <= offset <= pack_bytes - size:
        raise FormatError(f"{place}: {size} bytes at {offset} are no ciphertext in a pack of {pack_bytes}")
    return PackedFile(
        name=name,
        offset=offset,
        size=size,
        checksum_v2=check_v2(checksum_v2, place),
        checksum_v3=check_v3(checksum_v3, place),
    )


def check_file_name(name: str, place: str) -> None:
    """Raise FormatError for a path that the plugin cannot take, or that leaves the folder."""
    if " " in name or "\\" in name or not name.isprintable():
        raise FormatError(
            f"{place}: {name[:200]!r}: Capgo's manifests have no room for spaces, backslashes or control characters"
        )
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise FormatError(f"{place}: {name[:200]!r} is no path below a folder")
