"""As a new user: from an empty folder to an installed update, with the script that the documentation shows."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "examples" / "ci"
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
