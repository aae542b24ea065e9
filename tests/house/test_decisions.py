"""What the pages of decisions claim about the code is so."""

from house.reading_imports import imports_of, read_sources
from support.places import ROOT

FOLDER = ROOT / "docs" / "decisions"


def importers(library):
    return {one.path for one in imports_of(read_sources()) if one.target.split(".")[0] == library}


def test_every_page_is_in_the_index_and_says_what_it_costs():
    index = (FOLDER / "README.md").read_text()
    for page in FOLDER.glob("*.md"):
        if page.name != "README.md":
            assert f"({page.name})" in index
            text = page.read_text()
            assert all(f"**{part}.**" in text for part in ("Decided", "Instead of", "Why", "Costs", "Would change it"))


def test_numpy_and_argparse_are_imported_only_where_the_pages_say():
    # And where recipes are made, over arrays of matches; a device that applies one does without.
    making = {"delta/_planning.py", "delta/_plaintexts.py", "native/matching.py"}
    assert importers("numpy") == {"format/tree.py", *making}
    assert importers("argparse") == {"cli/framework/parsing.py", "cli/framework/help_texts.py"}
