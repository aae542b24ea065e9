"""Applies mutants to a copy of the engine and runs the tests that must notice."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from .mutant import ENGINE, ROOT, Mutant, StaleMutantError
from .observed import OUTCOMES

CAUGHT = "caught"
TIMEOUT_S = 180
"""For one test, on a busy machine; a mutant that hangs is not caught."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant. outcome: CAUGHT, or why not."""

    mutant: Mutant
    outcome: str

    @property
    def caught(self) -> bool:
        """Whether the test failed, by assertion."""
        return self.outcome == CAUGHT


class EngineCopy:
    """A copy of the engine, the installed compiled module linked, in which one mutant at a time lives."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "engine"
        self._outcomes = folder / "outcomes.json"
        self._mutants = 0
        shutil.copytree(ENGINE, self.path, ignore=shutil.ignore_patterns("*.so", "*.egg-info"))
        compiled = find_spec("capseal._native")
        if compiled is not None and compiled.origin is not None:  # beside the sources, or where it was installed
            (self.path / "capseal" / Path(compiled.origin).name).symlink_to(compiled.origin)

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """Have the mutant in the copy. Raises StaleMutantError."""
        file = self.path / "capseal" / mutant.file
        whole = file.read_text()
        changed_s = int(file.stat().st_mtime)
        self._mutants += 1
        file.write_text(mutant.applied())
        # A second of its own: else Python could take old bytecode, as a patch can keep the size and be made at once.
        os.utime(file, (changed_s, changed_s + self._mutants))
        try:
            yield
        finally:
            file.write_text(whole)
            os.utime(file, (changed_s, changed_s))

    def run(self, tests: Iterable[str], *, timeout_s: float) -> dict[str, list[str]]:
        """Run tests against the copy; return by node id what went wrong, nothing where one passed.

        Raises TimeoutError, RuntimeError where the tests did not run or not against the copy.
        """
        self._outcomes.unlink(missing_ok=True)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(self.path), str(ROOT / "tests")]),
            OUTCOMES: str(self._outcomes),
        }
        # Plain: what differs is told to nobody, and in CI large values would be told whole, which takes minutes.
        options = ["-p", "mutants.observed", "-p", "no:cacheprovider", "-q", "--tb=short", "--assert=plain"]
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            printed, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"no end in {timeout_s:g} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        if process.returncode not in (0, 1) or not self._outcomes.exists():
            raise RuntimeError(f"pytest ended with {process.returncode}: {printed[-800:]}")
        found = json.loads(self._outcomes.read_text())
        if Path(found["package"]) != self.path / "capseal":
            raise RuntimeError(f"tests ran against {found['package']}, not against the copy")
        return {test: [how for how in seen if how] for test, seen in found["tests"].items()}


def judge(mutants: Sequence[Mutant], *, jobs: int = 1) -> Iterator[Verdict]:
    """Yield what becomes of each mutant, in order.

    First all named tests run without a mutant, once: one that does not pass then catches nothing.
    """
    with TemporaryDirectory(prefix="capseal-mutants-") as folder:
        copies: SimpleQueue[EngineCopy] = SimpleQueue()
        for job in range(jobs):
            copies.put(EngineCopy(Path(folder, str(job))))

        first = copies.get()
        named = sorted({mutant.test for mutant in mutants if mutant.has_test})
        passing = _passing(first, named)
        copies.put(first)

        def judged(mutant: Mutant) -> Verdict:
            if not mutant.has_test:
                return Verdict(mutant, "its test is not there")
            if not any(_is(test, mutant.test) for test in passing):
                return Verdict(mutant, "test does not pass without the mutant")
            copy = copies.get()
            try:
                return Verdict(mutant, _outcome(copy, mutant))
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(jobs) as pool:
            yield from pool.map(judged, mutants)


def _passing(copy: EngineCopy, tests: Sequence[str]) -> set[str]:
    """Return those that pass without a mutant; a file that cannot be collected takes only its own tests with it."""
    try:
        seen = copy.run(tests, timeout_s=TIMEOUT_S * len(tests))
    except RuntimeError:
        files = {test.partition("::")[0] for test in tests}
        if len(files) == 1:
            return set()
        groups = ([test for test in tests if test.startswith(f"{file}::")] for file in files)
        return set().union(*(_passing(copy, group) for group in groups))
    return {test for test, went_wrong in seen.items() if not went_wrong}


def _outcome(copy: EngineCopy, mutant: Mutant) -> str:
    try:
        with copy.mutated(mutant):
            seen = copy.run([mutant.test], timeout_s=TIMEOUT_S)
    except StaleMutantError as error:
        return f"stale: {error}"
    except (TimeoutError, RuntimeError) as error:
        return f"badly caught: {error}"
    failures = [how for test in seen.values() for how in test]
    if not failures:
        return "SURVIVED"
    # One of a test's parameters may fail by assertion and another otherwise; the first is what counts.
    return CAUGHT if "assertion" in failures else f"badly caught: {failures[0]}"


def _is(test: str, named: str) -> bool:
    """Whether a test that ran is the named one, or one of its parameters."""
    return test == named or test.startswith(f"{named}[")
