"""In memory, with no files: the ceilings and how near capseal comes to them."""

import json
import os
import subprocess
import sys
from typing import Any

from .contestants import SCRIPTS
from .plan import Plan


def run(plan: Plan) -> dict[str, Any]:
    """Return bytes per second of every stage, and the ratios that the targets are about."""
    size_bytes = plan.size_bytes if plan.full else plan.size_bytes // 2
    argv = [sys.executable, os.path.join(SCRIPTS, "rates.py"), str(size_bytes), str(plan.rounds)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    for name, rate in result["bytes_per_s"].items():
        plan.say(f"  {rate['median'] / 1e9:6.2f} GB/s  {name}")
    return result
