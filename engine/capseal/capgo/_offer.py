"""To which devices a release is offered, and what they are told of it, as its seal says (docs/capgo.md, Rollout).

The plugin looks at no seal, so what is decided here is the server's word. No I/O, no clock.
"""

import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..constants import MAX_SHARE, ROLLOUT_SALT_BYTES
from ..errors import FormatError
from ..format.rollout import in_share
from ..format.statement import Statement
from ..format.strictjson import Members, check_text
from ._versions import at_least, is_version

OFFER_MEMBER = "capgo_offer"
"""The member of a statement's custom data that says so."""
MAX_LINK_CHARS = 2048
MAX_COMMENT_CHARS = 2048

_OPTIONAL = ("share", "salt", "min_update_version", "breaking", "link", "comment")


@dataclass(frozen=True, slots=True, kw_only=True)
class CapgoOffer:
    """To which devices a release is offered; by default to all.

    share: to so many of 1000, chosen by the salt; min_update_version: from that version of the native app on;
    breaking: apps whose native version is too old are told that there is something newer in the store; link, comment:
    for the app.
    """

    share: int = MAX_SHARE
    salt: str = ""
    min_update_version: str | None = None
    breaking: bool = False
    link: str | None = None
    comment: str | None = None

    def includes(self, device_id: str) -> bool:
        """Whether a device is in the share. Who is in one is in every larger one of the same salt."""
        if self.share == MAX_SHARE:
            return True
        salt = hashlib.sha256(self.salt.encode("utf-8")).digest()[:ROLLOUT_SALT_BYTES]
        # Whatever a device says may hold a lone surrogate, which UTF-8 cannot.
        device = hashlib.sha256(device_id.lower().encode("utf-8", "surrogatepass")).digest()
        return in_share(salt, device, self.share)

    def takes(self, native: str) -> bool:
        """Whether a version of the native app is high enough; what is no version is not."""
        return self.min_update_version is None or at_least(native, self.min_update_version)

    @property
    def told(self) -> dict[str, Any]:
        """What is passed on with the release."""
        said = {"breaking": self.breaking or None, "link": self.link, "comment": self.comment}
        return {name: value for name, value in said.items() if value is not None}

    def to_json(self) -> dict[str, Any]:
        """Return the member of `custom`."""
        value: dict[str, Any] = {} if self.share == MAX_SHARE else {"share": self.share, "salt": self.salt}
        if self.min_update_version is not None:
            value["min_update_version"] = self.min_update_version
        return value | self.told

    @classmethod
    def from_json(cls, value: Any, where: str) -> "CapgoOffer":
        """Parse such a member strictly. where: its name, for messages. Raises FormatError."""
        members = Members(value, where, required=(), optional=_OPTIONAL)
        if ("share" in members) != ("salt" in members):
            raise FormatError(f"{where}: share and salt are given together")
        given: dict[str, Any] = {}
        if "share" in members:
            given["share"] = members.integer("share", least=0, most=MAX_SHARE)
            given["salt"] = members.text("salt", check_text)
        if "breaking" in members:
            given["breaking"] = members.take("breaking", bool)
        checks = {"min_update_version": _check_version, "link": _check_link, "comment": _check_comment}
        given |= {name: members.text(name, check) for name, check in checks.items() if name in members}
        return cls(**given)


def offered(statement: Statement) -> CapgoOffer:
    """Return to which devices a seal offers its release; to all where it does not say. Raises FormatError."""
    if statement.custom is None or OFFER_MEMBER not in statement.custom:
        return CapgoOffer()
    return CapgoOffer.from_json(statement.custom[OFFER_MEMBER], f"statement.custom.{OFFER_MEMBER}")


def _check_version(value: str, place: str) -> str:
    if not is_version(value):
        raise FormatError(f"{place}: {value[:64]!r} is not a version")
    return value


def _check_link(value: str, place: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    # A web view opens it: nothing but the web, so that `javascript:` is none.
    if parts.scheme not in ("http", "https") or not parts.hostname or not value.isprintable():
        raise FormatError(f"{place}: {value[:64]!r} is not an http:// or https:// URL")
    if len(value) > MAX_LINK_CHARS:
        raise FormatError(f"{place}: {len(value)} characters, at most {MAX_LINK_CHARS} are allowed")
    return value


def _check_comment(value: str, place: str) -> str:
    if not 1 <= len(value) <= MAX_COMMENT_CHARS:
        raise FormatError(f"{place}: {len(value)} characters, 1 to {MAX_COMMENT_CHARS} are allowed")
    return value
