"""A word is found where Python finds it, compiled or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capseal.native import search

WORD = b"PRIVATE KEY"


@pytest.fixture(params=["compiled", "plain"])
def contains(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(search, "_lib", None)
    elif search._lib is None:
        pytest.skip("built without a C compiler")
    return lambda data, word=WORD: search.contains(memoryview(data), word)


@pytest.mark.parametrize("before", [0, 1, 15, 16, 63, 64, 4095, 4096, 2 * 1024 * 1024])
@pytest.mark.parametrize("behind", [0, 1, 63, 4097])
def test_a_word_is_found_wherever_it_lies_and_not_where_it_is_cut(contains, before, behind):
    data = b"P" * before + WORD + b"Y" * behind
    assert contains(data)
    assert not contains(data[: before + len(WORD) - 1])
    assert not contains(data[before + 1 :])
    assert contains(bytearray(data))


@pytest.mark.parametrize("size", [0, 1, len(WORD) - 1])
def test_what_is_shorter_than_the_word_does_not_hold_it(contains, size):
    assert not contains(WORD[:size])


@given(data=st.text("ab", max_size=200).map(str.encode), word=st.text("ab", min_size=1, max_size=12).map(str.encode))
def test_the_compiled_form_says_what_python_says(data, word):
    assert search.contains(memoryview(data), word) == (word in data)
