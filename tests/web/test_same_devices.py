"""Random lives of a device, in Python and in JavaScript at once: same verdicts, and the same status after each step."""

import io
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

import capseal
from capseal import PrivateKey, TrustedKey
from capseal.device import DeviceStore
from capseal.device._state import InstalledBundle, State
from capseal.format.head import LogReference
from capseal.format.strictjson import shown_time
from capseal.trust import head_chain as chain
from capseal.trust.key_sets import KeySet, Restart
from support.device_world import APP, EPOCH, Clock, World, make_world, quick_folder, write_tree
from support.head_world import DAY, Hostile, Publisher, hostile_server
from support.web_reader import WebProcess

Key = tuple[int, int, int | None]
"""What tells bundles apart here: sequence, age (days from EPOCH to its statement) and downgrade permit."""

WINDOW_S = 10
SEQUENCES = st.integers(1, 6)
KILLS = st.sampled_from([None] * 6 + ["save", "saved"])
"""Where the process ends: before its first save of the state, or after it, with nobody told; mostly nowhere."""
_CHANGES = ("release", "withdraw", "restore", "recall", "candidate", "log", "nothing-new")
_LIES = ("withheld-recall", "other-log", "no-log", "fork", "other-channel", "replay", "none", "altered")
HEADS = st.sampled_from(_CHANGES + _LIES)


class Killed(BaseException):
    """The process is gone: nothing that it would have done happens."""


