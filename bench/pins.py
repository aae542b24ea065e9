"""Pinned and found versions of the peers; installing those that pip and npm have."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata

_VERSION = re.compile(r"\d+(?:\.\d+)+")
_ASK = {
    "7z": ["7z"],
    "age": ["age", "--version"],
    "bsdiff": ["dpkg-query", "-W", "bsdiff"],
    "bsdtar": ["bsdtar", "--version"],
    "fsverity": ["fsverity", "--version"],
    "gpg": ["gpg", "--version"],
    "nginx": ["nginx", "-v"],
    "openssl": ["openssl", "version"],
    "rclone": ["rclone", "version"],
    "sha256sum": ["sha256sum", "--version"],
    "xdelta3": ["xdelta3", "-V"],
    "zip": ["zip", "-v"],
    "zstd": ["zstd", "--version"],
}


def pinned() -> dict[str, dict[str, str]]:
    """Return pins.toml: section -> name -> version."""
    with open(os.path.join(os.path.dirname(__file__), "pins.toml"), "rb") as file:
        return tomllib.load(file)


def npm_folder() -> str:
    """Return the folder that --install-peers puts npm packages in."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "capseal-bench")


def capgo_cli() -> str | None:
    """Return the path of the Capgo CLI's program, None where it or Node is absent."""
    path = os.path.join(npm_folder(), "node_modules", "@capgo", "cli", "dist", "index.js")
    return path if shutil.which("node") and os.path.exists(path) else None


@functools.cache
def found() -> dict[str, str | None]:
    """Return name -> version of every pinned peer; None where it is absent."""
    pins = pinned()
    result: dict[str, str | None] = {}
    for name in pins["pypi"]:
        try:
            result[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            result[name] = None
    for name in pins["system"]:
        result[name] = _system_version(name)
    for name in pins["npm"]:
        package = os.path.join(npm_folder(), "node_modules", name, "package.json")
        try:
            with open(package) as file:
                result[name] = json.load(file)["version"] if shutil.which("node") else None
        except FileNotFoundError:
            result[name] = None
    return result


def report() -> dict[str, dict[str, str | None]]:
    """Return name -> pinned and found version."""
    wanted = {name: version for section in pinned().values() for name, version in section.items()}
    return {name: {"pinned": wanted[name], "found": version} for name, version in found().items()}


def install() -> None:
    """Install the PyPI peers into this environment and the npm ones into a cache folder."""
    pins = pinned()
    packages = [f"{name}=={version}" for name, version in pins["pypi"].items()]
    subprocess.run([sys.executable, "-m", "pip", "install", *packages, "matplotlib"], check=True)
    if shutil.which("npm") is None:
        print("npm is not installed: the Capgo CLI is left out", file=sys.stderr)
        return
    os.makedirs(npm_folder(), exist_ok=True)
    packages = [f"{name}@{version}" for name, version in pins["npm"].items()]
    argv = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", npm_folder(), *packages]
    subprocess.run(argv, check=True)


def _system_version(name: str) -> str | None:
    if shutil.which(name) is None:
        return None
    done = subprocess.run(_ASK[name], capture_output=True, text=True, check=False)
    match = _VERSION.search(done.stdout + done.stderr)
    return match.group() if match else "unknown"
