"""Names of objects in storage, made and recognised in one place (docs/server.md, Storage).

What is decided stands in the channels' pointers, which alone are ever replaced. All else is written once, under a
name that ends with a mark of its own and is never used again, so that a deletion, however late, hits what it was
meant for. Parts have no marks: their folder is named by the commitment to a key that is drawn for one payload, and a
job that is resumed puts a part again; so before one of them is deleted, their folder is given up for ever.

    store.json                                        which layout this is
    trust/APP/VERSION                                 the update that brings a version of the trust store, for ever
    channels/APP/CHANNEL                              the pointer: which releases there are
    releases/APP/CHANNEL/SEQUENCE/MARK/release.json   the record of a release
    releases/APP/CHANNEL/SEQUENCE/MARK/seal           its seal, as it was uploaded
    payloads/DIGEST/FIRST-COUNT-MARK                  COUNT verified segments of a payload from segment FIRST on
    payloads/DIGEST/index-MARK                        the index of a payload that is in no seal: of a companion
    parts/COMMITMENT/FIRST-COUNT                      COUNT segments of a payload that was sealed into the store
    parts/COMMITMENT/seal                             its seal, the last of them, which publishes nothing
    uploads/ID/STATEMENT.seal                         the seal of an upload under way; ID and STATEMENT are SHA-256
    uploads/ID/published                              which release it became
    collector/lease                                   who collects
    collector/condemned/NUMBER                        names that are used no more, and will be deleted
    collector/condemned/NUMBER.parts                  folders of parts that were given up with them, for ever
"""

import re
import secrets
from typing import Final, NamedTuple

from ...http.shapes import AppChannel

CHANNELS: Final = "channels"
TRUST: Final = "trust"
RELEASES: Final = "releases"
PAYLOADS: Final = "payloads"
PARTS: Final = "parts"
UPLOADS: Final = "uploads"
COLLECTOR: Final = "collector"

LAYOUT: Final = "store.json"
LEASE: Final = f"{COLLECTOR}/lease"
CONDEMNED: Final = f"{COLLECTOR}/condemned"

RECORD: Final = "release.json"
SEAL: Final = "seal"

_CHANNEL = re.compile(r"channels/([^/]+)/([^/]+)")
_RELEASE = re.compile(r"releases/([^/]+)/([^/]+)/([0-9]{16})/([0-9a-f]{16})/([^/]+)")
_PAYLOAD = re.compile(r"payloads/([0-9a-f]{64})/([^/]+)")
_RUN = re.compile(r"([0-9]{10})-([0-9]{2})-([0-9a-f]{16})")
_PARTS = re.compile(r"parts/([0-9a-f]{64})/([^/]+)")
_PART = re.compile(r"([0-9]{10})-([0-9]{2,3})")
_INDEX = re.compile(r"index-([0-9a-f]{16})")
_UPLOAD = re.compile(r"uploads/([0-9a-f]{64})/([0-9a-f]{64})\.seal")
_PUBLISHED = re.compile(r"uploads/([0-9a-f]{64})/published")
_UNFINISHED = re.compile(r".+#[0-9]+")
_GIVEN_UP = re.compile(r"collector/condemned/([0-9]{16})\.parts")
_CONDEMNED = re.compile(r"collector/condemned/([0-9]{16})")

_MARK_BYTES = 8


class ReleaseObject(NamedTuple):
    """An object that belongs to a release, or to an attempt to publish one."""

    of: AppChannel
    sequence: int
    mark: str
    name: str


def new_mark() -> str:
    """Return what makes a name one that was never used."""
    return secrets.token_hex(_MARK_BYTES)


def is_unfinished(name: str) -> bool:
    """Return whether obstore writes that before it renames: a killed process leaves it, and listings hide it."""
    return _UNFINISHED.fullmatch(name) is not None


def is_mark(text: str) -> bool:
    """Return whether that is a mark."""
    return re.fullmatch(r"[0-9a-f]{16}", text) is not None


def channel_pointer(of: AppChannel) -> str:
    """Return the path of an app and channel's pointer."""
    return f"{CHANNELS}/{of.app}/{of.channel}"


def trust_update(app: str, version: int) -> str:
    """Return the path of the update that brings a version. It has no mark: nobody deletes it, and none replaces it."""
    return f"{TRUST}/{app}/{version:016d}"


