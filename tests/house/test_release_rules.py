"""What a release must keep to: its version in the changelog, the Pythons that it names, what its workflow may do."""

import re
import tomllib

from packaging.specifiers import SpecifierSet
from packaging.version import Version

import capseal
from support.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
WORKFLOW = (ROOT / ".github" / "workflows" / "wheels.yml").read_text()


def test_the_newest_release_in_the_changelog_is_this_version_or_the_one_before():
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", CHANGELOG, re.MULTILINE)
    assert headings
    if headings[0][0] == "Unreleased":
        headings = headings[1:]
    assert all(date for _, date in headings), headings
    versions = [Version(version) for version, _ in headings]
    assert versions == sorted(versions, reverse=True)
    assert versions[:1] <= [Version(capseal.__version__)]


def test_each_python_that_is_named_may_install_and_can_take_the_wheel():
    named = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", one)]
    assert len(named) >= 2
    assert all(SpecifierSet(PROJECT["requires-python"]).contains(version) for version in named)
    # What the wheels are tagged with is the oldest of them.
    oldest = "cp" + min(named, key=Version).replace(".", "")
    assert f'"py_limited_api": "{oldest}"' in (ROOT / "setup.py").read_text()


def test_the_workflow_of_the_wheels_takes_actions_by_exact_version_and_writes_nothing_but_attestations():
    actions = re.findall(r"uses: (\S+)", WORKFLOW)
    assert actions and all(re.fullmatch(r"actions/[\w-]+@v\d+\.\d+\.\d+", action) for action in actions), actions
    assert set(re.findall(r"^ *([\w-]+): write\b", WORKFLOW, re.MULTILINE)) == {"id-token", "attestations"}
    assert "secrets." not in WORKFLOW
