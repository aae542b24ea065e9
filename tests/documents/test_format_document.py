"""docs/format.md and the vectors say the same."""

import re

import pytest

from capseal import constants as params
from support.places import ROOT, VECTORS
from vectors.making import read

DOCUMENT = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
FOLDER = VECTORS


RULES = re.findall(r"^\| ([^|]+) \| (\w+Error) \| ((?:`[a-z0-9-]+` ?)+)\|$", DOCUMENT, re.MULTILINE)


@pytest.mark.parametrize(("rule", "kind", "names"), RULES, ids=[rule for rule, _, _ in RULES])
def test_every_rule_has_its_vectors_and_they_have_its_class(rule, kind, names):
    for name in re.findall(r"`([a-z0-9-]+)`", names):
        header, _ = read((FOLDER / f"{name}.txt").read_text(encoding="ascii"))
        assert header["expect"] == kind


def test_every_bad_vector_belongs_to_one_rule():
    named = [name for _, _, names in RULES for name in re.findall(r"`([a-z0-9-]+)`", names)]
    bad = [path.stem for path in FOLDER.glob("*.txt") if not path.stem.startswith("valid-")]
    assert sorted(named) == sorted(bad)


def test_the_worked_example_is_the_vector():
    header, bundle = read((FOLDER / "valid-hello.txt").read_text(encoding="ascii"))
    assert header["content"].startswith("5 ")
    example = DOCUMENT[DOCUMENT.index("## Worked example") : DOCUMENT.index("## Limits")]
    rows = re.findall(r"^(\d+) +((?:[0-9a-f]{2} )+(?:\n +(?:[0-9a-f]{2} )+)?)", example, re.MULTILINE)
    assert len(rows) == 10
    for offset, digits in rows:
        expected = bytes.fromhex(re.sub(r"\s", "", digits))
        assert bundle[int(offset) :].startswith(expected), offset
    assert f"{len(bundle)} bytes" in example


def test_the_document_gives_the_numbers_of_params():
    for number in (
        params.SEGMENT_BYTES,
        params.MAX_ENVELOPE_BYTES,
        params.MAX_RECIPIENTS,
        params.MAX_ATTACHMENTS,
        params.MAX_COMPANIONS,
        params.MAX_PLATFORMS,
        params.MAX_CUSTOM_BYTES,
        params.MAX_TEXT_CHARS,
        params.MAX_NESTING,
        params.MAX_SIGNATURES,
        params.MAX_CERTIFICATES,
        params.MIN_RSA_BITS,
        params.MAX_RSA_BITS,
    ):
        assert re.search(rf"\b{number}\b", DOCUMENT), number
