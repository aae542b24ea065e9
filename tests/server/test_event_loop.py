"""Nothing that grows with the store holds the event loop, nor the interpreter's lock, in one go."""

import asyncio
import gc
import inspect
import json

import pytest

from capseal.http.shapes import AppChannel
from capseal.server._several import AT_ONCE, each
from capseal.server.catalogue._channels import _parsed_at_leisure
from capseal.server.catalogue._uncollected import uncollected
from capseal.server.storage.pointers import ChannelPointer, Entries, Entry
from capseal.trust.expect import Succession

OF = AppChannel("com.example.many", "production")


def entry(sequence: int, *, withdrawn: str | None = None) -> Entry:
    return Entry(sequence, f"{sequence:064x}", f"{sequence:016x}", "2026-01-01T00:00:00Z", withdrawn)


def pointer(releases: int) -> ChannelPointer:
    return ChannelPointer(OF, 1, Succession(releases, releases, ""), Entries(map(entry, range(1, releases + 1))))


def test_calls_for_many_things_answer_in_order_a_few_at_once_and_let_others_run_in_between() -> None:
    running = most = others = 0

    async def call(item: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if item % 3 == 0:
            await asyncio.sleep(0)
        running -= 1
        return item * item

    async def main() -> list[int]:
        async def other() -> None:
            nonlocal others
            while True:
                others += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(other())
        try:
            return await each([3 * item + 1 for item in range(10_000)], call) + await each(range(1000), call)
        finally:
            beside.cancel()

    squares = asyncio.run(main())
    assert squares == [(3 * item + 1) ** 2 for item in range(10_000)] + [item**2 for item in range(1000)]
    assert most == AT_ONCE
    assert others > 9 + 20


def test_the_first_error_of_many_calls_is_raised_and_ends_the_others() -> None:
    done = []

    async def call(item: int) -> None:
        await asyncio.sleep(0)
        if item == 20:
            raise KeyError(item)
        done.append(item)

    with pytest.raises(KeyError):
        asyncio.run(each(range(1000), call))
    assert len(done) < 20 + 2 * AT_ONCE


@pytest.mark.parametrize("releases", [0, 1, 255, 256, 257, 600])
def test_a_pointer_that_is_encoded_by_parts_is_the_json_of_the_whole(releases: int) -> None:
    one = pointer(releases)
    data = one.encode()
    assert data == json.dumps(json.loads(data), separators=(",", ":")).encode()
    assert list(map(Entry._make, json.loads(data)["releases"])) == list(one.entries.values())
    assert ChannelPointer.parse(OF, data) == one


def test_releases_of_a_pointer_are_nothing_that_the_interpreters_collection_looks_at() -> None:
    entries = pointer(100).entries
    gc.collect()
    assert not any(gc.is_tracked(one) for one in entries._bare.values())


def test_no_garbage_is_collected_while_a_large_pointer_is_parsed() -> None:
    data = pointer(5000).encode()
    while_parsing = 0

    def tell(phase: str, info: dict[str, int]) -> None:
        nonlocal while_parsing
        callers = (frame.function for frame in inspect.stack(context=0))
        while_parsing += "parse" in callers

    before = gc.get_threshold()
    gc.callbacks.append(tell)
    gc.set_threshold(700, 10, 10)
    try:
        ChannelPointer.parse(OF, data)
        assert while_parsing, "it would be, otherwise"
        while_parsing = 0
        parsed = _parsed_at_leisure(OF, data)
    finally:
        gc.callbacks.remove(tell)
        gc.set_threshold(*before)
    assert not while_parsing
    assert gc.isenabled()
    assert len(parsed.entries) == 5000


def test_garbage_is_collected_again_once_nobody_asks_for_a_pause_any_more() -> None:
    with uncollected():
        with pytest.raises(KeyError), uncollected():
            raise KeyError
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled(), "whoever turned it off wants it off"
    finally:
        gc.enable()


def test_entries_are_in_order_whatever_order_they_came_in() -> None:
    entries = Entries([entry(5), entry(2)]).with_one(entry(9)).with_one(entry(3)).with_one(entry(5, withdrawn="now"))
    assert [one.sequence for one in entries.values()] == [2, 3, 5, 9]
    assert [one.sequence for one in entries.newest_first(below=9)] == [5, 3, 2]
    assert [one.sequence for one in entries.listed()] == [9, 3, 2]
    assert entries.count_listed() == 3
    assert list(entries.without([9, 2])) == [3, 5]
    assert next(entries.listed(seal=f"{3:064x}")) == entry(3)
    assert not list(entries.listed(seal=f"{5:064x}"))  # it was withdrawn
