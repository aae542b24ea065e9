"""What CI installs is named in a lock with hashes, and the lock has all that the project asks for."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = ROOT / ".ci" / "requirements.txt"
DOCUMENTATION_LOCK = ROOT / ".ci" / "docs-requirements.txt"  # of the extra `docs`, which has an environment of its own
RELEASE_LOCK = ROOT / ".ci" / "release-requirements.txt"  # of what builds and checks a release
LOCKS = [LOCK, DOCUMENTATION_LOCK, RELEASE_LOCK]
NPM_LOCKS = [path for path in ROOT.glob("**/package-lock.json") if "node_modules" not in path.parts]


def locked(lock: Path) -> dict[str, list[tuple[str, int]]]:
    """Return for each name the versions that a lock has, and of how many files it has the hash."""
    entries: dict[str, list[tuple[str, int]]] = {}
    for entry in lock.read_text().replace("\\\n", " ").splitlines():
        requirement, *hashes = entry.split("--hash=")
        name, version = re.fullmatch(r"([\w.-]+)==([\w.+]+)( *;.*)?", requirement.strip()).group(1, 2)
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one.strip()) for one in hashes), entry
        entries.setdefault(canonicalize_name(name), []).append((version, len(hashes)))
    return entries


def asked_for(lock: Path) -> list[Requirement]:
    """Return what the project asks for that a lock is to have: to run, for each extra, to build; to release."""
    if lock == RELEASE_LOCK:
        lists = [PROJECT["dependency-groups"]["release"], PROJECT["build-system"]["requires"]]
        return [Requirement(one) for some in lists for one in some]
    extras = PROJECT["project"]["optional-dependencies"]
    is_documentation = lock == DOCUMENTATION_LOCK
    lists = [PROJECT["project"]["dependencies"]]
    lists += [some for extra, some in extras.items() if (extra == "docs") == is_documentation]
    lists += [] if is_documentation else [PROJECT["build-system"]["requires"]]
    requirements = [Requirement(one) for some in lists for one in some]
    return [one for one in requirements if one.name != "capseal"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_version_has_hashes(lock: Path):
    assert all(hashes for versions in locked(lock).values() for _, hashes in versions)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_the_lock_has_all_that_the_project_asks_for_in_versions_that_it_takes(lock: Path):
    versions = locked(lock)
    for requirement in asked_for(lock):
        found = versions.get(canonicalize_name(requirement.name), [])
        assert any(requirement.specifier.contains(version) for version, _ in found), (str(requirement), found)


def test_ci_installs_nothing_that_is_not_in_the_lock():
    scripts = [ROOT / ".ci" / "run", ROOT / ".ci" / "release", ROOT / ".github" / "workflows" / "wheels.yml"]
    script = [line for path in scripts for line in path.read_text().splitlines()]
    lines = [line for line in script if re.search(r"\b(pip|npm)\b.* (install|ci)\b", line)]
    assert len(lines) >= 4
    for line in lines:
        assert "--require-hashes" in line or "PIP_NO_INDEX=1" in line or "npm ci" in line, line


def test_what_comes_from_npm_is_locked_by_hash_and_names_no_registry():
    assert NPM_LOCKS
    for path in NPM_LOCKS:
        for name, package in json.loads(path.read_text())["packages"].items():
            if name:
                is_absent = package.get("optional") and "version" not in package  # another system's
                assert is_absent or package["integrity"].startswith("sha512-"), (path, name)
                assert "resolved" not in package, (path, name)


def test_the_page_of_third_parties_has_the_licence_of_all_that_the_project_asks_for():
    page = (ROOT / "docs" / "third-party.md").read_text()
    rows = re.findall(r"^\| ([\w.-]+) \| (.+?) \| (.*?) \|$", page, re.MULTILINE)
    listed = {canonicalize_name(name): (licence, askers.split(", ")) for name, licence, askers in rows}
    extras = PROJECT["project"]["optional-dependencies"]
    lists = {"capseal": PROJECT["project"]["dependencies"]} | extras
    for asker, requirements in lists.items():
        for one in map(Requirement, requirements):
            if one.name != "capseal" and asker not in ("bench", "dev", "docs"):
                assert asker in listed[canonicalize_name(one.name)][1], (one.name, asker)
    # What copyleft asks for, beyond single files, nobody has looked at.
    assert [name for name, (licence, _) in listed.items() if re.search(r"\bA?GPL", licence)] == []
