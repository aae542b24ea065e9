"""docs/delta.md as it is typed: its blocks, one after the other."""

import os
import re
import subprocess
import sys
import zipfile
from contextlib import ExitStack
from pathlib import Path

import capseal
from support.command import CAPSEAL
from support.compiled import needs_matching
from support.places import ROOT
from support.serving import live_server
from support.updates import write_versions

SERVER = "https://bundles.example.com"


@needs_matching
def test_every_command_of_the_page_runs_after_those_before_it(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "delta.md").read_text()
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    folder = tmp_path / "game"
    write_versions(folder, asset_bytes=300_000)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, command in (("capseal", " ".join(f"'{word}'" for word in CAPSEAL)), ("pip", "true")):
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    with ExitStack() as stack:
        for language, block in blocks:
            if SERVER in block:
                trust = capseal.load_trust(folder / "keys" / "trust.json")
                live = stack.enter_context(live_server(str(tmp_path / "store"), trust))
                block = block.replace(SERVER, live.url)
            command = ["sh", "-e", "-c", block] if language == "sh" else [sys.executable, "-c", block]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
            assert done.returncode == 0, (block, done.stderr)
        [release] = live.client.get("/v1/apps").json()["latest"]
    assert len(release["attachments"]) == 2
    with zipfile.ZipFile(folder / "new.zip") as rebuilt:
        assert rebuilt.read("index.html") == (folder / "new" / "index.html").read_bytes()
