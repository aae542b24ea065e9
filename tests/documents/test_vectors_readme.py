"""tests/vectors/README.md is enough for strangers: its code reads every vector, its tables name all there is."""

import re

import pytest

from support.places import VECTORS
from vectors import making

README = (VECTORS / "README.md").read_text()
FILES = sorted(VECTORS.glob("*.txt"))


@pytest.fixture(scope="module")
def read():
    """The function that the document shows."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(code, names)
    return names["read"]


def _first_cells(heading):
    """What the first column of a section's table names; its head is left out."""
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.*?) \|", section, re.MULTILINE)[1:]
    return {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}


def test_the_code_shown_reads_every_vector(read):
    for path in FILES:
        text = path.read_text(encoding="ascii")
        assert read(text) == making.read(text), path.name


def test_every_header_is_explained():
    used = {name for path in FILES for name in making.read(path.read_text(encoding="ascii"))[0]}
    assert used == _first_cells("The header")


def test_every_outcome_is_explained():
    used = {making.read(path.read_text(encoding="ascii"))[0]["expect"] for path in FILES}
    assert used == _first_cells("The outcomes")


def test_every_key_that_a_vector_names_is_there():
    for path in FILES:
        header, _ = making.read(path.read_text(encoding="ascii"))
        for name in [*header["trust"].split(), header["identity"]]:
            assert (VECTORS / "keys" / f"{name.rpartition('/')[2]}.pub.pem").exists(), path.name
