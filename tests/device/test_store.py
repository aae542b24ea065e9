"""What a device store promises, operation by operation."""

import contextlib
import hashlib
import io
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import capseal
from capseal import (
    CapsealError,
    FormatError,
    NotForUsError,
    PrivateKey,
    RejectedError,
    Role,
    RollbackError,
    SignatureError,
    TamperedError,
    TransferError,
    TruncatedError,
    TrustStore,
    UsageError,
)
from capseal.bundle.opened import OpenedBundle
from capseal.device import DeviceStore
from capseal.device._unpack import unpack
from support.device_world import (
    APP,
    EPOCH,
    Clock,
    World,
    check_clean,
    files_of,
    read_tree,
    sequence_of,
    state_of,
    update,
    write_tree,
)
from support.tools import require_tool


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(world: World, root: Path) -> DeviceStore:
    return world.store(root)


def content_of(root: Path, sequence: int) -> Path:
    """Return the folder of an installed bundle's content."""
    (folder,) = (root / "bundles").glob(f"{sequence}-*")
    return folder / "content"


# The life of a bundle


def test_without_any_update_the_built_in_bundle_runs_and_nothing_is_made(store: DeviceStore, root: Path) -> None:
    assert sequence_of(store.boot(verify=True)) == 0
    assert store.current() == store.confirm().path
    assert store.prune() == []
    assert not root.exists()


def test_a_bundle_runs_from_its_activation_on_and_stays_once_confirmed(store: DeviceStore, world: World) -> None:
    store.install(world.sealed(1))
    assert sequence_of(store.boot()) == 0
    store.activate()
    assert read_tree(store.current()) == files_of(0)
    assert sequence_of(store.boot()) == 1
    assert read_tree(store.current()) == files_of(1)
    assert sequence_of(store.confirm()) == 1
    for _ in range(3):
        assert sequence_of(store.boot(verify=True)) == 1
    assert store.status().floor == 1


def test_a_bundle_that_is_not_confirmed_fails_and_is_never_tried_again(store: DeviceStore, world: World) -> None:
    update(store, world, [1])
    store.install(world.sealed(2))
    store.activate()
    assert sequence_of(store.boot()) == 2
    running = store.boot()
    assert sequence_of(running) == 1
    assert "not confirmed in 1 of 1 allowed starts" in str(running.problem)
    for bundle in (world.sealed(2), io.BytesIO(world.sealed(2).read_bytes())):
        with pytest.raises(RejectedError, match="failed on this device before"):
            store.install(bundle)
    assert sequence_of(store.boot()) == 1
    assert store.status().floor == 1


def test_without_any_confirmed_bundle_the_built_in_one_runs_again(store: DeviceStore, world: World) -> None:
    store.install(world.sealed(1))
    store.activate()
    assert [sequence_of(store.boot()) for _ in range(3)] == [1, 0, 0]


def test_the_number_of_starts_is_configurable(world: World, root: Path) -> None:
    store = world.store(root, boots=3)
    store.install(world.sealed(1))
    store.activate()
    assert [sequence_of(store.boot()) for _ in range(5)] == [1, 1, 1, 0, 0]


@pytest.mark.parametrize(("elapsed_s", "confirmed"), [(0, True), (10, True), (10.1, False), (1e9, False), (-500, True)])
def test_a_confirmation_counts_for_ten_seconds(world: World, root: Path, elapsed_s: float, confirmed: bool) -> None:
    clock = Clock()
    store = world.store(root, clock=clock, confirm_within_s=10.0)
    update(store, world, [1])
    store.install(world.sealed(2))
    store.activate()
    store.boot()
    clock.now_s += elapsed_s
    if confirmed:
        assert sequence_of(store.confirm()) == 2
    else:
        with pytest.raises(RejectedError, match=r"confirmed \d+\.\d s after its start, 10 s are allowed"):
            store.confirm()
        assert sequence_of(store.boot()) == 1
        assert [failure.sequence for failure in store.status().failed] == [2]


def test_a_clock_that_is_set_back_gives_no_second_start(world: World, root: Path) -> None:
    clock = Clock()
    store = world.store(root, clock=clock)
    store.install(world.sealed(1))
    store.activate()
    store.boot()
    clock.now_s = -5.0
    assert sequence_of(store.boot()) == 0


