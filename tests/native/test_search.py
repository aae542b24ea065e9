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
    return lambda data, word=WORD, rare=3: search.contains(memoryview(data), word, rare=rare)


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


@pytest.mark.parametrize("rare", range(len(WORD)))
@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_a_word_in_utf_16_is_found_and_not_where_anything_else_lies_between(contains, rare, order):
    wide = WORD.decode().encode(order).strip(b"\0")
    assert contains(b"VPR" + wide + b"E", rare=rare)
    assert not contains(wide[:-1], rare=rare)
    for zero in range(1, len(wide), 2):
        assert not contains(wide[:zero] + b"x" + wide[zero + 1 :], rare=rare)


@given(
    data=st.lists(st.sampled_from([b"a", b"b", b"\0"]), max_size=200).map(b"".join),
    word=st.text("ab", min_size=1, max_size=12).map(str.encode),
    where=st.integers(0, 11),
)
def test_the_compiled_form_says_what_python_says(data, word, where):
    wide = b"\0".join(bytes([one]) for one in word)
    assert search.contains(memoryview(data), word, rare=where % len(word)) == (word in data or wide in data)
