"""Capgo's update endpoint, framework-neutral: a request's bytes in, the answer's JSON values out.

The plugin posts what it runs, the server answers with a release or with a refusal; a refusal is an
answer like any other, with status 200. No I/O, no clock, no storage: who mounts this finds the release.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import FormatError
from ..format.requires import Requires, check_version
from ._bodies import parse_body, text_of
from ._keys import KEY_ID_CHARS
from ._manifest import ManifestEntry
from ._offer import CapgoOffer
from ._pack import MAX_FILES
from ._versions import Version, is_below, parse_version
from ._wire import CapgoBundle, ChecksumVersion

MAX_REQUEST_BYTES = 64 * 1024
MAX_SIZE_REQUEST_BYTES = 16 * 1024 * 1024
"""Of a question for the size of files, which the plugin asks with the whole manifest."""
MAX_SIZE_REQUEST_PARTS = 16 * MAX_FILES
"""Objects, lists, and commas in it, of which an entry has four or five."""
UP_TO_DATE = "no_new_version_available"
HELD_BACK = "disable_auto_update_to_metadata"
STORE_UPDATE = "store_update_required"
"""The message on which the plugin tells its app that the store has what a bundle needs."""
BUILTIN = "builtin"
"""What the plugin names the version that came with the app."""

_REQUEST_MEMBERS = ("app_id", "device_id", "platform", "version_name", "version_build", "plugin_version")
_PLATFORMS = ("ios", "android", "electron")
_SLICE = re.compile(r"/slices/[^/]+/([0-9]{1,16})-([0-9]{1,16})\Z")
_V3_SINCE: dict[int, Version] = {5: (5, 30, 0), 6: (6, 30, 0), 7: (7, 30, 0)}
_MANIFEST_SINCE: dict[int, Version] = {5: (5, 10, 0), 6: (6, 25, 0), 7: (7, 0, 35)}
_OLDEST_PLUGIN: Version = (5, 0, 0)
_BACK_SINCE: Version = (6, 2, 0)

_KINDS = {
    "no_new_version_available": "up_to_date",
    "already_on_builtin": "up_to_date",
    "key_id_mismatch": "blocked",
    "disable_auto_update_under_native": "blocked",
    "disable_auto_update_to_metadata": "blocked",
    "unsupported_plugin_version": "failed",
    "revert_to_builtin_plugin_version_too_old": "failed",
    "no_channel": "failed",
    "no_bundle": "failed",
    "invalid_json_body": "failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRequest:
    """What a device says of itself. Nothing of it is authenticated.

    channel: None for the app's default channel; version_name: of the running bundle, the native one
    where that is built in; version_build: of the native app; key_id: of the public key in the app.
    """

    app: str
    channel: str | None
    device_id: str
    platform: str
    version_name: str
    version_build: str
    plugin_version: Version
    key_id: str | None

    @classmethod
    def parse(cls, body: bytes) -> "UpdateRequest":
        """Parse a request's body; members that are not needed are ignored. Raises FormatError."""
        return cls.of(parse_request(body))

    @classmethod
    def of(cls, value: dict[str, Any]) -> "UpdateRequest":
        """Return what members say, of an object or of a query. Raises FormatError."""
        texts = {name: text_of(value, name, "request") for name in _REQUEST_MEMBERS}
        if texts["platform"] not in _PLATFORMS:
            raise FormatError(f"request.platform: {texts['platform'][:64]!r} is none of {', '.join(_PLATFORMS)}")
        plugin_version = parse_version(texts["plugin_version"])
        if plugin_version is None:
            raise FormatError(f"request.plugin_version: {texts['plugin_version'][:64]!r} is not a version")
        build = texts["version_build"]
        return cls(
            app=texts["app_id"],
            channel=_optional_text(value, "defaultChannel"),
            device_id=texts["device_id"],
            platform=texts["platform"],
            version_name=build if texts["version_name"] == BUILTIN else texts["version_name"],
            version_build=build,
            plugin_version=plugin_version[0],
            key_id=_optional_text(value, "key_id"),
        )

    @property
    def on_builtin(self) -> bool:
        """Whether it runs what came with the app, which newer plugins name as the app, older ones `builtin`."""
        return self.version_name == self.version_build

    @property
    def checksum_version(self) -> ChecksumVersion:
        """Which checksum the plugin can read."""
        return ChecksumVersion.V3 if _since(self.plugin_version, _V3_SINCE) else ChecksumVersion.V2

    @property
    def reads_manifests(self) -> bool:
        """Whether the plugin can fetch single files."""
        return _since(self.plugin_version, _MANIFEST_SINCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapgoRelease:
    """What a channel offers. url: where the ciphertext is; manifest: the same as single files, or none.

    offer, requires: to which devices, as the seal says.
    """

    version: str
    url: str
    bundle: CapgoBundle
    manifest: Sequence[ManifestEntry] = ()
    offer: CapgoOffer = field(default_factory=CapgoOffer)
    requires: Requires | None = None


def parse_request(body: bytes) -> dict[str, Any]:
    """Return the members of a request's body, whatever they are. Raises FormatError."""
    value = parse_body(body, "request", most=MAX_REQUEST_BYTES)
    if type(value) is not dict:
        raise FormatError("request: expected an object")
    return value


def answer(request: UpdateRequest, release: CapgoRelease | None) -> dict[str, Any]:
    """Return the answer to a request. release: the latest of its app and channel, None where there is none."""
    if release is None:
        return refusal("no_channel", f"nothing is released for {request.app[:128]!r} on this channel")
    if request.plugin_version < _OLDEST_PLUGIN:
        return refusal("unsupported_plugin_version", "plugins before 5.0.0 cannot read this format")
    ours = release.bundle.key_id
    # Older plugins send an id of 4 characters, which compares with nothing.
    if request.key_id is not None and len(request.key_id) == KEY_ID_CHARS and request.key_id != ours:
        return refusal(
            "key_id_mismatch",
            "the app has another public key than the one that reads this bundle",
            deviceKeyId=request.key_id,
            bundleKeyId=ours,
        )
    if request.version_name == release.version:
        return refusal(UP_TO_DATE, "No new version available")
    if is_below(release.version, request.version_build):
        return refusal(
            "disable_auto_update_under_native",
            "the release is older than the native app",
            version=release.version,
            old=request.version_name,
        )
    if (reason := _misfit(request, release)) is not None:
        # The plugin tells its app of something in the store where the message is this very word.
        message = STORE_UPDATE if release.offer.breaking else reason
        return refusal(HELD_BACK, message, version=release.version, old=request.version_build)
    if not release.offer.includes(request.device_id):
        return refusal(UP_TO_DATE, f"{release.version} is offered to a share of the devices, without this one")
    found: dict[str, Any] = {
        "version": release.version,
        "url": release.url,
        "session_key": release.bundle.session_key,
        "checksum": release.bundle.checksum(request.checksum_version),
        **release.offer.told,
    }
    if release.manifest and request.reads_manifests:
        found["manifest"] = [entry.to_json(request.checksum_version) for entry in release.manifest]
    return found


def is_held_back(request: UpdateRequest, release: CapgoRelease) -> bool:
    """Whether a release is not for this device, which may have an older one, then."""
    if request.version_name == release.version:
        return False  # it came to it by a share, or before there was one: nobody is taken back
    return _misfit(request, release) is not None or not release.offer.includes(request.device_id)


def _misfit(request: UpdateRequest, release: CapgoRelease) -> str | None:
    """Return why the native app cannot have a release, or None."""
    native = request.version_build
    if not release.offer.takes(native):
        return f"the release is for native versions from {release.offer.min_update_version} on, here is {native[:64]!r}"
    if release.requires is None:
        return None
    try:
        numbers = check_version(re.split("[-+]", native, maxsplit=1)[0], "native")
    except FormatError:
        numbers = "0"  # what is no version is below every bound
    return release.requires.misfit(native=numbers, platform=request.platform)


def manifest_size(body: bytes) -> dict[str, Any]:
    """Return the answer to a question for the size of files, which the addresses of slices say. Raises FormatError.

    Entries whose addresses are others are unknown ones. What the device says of itself is not looked at.
    """
    # Before it is parsed: of many small parts, what comes out is many times as large as what came.
    parts = sum(body.count(mark) for mark in b"{[,")
    if parts > MAX_SIZE_REQUEST_PARTS:
        raise FormatError(f"request: {parts} parts, at most {MAX_SIZE_REQUEST_PARTS} are allowed")
    value = parse_body(body, "request", most=MAX_SIZE_REQUEST_BYTES)
    entries = value.get("manifest") if type(value) is dict else None
    if type(entries) is not list or not all(type(one) is dict for one in entries):
        raise FormatError("request.manifest: expected a list of objects")
    files = [{**entry, **_size_of(entry.get("download_url"))} for entry in entries]
    sizes = [one["size"] for one in files if "error" not in one]
    return {
        "totalSize": sum(sizes),
        "knownFiles": len(sizes),
        "unknownFiles": len(files) - len(sizes),
        "files": files,
    }


def _size_of(url: Any) -> dict[str, Any]:
    match = _SLICE.search(url) if type(url) is str else None
    size = int(match[2]) - int(match[1]) if match else 0
    return {"size": size} if size > 0 else {"size": 0, "error": "unknown"}


def back_to_builtin(request: UpdateRequest) -> dict[str, Any]:
    """Return the answer where every release of the channel was withdrawn: the bundle that came with the app."""
    if request.on_builtin:
        return refusal("already_on_builtin", "every release was withdrawn, and the app runs its own bundle")
    if request.plugin_version < _BACK_SINCE:
        return refusal(
            "revert_to_builtin_plugin_version_too_old",
            "every release was withdrawn, and plugins before 6.2.0 cannot go back to the app's own bundle",
        )
    return {"version": BUILTIN}


def bad_request(error: FormatError) -> dict[str, Any]:
    """Return the answer to a body that UpdateRequest.parse() refused."""
    return refusal("invalid_json_body", f"Cannot parse body: {error}")


def refusal(error: str, message: str, **more: str) -> dict[str, Any]:
    """Return the answer that offers nothing. error: Capgo's code for the reason."""
    return {"error": error, "message": message, "kind": _KINDS[error], **more}


def _since(version: Version, first_of: dict[int, Version]) -> bool:
    return version >= first_of.get(version[0], (0, 0, 0))


def _optional_text(value: dict[str, Any], name: str) -> str | None:
    text = value.get(name)
    if text is not None and type(text) is not str:
        raise FormatError(f"request.{name}: expected a string")
    return text or None
