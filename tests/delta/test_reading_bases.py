"""What a device does for each of many thousand copies: found, read and put together as one by one, in fewer calls."""

import io
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import capseal
from capseal import delta
from capseal.archive import headers
from capseal.archive.folder_zip import FolderZip
from capseal.delta import _planning
from capseal.delta._layout import Layout
from capseal.delta._zip_directory import DirectoryMaker
from capseal.errors import FormatError

STARTS = [0, 40, 100, 1000]
LAYOUT = Layout(STARTS, 1500)


def one_by_one(steps, sizes):
    end, found = 0, []
    for (entries, offset), size in zip(steps, sizes, strict=True):
        found.append(LAYOUT.go(end, entries, offset, size, "here"))
        end = found[-1] + size
    return found


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(-60, 600), st.integers(1, 700)), max_size=6))
def test_places_are_found_together_as_one_by_one(stretches):
    steps, sizes = [(entries, offset) for entries, offset, _ in stretches], [size for *_, size in stretches]
    try:
        right = one_by_one(steps, sizes)
    except FormatError as error:
        with pytest.raises(FormatError) as caught:
            LAYOUT.follow(steps, sizes, "here")
        assert str(caught.value) == str(error)
    else:
        assert LAYOUT.follow(steps, sizes, "here") == right


@pytest.fixture
def folder(tmp_path):
    drawn = random.Random(3)
    where = tmp_path / "files"
    (where / "sub").mkdir(parents=True)
    for number in range(30):
        (where / "sub" / f"{number}").write_bytes(drawn.randbytes(drawn.randint(0, 400)))
    (where / "large").write_bytes(drawn.randbytes(90_000))
    return where


@pytest.mark.parametrize("most", [1, 3, 32])
def test_any_stretch_of_a_folder_is_the_one_of_its_zip_however_many_files_stay_open(folder, monkeypatch, most):
    monkeypatch.setattr("capseal.native.filereader._MOST_OPEN", most)
    whole = FolderZip(str(folder)).peek(0, 1 << 20)
    drawn = random.Random(4)
    with delta.open_base(folder) as base:
        for _ in range(400):
            at = drawn.randrange(base.layout.size)
            buffer = bytearray(drawn.randint(1, min(base.layout.size - at, drawn.choice((5, 50, 5000, 90_000)))))
            base.read_into(at, memoryview(buffer))
            assert buffer == whole[at : at + len(buffer)]
        assert len(base._files._open) <= most


def test_a_file_that_changes_while_it_is_open_is_noticed_at_the_next_read(folder):
    buffer = memoryview(bytearray(100))
    with delta.open_base(folder) as base:
        base.read_into(1000, buffer)  # in the large one, whose name sorts first
        (folder / "large").write_bytes(b"short")
        with pytest.raises(capseal.SourceChangedError, match="large: changed"):
            base.read_into(1100, buffer)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("room", [100, 1000, 1 << 17])
def test_a_directory_is_the_same_whatever_pieces_and_room_it_is_made_from(folder, monkeypatch, compiled, room):
    monkeypatch.setattr("capseal.delta._zip_directory.MOST_ENTRY_BYTES", room)
    if not compiled:
        monkeypatch.setattr(headers, "is_there", lambda: False)
    zipped = FolderZip(str(folder))
    whole = memoryview(zipped.peek(0, 1 << 20))
    end = whole[zipped.directory_at :]
    for size in (1, 29, 30, 31, 400, 1 << 20):
        maker = DirectoryMaker(most_bytes=len(end))
        for at in range(0, zipped.directory_at, size):
            maker.feed(whole[at : min(zipped.directory_at, at + size)])
        assert maker.finish() == end


def test_a_directory_that_grows_beyond_what_is_declared_ends_where_it_does(folder):
    zipped = FolderZip(str(folder))
    front = memoryview(zipped.peek(0, zipped.directory_at))
    maker = DirectoryMaker(most_bytes=500)
    with pytest.raises(FormatError, match="more than the 500 bytes"):
        maker.feed(front)


def test_copies_that_lie_close_together_in_the_base_are_read_in_one_call(folder, tmp_path):
    data = bytearray((folder / "large").read_bytes())
    for at in range(2000, 80_000, 2000):
        data[at : at + 2] = b"\0\0"
    (tmp_path / "new").write_bytes(data)
    recipe, out = io.BytesIO(), io.BytesIO()
    delta.make_recipe(folder, tmp_path / "new", recipe)
    copies = delta.describe_recipe(io.BytesIO(recipe.getvalue())).copies
    reads = []
    with delta.open_base(folder) as base:
        read_into = base.read_into
        base.read_into = lambda at, buffer: (reads.append(len(buffer)), read_into(at, buffer))
        delta.apply_recipe(base, io.BytesIO(recipe.getvalue()), out)
    assert out.getvalue() == data
    assert copies > 30
    assert len(reads) < 10


def test_where_not_all_finds_room_a_frame_refers_to_where_most_of_it_was_found():
    drawn = random.Random(6)
    base = drawn.randbytes(64 * _planning._DENSE_BYTES)
    picks = []
    for window in range(64):
        for _ in range(60 if window in (5, 6, 40) else 4):
            at = window * _planning._DENSE_BYTES + drawn.randrange(_planning._DENSE_BYTES - 100)
            picks.append(base[at : at + 100] + drawn.randbytes(20))
    drawn.shuffle(picks)
    matches = _planning.Matches(
        np.frombuffer(base, np.uint8), np.frombuffer(b"".join(picks), np.uint8), copy_bytes=(256,)
    )
    shape = _planning.Shape(
        frame_bytes=1 << 20, reference_bytes=3 * _planning._DENSE_BYTES, history_bytes=0, margin_bytes=1024
    )
    (planned,) = _planning.Plan(matches, copy_bytes=256).blocks(shape)
    size = _planning._DENSE_BYTES
    assert [(r.at, r.size) for r in planned.instructions.ranges] == [(5 * size, 2 * size), (40 * size, size)]


def test_ways_that_take_a_device_too_long_are_not_tried(versions, monkeypatch):
    """One of many small copies and references is left for one of large ones; there is a recipe in any case."""
    old, new = versions
    sized = []
    for place_s in (0.0, 1.0):
        monkeypatch.setattr(_planning, "_OPERATION_S", place_s)
        recipe, out = io.BytesIO(), io.BytesIO()
        sized.append(delta.make_recipe(old, new, recipe))
        delta.apply_recipe(old, io.BytesIO(recipe.getvalue()), out)
        assert out.getvalue() == FolderZip(str(new)).peek(0, 1 << 30)
    assert sized[0].tries > sized[1].tries
    assert sized[1].recipe_bytes >= sized[0].recipe_bytes
