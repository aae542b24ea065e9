"""The headers of a zip that is made here are the same bytes whether they are made in C or one by one."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capseal.archive import headers
from capseal.archive.directory import DEFLATED, MAX32, STORED
from capseal.archive.headers import Headers, local_header_bytes

ENTRIES = st.lists(
    st.tuples(
        st.text("a/ö", min_size=1, max_size=300).map(str.encode),
        st.sampled_from([STORED, DEFLATED]),
        st.integers(0, 2**32 - 1),
        st.integers(0, 70_000),
        st.integers(0, 2**32 - 2),
    ),
    max_size=9,
)


def _made(entries, first, last, *, compiled, shift=0) -> tuple[bytes, bytes]:
    """Return the local headers of some entries, with what stands between them, and the directory."""
    names, methods, crcs, packed, sizes = (list(column) for column in zip(*entries, strict=True))
    ends = list(accumulate(map(sum, zip(local_header_bytes(names, packed, sizes), packed, strict=True))))
    starts = [shift + start for start in (0, *ends[:-1])]
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(headers, "is_there", lambda: False)
        made = Headers(names, methods, packed, sizes, starts, shift + ends[-1])
        assert (made._entries is not None) == (compiled and shift < MAX32)
    start = starts[first]
    buffer = bytearray(b"\xa5" * (shift + ends[last] - start))
    made.put_local(first, crcs[first : last + 1], start, memoryview(buffer))
    return bytes(buffer), made.directory(crcs)


@pytest.mark.skipif(not headers.is_there(), reason="built without a C compiler")
@pytest.mark.parametrize("shift", [0, MAX32])
@given(entries=ENTRIES.filter(bool), data=st.data())
def test_headers_are_the_same_bytes_compiled_or_not(entries, data, shift):
    first = data.draw(st.integers(0, len(entries) - 1))
    last = data.draw(st.integers(first, len(entries) - 1))
    assert _made(entries, first, last, compiled=True, shift=shift) == _made(
        entries, first, last, compiled=False, shift=shift
    )
