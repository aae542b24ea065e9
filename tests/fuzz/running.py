"""A campaign: cases of one target, one after the other, and the one property that they must have.

Only CapsealError or OSError comes out, in bounded memory and time, and what is accepted is what an independent
reader accepts (each target says which). Everything else is a finding: it is kept as a file that replays it.
"""

import ctypes
import hashlib
import pickle
import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from capseal import CapsealError

from .lines import Lines

MEMORY_BYTES = 512 * 1024 * 1024  # of address space, beyond what the process has when a campaign begins
PATIENCE_S = 60  # for one execution, on a machine that has other things to do
_TRACED_SHARE = 0.05  # of the time
_EXPECTED = (CapsealError, OSError)
_M_ARENA_MAX = -8  # malloc.h


class Disagreement(AssertionError):
    """The independent reader sees it otherwise."""


class TooSlow(BaseException):
    """One execution took longer than PATIENCE_S; no Exception, so that nobody catches it."""


Gate = tuple[Any, str]
"""A function, by its owner and name: a case that it returned from has passed that stage."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Something that reads what strangers wrote.

    make: draws a case, any value that pickles; run: hands it over, and returns where it was accepted. oracle: who else
    must accept it; modules: whose lines are counted; gates: names of stages and what passes them.
    """

    name: str
    oracle: str
    modules: tuple[str, ...]
    make: Callable[[Random], Any]
    run: Callable[[Any], object]
    gates: dict[str, Gate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """A case that has not the property, and where it is kept."""

    what: str
    path: Path


@dataclass(slots=True)
class Campaign:
    """Runs one target. folder: for findings; seed: of everything that is drawn."""

    target: Target
    folder: Path
    seed: int
    executions: int = 0
    accepted: int = 0
    seconds: float = 0.0
    refusals: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    findings: dict[str, Finding] = field(default_factory=dict)
    found: int = 0
    lines: Lines = field(init=False)
    _passing: set[str] = field(default_factory=set)
    _began: float = 0.0
    _traced_s: float = 0.0

    def __post_init__(self) -> None:
        self.lines = Lines(self.target.modules)

    def run(self, *, executions: int | None = None, seconds: float | None = None) -> None:
        """Draw and execute cases until there were so many, or the time is over."""
        random = Random(self.seed)
        self.target.make(Random(0))  # the first one makes keys and takes the vectors apart
        self.begin()
        with self.guarded():
            while executions is None or self.executions < executions:
                if seconds is not None and self.seconds >= seconds:
                    break
                self.step(self.target.make(random))

    def begin(self) -> None:
        """Let the time run from now on."""
        self._began = time.monotonic()

    def step(self, case: Any) -> None:
        """Execute one case within guarded(), and note its lines where that does not take too much of the time."""
        if self._traced_s > self.seconds * _TRACED_SHARE:
            self.execute(case)
        else:
            start = time.monotonic()
            with self.lines.traced():
                self.execute(case)
            self._traced_s += time.monotonic() - start
        self.seconds = time.monotonic() - self._began

    def execute(self, case: Any) -> None:
        """Execute one case, within guarded()."""
        self.executions += 1
        self._passing.clear()
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
        try:
            self.target.run(case)
            self.accepted += 1
        except _EXPECTED as error:
            self.refusals[type(error).__name__] += 1
        except (Exception, TooSlow) as error:  # noqa: BLE001 - whatever comes out is what is looked for
            self._keep(case, error)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self.passed.update(self._passing)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Watch memory, time and the stages meanwhile."""
        before = {gate: _plain(*gate) for gate in self.target.gates.values()}
        limits = resource.getrlimit(resource.RLIMIT_AS)
        handler = signal.signal(signal.SIGALRM, _too_slow)
        for stage, gate in self.target.gates.items():
            setattr(*gate, self._gate(stage, before[gate]))
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)  # each thread's own arena would take 64 MiB of addresses
        resource.setrlimit(resource.RLIMIT_AS, (_address_space_bytes() + MEMORY_BYTES, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limits)
            signal.signal(signal.SIGALRM, handler)
            for gate, plain in before.items():
                setattr(*gate, plain)

    def _gate(self, stage: str, plain: Any) -> Any:
        function = plain.__func__ if isinstance(plain, classmethod | staticmethod) else plain

        def passing(*arguments: Any, **keywords: Any) -> Any:
            result = function(*arguments, **keywords)
            self._passing.add(stage)
            return result

        return type(plain)(passing) if isinstance(plain, classmethod | staticmethod) else passing

    def _keep(self, case: Any, error: BaseException) -> None:
        """Keep the first case of each kind: of an error and the line that raised it."""
        self.found += 1
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "/capseal/" in frame.filename] or frames
        kind = f"{type(error).__name__} at {Path(own[-1].filename).name}:{own[-1].lineno}"
        if isinstance(error, Disagreement):
            kind = f"{type(error).__name__}: {str(error).partition(':')[0]}"
        if kind in self.findings:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        data = pickle.dumps((self.target.name, case))
        path = self.folder / f"{self.target.name.replace(' ', '-')}-{hashlib.sha256(data).hexdigest()[:12]}.case"
        path.write_bytes(data)
        text = "".join(traceback.format_exception(error))
        path.with_suffix(".txt").write_text(f"{kind}\n\n{text}\n{case!r:.20000}\n")
        self.findings[kind] = Finding(f"{kind}: {str(error)[:300]}", path)


def _plain(owner: Any, name: str) -> Any:
    """Return a function as its owner has it: a class method not yet bound."""
    return owner.__dict__[name] if isinstance(owner, type) else getattr(owner, name)


def _too_slow(number: int, frame: Any) -> None:
    raise TooSlow(f"one execution took more than {PATIENCE_S} s")


def _address_space_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
