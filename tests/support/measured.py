"""What a command costs: seconds and peak memory of one fresh process."""

import json
import os
import subprocess
import sys
from pathlib import Path

# Linux counts the memory of the process that starts a program into that program's peak, so a small one starts it.
_LAUNCHER = """
import json, os, sys, time
null = os.open(os.devnull, os.O_WRONLY)
actions = [(os.POSIX_SPAWN_DUP2, null, 1)]
start_s = time.perf_counter()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=actions)
_, status, usage = os.wait4(pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), time.perf_counter() - start_s, usage.ru_maxrss * 1024]))
"""


def measured(command: list[str], *, folder: Path | None = None) -> tuple[float, int]:
    """Run a command whose output does not matter; return its seconds and its peak resident memory in bytes."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command],
        cwd=folder,
        env=os.environ | {"CAPGO_DISABLE_TELEMETRY": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    code, seconds, peak_bytes = json.loads(done.stdout)
    assert code == 0, done.stderr
    return seconds, peak_bytes
