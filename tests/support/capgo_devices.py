"""Devices that run the own code of Capgo's plugin: its unmodified Java files from npm, between stubs and a driver.

Debian's okhttp and org.json stand for the app's, and libbrotlidec for its Java form (support/capgo_plugin).
"""

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import npm_tools
from support.tools import require_tool

_LOCKED = Path(__file__).parent / "capgo_plugin"
_PACKAGE = "@capgo/capacitor-updater"
_SOURCES = "android/src/main/java/ee/forgr/capacitor_updater"
VERSION: str = json.loads((_LOCKED / "package.json").read_text())["dependencies"][_PACKAGE]
FILES = (
    "BundleInfo",
    "BundleStatus",
    "Callback",
    "CapgoUpdater",
    "CryptoCipher",
    "DataManager",
    "DelayCondition",
    "DelayUntilNext",
    "DownloadService",
    "DownloadWorkerManager",
    "InternalUtils",
    "Logger",
)
"""Those of the plugin's files that need no more of Capacitor than the stubs have."""
_JARS = ("okhttp.jar", "okio.jar", "com.android.json.jar")
_JAR_FOLDER = Path("/usr/share/java")


def plugin_source(name: str) -> str:
    """Return the text of one of the plugin's Java files."""
    return (npm_tools.installed(_LOCKED, _PACKAGE) / _PACKAGE / _SOURCES / f"{name}.java").read_text()


def _absent(what: str) -> None:
    message = f"the plugin's own code cannot run: {what}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def _java_home() -> Path:
    """Return a JDK of version 17 or later. Skips the test where there is none; in CI that is a failure."""
    javac = Path(os.path.realpath(require_tool("javac")))
    said = subprocess.run([javac, "-version"], capture_output=True, text=True, check=True)
    version = (said.stdout or said.stderr).split()[-1]
    if int(version.split(".")[0]) < 17:
        _absent(f"javac is of version {version}, 17 is needed")
    return javac.parents[1]


def compiled(folder: Path) -> list[str]:
    """Compile plugin, stubs and driver into a folder; return the command that starts the driver.

    Skips the test where something for it cannot be had; in CI that is a failure.
    """
    home = _java_home()
    jars = [_JAR_FOLDER / name for name in _JARS]
    if missing := [jar.name for jar in jars if not jar.exists()]:
        _absent(f"{', '.join(missing)} of libokhttp-java and libandroid-json-java are not installed")
    if not Path("/usr/include/brotli/decode.h").exists():
        _absent("brotli/decode.h of libbrotli-dev is not installed")
    plugin = npm_tools.installed(_LOCKED, _PACKAGE) / _PACKAGE / _SOURCES
    sources = [plugin / f"{name}.java" for name in FILES]
    sources += sorted((_LOCKED / "stubs").rglob("*.java")) + sorted((_LOCKED / "driver").rglob("*.java"))
    brotli = folder / "libbrotli_decode.so"
    headers = [f"-I{home / 'include'}", f"-I{home / 'include' / 'linux'}"]
    native = [require_tool("gcc"), "-shared", "-fPIC", "-O2", "-Wall", "-Werror", *headers]
    _build([*native, "-o", brotli, _LOCKED / "brotli.c", "-lbrotlidec"])
    # The stubs come before the jars: one of them stands for a class of okhttp.
    path = ":".join(map(str, [folder, *jars]))
    _build([home / "bin" / "javac", "-nowarn", "-Xlint:none", "-cp", path, "-d", folder, *sources])
    options = ["-Xshare:auto", "-XX:TieredStopAtLevel=1", f"-Dcapseal.brotli={brotli}"]
    return [str(home / "bin" / "java"), *options, "-cp", path, "ee.forgr.capacitor_updater.Drive"]


def _build(command: Sequence[str | Path]) -> None:
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


class Driver:
    """The process in which the devices run. Its log is in the file `log`."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file)

    def do(self, **asked: Any) -> dict[str, Any]:
        """Let a device do something, and return what came of it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the driver ended: {self._log.read_text()[-2000:]}"
        done: dict[str, Any] = json.loads(line)
        assert "exception" not in done, f"{done['exception']}: {self._log.read_text()[-2000:]}"
        return done

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()


@dataclass(frozen=True)
class Device:
    """One device with the app, whose bundles are under `root`. url: of the server, without a path."""

    driver: Driver
    root: Path
    url: str

    @classmethod
    def opened(cls, driver: Driver, root: Path, url: str, *, key: str, **settings: Any) -> "Device":
        """key: the public key's PEM; settings: app, id, plugin, native, channel, stats, channels."""
        given = {
            "app": "com.example.game",
            "id": "00009999-0000-4000-8000-000000000000",
            "plugin": VERSION,
            "native": "1.0.0",
            "channel": "production",
            "stats": "",
            "channels": "",
        }
        driver.do(do="open", device=str(root), key=key, **given | settings)
        return cls(driver, root, url)

    def do(self, what: str, **asked: Any) -> dict[str, Any]:
        return self.driver.do(do=what, device=str(self.root), **asked)

    def latest(self, path: str = "/v1/capgo/updates") -> dict[str, Any]:
        """Ask the server, and return what the plugin makes of the answer."""
        return self.do("latest", url=self.url + path)

    def update(self) -> dict[str, Any]:
        """Ask the server, and do what it says: `folder`, `failed`, `refused` or `builtin`."""
        return self.do("offered", answer=self.latest())

    def start(self) -> str:
        """Start the app anew; return the version that runs, `builtin` for the app's own."""
        return str(self.do("start")["version"])


DeviceOpener = Callable[..., Device]
"""opened(url, **settings) -> a device whose app has the public key."""
