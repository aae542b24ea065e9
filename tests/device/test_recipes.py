"""A device that downloads recipes: the least that will do, and exactly what was signed, whatever is wrong."""

import errno
import io
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

import capseal
import capseal.client
from capseal import DeviceStore
from capseal.client import Connection, FoundRelease, publish
from capseal.constants import SEGMENT_BYTES
from capseal.device import _sources
from capseal.device._manifest import ContentFile
from capseal.io.source import open_source
from support.device_world import update
from support.local_release import serve_from
from support.serving import live_server
from support.updates import APP, make_update


@pytest.fixture
def course(tmp_path, trust, signer, recipient):
    """A server with an update and its recipes, and a device that runs the version before."""
    made = make_update(tmp_path, signer, recipient)
    builtin = tmp_path / "builtin"
    builtin.mkdir()

    def device(**keywords):
        return DeviceStore(tmp_path / "device", trust=trust, identity=recipient, app=APP, builtin=builtin, **keywords)

    with live_server(str(tmp_path / "store"), trust) as live:
        with Connection(live.url, token=None) as connection:
            publish(made.payload, connection, seal=made.seal)
        store = device()
        store.install(made.old_sealed)
        store.activate()
        store.boot()
        store.confirm()
        yield made, live, device, tmp_path


def content(store):
    """Return every file of what runs after an update was installed."""
    store.activate()
    running = store.boot(verify=True)
    assert running.problem is None
    root = Path(running.path)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def installed_folder(folder):
    [path] = (folder / "device" / "bundles").iterdir()
    return path / "content"


def test_an_update_downloads_the_recipe_from_what_runs(course):
    made, live, device, _ = course
    store = device()
    seen = []
    done = store.install(live.url, progress=seen.append)
    assert content(store) == files(made.new)
    size = made.payload.stat().st_size
    assert done.download.source == made.from_old
    assert done.download.bytes == made.stored(made.from_old).stat().st_size + 32 < size / 100
    assert (done.download.payload_bytes, done.download.saved_bytes) == (size, size - done.download.bytes)
    assert sum(seen) == size
    # It is remembered, and Status says it.
    assert device().status().pending.download == done.download


def test_a_device_that_has_nothing_downloads_the_recipe_from_nothing(course):
    made, live, device, folder = course
    shutil.rmtree(folder / "device")
    store = device()
    done = store.install(live.url)
    assert done.download.source == "recipe-fresh"
    assert done.download.saved_bytes > 0
    assert content(store) == files(made.new)


def test_what_came_by_a_recipe_is_a_base_like_any_other(course, tmp_path):
    made, live, device, _ = course
    store = device()
    store.install(live.url)
    content(store)
    store.confirm()
    (tmp_path / "third").mkdir()
    shutil.copytree(made.new, tmp_path / "third" / "new")
    (tmp_path / "third" / "new" / "index.html").write_bytes(b"<h1>third</h1>")
    settings = {"bases": [made.payload], "versions": (made.old, tmp_path / "third" / "new")}
    third = make_update(tmp_path / "third", made.signer, made.recipient, sequence=3, **settings)
    with Connection(live.url) as connection:
        publish(third.payload, connection, seal=third.seal)
    done = store.install(live.url)
    assert done.download.source == third.from_old and done.download.bytes < 2000
    assert content(store) == files(third.new)


@pytest.mark.parametrize(
    "damage", ["a bit", "swapped", "shorter", "longer", "missing", "a folder", "a pipe", "all zeros"]
)
def test_a_damaged_base_costs_what_it_spoils_and_nothing_else(course, damage):
    made, live, device, folder = course
    path = installed_folder(folder) / "assets.bin"
    data = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage == "a pipe":
        os.mkfifo(path)
    elif damage != "missing":
        middle = len(data) // 2
        path.write_bytes(
            {
                "a bit": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
                "swapped": (made.old / "js" / "main.js").read_bytes(),
                "shorter": data[:-1],
                "longer": data + b"x",
                "all zeros": bytes(len(data)),
            }[damage]
        )
    store = device()
    done = store.install(live.url)
    assert content(store) == files(made.new)
    assert store.status().failed == ()
    size = made.payload.stat().st_size
    if damage in ("a bit", "shorter"):
        # The segment that it is in, by range.
        assert SEGMENT_BYTES <= done.download.bytes < SEGMENT_BYTES + 20_000
        assert done.download.source == made.from_old
    elif damage == "longer":
        assert done.download.bytes < 20_000
    else:
        assert done.download.bytes < size * 1.05


def test_a_manifest_from_before_recipes_makes_a_base_too(course, monkeypatch):
    """It has no CRC-32: files are read for it."""
    made, live, device, folder = course
    shutil.rmtree(folder / "device")
    store = device()
    with monkeypatch.context() as before:
        before.setattr(ContentFile, "to_json", lambda self: [self.size, self.digest])
        store.install(made.old_sealed)
    store.activate()
    store.boot(verify=True)
    store.confirm()
    assert store.install(live.url).download.source == made.from_old
    assert content(store) == files(made.new)


