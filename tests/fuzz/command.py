"""The command: which targets, how long, and what comes of it."""

import argparse
import os
import pickle
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

_ALL = "all"
_LIST = "list"


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for. Returns 1 where there was a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz everything that parses.")
    parser.add_argument("target", nargs="+", help=f"names of targets, '{_ALL}' of them, or '{_LIST}'")
    parser.add_argument("--seconds", type=float, help="how long each runs")
    parser.add_argument("--executions", type=int, help="how many of each")
    parser.add_argument("--seed", type=int, help="of everything that is drawn; by default another one each time")
    parser.add_argument(
        "--findings", type=Path, default=Path(tempfile.gettempdir()) / "capseal-findings", metavar="DIR"
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="add a line of JSON for each target")
    parser.add_argument("--replay", type=Path, metavar="CASE", help="execute one kept case instead, with its traceback")
    parser.add_argument("--unseen", action="store_true", help="show which lines did not run")
    parser.add_argument("--guided", action="store_true", help="steered by coverage, with atheris; one target")
    options = parser.parse_args(arguments)
    atheris = _atheris(parser) if options.guided else None

    from .targets import TARGETS  # here, since atheris looks at what is imported

    if options.target == [_LIST]:
        print("\n".join(TARGETS))
        return 0
    names = list(TARGETS) if options.target == [_ALL] else options.target
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        parser.error(f"unknown target {unknown[0]!r}; 'list' shows them")
    if options.replay:
        return _replay(options.replay, TARGETS)
    if options.seconds is None and options.executions is None:
        parser.error("--seconds or --executions is needed")
    warnings.simplefilter("ignore")  # of what is odd about certificates
    found = 0
    for name in names:
        found += _fuzz(TARGETS[name](), options, atheris)
    return 1 if found else 0


def _fuzz(target: Any, options: argparse.Namespace, atheris: ModuleType | None) -> int:
    from .report import record, shown
    from .running import Campaign

    seed = int.from_bytes(os.urandom(6), "big") if options.seed is None else options.seed
    campaign = Campaign(target, options.findings, seed)

    def finish() -> int:
        print(shown(campaign), flush=True)
        if options.unseen:
            for module, lines in campaign.lines.unseen().items():
                print(f"  {module}: {' '.join(map(str, lines))}")
        if options.record:
            with open(options.record, "a", encoding="utf-8") as file:
                file.write(record(campaign) + "\n")
        return len(campaign.findings)

    if atheris is not None:
        from .guided import run_guided

        run_guided(atheris, campaign, options, finish)
    campaign.run(executions=options.executions, seconds=options.seconds)
    return finish()


def _replay(path: Path, targets: dict[str, Any]) -> int:
    name, case = pickle.loads(path.read_bytes())
    targets[name]().run(case)
    print(f"{path}: accepted, and as it should be")
    return 0


def _atheris(parser: argparse.ArgumentParser) -> ModuleType:
    try:
        import atheris
    except ImportError:
        parser.error("atheris is not installed: pip install atheris")
    # Whatever of capseal is imported from here on tells libFuzzer which branches it took.
    sys.meta_path.insert(0, atheris.import_hook.AtherisMetaPathFinder({"capseal"}, set(), False, False))
    return atheris