def test_the_old_bundle_does_not_confirm_the_new_one(store: DeviceStore, world: World) -> None:
    update(store, world, [1])
    store.install(world.sealed(2))
    store.activate()
    assert sequence_of(store.confirm()) == 1
    assert store.status().floor == 1
    assert sequence_of(store.boot()) == 2


def test_a_rollback_runs_the_bundle_before_and_the_floor_stays(store: DeviceStore, world: World) -> None:
    update(store, world, [1, 2])
    assert sequence_of(store.rollback()) == 1
    assert sequence_of(store.boot(verify=True)) == 1
    assert store.status().floor == 2
    assert sequence_of(store.rollback()) == 0
    with pytest.raises(UsageError, match="built-in"):
        store.rollback()
    update(store, world, [3])


def test_a_rollback_fails_the_pending_bundle(store: DeviceStore, world: World) -> None:
    update(store, world, [1])
    store.install(world.sealed(2))
    store.activate()
    store.boot()
    assert sequence_of(store.rollback()) == 1
    with pytest.raises(RejectedError, match="rolled back"):
        store.install(world.sealed(2))


def test_the_last_install_is_the_one_that_is_activated(store: DeviceStore, world: World, root: Path) -> None:
    store.install(world.sealed(1))
    store.install(world.sealed(2))
    assert store.activate().sequence == 2
    assert sequence_of(store.boot()) == 2
    store.confirm()
    store.prune()
    check_clean(root)


def test_installing_again_what_is_staged_or_pending_changes_nothing(
    store: DeviceStore, world: World, root: Path
) -> None:
    first = store.install(world.sealed(1))
    before = (root / "state.json").read_bytes()
    assert store.install(world.sealed(1)) == first
    assert (root / "state.json").read_bytes() == before
    store.activate()
    assert store.install(io.BytesIO(world.sealed(1).read_bytes())) == first
    assert store.status().staged is None


def test_prune_keeps_what_is_needed(store: DeviceStore, world: World, root: Path) -> None:
    update(store, world, [1, 2, 3])
    store.install(world.sealed(4))
    store.activate()
    store.install(world.sealed(5))
    assert [name.split("-")[0] for name in store.prune()] == ["1"]
    assert [name.split("-")[0] for name in store.prune(keep=0)] == ["2"]
    check_clean(root)
    assert sequence_of(store.boot(verify=True)) == 4


def test_nothing_can_be_activated_that_is_not_staged(store: DeviceStore, world: World) -> None:
    with pytest.raises(UsageError, match="no bundle is staged"):
        store.activate()
    update(store, world, [1])
    with pytest.raises(UsageError, match="no bundle is staged"):
        store.activate()


# What is refused


def bad_bundles(world: World) -> dict[str, tuple[bytes, type[CapsealError]]]:
    good = world.sealed(2).read_bytes()
    stranger = PrivateKey.generate(3072)
    flipped = bytearray(good)
    flipped[-1] ^= 1
    return {
        "tampered payload": (bytes(flipped), TamperedError),
        "tampered seal": (good[:300] + bytes([good[300] ^ 1]) + good[301:], CapsealError),
        "truncated": (good[:-1], TruncatedError),
        "truncated seal": (good[:1000], TruncatedError),
        "empty": (b"", TruncatedError),
        "longer": (good + b"x", TruncatedError),
        "no bundle": (b"<html>404</html>" * 500, FormatError),
        "by a stranger": (world.seal(2, signer=stranger), SignatureError),
        "for another app": (world.seal(2, app="com.example.other"), NotForUsError),
        "for another channel": (world.seal(2, channel="beta"), NotForUsError),
        "for another device": (world.seal(2, recipients=[stranger.public_key]), NotForUsError),
        "the same sequence": (world.seal(1, version="other"), RollbackError),
        "replayed": (world.sealed(1).read_bytes(), RollbackError),
    }