def parse_channel_pointer(path: str) -> AppChannel | None:
    """Return the app and channel whose pointer an object is."""
    match = _CHANNEL.fullmatch(path)
    return AppChannel(match[1], match[2]) if match else None


def release_object(of: AppChannel, sequence: int, mark: str, name: str) -> str:
    """Return the path of what belongs to a release. name: RECORD or SEAL."""
    return f"{RELEASES}/{of.app}/{of.channel}/{sequence:016d}/{mark}/{name}"


def parse_release_object(path: str) -> ReleaseObject | None:
    """Return what an object is that belongs to a release."""
    match = _RELEASE.fullmatch(path)
    return ReleaseObject(AppChannel(match[1], match[2]), int(match[3]), match[4], match[5]) if match else None


def payload_folder(digest: str) -> str:
    """Return where all that is stored of a payload is. digest: in hex."""
    return f"{PAYLOADS}/{digest}"


def run_object(digest: str, first: int, segments: int, mark: str) -> str:
    """Return the path of a run of segments; names sort in the order of the payload."""
    return f"{PAYLOADS}/{digest}/{first:010d}-{segments:02d}-{mark}"


def parts_folder(commitment: str) -> str:
    """Return where a payload's parts are that was sealed into the store. commitment: in hex."""
    return f"{PARTS}/{commitment}"


def part_object(commitment: str, first: int, segments: int) -> str:
    """Return the path of a part; names sort in the order of the payload."""
    return f"{PARTS}/{commitment}/{first:010d}-{segments:02d}"


def parse_parts_object(path: str) -> tuple[str, str] | None:
    """Return the commitment and the name of an object in a folder of parts."""
    match = _PARTS.fullmatch(path)
    return (match[1], match[2]) if match else None


def parse_part(name: str) -> tuple[int, int] | None:
    """Return the first segment and the number of segments that the name of a part says."""
    match = _PART.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def is_commitment(text: str) -> bool:
    """Return whether that may name a folder of parts."""
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def index_object(digest: str, mark: str) -> str:
    """Return the path of a payload's index."""
    return f"{PAYLOADS}/{digest}/index-{mark}"


def parse_payload_object(path: str) -> tuple[str, str] | None:
    """Return the digest and the name of an object of a payload."""
    match = _PAYLOAD.fullmatch(path)
    return (match[1], match[2]) if match else None


def parse_run(name: str) -> tuple[int, int, str] | None:
    """Return the first segment, the number of segments and the mark that the name of a run says."""
    match = _RUN.fullmatch(name)
    return (int(match[1]), int(match[2]), match[3]) if match else None


def parse_index(name: str) -> str | None:
    """Return the mark of an index."""
    match = _INDEX.fullmatch(name)
    return match[1] if match else None


def upload_folder(id: str) -> str:
    """Return where all that is stored of an upload is, but its payloads."""
    return f"{UPLOADS}/{id}"


def upload_seal(id: str, statement: str) -> str:
    """Return the path of the seal of an upload under way. statement: SHA-256 of what is signed, in hex."""
    return f"{UPLOADS}/{id}/{statement}.seal"


def parse_upload_seal(path: str) -> tuple[str, str] | None:
    """Return the id and the statement of the upload whose seal an object is."""
    match = _UPLOAD.fullmatch(path)
    return (match[1], match[2]) if match else None


def upload_published(id: str) -> str:
    """Return the path of what says which release an upload became."""
    return f"{UPLOADS}/{id}/published"


def parse_upload_published(path: str) -> str | None:
    """Return the id of the upload that became a release."""
    match = _PUBLISHED.fullmatch(path)
    return match[1] if match else None


def condemned_list(number: int) -> str:
    """Return the path of a list of condemned names. number: of the lease under which they were condemned."""
    return f"{CONDEMNED}/{number:016d}"


def given_up_parts(number: int) -> str:
    """Return the path of what says which folders of parts were given up with a list of condemned names."""
    return f"{CONDEMNED}/{number:016d}.parts"


def is_given_up_parts(path: str) -> bool:
    """Return whether an object says which folders of parts were given up."""
    return _GIVEN_UP.fullmatch(path) is not None


def parse_condemned_list(path: str) -> int | None:
    """Return the number of a list of condemned names."""
    match = _CONDEMNED.fullmatch(path)
    return int(match[1]) if match else None
