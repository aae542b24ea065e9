"""A recipe, or a base, that is damaged gives exactly the new content, or an error; never anything else, and no file."""

import io
import random

import pytest

import capseal
from capseal import delta
from capseal.delta import _recipe
from vectors import making_recipes

REFUSED = (capseal.RejectedError, capseal.SourceChangedError)


@pytest.fixture
def small(tmp_path):
    """A base, and a recipe with copies, references and a history, whose every byte can be tried."""
    old, new = tmp_path / "old", tmp_path / "new"
    drawn = random.Random(1)
    text = b"".join(b"const value_%d = %d;\n" % (i, drawn.randrange(10**9)) for i in range(60))
    for folder, content in (
        (old, text),
        (new, text[:500] + b"const fresh = 1;\n" + text[500:].replace(b"_33 ", b"_x ")),
    ):
        (folder / "js").mkdir(parents=True)
        (folder / "js" / "a.js").write_bytes(content)
        (folder / "b.bin").write_bytes(random.Random(2).randbytes(700))
    (new / "c.txt").write_bytes(text[::-1][:300])
    recipe = io.BytesIO()
    delta.make_recipe(old, new, recipe)
    out = io.BytesIO()
    delta.apply_recipe(old, io.BytesIO(recipe.getvalue()), out)
    return old, recipe.getvalue(), out.getvalue()


def outcome(base, recipe, right):
    """True where exactly the right content came, False where it was refused."""
    out = io.BytesIO()
    try:
        delta.apply_recipe(base, io.BytesIO(recipe), out)
    except REFUSED:
        return False
    except capseal.UsageError as error:  # it says that it is for a sealed payload
        assert "sealed payload" in str(error)
        return False
    assert out.getvalue() == right
    return True


def test_every_byte_changed_gives_the_new_content_or_is_refused(small):
    base, recipe, right = small
    came = refused = 0
    for at in range(len(recipe)):
        for flip in (0x01, 0x80, 0xFF):
            changed = bytearray(recipe)
            changed[at] ^= flip
            if outcome(base, bytes(changed), right):
                came += 1
            else:
                refused += 1
    print(f"\n{len(recipe)} bytes, {came + refused} changes: {refused} refused, {came} gave exactly the new content")
    assert refused > came


def test_every_truncation_is_refused_and_so_is_a_longer_one(small):
    base, recipe, right = small
    assert not any(outcome(base, recipe[:size], right) for size in range(len(recipe)))
    assert not outcome(base, recipe + b"\0", right)
    print(f"\n{len(recipe)} truncations refused")


def test_a_damaged_base_gives_the_new_content_or_is_refused(small):
    base, recipe, right = small
    for path in [path for path in base.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        for changed in (content[:-1], content + b"x", content[1:] + content[:1], b"", bytes(len(content))):
            path.write_bytes(changed)
            outcome(base, recipe, right)
        path.unlink()
        assert not outcome(base, recipe, right)
        path.write_bytes(content)
    assert outcome(base, recipe, right)


def test_a_recipe_for_another_base_is_refused_before_anything_is_written(small, tmp_path):
    _, recipe, _ = small
    (tmp_path / "recipe").write_bytes(recipe)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a").write_bytes(b"other")
    with pytest.raises(capseal.NotForUsError, match="made for the base"):
        delta.apply_recipe(tmp_path / "other", tmp_path / "recipe", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == []


def test_what_came_out_wrong_leaves_no_file(small, tmp_path):
    base, recipe, _ = small
    changed = bytearray(recipe)
    changed[_recipe.HEAD.size - 1] ^= 1
    (tmp_path / "recipe").write_bytes(changed)
    with pytest.raises(capseal.TamperedError):
        delta.apply_recipe(base, tmp_path / "recipe", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old", "recipe"]


def test_a_reader_declines_what_takes_more_memory_than_it_has(small):
    base, recipe, _ = small
    head = delta.describe_recipe(io.BytesIO(recipe)).head
    for limits in (
        delta.RecipeLimits(frame_bytes=head.frame_bytes - 1),
        delta.RecipeLimits(reference_bytes=head.reference_bytes - 1),
        delta.RecipeLimits(memory_bytes=(64 << 20) + head.reference_bytes + 2 * head.frame_bytes - 1),
    ):
        with pytest.raises(capseal.NotForUsError, match="are taken here"):
            delta.apply_recipe(base, io.BytesIO(recipe), io.BytesIO(), limits=limits)


def test_references_that_cost_far_more_than_what_they_make_are_refused(tmp_path):
    """Endless reads of the base for a byte each: 32 MiB and 8 times what is rebuilt are the most."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "a").write_bytes(bytes(4 << 20))
    m = making_recipes
    with delta.open_base(base) as opened:
        entries, size, digest = opened.entries, opened.layout.size, opened.digest
    plain = m.instructions([(100, 0)], ranges=[(0, 0, 4 << 20)])
    frame = m.zstd(bytes(100))
    for count in (8, 9):
        recipe = m.recipe(
            [m.block(plain, frame, codec=1)] * count,
            bytes(100) * count,
            entries=entries,
            base_bytes=size,
            base_digest=digest,
            reference_bytes=8 << 20,
        )
        if count == 8:
            assert outcome(base, recipe, bytes(800))
        else:
            with pytest.raises(capseal.FormatError, match="references of"):
                delta.apply_recipe(base, io.BytesIO(recipe), io.BytesIO())
