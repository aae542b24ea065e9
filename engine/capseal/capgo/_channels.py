"""Which channels a device may choose itself, and which one it gets that chose none; answers to the plugin's channelUrl.

A plugin keeps the channel that it chose, and names it with each check, so nothing is stored here. No I/O.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import FormatError, UsageError
from ..format.strictjson import check_name
from ._endpoint import UpdateRequest, parse_request
from ._versions import at_least, is_version

_PLATFORMS = ("ios", "android", "electron")


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultChannel:
    """What devices get that chose none. platform: of these only; native: from that version of the app on."""

    channel: str
    platform: str | None = None
    native: str | None = None

    def fits(self, request: UpdateRequest) -> bool:
        """Whether it is for the device that asks."""
        if self.platform not in (None, request.platform):
            return False
        return self.native is None or at_least(request.version_build, self.native)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppChannels:
    """Of one app. selectable: what a device may choose; defaults: the first that fits counts."""

    selectable: tuple[str, ...] = ()
    defaults: tuple[DefaultChannel, ...] = ()


@dataclass(frozen=True, slots=True)
class CapgoChannels:
    """The channels of apps, by app id."""

    apps: Mapping[str, AppChannels] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes, where: str) -> "CapgoChannels":
        """Parse a TOML file (docs/capgo.md, Channels). where: its name. Raises UsageError."""
        try:
            value = _known(tomllib.loads(data.decode("utf-8")), where, ("apps",))
            apps = {
                check_name(app, where): _parse_app(one, f"{where}: {app}")
                for app, one in _table(value.get("apps", {}), where).items()
            }
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{where}: {error}") from None
        except FormatError as error:
            raise UsageError(str(error)) from None
        return cls(apps)

    def default(self, request: UpdateRequest, otherwise: str) -> str:
        """Return the channel of a device that chose none."""
        defaults = self._of(request).defaults
        return next((one.channel for one in defaults if one.fits(request)), otherwise)

    def listed(self, request: UpdateRequest, otherwise: str) -> list[dict[str, Any]]:
        """Return the answer to GET: what a device may choose, and its default."""
        default = self.default(request, otherwise)
        names = [default, *(one for one in self._of(request).selectable if one != default)]
        return [
            {"id": number, "name": name, "public": name == default, "allow_self_set": True}
            for number, name in enumerate(names, 1)
        ]

    def got(self, request: UpdateRequest, otherwise: str) -> dict[str, Any]:
        """Return the answer to PUT: the channel that a device is on."""
        default = self.default(request, otherwise)
        channel = request.channel or default
        status = "default" if channel == default else "override"
        return {"channel": channel, "status": status, "allowSet": bool(self._of(request).selectable)}

    def chosen(self, request: UpdateRequest, channel: object, otherwise: str) -> dict[str, Any]:
        """Return the answer to POST: whether a device may have a channel, which it keeps itself then."""
        if channel == self.default(request, otherwise):
            return {"status": "ok", "message": "the default channel: nothing is chosen any more", "unset": True}
        if channel in self._of(request).selectable:
            return {"status": "ok", "channel": channel, "allowSet": True}
        message = f"devices of {request.app[:128]} may not choose channel {str(channel)[:64]!r}"
        return {"error": "channel_self_set_not_allowed", "message": message}

    def _of(self, request: UpdateRequest) -> AppChannels:
        return self.apps.get(request.app, AppChannels())


def parse_choice(body: bytes) -> tuple[UpdateRequest, object]:
    """Return who chooses which channel. Raises FormatError."""
    members = parse_request(body)
    return UpdateRequest.of(members), members.get("channel")


def _table(value: Any, place: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise FormatError(f"{place}: expected a table")
    return value


def _parse_app(value: Any, place: str) -> AppChannels:
    table = _known(value, place, ("selectable", "defaults"))
    selectable, defaults = table.get("selectable", []), table.get("defaults", [])
    if type(selectable) is not list or type(defaults) is not list:
        raise FormatError(f"{place}: expected lists of selectable channels and of defaults")
    return AppChannels(
        selectable=tuple(_name(one, f"{place}.selectable") for one in selectable),
        defaults=tuple(_parse_default(one, f"{place}.defaults") for one in defaults),
    )


def _parse_default(value: Any, place: str) -> DefaultChannel:
    table = _known(value, place, ("channel", "platform", "native"))
    platform, native = table.get("platform"), table.get("native")
    if platform is not None and platform not in _PLATFORMS:
        raise FormatError(f"{place}.platform: {str(platform)[:64]!r} is none of {', '.join(_PLATFORMS)}")
    if native is not None and not (type(native) is str and is_version(native)):
        raise FormatError(f"{place}.native: {str(native)[:64]!r} is not a version")
    return DefaultChannel(channel=_name(table.get("channel"), f"{place}.channel"), platform=platform, native=native)


def _known(value: Any, place: str, names: tuple[str, ...]) -> dict[str, Any]:
    table = _table(value, place)
    if unknown := sorted(set(table) - set(names)):
        raise FormatError(f"{place}: {unknown[0][:64]!r} is unknown, expected some of {', '.join(names)}")
    return table


def _name(value: Any, place: str) -> str:
    if type(value) is not str:
        raise FormatError(f"{place}: expected the name of a channel")
    return check_name(value, place)
