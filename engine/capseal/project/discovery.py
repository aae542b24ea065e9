"""What a web app's own files say: its app id and the folder that its web build ends up in."""

import json
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import FormatError
from ..format.strictjson import check_name

MAX_CONFIG_BYTES = 1024 * 1024
START_PAGE = "index.html"
WEB_FOLDERS = ("dist", "www", "build", "out", "public")
"""Where web builds usually end up, the likeliest first; only one with a start page counts."""

_JSON_FILES = ("capacitor.config.json",)
_SCRIPT_FILES = ("capacitor.config.ts", "capacitor.config.js", "capacitor.config.mjs", "capacitor.config.mts")
_STRING = r"""(?:"([^"\\\n]*)"|'([^'\\\n]*)'|`([^`\\$]*)`)"""
_COMMENTS = re.compile(r"""("[^"\\\n]*"|'[^'\\\n]*'|`[^`\\]*`)|//[^\n]*|/\*.*?\*/""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class WebApp:
    """What was found. app: an app id, web: a folder; source: the file that said the app id; None where nothing did."""

    app: str | None = None
    web: str | None = None
    source: str | None = None


def find_web_app(folder: str) -> WebApp:
    """Return what the project in a folder says of itself: Capacitor's configuration, else package.json.

    Files that cannot be understood say nothing. Raises OSError.
    """
    app = web = source = None
    for name, read in (
        *((name, _read_json) for name in _JSON_FILES),
        *((name, _read_script) for name in _SCRIPT_FILES),
        ("package.json", _read_package),
    ):
        text = _text_of(os.path.join(folder, name))
        said = {} if text is None else read(text)
        if app is None and (app := _app_id(said.get("appId"))) is not None:
            source = name
        web = web or _inside(said.get("webDir"))
    return WebApp(app, web or _usual_folder(folder), source)


def has_start_page(web: str) -> bool:
    """Return whether a web folder, or a zip of one, has index.html at its root, from where web views start.

    What is neither passes: a single file, or standard input, may be sealed, too. Raises OSError.
    """
    if os.path.isdir(web):
        return os.path.isfile(os.path.join(web, START_PAGE))
    if not os.path.isfile(web):
        return True
    try:
        with zipfile.ZipFile(web) as zipped:
            return any(name.removeprefix("./") == START_PAGE for name in zipped.namelist())
    except (zipfile.BadZipFile, NotImplementedError):
        return True


def _text_of(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:  # editors on Windows put a mark first
            return file.read(MAX_CONFIG_BYTES)
    except FileNotFoundError:
        return None


def _read_json(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _read_script(text: str) -> Mapping[str, Any]:
    """Read the plain strings of a configuration that is a program: what it computes stays unknown."""
    bare = _COMMENTS.sub(lambda match: match[1] or " ", text)
    said = {}
    for name in ("appId", "webDir"):
        found = re.search(rf"""\b{name}["']?\s*:\s*{_STRING}""", bare)
        if found:
            said[name] = next(value for value in found.groups() if value is not None)
    return said


def _read_package(text: str) -> Mapping[str, Any]:
    name = _read_json(text).get("name")
    # "@scope/name" is not an app id, "scope.name" is.
    return {"appId": name.removeprefix("@").replace("/", ".")} if isinstance(name, str) else {}


def _app_id(value: object) -> str | None:
    try:
        return check_name(value, "app id") if isinstance(value, str) else None
    except FormatError:
        return None


def _inside(value: object) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    path = os.path.normpath(value)
    return None if os.path.isabs(path) or path.split(os.sep)[0] in (os.pardir, os.curdir) else path


def _usual_folder(folder: str) -> str | None:
    return next((name for name in WEB_FOLDERS if os.path.isfile(os.path.join(folder, name, START_PAGE))), None)
