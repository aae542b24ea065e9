"""The source distribution holds what is needed to build, to test and to understand it."""

import importlib.metadata
import shutil
import subprocess
import sys
import tarfile

import pytest

from support.places import ROOT

KEPT = ("engine", "csrc", "tests", "bench", "docs", "examples", "web", ".ci")
FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "LICENSE", "README.md", "CHANGELOG.md", "mkdocs.yml")
PAGES = ("CONTRIBUTING.md", "SECURITY.md")


def test_the_source_distribution_holds_every_file(tmp_path):
    if int(importlib.metadata.version("setuptools").split(".")[0]) < 80:
        pytest.skip("needs the setuptools that pyproject.toml asks for")
    project = tmp_path / "project"
    made = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.so", "*.o", "_native.c", "node_modules", "types")
    for name in KEPT:
        shutil.copytree(ROOT / name, project / name, ignore=made)
    for name in (*FILES, *PAGES):
        shutil.copy(ROOT / name, project)
    wanted = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    code = f"from setuptools import build_meta; print(build_meta.build_sdist({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / done.stdout.split()[-1]) as archive:
        held = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert wanted - held == set()
    assert {"csrc/sha256/generated/hybrid_step.h", "csrc/sha256/capseal_hash.h", "csrc/file/mapped.c"} <= held
