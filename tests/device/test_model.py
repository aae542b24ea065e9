"""Random sequences of operations, restarts and attacks, against a model that a child could follow."""

import io
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

import capseal
from capseal import PrivateKey, RejectedError, UsageError
from support.device_world import EPOCH, Clock, World, make_world, quick_folder, read_tree, write_tree

Key = tuple[int, int, int | None]
"""What tells bundles apart here: sequence, age (days from EPOCH to its statement) and downgrade permit."""

WINDOW_S = 10
SEQUENCES = st.integers(1, 8)
AGES = st.integers(0, 3)


def content(key: Key) -> dict[str, bytes]:
    """Return the files of that bundle."""
    return {"index.html": repr(key).encode(), "js/app.js": b"x" * 1000}


class Device(RuleBasedStateMachine):
    """A device, its publisher and its attackers. The model is the plain attributes below."""

    world: World
    sealed: dict[Key, bytes]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=self.world.folder))
        self.clock = Clock()
        self.floor = self.highest = 0
        self.newest = -1
        self.staged: Key | None = None
        self.pending: Key | None = None
        self.started_s: float | None = None
        self.confirmed: list[Key] = []
        self.failed: set[Key] = set()
        self.lost: set[Key] = set()  # their copies were damaged, which says nothing of other copies
        self.damaged: set[Key] = set()
        self.reopen()

    def reopen(self) -> None:
        self.store = self.world.store(self.folder / "store", clock=self.clock, confirm_within_s=WINDOW_S)

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def bundle(self, key: Key) -> bytes:
        """Seal once only: the same key is the same bundle, also in the next example."""
        if key not in self.sealed:
            sequence, age, permit = key
            source = write_tree(Path(tempfile.mkdtemp(dir=self.world.folder)), content(key))
            self.sealed[key] = self.world.seal(
                sequence, source=source, allow_downgrade_to=permit, created=EPOCH + timedelta(days=age)
            )
            shutil.rmtree(source)
        return self.sealed[key]

    def digest(self, key: Key) -> str:
        return capseal.inspect(io.BytesIO(self.bundle(key)))[1].payload.digest.hex()

    # The model's rules

    def acceptable(self, key: Key) -> bool:
        sequence, age, permit = key
        if key in self.failed:
            return False
        if sequence > self.highest:
            return True
        floor = self.floor if permit is None else min(self.floor, permit)
        return sequence > floor and age > self.newest

    def running(self) -> Key | None:
        if self.pending is not None and self.started_s is not None:
            return self.pending
        return self.confirmed[0] if self.confirmed else None

    def drop(self, key: Key) -> None:
        self.lost.discard(key)
        self.failed.add(key)
        self.forget(key)

    def lose(self, key: Key) -> None:
        self.lost.add(key)
        self.forget(key)

    def forget(self, key: Key) -> None:
        self.confirmed = [other for other in self.confirmed if other != key]
        if self.staged == key:
            self.staged = None
        if self.pending == key:
            self.pending = self.started_s = None

    # The operations

    @rule(sequence=SEQUENCES, age=AGES, permit=st.none() | st.integers(0, 7), stream=st.booleans())
    def install(self, sequence: int, age: int, permit: int | None, stream: bool) -> None:
        key = (sequence, age, permit if permit is not None and permit < sequence else None)
        path = self.folder / "bundle"
        path.write_bytes(self.bundle(key))
        source = io.BytesIO(self.bundle(key)) if stream else path
        if key in (self.staged, self.pending):
            self.store.install(source)
        elif self.acceptable(key):
            self.store.install(source)
            self.staged = key
            self.damaged.discard(key)
            self.lost.discard(key)
        else:
            with pytest.raises(RejectedError):
                self.store.install(source)

    @rule(sequence=SEQUENCES, age=AGES, at=st.integers(0, 10**6), stream=st.booleans())
    def install_what_was_tampered_with(self, sequence: int, age: int, at: int, stream: bool) -> None:
        bundle = bytearray(self.bundle((sequence, age, None)))
        bundle[at % len(bundle)] ^= 1 << at % 8
        path = self.folder / "bundle"
        path.write_bytes(bundle)
        if (sequence, age, None) in (self.staged, self.pending):
            return  # it is not even read to its end
        with pytest.raises(RejectedError):
            self.store.install(io.BytesIO(bundle) if stream else path)

    @rule()
    def activate(self) -> None:
        if self.staged is None:
            with pytest.raises(UsageError):
                self.store.activate()
        elif self.acceptable(self.staged):
            self.store.activate()
            self.pending, self.staged, self.started_s = self.staged, None, None
        else:
            with pytest.raises(RejectedError):
                self.store.activate()

    @rule(verify=st.booleans())
    def boot(self, verify: bool) -> None:
        if self.pending is not None and self.started_s is not None:
            self.drop(self.pending)
        if verify:
            for key in [*([self.pending] if self.pending else []), *self.confirmed]:
                if key not in self.damaged:
                    break
                self.lose(key)
        if self.pending is not None:
            self.started_s = self.clock.now_s
        running = self.store.boot(verify=verify)
        expected = self.running()
        assert (running.bundle.sequence if running.bundle else None) == (expected[0] if expected else None)
        if expected not in self.damaged:
            assert read_tree(running.path) == (content(expected) if expected else read_tree(self.world.builtin))

    @rule(elapsed_s=st.sampled_from([-100, 0, 1, WINDOW_S, WINDOW_S + 1]))
    def confirm(self, elapsed_s: int) -> None:
        self.clock.now_s += elapsed_s
        if self.pending is None or self.started_s is None:
            self.store.confirm()
        elif self.clock.now_s - self.started_s > WINDOW_S:
            with pytest.raises(RejectedError):
                self.store.confirm()
            self.drop(self.pending)
        else:
            self.store.confirm()
            sequence, age, _ = self.pending
            self.confirmed = [self.pending, *(old for old in self.confirmed if old[0] < sequence)]
            self.floor, self.highest, self.newest = sequence, max(self.highest, sequence), max(self.newest, age)
            self.pending = self.started_s = None

    @rule()
    def rollback(self) -> None:
        key = self.pending or (self.confirmed[0] if self.confirmed else None)
        if key is None:
            with pytest.raises(UsageError):
                self.store.rollback()
        else:
            self.store.rollback()
            self.drop(key)

    @rule(keep=st.integers(0, 2))
    def prune(self, keep: int) -> None:
        self.store.prune(keep=keep)
        self.confirmed = self.confirmed[: 1 + keep]
        if (self.folder / "store").exists():
            assert len(list((self.folder / "store" / "bundles").iterdir())) == len(self.kept())

    @rule()
    def restart(self) -> None:
        self.reopen()

    @precondition(lambda self: self.running() is not None)
    @rule()
    def damage_what_runs(self) -> None:
        key = self.running()
        if key not in self.damaged:
            path = Path(self.store.current()) / "index.html"
            path.write_bytes(path.read_bytes()[:-1] + b"!")
            self.damaged.add(key)

    def kept(self) -> list[Key]:
        return [key for key in [self.staged, self.pending, *self.confirmed] if key is not None]

    @invariant()
    def the_device_knows_what_the_model_knows(self) -> None:
        status = self.store.status()
        assert status.floor == self.floor
        assert [bundle.sequence for bundle in status.confirmed] == [key[0] for key in self.confirmed]
        assert (status.staged.sequence if status.staged else None) == (self.staged[0] if self.staged else None)
        assert (status.pending.sequence if status.pending else None) == (self.pending[0] if self.pending else None)
        assert {failure.digest for failure in status.failed} == {self.digest(key) for key in self.failed | self.lost}


# Time for a busy machine: where it ends within an example, that looks as if the device had behaved differently twice.
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("examples", [60, pytest.param(1000, marks=pytest.mark.soak)])
def test_the_device_does_what_the_model_says(
    tmp_path: Path, signer: PrivateKey, recipient: PrivateKey, examples: int
) -> None:
    with quick_folder(tmp_path) as folder:
        Device.world, Device.sealed = make_world(folder, signer, recipient), {}
        run_state_machine_as_test(
            Device,
            settings=settings(
                max_examples=examples,
                stateful_step_count=30,
                deadline=None,
                derandomize=examples < 1000,  # the short form is the same every time; the long one looks for more
                suppress_health_check=list(HealthCheck),
                database=None,
            ),
        )
