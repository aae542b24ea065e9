"""The command line of the benchmark suite: python -m bench --help."""

import argparse
import importlib.util
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from typing import Any

from . import bundles, deltas, folders, machine, memory, pins, reads, scaling, serving, small, targets, verifying
from .contestants import close_contestants, make_keys
from .machine import GIB
from .plan import Plan, parse_size

SCHEMA = "capseal-bench-v1"
PARTS = ("memory", "small", "bundles", "folders", "verify", "threads", "reads", "server", "scaling")
ON_DEMAND = ("delta",)  # fetches packages
DEFAULT_OUT = os.path.join("build", "bench")
QUIET_TIMEOUT_S = 60.0


def main() -> int:
    """Run what the command line asks for and return the exit code."""
    options = _parser().parse_args()
    if options.install_peers:
        pins.install()
        return 0
    if options.check is not None:
        return targets.report(_load(options.check))
    if options.chart is not None:
        from . import charts

        charts.draw(_load(options.chart), options.out)
        return 0
    with TemporaryDirectory(prefix="capseal-keys-") as keys:
        try:
            make_keys(keys)
            return _measure(options, keys)
        finally:
            close_contestants(keys)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure capseal against its ceilings and its peers."
    )
    parser.add_argument("--full", action="store_true", help="the long form: more rounds, every peer in each, 16 GiB")
    parser.add_argument("--rounds", type=int, help="rounds of A B C …; default: 3, with --full 5")
    parser.add_argument("--size", type=parse_size, default=GIB, help="what is sealed; default: 1GiB")
    parser.add_argument("--verify-size", type=parse_size, default=4 * GIB, help="what is verified; default: 4GiB")
    parser.add_argument("--max-size", type=parse_size, help="end of the scaling run; default: 1GiB, with --full 16GiB")
    parser.add_argument("--tmpfs", metavar="DIR", default="/dev/shm", help="a folder in RAM; default: /dev/shm")
    parser.add_argument("--disk", metavar="DIR", default="/var/tmp", help="a folder on disk; default: /var/tmp")
    parser.add_argument("--only", metavar="PART,…", help=f"some of {','.join((*PARTS, *ON_DEMAND))}")
    parser.add_argument("--peers", metavar="NAME,…", help="only peers whose names start so, or 'none'")
    parser.add_argument("--out", metavar="DIR", default=DEFAULT_OUT, help="for results.json and the pictures")
    parser.add_argument("--check", metavar="FILE", help="compare results with the targets, and measure nothing")
    parser.add_argument("--chart", metavar="FILE", help="draw the pictures of results again, and measure nothing")
    parser.add_argument("--install-peers", action="store_true", help="install what pip and npm have, as pinned")
    return parser


def _measure(options: argparse.Namespace, keys: str) -> int:
    full = options.full
    plan = Plan(
        full=full,
        rounds=options.rounds or (5 if full else 3),
        size_bytes=options.size,
        verify_bytes=options.verify_size,
        max_bytes=options.max_size or (16 * GIB if full else GIB),
        keys=keys,
        say=_say,
    )
    parts = options.only.split(",") if options.only else PARTS
    unknown = set(parts) - {*PARTS, *ON_DEMAND}
    if unknown:
        there_are = ", ".join((*PARTS, *ON_DEMAND))
        _say(f"python -m bench: no part is called {', '.join(sorted(unknown))}; there are {there_are}")
        return 2
    results: dict[str, Any] = {
        "schema": SCHEMA,
        "form": "full" if full else "short",
        "command": shlex.join(["python", "-m", "bench", *_shown_arguments()]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "rounds": plan.rounds,
        "size_bytes": plan.size_bytes,
        "verify_bytes": plan.verify_bytes,
        "machine": machine.describe(),
        "versions": machine.versions(),
        "peers": pins.report(),
    }
    started = time.monotonic()
    machine.warm_memory(min(4 * GIB, 4 * plan.verify_bytes))
    if plan.size_bytes >= GIB:
        others_s = machine.wait_until_quiet(QUIET_TIMEOUT_S)
        results["others_cpu_at_start_s"] = others_s
        if others_s >= 0.1:
            _say(f"warning: others use {others_s:.0%} of a core; figures will be disturbed")
    for part in (part for part in (*PARTS, *ON_DEMAND) if part in parts):
        _say(f"{part} ({time.monotonic() - started:.0f} s so far)")
        results[part] = _run_part(part, plan, options)
        _print_records(results[part])
    results["took_s"] = time.monotonic() - started
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, "results.json")
    with open(path, "w") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    _say(f"wrote {path} after {results['took_s']:.0f} s")
    if importlib.util.find_spec("matplotlib") is None:
        _say("no pictures: matplotlib is not installed")
    else:
        subprocess.run([sys.executable, "-m", "bench", "--chart", path, "--out", options.out], check=True)
    targets.report(results)
    return 0


def _run_part(part: str, plan: Plan, options: argparse.Namespace) -> dict[str, Any]:
    peers = None if options.peers is None else [name for name in options.peers.split(",") if name != "none"]
    places = {"tmpfs": options.tmpfs, "disk": options.disk}
    if part == "memory":
        return {**memory.run(plan), "baseline": scaling.run_baseline(plan)}
    if part == "small":
        return small.run(plan, options.tmpfs)
    if part == "bundles":
        return {place: bundles.run(plan, place, where, peers=peers) for place, where in places.items()}
    if part == "folders":
        return {place: folders.run(plan, place, where, peers=peers) for place, where in places.items()}
    if part == "verify":
        # From disk it is read from the page cache, so the short form leaves it out.
        return {
            place: verifying.run(plan, place, where, peers=peers)
            for place, where in places.items()
            if plan.full or place == "tmpfs"
        }
    if part == "threads":
        return scaling.run_threads(plan, options.tmpfs)
    if part == "server":
        return serving.run(plan, options.tmpfs)
    if part == "delta":
        return deltas.run(plan, options.disk)
    if part == "reads":
        return reads.run(plan, options.tmpfs)
    return scaling.run(plan, options.tmpfs, options.disk)


def _print_records(result: dict[str, Any]) -> None:
    """Print one JSON line per command to stdout."""
    for one in (result, *(value for value in result.values() if isinstance(value, dict))):
        for record in one.get("commands", ()):
            line = {key: value for key, value in record.items() if key != "runs"}
            print(json.dumps(line), flush=True)


def _shown_arguments() -> Sequence[str]:
    """The arguments without the folders, which say nothing to others."""
    shown: list[str] = []
    hide = False
    for argument in sys.argv[1:]:
        if not hide and argument.partition("=")[0] not in ("--tmpfs", "--disk", "--out"):
            shown.append(argument)
        hide = argument in ("--tmpfs", "--disk", "--out")
    return shown


def _load(path: str) -> dict[str, Any]:
    with open(path) as file:
        results: dict[str, Any] = json.load(file)
    if results.get("schema") != SCHEMA:
        raise SystemExit(f"python -m bench: {path}: schema is {results.get('schema')!r}, expected {SCHEMA!r}")
    return results


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
