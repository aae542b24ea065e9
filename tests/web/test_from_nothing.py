"""docs/tutorials/web-view.md as it is typed: from an empty folder to a web view that runs an update."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.places import ROOT
from support.tools import require_tool

SCRIPT = ROOT / "examples" / "web-view" / "from-nothing.sh"
PAGE = ROOT / "docs" / "tutorials" / "web-view.md"
PROMISED_COMMANDS = 10
PROMISED_S = 600
SEEN = [
    "Version 0, built in came with the app",
    "Version 1 installed, and confirmed",
    "Version 1 installed, and confirmed",
    "Version 3 installed, and confirmed",
    "Version 3 installed, and confirmed",
]


def commands_of_the_page() -> list[str]:
    """Return the lines that the page has a reader type."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return "".join(blocks).splitlines()


def test_ten_commands_at_most_are_what_the_page_promises() -> None:
    typed = [command for line in commands_of_the_page() for command in line.split(" && ")]
    assert "Ten commands at most" in PAGE.read_text()
    assert 8 <= len(typed) <= PROMISED_COMMANDS
    assert all(re.match(r"(git|python3?|\.|pip|capseal) ", command) for command in typed)


def test_the_script_runs_the_lines_of_the_page_and_no_others_of_its_kind() -> None:
    lines = [line.strip() for line in SCRIPT.read_text().splitlines()]
    assert [line for line in lines if re.match(r"(git|python3?|\.|pip|capseal) ", line)] == commands_of_the_page()


def _run(folder: Path, *arguments: str, **settings: str) -> str:
    """Run the script with free ports in place of those that the page names, and return what it printed."""
    for tool in ("node", "chromium", "git"):
        require_tool(tool)
    text = SCRIPT.read_text().replace('$(dirname "$0")', str(SCRIPT.parent))
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = one.getsockname()[1], other.getsockname()[1]
    text = text.replace("serve store", f"serve store --port {ports[0]}")
    text = text.replace("8417", str(ports[0])).replace("8000", str(ports[1]))
    done = subprocess.run(
        ["sh", "-c", text, SCRIPT.name, *arguments],
        cwd=folder,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def _check(said: str) -> None:
    assert [line for line in said.splitlines() if line.startswith("Version ")] == SEEN
    # The update came as a recipe: of what version 1 has, nothing was downloaded again.
    sizes = re.findall(r"^devices download ([0-9]+) bytes of [0-9.]+ MiB from 1\.0 ", said, re.MULTILINE)
    assert len(sizes) == 1 and int(sizes[0]) < 10_000
    times = [int(taken) for taken in re.findall(r"^after ([0-9]+) s$", said, re.MULTILINE)]
    assert len(times) == 3 and times == sorted(times)


def test_what_is_installed_leads_from_init_to_an_updated_web_view(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in (("capseal", "-m capseal"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (programs / name).chmod(0o755)
    folder = tmp_path / "empty"
    folder.mkdir()
    _check(_run(folder, "installed", PATH=f"{programs}:{os.environ['PATH']}"))
    # What the servers were given is neither the app nor a key that opens it.
    stored = b"".join(path.read_bytes() for path in (folder / "store").rglob("*") if path.is_file())
    assert b"<!doctype html>" not in stored and b"PRIVATE" not in stored


@pytest.mark.soak
def test_a_clone_and_nine_more_commands_lead_from_nothing_to_an_updated_web_view(tmp_path: Path) -> None:
    said = _run(tmp_path, CAPSEAL=str(ROOT))
    _check(said)
    assert max(int(taken) for taken in re.findall(r"^after ([0-9]+) s$", said, re.MULTILINE)) < PROMISED_S
    shutil.rmtree(tmp_path / ".venv")  # 200 MB, which pytest would keep
