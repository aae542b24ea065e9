"""Every path of the HTTP interface: the templates that a server matches, and the one way to fill them."""

from typing import Final

from ..format.strictjson import check_name

APPS: Final = "/v1/apps"
_CHANNEL: Final = APPS + "/{app}/channels/{channel}"
LATEST: Final = _CHANNEL + "/latest"
RELEASES: Final = _CHANNEL + "/releases"
RELEASE: Final = RELEASES + "/{sequence}"
RELEASE_SEAL: Final = RELEASE + "/seal"
RELEASE_PAYLOAD: Final = RELEASE + "/payload"
RELEASE_ATTACHMENT: Final = RELEASE + "/attachments/{name}"
RELEASE_ATTACHMENT_INDEX: Final = RELEASE + "/indexes/{name}"
"""Not below the attachment: in a tree of files no name is a file and a folder at once."""
RELEASE_INDEX_BELOW: Final = RELEASE_ATTACHMENT + "/index"
"""The same, where servers alone have it."""
RELEASE_SLICE: Final = RELEASE + "/slices/{name}/{span}"
"""A part of an attachment as a resource of its own, for clients that know URLs and no ranges; span: `START-STOP`."""
CHANNEL_HEAD: Final = _CHANNEL + "/head"
CHANNEL_RECALL: Final = _CHANNEL + "/recalls/{digest}"
TRUST_UPDATE: Final = APPS + "/{app}/trust/{version}"

UPLOADS: Final = "/v1/uploads"
UPLOAD: Final = UPLOADS + "/{id}"
UPLOAD_PAYLOAD: Final = UPLOAD + "/payload"
UPLOAD_ATTACHMENT: Final = UPLOAD + "/attachments/{name}"
UPLOAD_ATTACHMENT_INDEX: Final = UPLOAD_ATTACHMENT + "/index"

STATUS: Final = "/"
HEALTH: Final = "/healthz"
LIVE: Final = "/livez"
READY: Final = "/readyz"
METRICS: Final = "/metrics"


def filled(template: str, **names: str | int) -> str:
    """Return the path that a template becomes. Raises FormatError for what is no name: nothing needs escaping."""
    return template.format(**{key: check_name(str(name), key) for key, name in names.items()})


def slice_of(attachment: str, start: int, stop: int) -> str:
    """Return the path of bytes [start, stop) of an attachment, from the path of the attachment."""
    release, _, name = attachment.rpartition("/attachments/")
    return f"{release}/slices/{name}/{start}-{stop}"