def test_a_bad_bundle_is_refused_and_the_device_runs_what_it_ran(world: World, root: Path, tmp_path: Path) -> None:
    store = world.store(root)
    update(store, world, [1])
    before = (root / "state.json").read_bytes()
    for name, (bundle, error) in bad_bundles(world).items():
        path = tmp_path / "bundle"
        path.write_bytes(bundle)
        for source in (path, io.BytesIO(bundle)):
            with pytest.raises(error):
                store.install(source)
            assert (root / "state.json").read_bytes() == before, name
            check_clean(root)
            assert sequence_of(store.boot(verify=True)) == 1
    update(store, world, [2])  # a corrupted copy does not keep the good one out


def test_a_detached_bundle_is_installed_from_any_source(world: World, root: Path, tmp_path: Path) -> None:
    for sequence in (1, 2, 3, 4):
        attached = world.sealed(sequence).read_bytes()
        payload_bytes = capseal.inspect(io.BytesIO(attached))[1].payload.size
        seal, payload = tmp_path / "seal", tmp_path / "payload"
        seal.write_bytes(attached[:-payload_bytes])
        payload.write_bytes(attached[-payload_bytes:])
        store = world.store(root)
        with open(payload, "rb") as file:
            source = (payload, io.BytesIO(payload.read_bytes()), file, payload)[sequence - 1]
            detached = (seal, seal.read_bytes(), io.BytesIO(seal.read_bytes()), seal)[sequence - 1]
            store.install(source, seal=detached)
        store.activate()
        assert sequence_of(store.boot(verify=True)) == sequence
        store.confirm()


class Download(io.RawIOBase):
    """A stream that gives a few bytes at a time and breaks off with an error."""

    def __init__(self, data: bytes, error: Exception | None = None) -> None:
        self._data = io.BytesIO(data)
        self._error = error
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        count = self._data.readinto(memoryview(buffer)[:70_000])
        if not count and self._error:
            raise self._error
        self.given += count
        return count


def test_a_download_that_breaks_off_leaves_nothing(store: DeviceStore, world: World, root: Path) -> None:
    update(store, world, [1])
    good = world.sealed(2).read_bytes()
    for cut in (0, 100, len(good) - 1):
        with pytest.raises(TransferError):
            store.install(Download(good[:cut], TransferError("connection lost")))
        check_clean(root)
    assert sequence_of(store.boot()) == 1
    store.install(Download(good))
    store.activate()
    assert sequence_of(store.boot()) == 2


def test_a_bad_download_is_dropped_at_its_first_bad_segment(store: DeviceStore, world: World) -> None:
    bundle = bytearray(world.seal(1, source=io.BytesIO(os.urandom(8_000_000)), name="model.bin"))
    bundle[600_000] ^= 1
    download = Download(bytes(bundle))
    with pytest.raises(TamperedError):
        store.install(download)
    assert download.given < 3_000_000