class Devices(RuleBasedStateMachine):
    """Two devices of one publisher, whose server shows both the same."""

    world: World
    sealed: dict[Key, bytes]
    server: Hostile
    process: WebProcess
    head_signer: PrivateKey
    root: PrivateKey
    others: tuple[PrivateKey, ...]
    """A release key, and a head key, that take the place of others."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=self.world.folder))
        self.clock = Clock()
        self.publisher = Publisher(self.world, self.head_signer, root=KeySet.of(self.root.public_key))
        self.built_in = self.publisher.trust
        self.shown: list[bytes] = []
        self.server.publisher = self.publisher
        self.server.shown_head, self.server.latest_sequence = None, 3
        self.server.recalls, self.server.updates = {}, {}
        self.open()
        told = {
            "trust": self.built_in.to_json().decode(),
            "identity": self.world.recipient.pem().decode(),
            "app": APP,
            "confirmWithinS": WINDOW_S,
            "builtinSequence": 1,
        }
        self.compare("begin", lambda: None, told=told)

    def open(self) -> None:
        self.store: DeviceStore = self.publisher.device(
            self.folder / "store",
            trust=self.built_in,
            head="used",
            clock=self.clock,
            confirm_within_s=WINDOW_S,
            builtin_sequence=1,
        )

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def bundle(self, key: Key) -> bytes:
        """Seal once only: the same key is the same bundle, also in the next example."""
        if key not in self.sealed:
            sequence, age, permit = key
            source = write_tree(Path(tempfile.mkdtemp(dir=self.world.folder)), {"index.html": repr(key).encode()})
            self.sealed[key] = self.world.seal(
                sequence, source=source, allow_downgrade_to=permit, created=EPOCH + timedelta(days=age)
            )
            shutil.rmtree(source)
        return self.sealed[key]

    def compare(self, call: str, in_python: Callable[[], object], *, kill: str | None = None, **asked: Any) -> None:
        """Do the same on both devices, which must say the same, and be in the same state then."""
        ours = self.answer(in_python, kill)
        told = {"now_ms": int(self.clock.now_s * 1000), "time": self.publisher.now.isoformat(), "kill_at": kill}
        theirs = self.process.tell(call=call, **told, **asked)
        status = theirs.pop("status")
        if "error" in theirs:
            assert theirs["error"]["ours"], theirs["error"]["message"]
        # One of them may save what is as it was, which the other one leaves; nothing came of that.
        if "killed" not in ours and "killed" not in theirs:
            said = {"error": theirs["error"]["name"]} if "error" in theirs else theirs
            assert said == ours, (call, theirs)
        assert status == self.status(), (call, theirs)

    def answer(self, work: Callable[[], object], kill: str | None) -> dict[str, object]:
        """Return what Python says to it."""
        memory = self.store._memory
        save = memory.save

        def last_save(state: State) -> NoReturn:
            if kill == "saved":
                save(state)
            raise Killed

        if kill is not None:
            memory.save = last_save  # type: ignore[method-assign]
        try:
            return {"ok": work()}
        except capseal.CapsealError as error:
            return {"error": type(error).__name__}
        except Killed:
            return {"killed": True}
        finally:
            if kill is not None:
                self.open()

    def status(self) -> dict[str, Any]:
        """Return what the device in Python says of itself, as the one in JavaScript does."""
        status = self.store.status()
        page = Path(self.store.current()) / "index.html"
        return {
            "floor": status.floor,
            "starts": status.starts,
            "current": _shown(status.current),
            "staged": _shown(status.staged),
            "pending": _shown(status.pending),
            "confirmed": [_shown(bundle) for bundle in status.confirmed],
            "failed": [[one.digest, one.sequence, one.version, one.by] for one in status.failed],
            "head": None
            if status.head is None
            else {
                "epoch": status.head.epoch,
                "number": status.head.number,
                "issued": shown_time(status.head.issued),
                "expires": shown_time(status.head.expires),
            },
            "uncertain": shown_time(status.uncertain.since) if status.uncertain and status.uncertain.since else None,
            "page": page.read_text() if status.current else None,
        }

    # What the device does

    @rule(sequence=SEQUENCES, age=st.integers(0, 3), permit=st.none() | st.integers(0, 5), kill=KILLS)
    def install(self, sequence: int, age: int, permit: int | None, kill: str | None) -> None:
        bundle = self.bundle((sequence, age, permit if permit is not None and permit < sequence else None))
        self.compare("install", lambda: _shown(self.store.install(io.BytesIO(bundle))), bundle=bundle, kill=kill)

    @rule(sequence=SEQUENCES, at=st.integers(1, 100), bit=st.integers(0, 7))
    def install_what_was_tampered_with(self, sequence: int, at: int, bit: int) -> None:
        bundle = bytearray(self.bundle((sequence, 0, None)))
        bundle[-at] ^= 1 << bit  # of the payload: of two defects of a seal one reader may see another one first
        self.compare("install", lambda: _shown(self.store.install(io.BytesIO(bundle))), bundle=bytes(bundle))

    @rule(latest=SEQUENCES, kill=KILLS)
    def install_what_the_server_has(self, latest: int, kill: str | None) -> None:
        self.server.latest_sequence = latest
        url = self.server.url
        self.compare("fetch", lambda: _shown(self.store.install(url)), server=url, kill=kill)

    @rule(kill=KILLS)
    def activate(self, kill: str | None) -> None:
        self.compare("activate", lambda: _shown(self.store.activate()), kill=kill)

    @rule(verify=st.booleans(), kill=KILLS)
    def boot(self, verify: bool, kill: str | None) -> None:
        def started() -> dict[str, object]:
            running = self.store.boot(verify=verify)
            problem = None if running.problem is None else type(running.problem).__name__
            return _shown(running.bundle) | {"problem": problem}

        self.compare("boot", started, verify=verify, kill=kill)

    @rule(elapsed_s=st.sampled_from([-100, 0, 1, WINDOW_S, WINDOW_S + 1]), kill=KILLS)
    def confirm(self, elapsed_s: int, kill: str | None) -> None:
        self.clock.now_s += elapsed_s
        self.compare("confirm", lambda: _shown(self.store.confirm().bundle), kill=kill)

    @rule(sequence=SEQUENCES)
    def update(self, sequence: int) -> None:
        """All of it at once, which single steps come to too seldom."""
        self.install(sequence, 3, None, None)
        self.activate(None)
        self.boot(False, None)
        self.confirm(1, None)

    @rule(kill=KILLS)
    def rollback(self, kill: str | None) -> None:
        self.compare("rollback", lambda: _shown(self.store.rollback().bundle), kill=kill)

    @rule(keep=st.integers(0, 2), kill=KILLS)
    def prune(self, keep: int, kill: str | None) -> None:
        def pruned() -> None:
            self.store.prune(keep=keep)

        self.compare("prune", pruned, older=keep, kill=kill)

    @rule()
    def restart(self) -> None:
        self.open()
        self.compare("restart", lambda: None)

    @rule()
    def damage_what_runs(self) -> None:
        if self.store.status().current is not None:
            path = Path(self.store.current()) / "index.html"
            path.write_bytes(path.read_bytes()[:-1] + b"!")
        self.compare("damage", lambda: None)

    @rule(kill=KILLS)
    def refresh(self, kill: str | None) -> None:
        url = self.server.url
        self.compare("refresh", lambda: self.store.refresh(url), server=url, kill=kill)

    # What its publisher does, and who stands between

    @rule(what=HEADS, sequence=SEQUENCES, number=st.integers(1, 4))
    def show_a_head(self, what: str, sequence: int, number: int) -> None:
        publisher = self.publisher
        before = publisher.last
        if what in ("replay", "none", "altered"):
            old = self.shown[number % len(self.shown)] if self.shown else None
            if what == "altered" and old is not None:
                old = old.replace(b"A", b"B", number)
            self.server.shown_head = None if what == "none" else old
            return
        head = publisher.head() if before is not None else publisher.head(sequence)
        other = 1 + sequence % 6
        if what == "release":
            head = chain.with_release(head, publisher.named(sequence))
        elif what == "withdraw":
            head = chain.withdrawing(head, [sequence], instead=[publisher.named(other)])
        elif what == "restore":
            head = chain.restoring(head, head.withdrawn)
        elif what.endswith("recall"):
            digest, recall = publisher.recall(sequence)
            if what == "recall":
                self.server.recalls[digest] = recall
            head = chain.with_recall(chain.withdrawing(head, [sequence], instead=[publisher.named(other)]), digest)
        elif what == "candidate" and sequence > max(one.sequence for one in head.current):
            share = 1000 if number % 2 else 0
            head = chain.with_candidate(head, publisher.named(sequence), share=share, salt=bytes([number]) * 16)
        elif what.endswith("log"):
            log = LogReference(number, f"{number}{'f' if what == 'other-log' else '0'}" * 32)
            head = replace(head, log=None if what == "no-log" else log)
        elif what == "fork" and before is not None:
            head = replace(before.head, expires=before.head.expires - timedelta(seconds=number))
        elif what == "other-channel":
            head = replace(head, channel="beta")
        try:
            self.server.shown_head = publisher.sign(head)
        except capseal.FormatError:
            return  # it would name what it withdraws
        self.shown.append(self.server.shown_head)
        if what in ("other-log", "no-log", "fork", "other-channel", "withheld-recall"):
            publisher.last = before  # no device goes on from there

    @rule(days=st.integers(0, 9))
    def let_time_pass(self, days: int) -> None:
        self.publisher.now += days * DAY

    @rule(what=st.sampled_from(["restart", "keys", "keys of heads", "nothing new", "forged"]), sequence=SEQUENCES)
    def update_the_trust_store(self, what: str, sequence: int) -> None:
        publisher = self.publisher
        before = publisher.trust
        changes: dict[str, Any] = {"created": publisher.now}
        if what == "restart":
            changes["restart"] = Restart(sequence, EPOCH + timedelta(days=1))
        elif what == "keys of heads" and before.heads is not None:
            one = self.head_signer
            other = self.others[1] if before.heads.production == KeySet.of(one.public_key) else one
            publisher.head_signer = other
            changes["heads"] = replace(before.heads, production=KeySet.of(other.public_key))
        elif what == "keys":  # the one that signs bundles is taken out, or taken back
            there = before.keys[0].key == self.world.signer.public_key
            changes["keys"] = (TrustedKey(self.others[0].public_key if there else self.world.signer.public_key),)
        by = self.others[0] if what == "forged" else self.root
        try:
            update = publisher.update(by=[by], **changes)
        except capseal.CapsealError:
            publisher.trust = before  # nothing that can be signed
            return
        self.server.updates[before.version + 1] = update
        if what == "forged":
            publisher.trust = before


def _shown(bundle: InstalledBundle | None) -> dict[str, object]:
    return {"digest": bundle.digest, "sequence": bundle.sequence} if bundle else {"digest": None, "sequence": 0}


# Time for a busy machine: where it ends within an example, that looks as if the devices had behaved differently twice.
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("examples", [12, pytest.param(1000, marks=pytest.mark.soak)])
def test_devices_in_python_and_in_javascript_come_to_the_same(
    tmp_path: Path,
    signer: PrivateKey,
    recipient: PrivateKey,
    head_signer: PrivateKey,
    roots: tuple[PrivateKey, ...],
    examples: int,
) -> None:
    process = WebProcess("device.js")
    with quick_folder(tmp_path) as folder:
        world = make_world(folder, signer, recipient)
        Devices.world, Devices.sealed, Devices.process = world, {}, process
        Devices.head_signer, Devices.root, Devices.others = head_signer, roots[0], roots[1:]
        with hostile_server(Publisher(world, head_signer)) as Devices.server:
            try:
                run_state_machine_as_test(
                    Devices,
                    settings=settings(
                        max_examples=examples,
                        stateful_step_count=30,
                        deadline=None,
                        derandomize=examples < 1000,  # the short form is the same every time
                        suppress_health_check=list(HealthCheck),
                        database=None,
                    ),
                )
            finally:
                process.close()
