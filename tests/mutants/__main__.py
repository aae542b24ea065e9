"""python -m tests.mutants [list] [--room ROOM] [--jobs N] [--only TEXT]: exit code 0 where every mutant was caught."""

import argparse
import sys
import time

from .harness import judge
from .rooms import ROOMS, all_mutants, mutants_of


def main() -> int:
    """Judge mutants, or list them."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("run", "list"), default="run")
    parser.add_argument("--room", choices=ROOMS, help="only that room's; default: all")
    parser.add_argument("--only", metavar="TEXT", help="only those whose file, text or test contains it")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="tests at once; default: 1")
    asked = parser.parse_args()
    mutants = list(mutants_of(asked.room) if asked.room else all_mutants())
    if asked.only:
        mutants = [one for one in mutants if asked.only in f"{one.file} {one.old} {one.new} {one.test}"]
    if not mutants:
        parser.error(f"no mutant contains {asked.only!r}")
    if asked.what == "list":
        for mutant in mutants:
            print(f"{mutant.shown()}\n    {mutant.test}")
        print(f"{len(mutants)} mutants")
        return 0
    began = time.monotonic()
    caught = 0
    for number, verdict in enumerate(judge(mutants, jobs=asked.jobs), 1):
        caught += verdict.caught
        print(f"{number:>3} {verdict.outcome:<9} {verdict.mutant.shown()}", flush=True)
        if not verdict.caught:
            print(f"    {verdict.mutant.test}", flush=True)
    print(f"{caught} of {len(mutants)} caught, in {time.monotonic() - began:.0f} s")
    return 0 if caught == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
