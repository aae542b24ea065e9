"""The documentation as a site: every page is built, every link leads somewhere, every public name is there."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from capseal.cli import _app as app
from cli.command_table import leaves
from support.places import ROOT

MODULES = ("client", "server", "embedding", "device", "development", "delta", "fleet", "capgo")
REFERENCES = {"capseal": "library", **{f"capseal.{name}": name for name in MODULES}}


def test_the_navigation_names_pages_that_exist_and_each_once() -> None:
    named = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert len(named) > 40
    assert len(set(named)) == len(named)
    assert [name for name in named if not (ROOT / "docs" / name).is_file()] == []


@pytest.mark.parametrize("module", REFERENCES)
def test_every_module_that_is_public_has_its_page(module: str) -> None:
    page = (ROOT / "docs" / "reference" / f"{REFERENCES[module]}.md").read_text()
    assert f"\n::: {module}\n" in page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as CI does. Skips where the extra `docs` is not installed: CI has a place of its own."""
    for name in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(name, reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    # Without --quiet, since mkdocs does not count the warnings that it keeps quiet about.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("module", REFERENCES)
def test_every_public_name_is_in_the_reference(module: str, site: Path) -> None:
    page = (site / "reference" / f"{REFERENCES[module]}.html").read_text()
    names = importlib.import_module(module).__all__
    assert [name for name in names if f'id="{module}.{name}"' not in page] == []


def test_every_command_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "command-line.html").read_text()
    for name, _ in leaves(app.CAPSEAL):
        assert f'id="capseal-{name.replace(" ", "-")}"' in page, name
        assert f"usage: capseal {name}" in page, name


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        fetched = re.findall(r'<(?:script|img|link|iframe)[^>]+(?:src|href)="(https?:[^"]+)"', path.read_text())
        assert [url for url in fetched if "rel=" not in url] == [], path


def test_marks_for_tests_are_not_shown(site: Path) -> None:
    for path in site.rglob("*.html"):
        assert "<!-- not run" not in path.read_text(), path
        assert "<!-- run by" not in path.read_text(), path