def test_nothing_is_unpacked_before_the_last_byte_is_checked(
    store: DeviceStore, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capseal.device._unpack.unpack", lambda *_, **__: pytest.fail("began to unpack"))
    bundle = bytearray(world.seal(1, source=io.BytesIO(os.urandom(3_000_000)), name="model.bin"))
    bundle[-1] ^= 1
    path = tmp_path / "bundle"
    path.write_bytes(bundle)
    for source in (path, io.BytesIO(bundle)):
        with pytest.raises(TamperedError):
            store.install(source)


def test_progress_counts_the_payload(store: DeviceStore, world: World) -> None:
    bundle = world.seal(1, source=io.BytesIO(os.urandom(3_000_000)), name="model.bin")
    size = capseal.inspect(io.BytesIO(bundle))[1].payload.size
    seen: list[int] = []
    store.install(io.BytesIO(bundle), progress=seen.append)
    assert size - 1_100_000 < sum(seen) <= size


def test_a_store_takes_its_own_role_only(
    world: World, root: Path, development_signer: PrivateKey, development_trust: TrustStore
) -> None:
    bundle = world.seal(1, signer=development_signer, role=Role.DEVELOPMENT)
    with pytest.raises(NotForUsError):
        world.store(root, trust=development_trust).install(io.BytesIO(bundle))
    development = world.store(root, trust=development_trust, role=Role.DEVELOPMENT)
    assert development.install(io.BytesIO(bundle)).sequence == 1


# The floor, and the one way down


def test_only_a_signed_permit_leads_below_the_floor(store: DeviceStore, world: World) -> None:
    update(store, world, [4])
    with pytest.raises(RollbackError):
        store.install(io.BytesIO(world.seal(3, created=EPOCH + timedelta(days=1))))
    store.install(io.BytesIO(world.seal(3, allow_downgrade_to=2, created=EPOCH + timedelta(days=1))))
    store.activate()
    assert store.status().floor == 4
    assert sequence_of(store.boot(verify=True)) == 3
    assert store.status().floor == 4
    store.confirm()
    assert store.status().floor == 3


def test_a_downgrade_that_is_not_confirmed_lowers_nothing(store: DeviceStore, world: World) -> None:
    update(store, world, [4])
    store.install(io.BytesIO(world.seal(3, allow_downgrade_to=2, created=EPOCH + timedelta(days=1))))
    store.activate()
    assert [sequence_of(store.boot()) for _ in range(2)] == [3, 4]
    assert store.status().floor == 4


def test_an_old_permit_cannot_be_replayed(store: DeviceStore, world: World) -> None:
    permit = world.seal(3, allow_downgrade_to=2, created=EPOCH + timedelta(seconds=4))
    update(store, world, [5])  # created later than the permit
    with pytest.raises(RollbackError, match="not younger"):
        store.install(io.BytesIO(permit))


def test_a_used_permit_cannot_be_replayed(store: DeviceStore, world: World) -> None:
    update(store, world, [4])
    permit = world.seal(3, allow_downgrade_to=2, created=EPOCH + timedelta(seconds=5))
    store.install(io.BytesIO(permit))
    store.activate()
    store.boot()
    store.confirm()
    update(store, world, [6])
    with pytest.raises(RollbackError, match="not younger"):
        store.install(io.BytesIO(permit))


def test_a_permit_mends_the_release_of_the_highest_sequence(store: DeviceStore, world: World) -> None:
    for bundle in (
        world.seal(2**53 - 1, created=EPOCH),
        world.seal(3, allow_downgrade_to=2, created=EPOCH + timedelta(days=1)),
        world.seal(4, created=EPOCH + timedelta(days=2)),
    ):
        staged = store.install(io.BytesIO(bundle))
        store.activate()
        store.boot()
        store.confirm()
        assert store.status().floor == staged.sequence


def test_a_permit_of_the_same_second_is_not_younger(store: DeviceStore, world: World) -> None:
    update(store, world, [5])
    for later_s, refused in ((0, True), (1, False)):
        permit = world.seal(3, allow_downgrade_to=2, created=EPOCH + timedelta(seconds=5 + later_s))
        with pytest.raises(RollbackError) if refused else contextlib.nullcontext():
            store.install(io.BytesIO(permit))


def test_what_a_downgrade_withdrew_cannot_be_replayed_or_rolled_back_to(store: DeviceStore, world: World) -> None:
    update(store, world, [1, 4])
    store.install(io.BytesIO(world.seal(3, allow_downgrade_to=2, created=EPOCH + timedelta(days=1))))
    store.activate()
    store.boot()
    store.confirm()
    with pytest.raises(RollbackError, match="not younger"):
        store.install(world.sealed(4))
    assert sequence_of(store.rollback()) == 1
    # A new release in the range that the permit opened is younger, and welcome.
    store.install(io.BytesIO(world.seal(4, version="fixed", created=EPOCH + timedelta(days=2))))


def test_a_staged_bundle_that_was_overtaken_is_not_activated(store: DeviceStore, world: World) -> None:
    store.install(world.sealed(2))
    store.activate()
    store.boot()
    store.install(world.sealed(1))
    store.confirm()
    with pytest.raises(RollbackError):
        store.activate()
    assert sequence_of(store.boot()) == 2


def test_the_youngest_statement_stays_the_youngest_whatever_is_confirmed_after_it(
    store: DeviceStore, world: World
) -> None:
    update(store, world, [5])
    for bundle in (
        world.seal(3, allow_downgrade_to=2, created=EPOCH + timedelta(days=1)),
        world.seal(6, created=EPOCH + timedelta(seconds=6)),  # by a clock that was set back
    ):
        store.install(io.BytesIO(bundle))
        store.activate()
        store.boot()
        store.confirm()
    with pytest.raises(RollbackError, match="not younger"):
        store.install(io.BytesIO(world.seal(4, allow_downgrade_to=2, created=EPOCH + timedelta(hours=1))))


def test_a_floor_that_rises_while_a_bundle_is_unpacked_counts(
    store: DeviceStore, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.install(world.sealed(3))
    store.activate()
    store.boot()

    def unpack_and_confirm(*arguments: Any, **keywords: Any) -> Any:
        store.confirm()  # as another thread would, or another process
        return unpack(*arguments, **keywords)

    monkeypatch.setattr("capseal.device._unpack.unpack", unpack_and_confirm)
    with pytest.raises(RollbackError, match="sequence 2 is not above 3"):
        store.install(world.sealed(2))
    assert store.status().staged is None


def test_a_staged_bundle_of_a_sequence_that_was_confirmed_meanwhile_is_not_activated(
    store: DeviceStore, world: World
) -> None:
    store.install(world.sealed(2))
    store.activate()
    store.boot()
    store.install(io.BytesIO(world.seal(2, version="another", created=EPOCH + timedelta(days=1))))
    store.confirm()
    with pytest.raises(RollbackError, match="sequence 2 is not above 2"):
        store.activate()


def test_nothing_older_than_the_built_in_bundle_is_installed_or_run(world: World, root: Path) -> None:
    update(world.store(root), world, [1, 3])
    shipped = world.store(root, builtin_sequence=4)
    assert sequence_of(shipped.boot()) == 0
    assert shipped.status().floor == 4
    for bundle in (
        world.sealed(2).read_bytes(),
        world.seal(4, created=EPOCH + timedelta(days=1)),
        world.seal(3, allow_downgrade_to=2, created=EPOCH + timedelta(days=1)),
    ):
        with pytest.raises(RollbackError):
            shipped.install(io.BytesIO(bundle))
    update(shipped, world, [5])


def test_a_bundle_is_deleted_only_after_the_state_has_forgotten_it(world: World, root: Path) -> None:
    update(world.store(root), world, [1, 3])
    shipped = world.store(root, builtin_sequence=2)
    shipped.install(world.sealed(4))
    assert content_of(root, 1).exists()
    shipped.prune()
    assert not list((root / "bundles").glob("1-*"))
    assert [bundle["sequence"] for bundle in state_of(root)["confirmed"]] == [3]


# What is installed is changed


def _change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _forge(content: Path) -> None:
    """Change a file, and the manifest so that it fits."""
    old = (content / "index.html").read_bytes()
    new = old.replace(b"version", b"VERSION")
    (content / "index.html").write_bytes(new)
    manifest = content.parent / "manifest.json"
    old_digest, new_digest = (hashlib.sha256(data).hexdigest().encode() for data in (old, new))
    forged = manifest.read_bytes().replace(old_digest, new_digest)
    assert new_digest in forged
    manifest.write_bytes(forged)


DAMAGES = {
    "changed": lambda content: _change(content / "index.html"),
    "longer": lambda content: (content / "index.html").write_bytes(b"x" * 100),
    "missing": lambda content: (content / "index.html").unlink(),
    "missing folder": lambda content: shutil.rmtree(content / "js"),
    "added": lambda content: (content / "js" / "evil.js").write_bytes(b""),
    "added folder": lambda content: (content / "evil").mkdir(),
    "a link": lambda content: (
        (content / "js" / "app.js").rename(content.parent / "app.js"),
        (content / "js" / "app.js").symlink_to(content.parent / "app.js"),
    ),
    "a link to a folder": lambda content: (
        (content / "js").rename(content.parent / "js"),
        (content / "js").symlink_to(content.parent / "js"),
    ),
    "a pipe": lambda content: ((content / "index.html").unlink(), os.mkfifo(content / "index.html")),
    "a folder for a file": lambda content: ((content / "index.html").unlink(), (content / "index.html").mkdir()),
    "everything": lambda content: shutil.rmtree(content.parent),
    "all content": lambda content: shutil.rmtree(content),
    "manifest changed": lambda content: _change(content.parent / "manifest.json"),
    "manifest and content changed alike": lambda content: _forge(content),
    "manifest missing": lambda content: (content.parent / "manifest.json").unlink(),
    "seal missing": lambda content: (content.parent / "seal").unlink(),
    "seal changed": lambda content: _change(content.parent / "seal"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_was_changed_on_disk_fails_and_the_bundle_before_runs(
    store: DeviceStore, world: World, root: Path, damage: str
) -> None:
    update(store, world, [1, 2])
    DAMAGES[damage](content_of(root, 2))
    told: list[int] = []
    assert [checked.problem is None for checked in store.verify(progress=told.append)] == [False, True]
    assert sum(told) > 0
    running = store.boot(verify=True)
    assert sequence_of(running) == 1
    assert isinstance(running.problem, RejectedError)
    assert [failure.sequence for failure in store.status().failed] == [2]
    assert store.status().floor == 2
    update(store, world, [3])


def test_a_folder_that_became_a_link_is_noticed(store: DeviceStore, world: World, root: Path, tmp_path: Path) -> None:
    source = write_tree(tmp_path / "source", {"index.html": b"<p>"})
    (source / "empty").mkdir()
    store.install(io.BytesIO(world.seal(1, source=source)))
    assert [checked.problem for checked in store.verify()] == [None]
    folder = content_of(root, 1) / "empty"
    folder.rmdir()
    folder.symlink_to(tmp_path)  # whoever follows it finds what was never signed
    (checked,) = store.verify()
    assert isinstance(checked.problem, TamperedError)


def test_the_seal_of_another_bundle_is_not_this_ones(store: DeviceStore, world: World, root: Path) -> None:
    update(store, world, [1, 2])
    shutil.copy(content_of(root, 1).parent / "seal", content_of(root, 2).parent / "seal")
    second, first = store.verify()
    assert isinstance(second.problem, TamperedError)
    assert first.problem is None


def test_a_pending_bundle_that_was_changed_is_never_started(store: DeviceStore, world: World, root: Path) -> None:
    update(store, world, [1])
    store.install(world.sealed(2))
    store.activate()
    _change(content_of(root, 2) / "index.html")
    assert sequence_of(store.boot(verify=True)) == 1
    assert store.status().pending is None


def test_a_missing_bundle_is_noticed_without_verification(store: DeviceStore, world: World, root: Path) -> None:
    update(store, world, [1, 2])
    shutil.rmtree(content_of(root, 2).parent)
    assert sequence_of(store.boot()) == 1


def test_a_bundle_whose_signer_is_not_trusted_any_more_does_not_run(world: World, root: Path) -> None:
    update(world.store(root), world, [1])
    other = world.store(root, trust=TrustStore.of(PrivateKey.generate(3072).public_key))
    (checked,) = other.verify()
    assert isinstance(checked.problem, SignatureError)
    assert sequence_of(other.boot(verify=True)) == 0


# The disk and other processes


def test_a_damaged_state_runs_the_built_in_bundle_and_is_not_overwritten(
    store: DeviceStore, world: World, root: Path
) -> None:
    update(store, world, [1])
    good = (root / "state.json").read_bytes()
    for bad in (b"", good[:-1], b"{}", good.replace(b'"floor":1', b'"floor":-1'), b"\xff" * 100):
        (root / "state.json").write_bytes(bad)
        running = store.boot()
        assert sequence_of(running) == 0
        assert isinstance(running.problem, FormatError)
        for operation in (store.activate, store.confirm, store.rollback, store.prune, store.status):
            with pytest.raises(FormatError, match=r"state\.json: state.*built-in bundle runs; to begin anew"):
                operation()
        with pytest.raises(FormatError):
            store.install(world.sealed(2))
        assert (root / "state.json").read_bytes() == bad
    (root / "state.json").write_bytes(good)
    assert sequence_of(store.boot()) == 1


def test_a_store_of_another_app_or_channel_is_not_touched(world: World, root: Path) -> None:
    update(world.store(root), world, [1])
    for other in (world.store(root, app="com.example.other"), world.store(root, channel="beta")):
        with pytest.raises(UsageError, match=f"holds bundles of app '{APP}', channel 'production'"):
            other.status()
        assert other.boot().bundle is None


@pytest.fixture
def frozen_root(tmp_path: Path) -> Iterator[Path]:
    """A store's folder on a file system of its own, which freeze() makes read-only."""
    if os.geteuid():
        pytest.skip("a read-only file system needs root")
    folder = tmp_path / "mounted"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder / "store"
    subprocess.run(["umount", folder], check=True)


def freeze(root: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", root.parent], check=True)


def test_on_a_read_only_disk_the_confirmed_bundle_runs(world: World, frozen_root: Path) -> None:
    store = world.store(frozen_root)
    update(store, world, [1])
    store.install(world.sealed(2))
    store.activate()
    freeze(frozen_root)
    running = store.boot(verify=True)
    assert sequence_of(running) == 1  # the start of the pending one could not be counted
    assert isinstance(running.problem, OSError)
    for operation in (store.rollback, lambda: store.install(world.sealed(3))):
        with pytest.raises(OSError, match="Read-only file system"):
            operation()


@contextlib.contextmanager
def holding(root: Path, name: str) -> Iterator[None]:
    """Hold a lock of a store in another process."""
    with subprocess.Popen(
        [require_tool("flock"), str(root / name), "sh", "-c", "echo locked; read line"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"locked\n"
        yield
        process.stdin.close()


def test_while_another_process_installs_the_device_starts_and_a_second_install_is_told(
    world: World, root: Path
) -> None:
    store = world.store(root, lock_timeout_s=0.1)
    update(store, world, [1])
    store.install(world.sealed(2))
    with holding(root, "install.lock"):
        with pytest.raises(UsageError, match=r"another process is installing a bundle, waited 0\.1 s"):
            store.install(world.sealed(3))
        store.activate()
        assert sequence_of(store.boot()) == 2
        store.confirm()
    store.install(world.sealed(3))


def test_while_another_process_keeps_the_state_the_confirmed_bundle_runs(world: World, root: Path) -> None:
    store = world.store(root, lock_timeout_s=0.1)
    update(store, world, [1])
    store.install(world.sealed(2))
    store.activate()
    with holding(root, "state.lock"):
        running = store.boot()
        assert sequence_of(running) == 1
        assert isinstance(running.problem, UsageError)
        with pytest.raises(UsageError, match="another process is changing the state"):
            store.confirm()
    assert sequence_of(store.boot()) == 2


def test_two_updates_at_once_come_one_after_the_other(world: World, root: Path) -> None:
    stores = [world.store(root, lock_timeout_s=30.0) for _ in range(4)]
    update(stores[0], world, [1])
    errors: list[BaseException] = []

    def install(store: DeviceStore, sequence: int) -> None:
        try:
            store.install(world.sealed(sequence))
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    for sequence in (2, 3, 4, 5):
        world.sealed(sequence)
    threads = [threading.Thread(target=install, args=(stores[i], i + 2)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    stores[0].activate()
    assert sequence_of(stores[0].boot(verify=True)) in (2, 3, 4, 5)
    stores[0].confirm()
    stores[0].prune(keep=0)
    check_clean(root)


def test_what_an_interrupted_install_left_is_swept_by_the_next(store: DeviceStore, world: World, root: Path) -> None:
    update(store, world, [1])
    write_tree(root / "staging" / "0123456789abcdef", files_of(9))
    write_tree(root / "bundles" / "9-0123456789abcdef", files_of(9))
    (root / ".state.json.0123456789abcdef.part").write_bytes(b"half")
    store.install(world.sealed(2))
    check_clean(root)


def test_a_file_that_changes_between_check_and_use_is_refused(
    world: World, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bundle"
    shutil.copy(world.sealed(1), path)
    check = OpenedBundle.check_payload

    def check_then_swap(opened: OpenedBundle, **keywords: Any) -> None:
        check(opened, **keywords)
        with open(path, "r+b") as file:
            file.write(world.sealed(2).read_bytes())

    monkeypatch.setattr(OpenedBundle, "check_payload", check_then_swap)
    with pytest.raises(capseal.SourceChangedError):
        world.store(root).install(path)


@pytest.mark.parametrize("settings", [{"boots": 0}, {"confirm_within_s": 0}, {"confirm_within_s": float("nan")}])
def test_a_trial_without_a_start_or_time_is_refused(world: World, root: Path, settings: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        world.store(root, **settings)
