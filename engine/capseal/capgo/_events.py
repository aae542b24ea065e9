"""What Capgo's plugin reports: events of devices, of which nothing is kept that says which device it was. No I/O."""

import re
from collections import Counter
from typing import Any, NamedTuple

from ..errors import FormatError
from ._bodies import parse_body, text_of

MAX_EVENTS_BYTES = 1024 * 1024
MAX_EVENTS = 1000
"""In one request; the plugin sends what has gathered."""
OTHER = "other"

INSTALLED = "set"
"""A bundle became the one that runs."""
FAILURES = frozenset(
    (
        *("app_anr", "app_crash", "app_crash_native", "app_initialization_failure", "app_launch_timeout"),
        *("app_killed_excessive_resource_usage", "app_killed_low_memory", "webview_content_process_terminated"),
        *("webview_javascript_error", "webview_render_process_gone", "webview_resource_error"),
        *("webview_security_policy_violation", "webview_unclean_restart", "webview_unhandled_rejection"),
        *("blocked_by_server_url", "canonical_path_fail", "checksum_fail", "checksum_required", "directory_path_fail"),
        *("decrypt_fail", "download_fail", "download_manifest_brotli_fail", "download_manifest_checksum_fail"),
        *("download_manifest_file_fail", "finish_download_fail", "insufficient_disk_space", "low_mem_fail"),
        *("manifest_path_fail", "session_key_required", "set_fail", "unzip_fail", "update_fail", "windows_path_fail"),
    )
)
_ACTIONS = FAILURES | {
    *("app_launch_ready", "app_launch_start", "app_memory_warning", "app_moved_to_background"),
    *(
        "app_moved_to_foreground",
        "rate_limit_reached",
        "webview_dom_content_loaded",
        "webview_page_loaded",
        "delete",
        "download_complete",
        "download_manifest_complete",
    ),
    *("download_manifest_start", "download_zip_complete", "download_zip_start", "get", "reset", INSTALLED, "set_next"),
}
_PERCENT = re.compile(r"download_[0-9]{1,3}")
_PLATFORMS = ("android", "ios", "electron")
_VERSION = re.compile(r"[0-9A-Za-z.+_-]{1,64}")
_APP = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")


class EventKind(NamedTuple):
    """What is counted. version: of the bundle that the event is about."""

    app: str
    platform: str
    action: str
    version: str


def parse_events(body: bytes) -> Counter[EventKind]:
    """Return how many events of each kind a request reports: an object, or an array of them. Raises FormatError.

    What nobody knows is `other`: a label of bounded variety for whatever a device writes.
    """
    value = parse_body(body, "events", most=MAX_EVENTS_BYTES)
    events = value if type(value) is list else [value]
    if not 1 <= len(events) <= MAX_EVENTS:
        raise FormatError(f"events: {len(events)}, 1 to {MAX_EVENTS} are allowed")
    return Counter(_kind_of(event, f"events[{number}]") for number, event in enumerate(events))


def _kind_of(event: Any, place: str) -> EventKind:
    if type(event) is not dict:
        raise FormatError(f"{place}: expected an object")
    app, action = text_of(event, "app_id", place), text_of(event, "action", place)
    if not _APP.fullmatch(app):
        raise FormatError(f"{place}.app_id: {app[:64]!r} is no app id")
    # Of a file that failed, its name stands behind the version.
    version = str(event.get("version_name", "")).partition(":")[0]
    platform = event.get("platform")
    return EventKind(
        app,
        platform if platform in _PLATFORMS else OTHER,
        "download_percent" if _PERCENT.fullmatch(action) else action if action in _ACTIONS else OTHER,
        version if _VERSION.fullmatch(version) else OTHER,
    )