@contextmanager
def altered(monkeypatch, change):
    """Have the server's answers about companions be others. change: of name, stored bytes and index."""
    real = FoundRelease.open_companion

    def open_companion(self, companion):
        stored, index = real(self, companion)
        data = read_all(stored, companion.size)
        data, index = change(companion.name, data, index)
        return open_source(io.BytesIO(data)), index

    monkeypatch.setattr(FoundRelease, "open_companion", open_companion)
    yield
    monkeypatch.undo()


def read_all(source, size):
    buffer = memoryview(bytearray(size))
    return bytes(buffer[: source.read_into(0, buffer)])


def flipped(data):
    return data[:-1] + bytes([data[-1] ^ 1])


DEFECTS = {
    "a bit of each": ("recipe-", lambda data, index: (flipped(data), index), "payload"),
    "a bit of each index": ("recipe-", lambda data, index: (data, flipped(index)), "payload"),
    "each cut": ("recipe-", lambda data, index: (data[:-1], index), "payload"),
    "each empty": ("recipe-", lambda data, index: (b"", b""), "payload"),
    "that from the old": ("old", lambda data, index: (flipped(data), index), "recipe-fresh"),
    "that from nothing": ("recipe-fresh", lambda data, index: (flipped(data), index), "old"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_recipe_with_a_defect_is_passed_over_and_marks_no_bundle_as_failed(course, monkeypatch, defect):
    made, live, device, _ = course
    of, change, source = DEFECTS[defect]
    of, source = (made.from_old if word == "old" else word for word in (of, source))
    store = device()

    def changed(name, data, index):
        return change(data, index) if name.startswith(of) else (data, index)

    with altered(monkeypatch, changed):
        done = store.install(live.url)
    assert done.download.source == source
    assert (done.download.problem is None) is (source == made.from_old)
    assert store.status().failed == ()
    assert content(store) == files(made.new)


def test_a_server_without_the_recipe_serves_the_payload(course, monkeypatch):
    made, live, device, _ = course

    def absent(self, companion):
        raise capseal.TransferError("status 503")

    monkeypatch.setattr(FoundRelease, "open_companion", absent)
    store = device()
    done = store.install(live.url)
    assert (done.download.source, done.download.saved_bytes) == ("payload", 0)
    assert "status 503" in done.download.problem
    assert content(store) == files(made.new)


@pytest.mark.parametrize("memory_bytes", [0, 64 << 20])
def test_a_device_that_gives_no_memory_for_recipes_downloads_the_payload(course, memory_bytes):
    made, live, device, _ = course
    store = device(recipe_memory_bytes=memory_bytes)
    done = store.install(live.url)
    assert done.download.source == "payload"
    assert done.download.bytes >= made.payload.stat().st_size
    assert content(store) == files(made.new)


def test_a_payload_that_is_altered_on_the_server_is_refused_where_a_range_of_it_is_needed(course):
    _, live, device, folder = course
    path = installed_folder(folder) / "assets.bin"
    data = path.read_bytes()
    path.write_bytes(data[:700_000] + bytes([data[700_000] ^ 1]) + data[700_001:])
    parts = [part for part in (folder / "store").rglob("*") if part.is_file() and part.stat().st_size > 1_000_000]
    for part in parts:
        part.write_bytes(bytes(part.stat().st_size))
    store = device()
    with pytest.raises((capseal.RejectedError, capseal.TransferError)):
        store.install(live.url)
    assert store.status().failed == () and store.status().staged is None


@pytest.mark.parametrize("way", ["recipe", "payload"])
def test_a_disk_that_is_full_is_told_with_its_folder_and_is_no_defect_of_a_recipe(course, monkeypatch, way):
    _, live, device, _ = course

    class Full(io.FileIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_sources.tempfile, "TemporaryFile", lambda **told: Full(os.path.join(told["dir"], "x"), "x+"))
    store = device() if way == "recipe" else device(recipe_memory_bytes=0)
    with pytest.raises(OSError, match="No space left") as full:
        store.install(live.url)
    assert os.path.basename(full.value.filename) == "staging"  # not the server that it comes from
    assert store.status().staged is None


def test_the_update_that_is_killed_everywhere_comes_by_a_recipe(saved_world, tmp_path, monkeypatch):
    monkeypatch.setattr(capseal.client, "follow_latest", capseal.client.follow_latest)
    store = saved_world.store(tmp_path / "device")
    update(store, saved_world, [1])
    serve_from(saved_world, 4)
    assert store.install("https://device.example").download.source.startswith("recipe-")
    assert store.status().staged.download.source != "recipe-fresh"
