"""Which lines of a target's modules ran: traced in a part of the executions, since tracing costs ten times the time."""

import dis
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import CodeType, FrameType
from typing import Any


def _functions(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _functions(constant)


class Lines:
    """The lines of functions in some modules, and those of them that were seen."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self._there: dict[str, set[int]] = {}
        self._seen: dict[str, set[int]] = {}
        self._names: dict[str, str] = {}
        for module in modules:
            spec = find_spec(module)
            assert spec is not None and spec.origin is not None, module
            with open(spec.origin, encoding="utf-8") as file:
                whole = compile(file.read(), spec.origin, "exec")
            lines = {
                line
                for code in _functions(whole)
                # Bodies of classes run on import; a function's first line is its definition.
                if code.co_flags & 0x2  # CO_NEWLOCALS
                for _, line in dis.findlinestarts(code)
                if line is not None and line != code.co_firstlineno
            }
            self._there[spec.origin] = lines
            self._seen[spec.origin] = set()
            self._names[spec.origin] = module

    @contextmanager
    def traced(self) -> Iterator[None]:
        """Note what runs meanwhile, in every thread."""
        before = sys.gettrace()
        threading.settrace(self._call)
        sys.settrace(self._call)
        try:
            yield
        finally:
            sys.settrace(before)
            threading.settrace(before)  # type: ignore[arg-type]

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        seen = self._seen.get(frame.f_code.co_filename)
        if seen is None:
            return None

        def on_line(frame: FrameType, event: str, argument: Any) -> Any:
            seen.add(frame.f_lineno)
            return on_line

        return on_line

    @property
    def count(self) -> tuple[int, int]:
        """How many lines were seen, of how many."""
        return (
            sum(len(self._seen[name] & there) for name, there in self._there.items()),
            sum(map(len, self._there.values())),
        )

    def unseen(self) -> dict[str, list[int]]:
        """Return, for every module, the lines that did not run."""
        return {self._names[name]: sorted(there - self._seen[name]) for name, there in self._there.items()}
