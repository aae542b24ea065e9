"""The compiled matcher finds what a plain, slow one finds, which is the truth."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capseal.native import matching
from support.compiled import needs_matching

pytestmark = needs_matching

WINDOW, STEP, PROBES, MAX_SKIP = 32, 16, 5, 64
MASK = (1 << 64) - 1
FACTOR, MIXER = 0x9E3779B185EBCA87, 0xD6E8FEB86659FD93


def hash_of(window):
    value = 0
    for byte in window:
        value = (value * FACTOR + byte + 1) & MASK
    value = value * MIXER & MASK
    return value ^ value >> 32


def equal(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def slow(base, fresh, least):
    """What csrc/match/capseal_match.h says, word for word."""
    bits = max(10, (2 * (len(base) // STEP) - 1).bit_length())
    table = {}
    for number in range(max(0, (len(base) - WINDOW) // STEP + 1)):
        slot = (hash_of(base[number * STEP : number * STEP + WINDOW]) * FACTOR & MASK) >> (64 - bits)
        for probe in range(PROBES):
            if table.setdefault((slot + probe) % (1 << bits), number) == number:
                break
    found, at, done, diagonal = [], 0, 0, None
    while True:
        best = (0, 0, 0)
        if diagonal is not None:
            for skip in range(1, MAX_SKIP + 1):
                start = done + skip
                if start + WINDOW > len(fresh) or start + diagonal + WINDOW > len(base):
                    break
                if fresh[start : start + WINDOW] == base[start + diagonal : start + diagonal + WINDOW]:
                    best = (start, start + diagonal, equal(fresh[start:], base[start + diagonal :]))
                    break
            if not best[2]:
                diagonal = None
                continue
        else:
            if at + WINDOW > len(fresh):
                return found
            slot = (hash_of(fresh[at : at + WINDOW]) * FACTOR & MASK) >> (64 - bits)
            for probe in range(PROBES):
                number = table.get((slot + probe) % (1 << bits))
                if number is None:
                    break
                there = number * STEP
                ahead = equal(fresh[at:], base[there:])
                if ahead < WINDOW:
                    continue
                back = equal(fresh[done:at][::-1], base[:there][::-1])
                if back + ahead > best[2]:
                    best = (at - back, there - back, back + ahead)
        if best[2] >= least:
            found.append(best)
            at = done = best[0] + best[2]
            diagonal = best[1] - best[0]
        elif diagonal is not None:
            diagonal = None
        else:
            at += 1


def fast(base, fresh, least):
    old, new = np.frombuffer(base, np.uint8), np.frombuffer(fresh, np.uint8)
    batches = matching.find_matches(old, new, least_bytes=least)
    return [tuple(row) for batch in batches for row in batch.tolist()]


PIECES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400), st.integers(0, 300)), max_size=10)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 5), pieces=PIECES, least=st.sampled_from([32, 33, 64]))
def test_it_finds_what_the_slow_one_finds(seed, pieces, least):
    drawn = random.Random(seed)
    base = drawn.randbytes(500) + b"\0" * 200 + drawn.randbytes(100) * 2
    fresh = b""
    for kind, start, size in pieces:
        fresh += {0: drawn.randbytes(size), 1: bytes(size)}.get(kind, base[start : start + size])
    assert fast(base, fresh, least) == slow(base, fresh, least)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 47, 48, 64])
def test_small_contents(size):
    data = random.Random(size).randbytes(size)
    assert fast(data, data, 32) == slow(data, data, 32) == ([(0, 0, size)] if size >= 32 else [])


def test_point_edits_are_stepped_over():
    base = random.Random(1).randbytes(10_000)
    fresh = bytearray(base)
    for at in range(100, 10_000, 200):
        fresh[at] ^= 1
    found = fast(base, bytes(fresh), 32)
    assert all(in_fresh == in_base for in_fresh, in_base, _ in found)
    assert sum(size for _, _, size in found) == 10_000 - 50


def test_it_goes_on_where_a_batch_is_full(monkeypatch):
    base = random.Random(2).randbytes(50_000)
    fresh = b"".join(base[at : at + 90] + b"--" for at in range(40_000, 0, -100))
    whole = fast(base, fresh, 32)
    monkeypatch.setattr(matching, "_ROWS_AT_ONCE", 7)
    assert fast(base, fresh, 32) == whole
    assert len(whole) > 300


def test_equal_windows_everywhere_take_no_longer():
    base = b"ab" * 500_000
    assert fast(base, base, 32)[0] == (0, 0, 1_000_000)


@pytest.mark.parametrize(("step", "bits", "base_bytes"), [(0, 10, 0), (16, 0, 0), (16, 32, 0), (16, 1, 100)])
def test_fields_that_do_not_agree_are_refused(step, bits, base_bytes):
    ffi, lib = matching._ffi, matching._lib
    data = ffi.new("uint8_t[100]")
    index = ffi.new("capseal_match_index *", {"base": data, "base_bytes": base_bytes, "step": step, "table_bits": bits})
    assert lib.capseal_match_enter(index) < 0


@pytest.mark.parametrize("base_bytes", [(1 << 30) - 1, 1 << 30, (1 << 30) + 1, 1 << 32, (1 << 32) + (1 << 20), 1 << 40])
def test_table_and_filter_take_640_mib_at_most_however_large_the_base(monkeypatch, base_bytes):
    taken = []

    class Stopped(Exception):
        pass

    def full(slots, *_):
        taken.append(4 * slots)
        return np.empty(0, np.uint32)

    def zeros(slots, *_):
        taken.append(slots)
        raise Stopped

    monkeypatch.setattr(matching.np, "full", full)
    monkeypatch.setattr(matching.np, "zeros", zeros)
    base = np.broadcast_to(np.array([0], np.uint8), (base_bytes,))
    with pytest.raises(Stopped):
        next(matching.find_matches(base, base, least_bytes=32))
    assert sum(taken) <= 640 << 20
