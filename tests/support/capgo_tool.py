"""Capgo's own command line from npm, by its lock: installed once into a cache folder, then run without a network."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import npm_tools
from support.tools import require_tool

_LOCKED = Path(__file__).parent / "capgo_cli"
VERSION = json.loads((_LOCKED / "package.json").read_text())["dependencies"]["@capgo/cli"]
_PACKAGE = "@capgo/cli"


def installed() -> list[str]:
    """Return the command that starts it. Skips the test where it cannot be had; in CI that is a failure."""
    node = require_tool("node")
    entry = npm_tools.installed(_LOCKED, _PACKAGE) / _PACKAGE / "dist" / "index.js"
    return [*_without_network(), node, str(entry)]


def _without_network() -> list[str]:
    """Return what cuts a command off from the network, where this machine permits that."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return []
    prefix = [unshare, "--map-root-user", "--net"]
    return prefix if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0 else []


@dataclass(frozen=True)
class Project:
    """A folder with what the command wants to find, and a key pair that it made itself."""

    folder: Path
    command: list[str]

    @classmethod
    def make(cls, folder: Path, *, plugin: str | None) -> "Project":
        """plugin: the version of the plugin in package.json; it decides on the checksum's version."""
        config = {"appId": "com.example.game", "appName": "game", "webDir": "dist", "plugins": {"CapacitorUpdater": {}}}
        (folder / "capacitor.config.json").write_text(json.dumps(config))
        dependencies = {} if plugin is None else {"@capgo/capacitor-updater": plugin}
        (folder / "package.json").write_text(json.dumps({"dependencies": dependencies}))
        project = cls(folder, installed())
        # It ends on a question that nobody answers; the keys are there by then.
        project._run("key", "create", "-f")
        return project

    @property
    def private_key(self) -> Path:
        return self.folder / ".capgo_key_v2"

    @property
    def public_key(self) -> Path:
        return self.folder / ".capgo_key_v2.pub"

    def encrypt(self, path: Path, sha256: str) -> dict[str, Any]:
        """Return checksum, filename and ivSessionKey."""
        done = self._run("bundle", "encrypt", str(path), sha256, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        made: dict[str, Any] = json.loads(done.stdout)
        return made

    def decrypt(self, path: Path, session_key: str, checksum: str) -> bytes:
        """Return the plaintext; the command must find that the checksum matches."""
        done = self._run("bundle", "decrypt", str(path), session_key, "--checksum", checksum)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Checksum matches" in done.stdout
        return Path(f"{path}_decrypted.zip").read_bytes()

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments],
            cwd=self.folder,
            env=os.environ | {"CAPGO_DISABLE_TELEMETRY": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
