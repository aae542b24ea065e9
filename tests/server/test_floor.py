"""What may be published after what: the same rule as on devices, permits included."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capseal import Expect, RollbackError, Statement, TrustStore
from capseal.constants import MAX_INTEGER
from capseal.device._state import InstalledBundle, State
from capseal.http.shapes import AppChannel
from capseal.server.storage.pointers import ChannelPointer, Entry
from support.server_fixtures import BundleMaker
from support.serving import APP, CHANNEL, TOKEN, Bundle, Live, live_server

START = datetime(2026, 1, 1, tzinfo=UTC)
OF = AppChannel(APP, CHANNEL)


def open_server(store: Path, trust: TrustStore, **keywords: object) -> contextlib.AbstractContextManager[Live]:
    return live_server(str(store), trust, token=TOKEN, **keywords)


def authorise(live: Live) -> None:
    live.client.headers["Authorization"] = f"Bearer {TOKEN}"


def later(seconds: int) -> datetime:
    """Return when what is sealed after all that is sealed now is sealed."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1, seconds=seconds)


def latest(live: Live) -> int:
    return live.client.get(f"/v1/apps/{APP}/channels/{CHANNEL}/latest").json()["sequence"]


def refusal(answer: httpx.Response) -> tuple[int, str, int]:
    assert not answer.is_success
    problem = answer.json()
    return answer.status_code, problem["error"], problem["floor"]


def test_the_cure_for_the_highest_sequence_can_be_published(
    store: Path, trust: TrustStore, sealed: BundleMaker
) -> None:
    cure = sealed(sequence=151, allow_downgrade_to=100, created=later(1))
    with open_server(store, trust) as live:
        authorise(live)
        assert live.publish(sealed(sequence=150)).status_code == 201
        assert live.publish(sealed(sequence=MAX_INTEGER)).status_code == 201
        live.client.delete(live.release_url(MAX_INTEGER)).raise_for_status()
        assert latest(live) == 150
        assert refusal(live.begin(sealed(sequence=152).seal)) == (409, "RollbackError", MAX_INTEGER)
        assert live.publish(cure).status_code == 201
        assert latest(live) == 151
    with open_server(store, trust) as live:  # so it is after a restart
        authorise(live)
        assert refusal(live.begin(sealed(sequence=149).seal)) == (409, "RollbackError", 151)
        assert live.publish(sealed(sequence=152, created=later(2))).status_code == 201
        assert latest(live) == 152


def test_latest_is_the_highest_that_was_not_withdrawn_whatever_came_last(
    store: Path, trust: TrustStore, sealed: BundleMaker
) -> None:
    with open_server(store, trust) as live:
        authorise(live)
        for bundle in (sealed(sequence=9), sealed(sequence=5, allow_downgrade_to=3, created=later(1))):
            assert live.publish(bundle).status_code == 201
        assert latest(live) == 9
        live.client.delete(live.release_url(9)).raise_for_status()
        assert latest(live) == 5


def test_no_permit_brings_back_a_sequence_that_was_published(
    store: Path, trust: TrustStore, bundle: Bundle, sealed: BundleMaker
) -> None:
    with open_server(store, trust) as live:
        authorise(live)
        live.publish(bundle).raise_for_status()
        live.publish(sealed(sequence=9)).raise_for_status()
        again = sealed(sequence=7, allow_downgrade_to=3, created=later(1))
        assert refusal(live.begin(again.seal)) == (409, "RollbackError", 7)
        live.client.delete(live.release_url(7)).raise_for_status()
        assert refusal(live.begin(again.seal)) == (409, "RollbackError", 7)
        assert refusal(live.begin(bundle.seal)) == (409, "RollbackError", 7)
        at_the_permit = sealed(sequence=8, allow_downgrade_to=7, created=later(1))
        assert live.begin(at_the_permit.seal).status_code == 201


def test_the_name_of_a_damaged_record_raises_the_floor(store: Path, trust: TrustStore, sealed: BundleMaker) -> None:
    with open_server(store, trust) as live:
        for sequence in (7, 20):
            authorise(live)
            live.publish(sealed(sequence=sequence)).raise_for_status()
    (path,) = store.glob(f"releases/*/*/{20:016d}/*/release.json")
    path.write_bytes(b"{}")
    with open_server(store, trust) as live:
        authorise(live)
        assert latest(live) == 7
        assert refusal(live.begin(sealed(sequence=8).seal)) == (409, "RollbackError", 20)
        assert refusal(live.begin(sealed(sequence=20, allow_downgrade_to=3, created=later(1)).seal)) == (
            409,
            "RollbackError",
            20,
        )
        assert live.begin(sealed(sequence=9, allow_downgrade_to=7, created=later(1)).seal).status_code == 201


