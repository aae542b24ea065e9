"""A real Azure wire: Azurite, Azure's own emulator of its storage, from npm; 186 MB with all that it needs."""

import base64
import contextlib
import hashlib
import hmac
import os
import subprocess
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import httpx

from support import npm_tools
from support.serving_command import free_port
from support.tools import require_tool

_LOCKED = Path(__file__).parent / "azurite"
_ACCOUNT = "capseal"
_KEY = base64.b64encode(bytes(32)).decode()
_VERSION = "2021-12-02"


@contextlib.contextmanager
def azure_server(folder: Path, container: str) -> Iterator[dict[str, str]]:
    """Run Azurite with one container; yield the environment in which `az://CONTAINER` is that."""
    node = require_tool("node")
    entry = npm_tools.installed(_LOCKED, "azurite") / "azurite" / "dist" / "src" / "blob" / "main.js"
    port = free_port()
    folder.mkdir()
    command = [
        *(node, str(entry), "--silent", "--disableTelemetry", "--skipApiVersionCheck"),
        *("--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)),
    ]
    environment = os.environ | {"AZURITE_ACCOUNTS": f"{_ACCOUNT}:{_KEY}"}
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/{_ACCOUNT}"
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.TransportError):
                _make_container(url, container)
                break
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield {
            "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": _KEY,
            "AZURE_ENDPOINT": url,
            "AZURE_ALLOW_HTTP": "true",
        }
    finally:
        process.terminate()
        process.wait()


def _make_container(url: str, name: str) -> None:
    """Make it, signed by the account's key: "Authorize with Shared Key" in the reference of Azure's storage."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": _VERSION}
    named = "".join(f"{key}:{value}\n" for key, value in sorted(headers.items()))
    signed = f"PUT{chr(10) * 12}{named}/{_ACCOUNT}/{_ACCOUNT}/{name}\nrestype:container"
    digest = hmac.digest(base64.b64decode(_KEY), signed.encode(), hashlib.sha256)
    headers["Authorization"] = f"SharedKey {_ACCOUNT}:{base64.b64encode(digest).decode()}"
    httpx.put(f"{url}/{name}", params={"restype": "container"}, headers=headers).raise_for_status()
