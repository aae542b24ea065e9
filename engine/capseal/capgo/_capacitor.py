"""What an app's own configuration says of its updates: capacitor.config.json, .ts or .js. No I/O.

The latter two are programs, which are read as text and never run: what they put together in other ways is not found.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError

CAPACITOR_CONFIGS = ("capacitor.config.json", "capacitor.config.ts", "capacitor.config.js")
PLUGIN = "CapacitorUpdater"

_OF_PLUGIN = {
    "default_channel": "defaultChannel",
    "public_key": "publicKey",
    "update_url": "updateUrl",
    "stats_url": "statsUrl",
    "channel_url": "channelUrl",
}
# A member that begins a line or follows another one: not what stands in a comment of its own.
_MEMBER = r"""(?:^[ \t]*|[{{,][ \t]*)["']?{name}["']?\s*:\s*(["'`])((?:\\.|(?!\1)[^\\])*)\1"""
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacitorConfig:
    """What is said; None where it is not. app: the id that the plugin asks with."""

    app: str | None = None
    default_channel: str | None = None
    public_key: str | None = None
    update_url: str | None = None
    stats_url: str | None = None
    channel_url: str | None = None

    @classmethod
    def parse(cls, data: bytes, where: str) -> "CapacitorConfig":
        """Parse such a file. where: its name, whose ending says which it is. Raises UsageError."""
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UsageError(f"{where}: at byte {error.start}: not UTF-8") from None
        return _of_json(text, where) if where.endswith(".json") else _of_program(text, where)


def _of_json(text: str, where: str) -> CapacitorConfig:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: {error}") from None
    whole = _object(value, where)
    plugins = _object(whole.get("plugins", {}), f"{where}: plugins")
    plugin = _object(plugins.get(PLUGIN, {}), f"{where}: plugins.{PLUGIN}")
    said = {ours: _text(plugin, theirs, where) for ours, theirs in _OF_PLUGIN.items()}
    return CapacitorConfig(app=_text(plugin, "appId", where) or _text(whole, "appId", where), **said)


def _object(value: Any, place: str) -> Mapping[str, Any]:
    if type(value) is not dict:
        raise UsageError(f"{place}: expected an object")
    return value


def _text(value: Mapping[str, Any], name: str, where: str) -> str | None:
    text = value.get(name)
    if text is not None and type(text) is not str:
        raise UsageError(f"{where}: {name}: expected a string")
    return text


def _of_program(text: str, where: str) -> CapacitorConfig:
    return CapacitorConfig(
        app=_found(text, "appId", where), **{ours: _found(text, name, where) for ours, name in _OF_PLUGIN.items()}
    )


def _found(text: str, name: str, where: str) -> str | None:
    found = {match[2] for match in re.finditer(_MEMBER.format(name=name), text, re.MULTILINE)}
    if len(found) > 1:
        raise UsageError(f"{where}: {name} is there {len(found)} times, and which one counts is not seen in its text")
    if not found or "${" in (one := found.pop()):
        return None
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), one, flags=re.DOTALL)
