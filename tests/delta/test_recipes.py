"""What a recipe makes is exactly the new content, whatever both contents are and however they are given."""

import io
import random
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import capseal
from capseal import delta
from capseal.archive.folder_zip import FolderZip


def zip_of(folder):
    return FolderZip(str(folder)).peek(0, 1 << 30)


def made(base, new, **options):
    recipe = io.BytesIO()
    return delta.make_recipe(base, new, recipe, **options), recipe.getvalue()


def applied(base, recipe, **options):
    out = io.BytesIO()
    delta.apply_recipe(base, io.BytesIO(recipe), out, **options)
    return out.getvalue()


def test_a_folder_is_rebuilt_from_the_one_before_by_far_less_than_its_size(versions):
    old, new = versions
    done, recipe = made(old, new)
    assert applied(old, recipe) == zip_of(new)
    assert len(recipe) == done.recipe_bytes < 8_000 < done.new_bytes / 40


def test_a_recipe_from_nothing_is_the_compressed_content(versions, tmp_path):
    (tmp_path / "nothing").mkdir()
    _, new = versions
    _, recipe = made(tmp_path / "nothing", new)
    assert applied(tmp_path / "nothing", recipe) == zip_of(new)
    assert len(recipe) < len(zip_of(new)) * 0.8


def test_equal_contents_give_a_recipe_of_less_than_300_bytes(versions):
    old, _ = versions
    _, recipe = made(old, old)
    assert applied(old, recipe) == zip_of(old)
    assert len(recipe) < 300


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_as_base_is_the_folder_that_it_unpacks_to(versions, tmp_path, method):
    """However it was packed, whatever stands in its headers: the device has the files only."""
    old, new = versions
    packed = tmp_path / "old.zip"
    with zipfile.ZipFile(packed, "w", method) as file:
        for path in sorted(old.rglob("*"), reverse=True):
            file.write(path, path.relative_to(old))
    _, recipe = made(old, new)
    assert applied(packed, recipe) == zip_of(new)
    assert made(packed, new)[1] == recipe


def test_a_zip_without_entries_for_its_folders_implies_them(versions, tmp_path):
    old, new = versions
    (old / "empty").rmdir()
    (old / "js" / "deep").rmdir()
    packed = tmp_path / "old.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for path in old.rglob("*"):
            if path.is_file():
                file.write(path, path.relative_to(old))
    assert made(packed, new)[1] == made(old, new)[1]


def test_somebody_elses_zip_is_rebuilt_to_the_byte(versions, tmp_path):
    old, new = versions
    packed = tmp_path / "new.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for path in new.rglob("*"):
            file.write(path, path.relative_to(new))
    done, recipe = made(old, packed)
    assert applied(old, recipe) == packed.read_bytes()
    assert delta.describe_recipe(io.BytesIO(recipe)).head.directory_bytes == 0
    assert done.new_bytes == packed.stat().st_size


def test_the_directory_of_a_zip_of_capseals_own_is_not_in_the_recipe(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        for number in range(500):
            (folder / f"{number}.txt").write_bytes(str(number).encode() * 30)
    (new / "0.txt").write_bytes(b"changed")
    _, recipe = made(old, new)
    assert applied(old, recipe) == zip_of(new)
    head = delta.describe_recipe(io.BytesIO(recipe)).head
    assert head.directory_bytes > 25_000
    assert len(recipe) < 400


def test_content_that_is_no_zip_is_rebuilt(versions, tmp_path):
    old, new = versions
    file = tmp_path / "main.js"
    file.write_bytes((new / "js" / "main.js").read_bytes())
    _, recipe = made(old, file)
    assert applied(old, recipe) == file.read_bytes()
    assert len(recipe) < 4_000


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65])
def test_contents_smaller_than_a_copy(tmp_path, size):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a").write_bytes(b"a" * size)
    (tmp_path / "new").write_bytes(b"a" * size)
    _, recipe = made(tmp_path / "old", tmp_path / "new")
    assert applied(tmp_path / "old", recipe) == b"a" * size


def test_a_recipe_is_the_same_by_any_number_of_threads(versions):
    old, new = versions
    assert made(old, new, jobs=1)[1] == made(old, new, jobs=4)[1]


