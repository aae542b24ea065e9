"""A pytest plugin: writes how each test ended, and by which exception, to the file that MUTANTS_OUTCOMES names."""

import json
import os

import pytest

OUTCOMES = "MUTANTS_OUTCOMES"

_ended: dict[str, list[str]] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Note phase and exception of what did not pass."""
    report = yield
    seen = _ended.setdefault(item.nodeid, [])
    if report.skipped:
        seen.append("skipped")
    elif report.failed:
        seen.append(_how(call))
    return report


def pytest_sessionfinish():
    """Write what was seen, and which package was tested."""
    import capseal

    value = {"package": os.path.dirname(capseal.__file__), "tests": _ended}
    with open(os.environ[OUTCOMES], "w") as file:
        json.dump(value, file)


def _how(call):
    kind, error = call.excinfo.type, call.excinfo.value
    if call.when != "call":
        return f"{kind.__name__} in {call.when}"
    timed_out = issubclass(kind, pytest.fail.Exception) and str(error).startswith("Timeout")
    if issubclass(kind, (AssertionError, pytest.fail.Exception)) and not timed_out:
        return "assertion"
    return f"{kind.__name__}: {str(error).partition(chr(10))[0][:160]}"