def test_an_upload_with_a_permit_goes_on_after_a_restart(store: Path, trust: TrustStore, sealed: BundleMaker) -> None:
    cure = sealed(sequence=5, allow_downgrade_to=3, created=later(1))
    with open_server(store, trust) as live:
        authorise(live)
        live.publish(sealed(sequence=9)).raise_for_status()
        link = live.begin(cure.seal).json()["links"]["self"]
    with open_server(store, trust) as live:
        authorise(live)
        assert live.client.get(link).status_code == 200
        assert live.publish(cure).status_code == 201


def entry_of(statement: Statement) -> Entry:
    return Entry(statement.sequence, f"{statement.sequence:064x}", f"{statement.sequence:016x}", "", None)


def installed(statement: Statement) -> InstalledBundle:
    return InstalledBundle(
        digest=f"{statement.sequence:064x}",
        sequence=statement.sequence,
        version=statement.version,
        created=statement.to_json()["created"],
        permit=statement.allow_downgrade_to,
        manifest="",
    )


def accepts(check: Callable[[], object]) -> bool:
    try:
        check()
    except RollbackError:
        return False
    return True


steps = st.lists(st.tuples(st.integers(1, 12), st.none() | st.integers(0, 11), st.integers(0, 5)), max_size=12)


@given(steps=steps, stored=st.booleans())
def test_server_and_device_accept_the_same(
    bundle: Bundle, steps: list[tuple[int, int | None, int]], stored: bool
) -> None:
    pointer, state = ChannelPointer(OF), State(app=APP, channel=CHANNEL)
    taken: set[int] = set()
    for sequence, permit, age in steps:
        if sequence in taken or (permit is not None and permit >= sequence):
            continue
        statement = replace(
            bundle.parsed.statement,
            sequence=sequence,
            allow_downgrade_to=permit,
            created=START + timedelta(seconds=age),
        )
        if stored and pointer.entries:
            pointer = ChannelPointer.parse(OF, pointer.encode())
        by_server = accepts(lambda: pointer.check(statement))
        by_device = accepts(lambda: state.check_bundle(installed(statement)))
        assert by_server == by_device
        # Whoever remembers the floor alone takes at least as much.
        assert accepts(lambda: Expect(floor=state.floor).check(statement)) >= by_device
        if by_server:
            taken.add(sequence)
            pointer = pointer.published(statement, entry_of(statement))
            state = state.stage(installed(statement)).activate().confirm()
            assert (pointer.trusted.floor, state.floor) == (sequence, sequence)


def test_an_old_permit_that_is_sent_again_does_not_lower_the_floor(
    store: Path, trust: TrustStore, sealed: BundleMaker
) -> None:
    old_permit = sealed(sequence=3, allow_downgrade_to=2)
    then, after = later(5), later(9)
    with open_server(store, trust) as live:
        authorise(live)
        live.publish(sealed(sequence=9, created=then)).raise_for_status()
        assert refusal(live.begin(old_permit.seal)) == (409, "RollbackError", 9)
        assert refusal(live.begin(sealed(sequence=4, allow_downgrade_to=2, created=then).seal))[0] == 409
        assert live.begin(sealed(sequence=4, allow_downgrade_to=2, created=after).seal).status_code == 201


def test_without_any_release_every_sequence_may_come(bundle: Bundle) -> None:
    pointer = ChannelPointer(OF)
    assert pointer.trusted.floor == 0
    pointer.check(replace(bundle.parsed.statement, sequence=1))


@pytest.mark.parametrize("change", ["withdrawn", "removed"])
def test_neither_withdrawing_nor_removing_gives_back_a_sequence_or_the_floor(bundle: Bundle, change: str) -> None:
    statement = replace(bundle.parsed.statement, sequence=5, created=START)
    pointer = ChannelPointer(OF).published(statement, entry_of(statement))
    pointer = pointer.withdrawn(5, "2026-01-01T00:00:00Z") if change == "withdrawn" else pointer.without([5])
    pointer = ChannelPointer.parse(OF, pointer.encode())
    for sequence in (4, 5):
        with pytest.raises(RollbackError):
            pointer.check(replace(statement, sequence=sequence))
    said = r"was published before, and withdrawn at 2026-01-01T00:00:00Z$" if change == "withdrawn" else "before$"
    with pytest.raises(RollbackError, match=said):
        pointer.check(replace(statement, allow_downgrade_to=1, created=START + timedelta(days=1)))