def test_instructions_that_are_as_long_packed_are_not_packed(tmp_path):
    """They were written packed, and read as they are: no device could apply such a recipe."""
    drawn = random.Random(0)
    blocks = [drawn.randbytes(4000), b"\0" * 4000, b"ab" * 2000, bytes(range(250)) * 16]
    (tmp_path / "old").mkdir()
    for number, block in enumerate(blocks):
        (tmp_path / "old" / f"{number}").write_bytes(block)
    for size in range(256, 356):
        new = blocks[3][1:3006] + blocks[0][:257] + blocks[0][:size] + blocks[3][1:3006] + blocks[0][:256]
        (tmp_path / "new").write_bytes(new + blocks[3][1:3006])
        _, recipe = made(tmp_path / "old", tmp_path / "new")
        assert applied(tmp_path / "old", recipe) == (tmp_path / "new").read_bytes()


PIECES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3000), st.integers(0, 4000)), min_size=0, max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 3), pieces=PIECES, files=st.integers(0, 4))
def test_whatever_is_copied_moved_repeated_and_drawn_anew_comes_out(seed, pieces, files):
    drawn = random.Random(seed)
    blocks = [drawn.randbytes(4000), b"\0" * 4000, b"ab" * 2000, bytes(range(250)) * 16]
    new = bytearray()
    for kind, start, size in pieces:
        new += drawn.randbytes(size) if kind >= len(blocks) else blocks[kind][start : start + size]
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder, "old")
        old.mkdir()
        for number in range(files):
            (old / f"{number}").write_bytes(blocks[number])
        path = Path(folder, "new")
        path.write_bytes(new)
        _, recipe = made(old, path)
        assert applied(old, recipe) == bytes(new)
        assert len(recipe) <= len(new) + 109 + 64


def test_blocks_are_cut_where_there_is_more_than_a_frame_of_news(tmp_path):
    """More than 8 MiB that is in no base: several frames, the later ones against the ones before."""
    drawn = random.Random(5)
    news = drawn.randbytes(6_000_000)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "x").write_bytes(drawn.randbytes(100_000))
    (tmp_path / "new").write_bytes(news + news[:3_000_000])
    _, recipe = made(tmp_path / "old", tmp_path / "new")
    found = delta.describe_recipe(io.BytesIO(recipe))
    assert found.blocks > 1
    assert found.head.history_bytes > 0
    assert len(recipe) < 6_500_000
    assert applied(tmp_path / "old", recipe) == (tmp_path / "new").read_bytes()


def test_to_apply_takes_neither_numpy_nor_the_compiled_module(versions, tmp_path):
    old, new = versions
    recipe = tmp_path / "recipe"
    delta.make_recipe(old, new, recipe)
    code = (
        "import sys; sys.modules['numpy'] = sys.modules['capseal._native'] = None\n"
        "from capseal import delta\n"
        f"delta.apply_recipe({str(old)!r}, {str(recipe)!r}, {str(tmp_path / 'out')!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "out").read_bytes() == zip_of(new)


def test_to_make_one_without_the_compiled_module_is_refused_in_one_line(versions, monkeypatch):
    from capseal.native import matching

    monkeypatch.setattr(matching, "_lib", None)
    with pytest.raises(capseal.UsageError, match="compiled module"):
        made(*versions)


def test_an_output_that_is_there_is_not_replaced_unless_asked(versions, tmp_path):
    old, new = versions
    recipe, out = tmp_path / "recipe", tmp_path / "out"
    recipe.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        delta.make_recipe(old, new, recipe)
    assert recipe.read_bytes() == b"mine"
    delta.make_recipe(old, new, recipe, overwrite=True)
    out.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        delta.apply_recipe(old, recipe, out)
    assert out.read_bytes() == b"mine"


def test_a_base_that_is_no_folder_and_no_zip_is_refused(versions, tmp_path):
    (tmp_path / "text").write_bytes(b"text")
    with pytest.raises(capseal.UsageError, match="a base is a folder or a zip"):
        made(tmp_path / "text", versions[1])
