"""tests/vectors/recipes/: each has one defect, and exactly the outcome that it names."""

import hashlib
import io
import re

import pytest

import capseal
from capseal import delta
from support.places import ROOT, VECTORS
from vectors import making_recipes

FILES = sorted((VECTORS / "recipes").glob("*.txt"))
DOCUMENT = (ROOT / "docs" / "delta.md").read_text(encoding="utf-8")


def read(path):
    head, body = path.read_text(encoding="ascii").split("\n\n", 1)
    header = dict(line.split(": ", 1) for line in head.splitlines())
    recipe = b""
    for line in body.splitlines():
        kind, *words = line.split(" ")
        recipe += bytes.fromhex(words[0]) if kind == "hex" else bytes.fromhex(words[1]) * int(words[0])
    return header, recipe


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    files, nothing = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("nothing")
    for name, data in making_recipes.BASE_FILES.items():
        (files / name).parent.mkdir(exist_ok=True)
        (files / name).write_bytes(data)
    return {"files": files, "nothing": nothing}


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_vector(path, bases):
    header, recipe = read(path)
    out = io.BytesIO()
    if header["base"] == "none":
        if header["expect"] == "ok":
            assert delta.describe_recipe(io.BytesIO(recipe)).head.payload_header_bytes == 40
            return
        with pytest.raises(capseal.FormatError):
            delta.describe_recipe(io.BytesIO(recipe))
        return
    if header["expect"] == "ok":
        delta.apply_recipe(bases[header["base"]], io.BytesIO(recipe), out)
        size, digest = header["new"].split()
        assert (len(out.getvalue()), hashlib.sha256(out.getvalue()).hexdigest()) == (int(size), digest)
        assert delta.describe_recipe(io.BytesIO(recipe)).recipe_bytes == len(recipe)
        return
    with pytest.raises(capseal.RejectedError) as caught:
        delta.apply_recipe(bases[header["base"]], io.BytesIO(recipe), out)
    assert type(caught.value).__name__ == header["expect"]


def test_the_vectors_are_those_that_the_generator_makes(tmp_path, monkeypatch):
    monkeypatch.setattr(making_recipes, "FOLDER", tmp_path)
    making_recipes.generate()
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in FILES}


def test_the_document_names_every_vector_and_no_other():
    named = set(re.findall(r"`([a-z0-9-]+)`", DOCUMENT.split("## Reject rules")[1].split("\n## ")[0]))
    assert {path.stem for path in FILES if not path.stem.startswith("valid-")} == named
