"""Tasks cover a payload exactly once, in whole parts; their entries make one index in any order."""

import random

import pytest

from capseal.constants import SEGMENT_BYTES
from capseal.errors import TamperedError, UsageError
from capseal.fleet._plan import IndexMerge, Span, parts, segments_of, tasks


@pytest.mark.parametrize("segments", [1, 2, 15, 16, 17, 512, 513, 1024])
@pytest.mark.parametrize("part", [1, 3, 16, 128])
@pytest.mark.parametrize("task", [1, 16, 100, 512])
def test_tasks_cover_every_segment_once_in_whole_parts(segments: int, part: int, task: int) -> None:
    spans = list(tasks(segments, task_segments=task, part_segments=part))
    assert [one for span in spans for one in range(span.first, span.stop)] == list(range(segments))
    cut = [one for span in spans for one in parts(span, part_segments=part)]
    assert cut == list(parts(Span(0, segments), part_segments=part))
    assert all(span.segments <= max(task, part) for span in spans)


def test_names_of_parts_are_read_as_they_are_made() -> None:
    for span in (Span(0, 1), Span(16, 16), Span(2**32 - 128, 128)):
        assert Span.of_part(span.part_name) == span
    for name in ("0000000000-1", "0000000000-001", "0-16", "seal", "0000000000-16x", "0000000000-1000"):
        assert Span.of_part(name) is None


def test_an_index_is_merged_in_any_order_and_as_often_as_it_comes() -> None:
    entries = random.Random(1).randbytes(10 * 32)
    spans = [Span(0, 4), Span(4, 4), Span(8, 2)] * 2
    random.Random(2).shuffle(spans)
    merge = IndexMerge(10)
    for span in spans:
        merge.put(span, entries[span.first * 32 : span.stop * 32])
    assert merge.entries() == entries


def test_two_tasks_that_differ_and_an_index_with_a_hole_are_refused() -> None:
    merge = IndexMerge(4)
    merge.put(Span(0, 2), bytes(64))
    with pytest.raises(TamperedError):
        merge.put(Span(0, 2), bytes(63) + b"\1")
    with pytest.raises(TamperedError):
        merge.put(Span(2, 2), bytes(32))
    with pytest.raises(TamperedError):
        merge.put(Span(3, 2), bytes(64))
    with pytest.raises(UsageError, match="segment 2"):
        merge.entries()


@pytest.mark.parametrize("size", [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES + 1, 129 * SEGMENT_BYTES, -SEGMENT_BYTES])
def test_sizes_are_whole_segments_within_bounds(size: int) -> None:
    with pytest.raises(UsageError, match="part of"):
        segments_of(size, least=1, most=128, what="part")
    assert segments_of(128 * SEGMENT_BYTES, least=1, most=128, what="part") == 128
