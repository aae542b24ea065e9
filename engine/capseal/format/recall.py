"""Recalls: which releases fail for good on every device (docs/format.md, Heads and recalls). As pure as head.py."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..constants import MAX_RECALLED
from ..errors import FormatError
from . import strictjson
from .head import capped
from .strictjson import Members, Role, check_fingerprint, check_name, check_text, shown_time

RECALL_TYPE = "application/vnd.capseal.recall.v1+json"


@dataclass(frozen=True, slots=True)
class RecalledRelease:
    """A release that is recalled. digest: of its payload (fs-verity), hex, which decides; the rest is for people."""

    sequence: int
    digest: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """What a recall says. releases: by descending sequence."""

    app: str
    channel: str
    role: Role
    created: datetime
    releases: tuple[RecalledRelease, ...]

    def encode(self) -> bytes:
        """Return the bytes that are signed. Raises FormatError for what no reader would accept."""
        value: dict[str, Any] = {
            "app": self.app,
            "channel": self.channel,
            "role": str(self.role),
            "created": shown_time(self.created),
            "releases": [{"sequence": r.sequence, "digest": r.digest, "version": r.version} for r in self.releases],
        }
        data = strictjson.encode(value)
        Recall.parse(data)
        return data

    @classmethod
    def parse(cls, data: bytes) -> "Recall":
        """Parse the signed bytes strictly. Raises FormatError."""
        required = ("app", "channel", "role", "created", "releases")
        members = Members(strictjson.parse(capped(data, "recall"), "recall"), "recall", required=required)
        releases: list[RecalledRelease] = []
        for i, value in enumerate(members.array("releases", least=1, most=MAX_RECALLED)):
            place = f"{members.place('releases')}[{i}]"
            entry = Members(value, place, required=("sequence", "digest", "version"))
            release = RecalledRelease(
                entry.integer("sequence", least=1),
                entry.text("digest", check_fingerprint),
                entry.text("version", check_text),
            )
            if releases and release.sequence >= releases[-1].sequence:
                raise FormatError(
                    f"{place}.sequence: {release.sequence} is not below {releases[-1].sequence} before it"
                )
            releases.append(release)
        return cls(
            app=members.text("app", check_name),
            channel=members.text("channel", check_name),
            role=members.role("role"),
            created=members.time("created"),
            releases=tuple(releases),
        )
