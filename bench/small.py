"""What a small bundle costs: the start of the program, and which modules it loads without using them."""

import json
import os
import re
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Any

from .contestants import SCRIPTS, Site, capseal_argv
from .machine import MIB
from .measure import Command, Step, interleave
from .plan import Plan
from .verifying import seal_sparse

RUNS_PER_ROUND = 4
"""A small command is over quickly, and its time scatters more."""
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|(\s+)(\S+)")


def run(plan: Plan, where: str) -> dict[str, Any]:
    """Return the wall time of `capseal verify` of 1 MiB and what it imports."""
    with TemporaryDirectory(prefix="capseal-bench-", dir=where) as folder:
        site = Site(folder, plan.keys, os.path.join(folder, "bundle.bin"))
        bundle = seal_sparse(site, MIB)
        argv = capseal_argv(site, "verify", bundle)
        command = Command(name="capseal", group="verify", steps=[Step(argv)], role="capseal", cwd=folder)
        series, _ = interleave(
            [command],
            rounds=RUNS_PER_ROUND * plan.rounds,
            full=True,
            place="tmpfs",
            folder=plan.keys,
            size_bytes=0,
            say=lambda _: None,
        )
        series[0].size_bytes = MIB
        return {"verify": series[0].summary(), "imports": _imports(argv, folder)}


def _imports(argv: tuple[str, ...], folder: str) -> dict[str, Any]:
    """Return every imported module with its time, and those of which no function ever ran.

    Python does not list what importlib.import_module() names itself, so count and total miss a few.
    """
    timed = subprocess.run(
        [sys.executable, "-X", "importtime", *argv[1:]], capture_output=True, text=True, check=True, cwd=folder
    )
    modules = [
        {"name": name, "self_us": int(own), "cumulative_us": int(total)}
        for own, total, _, name in _IMPORT.findall(timed.stderr)
    ]
    used = subprocess.run(
        [sys.executable, os.path.join(SCRIPTS, "used_modules.py"), *argv[1:]],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return {
        "count": len(modules),
        "total_ms": sum(module["self_us"] for module in modules) / 1000,
        "slowest": sorted(modules, key=lambda module: -module["self_us"])[:20],
        **json.loads(used.stdout.splitlines()[-1]),
    }
