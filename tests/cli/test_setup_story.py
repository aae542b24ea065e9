"""As a new user: from an empty folder to an installed update, with the script that the documentation shows."""

import io
import json
import os
import re
import socket
import subprocess
import sys
import time
import zipfile

import pytest

from capseal import capgo
from support.places import ROOT
from support.tools import require_tool

SCRIPTS = ROOT / "examples" / "ci"
PROMISED_S = 60.0
PROMISED_COMMANDS = 5


@pytest.fixture
def environment(tmp_path_factory):
    """An environment in which `capseal` is a command."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "capseal"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m capseal "$@"\n')
    command.chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PORT": str(_free_port())}


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_five_commands_and_a_minute_lead_from_nothing_to_an_installed_update(tmp_path, environment):
    script = SCRIPTS / "five-commands.sh"
    started = time.monotonic()
    done = subprocess.run(
        ["sh", str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=5 * PROMISED_S
    )
    took_s = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    assert "staged: " in done.stdout
    installed = list((tmp_path / "device").rglob("index.html"))
    assert [path.read_text() for path in installed] == ["<h1>Hello</h1>\n"]
    assert len(re.findall(r"^ *capseal ", script.read_text(), re.MULTILINE)) == PROMISED_COMMANDS
    assert took_s < PROMISED_S
    # What the server stored is neither the app nor anything that tells of it.
    stored = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert b"Hello" not in stored and b"PRIVATE" not in stored


def test_capgos_plugin_is_offered_what_the_script_published(tmp_path, environment):
    require_tool("curl")
    script = SCRIPTS / "capgo-commands.sh"
    done = subprocess.run(["sh", str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads((tmp_path / "answer.json").read_bytes())
    assert answer["version"] == "1.4.2"
    plain = io.BytesIO()
    capgo.decrypt(
        tmp_path / "fetched",
        plain,
        key=capgo.load_public_key(tmp_path / ".capgo_key_v2.pub"),
        session_key=answer["session_key"],
        checksum=answer["checksum"],
    )
    with zipfile.ZipFile(plain) as zipped:
        assert zipped.read("index.html") == b"<h1>Hello</h1>\n"
