"""The load run of bench/server_load.py, in short and in full."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.places import ROOT

BENCH = ROOT / "bench" / "server_load.py"


def run_load(tmp_path: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, str(BENCH), "--folder", str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_5_s_of_readers_and_publishers_see_no_error_and_no_wrong_byte(tmp_path: Path) -> None:
    result = run_load(tmp_path, "--seconds", "5", "--size-mib", "64")
    assert result["errors"] == []
    assert result["verified_read_MBps"] > 0
    assert result["published_MBps"] > 0


@pytest.mark.soak
def test_60_s_of_readers_and_publishers_keep_memory_flat(tmp_path: Path) -> None:
    result = run_load(tmp_path, "--seconds", "60")
    memory = result["server_rss_MiB"]
    assert result["errors"] == []
    assert memory["end"] < memory["after_a_quarter"] * 1.25
