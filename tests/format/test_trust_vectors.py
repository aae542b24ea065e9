"""Trust stores, their updates and release logs: two readers judge the committed vectors alike."""

import json
import re

import pytest

import capseal
from capseal.format import strictjson
from capseal.project.log import verify_log
from capseal.trust.store import parse_store
from capseal.trust.updates import accept_update
from support import independent_trust
from support.independent_reader import Rejected
from support.places import ROOT, VECTORS
from vectors import making_trust

FOLDER = VECTORS / "trust"
FILES = sorted(FOLDER.glob("*.json"))
DOCUMENT = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")


def _store(text):
    return parse_store(strictjson.parse(text.encode(), "trust store"))


def test_the_vectors_are_those_that_the_generator_makes():
    made = dict(making_trust.vectors())
    assert sorted(made) == sorted(path.stem for path in FOLDER.iterdir())
    for name, text in made.items():
        assert (FOLDER / f"{name}.json").read_text(encoding="ascii") == text


def test_the_document_names_every_vector_once_and_with_its_class():
    section = DOCUMENT.split("### Trust stores, updates, release logs")[1].split("\n### ")[0]
    rows = re.findall(r"^\| ([^|]+) \| ((?:`[a-z0-9-]+` ?)+)\| (\w+Error) \|$", section, re.MULTILINE)
    named = [(name, kind) for _, names, kind in rows for name in re.findall(r"`([a-z0-9-]+)`", names)]
    bad = [(path.stem, json.loads(path.read_text())["expect"]) for path in FILES if not path.stem.startswith("valid-")]
    assert sorted(named) == sorted(bad)


def _judge(vector, folder):
    if vector["kind"] == "store":
        store = _store(vector["store"])
        assert store.to_json().decode() == vector["store"]
    elif vector["kind"] == "update":
        accept_update(_store(vector["present"]), vector["update"].encode())
    else:
        (folder / "log").write_text(vector["log"])
        verify_log(folder / "log", trust=[_store(text) for text in vector["stores"]])


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_vector_is_judged_as_it_says(path, tmp_path):
    vector = json.loads(path.read_text(encoding="ascii"))
    if vector["expect"] == "ok":
        _judge(vector, tmp_path)
        return
    with pytest.raises(getattr(capseal, vector["expect"])) as caught:
        _judge(vector, tmp_path)
    assert type(caught.value).__name__ == vector["expect"]


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_the_independent_reader_judges_a_vector_alike(path):
    vector = json.loads(path.read_text(encoding="ascii"))

    def judge():
        if vector["kind"] == "store":
            independent_trust.read_store(vector["store"])
        elif vector["kind"] == "update":
            independent_trust.accept_update(vector["present"], vector["update"])
        else:
            independent_trust.read_log(vector["stores"], vector["log"])

    if vector["expect"] == "ok":
        judge()
        return
    with pytest.raises(Rejected) as caught:
        judge()
    assert caught.value.kind == vector["expect"]
