"""Real programs that the tests hold capseal against."""

import os
import shutil

import pytest


def require_tool(name: str) -> str:
    """Return the path of a program, or skip the test; in CI an absent program is a failure."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path
