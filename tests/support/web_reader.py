"""The JavaScript reader (web/) as a process that lives as long as the tests: a line of JSON in, a line of JSON out."""

import atexit
import json
import os
import subprocess
import sys
from base64 import b64encode
from functools import cache
from typing import Any

from .places import ROOT
from .tools import require_tool

WEB = ROOT / "web"
_PLACES = {
    "TamperedError": ("segment", "offset"),
    "TruncatedError": ("expected", "actual"),
    "RollbackError": ("floor", "sequence"),
}


@cache
def environment() -> dict[str, str]:
    """Return what node is started with: before version 20 it has WebCrypto, but not where a page has it.

    CAPSEAL_PYTHON: what runs the commands that tests of the device store need beside a page.
    """
    version = subprocess.run([require_tool("node"), "--version"], capture_output=True, text=True, check=True).stdout
    option = "--experimental-global-webcrypto" if int(version[1:].partition(".")[0]) < 20 else ""
    return os.environ | {"NODE_OPTIONS": option, "CAPSEAL_PYTHON": sys.executable}


class WebProcess:
    """Node with a script of web/test/support in it, which answers each line that it is told with one."""

    def __init__(self, script: str) -> None:
        self._process = subprocess.Popen(
            [require_tool("node"), WEB / "test" / "support" / script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            text=True,
        )
        atexit.register(self._process.kill)

    def tell(self, **asked: Any) -> dict[str, Any]:
        """Return its answer; bytes are sent in base64, None is not sent."""
        assert self._process.stdin and self._process.stdout
        values = {name: _sent(value) for name, value in asked.items() if value is not None}
        try:
            self._process.stdin.write(json.dumps(values) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            # Not as it came: an OSError passes for a refusal of what was asked.
            raise RuntimeError("the process with the JavaScript has ended") from error
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin and self._process.stdout
        atexit.unregister(self._process.kill)
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


class WebReader(WebProcess):
    """Node with the reader in it."""

    def __init__(self) -> None:
        super().__init__("judge.js")

    def ask(self, kind: str, **asked: Any) -> dict[str, Any]:
        """Return `{"ok": ...}` or `{"error": ...}`."""
        return self.tell(kind=kind, **asked)


@cache
def web_reader() -> WebReader:
    """Return the process, which is started once. Skips the test where there is no node; in CI it fails."""
    return WebReader()


def told_by(error: Exception) -> tuple[object, ...]:
    """Return what a refusal says to programs: its class, and where or what it found."""
    name = type(error).__name__
    return (name, *(getattr(error, place) for place in _PLACES.get(name, ())))


def told_in(answer: dict[str, Any]) -> tuple[object, ...]:
    """Return the same of an answer that refuses."""
    error = answer["error"]
    assert error["ours"], error["message"]
    return (error["name"], *(error[place] for place in _PLACES.get(error["name"], ())))


def _sent(value: Any) -> Any:
    return b64encode(value).decode() if isinstance(value, bytes) else value
