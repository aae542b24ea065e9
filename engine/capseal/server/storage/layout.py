"""Names of objects in storage, made and recognised in one place (docs/server.md, Storage).

A release is published by the appearance of its record and by nothing else; everything to which no record
and no upload points is an orphan.

    releases/APP/CHANNEL/SEQUENCE/release.json   the record: written last, atomically, never overwritten
    releases/APP/CHANNEL/SEQUENCE/seal           the seal, as it was uploaded
    payloads/DIGEST/FIRST-COUNT                  COUNT verified segments of a payload from segment FIRST on
    payloads/DIGEST/index                        the index of a payload that is in no seal: of a companion
    uploads/ID/seal                              the seal of an upload under way; ID is its SHA-256
"""

import re

from ...http.shapes import AppChannel

RELEASES = "releases"
PAYLOADS = "payloads"
UPLOADS = "uploads"

_RELEASE = re.compile(r"releases/([^/]+)/([^/]+)/([0-9]{16})/([^/]+)")
_PAYLOAD = re.compile(r"payloads/([0-9a-f]{64})/([^/]+)")
_RUN = re.compile(r"([0-9]{10})-([0-9]{2})")
_UPLOAD = re.compile(r"uploads/([0-9a-f]{64})/seal")

RECORD = "release.json"


def release_object(of: AppChannel, sequence: int, name: str) -> str:
    """Return the path of what belongs to a release. name: RECORD or `seal`."""
    return f"{RELEASES}/{of.app}/{of.channel}/{sequence:016d}/{name}"


def parse_release_object(path: str) -> tuple[AppChannel, int, str] | None:
    """Return app and channel, sequence and name of an object that belongs to a release."""
    match = _RELEASE.fullmatch(path)
    return (AppChannel(match[1], match[2]), int(match[3]), match[4]) if match else None


def payload_folder(digest: str) -> str:
    """Return where all that is stored of a payload is. digest: in hex."""
    return f"{PAYLOADS}/{digest}"


def run_object(digest: str, first: int, segments: int) -> str:
    """Return the path of a run of segments; names sort in the order of the payload."""
    return f"{PAYLOADS}/{digest}/{first:010d}-{segments:02d}"


def index_object(digest: str) -> str:
    """Return the path of a payload's index."""
    return f"{PAYLOADS}/{digest}/index"


def parse_payload_object(path: str) -> tuple[str, str] | None:
    """Return the digest and the name of an object of a payload."""
    match = _PAYLOAD.fullmatch(path)
    return (match[1], match[2]) if match else None


def parse_run(name: str) -> tuple[int, int] | None:
    """Return the first segment and the number of segments that the name of a run says."""
    match = _RUN.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def upload_seal(id: str) -> str:
    """Return the path of the seal of an upload under way."""
    return f"{UPLOADS}/{id}/seal"


def parse_upload_seal(path: str) -> str | None:
    """Return the id of the upload whose seal an object is."""
    match = _UPLOAD.fullmatch(path)
    return match[1] if match else None
