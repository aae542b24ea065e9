"""Random reads of 1 MiB through capseal.open(), in a process of its own."""

import json
import os
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Any

from .contestants import SCRIPTS, Site
from .plan import Plan
from .verifying import seal_sparse

READS = 1000


def run(plan: Plan, where: str) -> dict[str, Any]:
    """Return latency and segments touched over READS reads, and the rate of reading it all in order."""
    with TemporaryDirectory(prefix="capseal-bench-", dir=where) as folder:
        site = Site(folder, plan.keys, os.path.join(folder, "bundle.bin"))
        bundle = seal_sparse(site, plan.verify_bytes)
        script = os.path.join(SCRIPTS, "random_reads.py")
        argv = [sys.executable, script, bundle, site.key("key.pem"), str(READS)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        result: dict[str, Any] = json.loads(done.stdout)
        return result
