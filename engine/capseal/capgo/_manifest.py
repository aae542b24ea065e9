"""The manifest of Capgo's delta updates: a bundle as single files, of which a device fetches what it has not got.

No I/O: bytes in, values out, and back.
"""

import json
from dataclasses import dataclass
from typing import Any

from ..format import strictjson
from ..format.strictjson import Members, check_text
from ._wire import ChecksumVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEntry:
    """One file. name: its path, with `.br` appended where compressed; checksums: of the file uncompressed."""

    name: str
    checksum_v2: str
    checksum_v3: str
    url: str

    def to_json(self, version: ChecksumVersion) -> dict[str, str]:
        """Return the entry as the plugin reads it."""
        checksum = self.checksum_v3 if version is ChecksumVersion.V3 else self.checksum_v2
        return {"file_name": self.name, "file_hash": checksum, "download_url": self.url}


@dataclass(frozen=True, slots=True, kw_only=True)
class CapgoManifest:
    """Every file of a bundle. session_key: the text for all of them; skipped: paths that were left out."""

    session_key: str
    key_id: str
    entries: tuple[ManifestEntry, ...]
    skipped: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Return the record that parse() reads: both checksums of every file."""
        entries = [
            {"name": e.name, "checksum_v2": e.checksum_v2, "checksum_v3": e.checksum_v3, "url": e.url}
            for e in self.entries
        ]
        value = {"session_key": self.session_key, "key_id": self.key_id, "entries": entries}
        return json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8") + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> "CapgoManifest":
        """Parse such a record. Raises FormatError."""
        members = Members(strictjson.parse(data, "manifest"), "manifest", required=("session_key", "key_id", "entries"))
        return cls(
            session_key=members.take("session_key", str),
            key_id=members.text("key_id", check_text),
            entries=tuple(_parse_entry(value, i) for i, value in enumerate(members.take("entries", list))),
        )


def _parse_entry(value: Any, number: int) -> ManifestEntry:
    names = ("name", "checksum_v2", "checksum_v3", "url")
    members = Members(value, f"manifest.entries[{number}]", required=names)
    return ManifestEntry(**{name: members.take(name, str) for name in names})
