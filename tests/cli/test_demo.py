"""capseal demo shows the main job with nothing prepared, and leaves nothing behind."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from capseal.cli.commands import demo
from capseal.cli.demo import bundle as steps
from capseal.cli.demo import memory
from capseal.cli.demo.memory import CHUNK_BYTES, Touched, touch
from capseal.cli.demo.scene import DemoFailedError
from capseal.native import hashing
from support.command import names, run

STEPS = ["make keys", "seal", "verify", "flip one bit", "unseal", "compare"]


def check(out: str) -> Path:
    """Assert what the demo told, and return the folder that it worked in."""
    lines = out.splitlines()
    places = [next(i for i, line in enumerate(lines) if line.startswith(step)) for step in STEPS]
    assert places == sorted(places)
    assert "REJECTED" in out
    assert "identical to the original" in out
    assert "v4 withheld by a server: NOTICED, v3 runs" in out
    assert "head 1 expired at" in out
    return Path(re.search("^in (.*?), which is removed at the end", out, re.MULTILINE)[1])


def test_a_file_is_sealed_and_the_altered_segment_is_named(tmp_path):
    (tmp_path / "bundle").write_bytes(os.urandom(3 * 524288))
    done = run("demo", "bundle", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert not check(done.out.decode()).exists()
    assert "segment 2 at byte 1048576: digest" in done.out.decode()
    assert len(re.findall(r"[\d,]+ MB/s", done.out.decode())) == 4
    assert names(tmp_path) == ["bundle"]


def test_a_folder_will_do_and_so_will_an_empty_file(tmp_path):
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("hello")
    (tmp_path / "empty").touch()
    for path in ("www", "empty"):
        done = run("demo", path, cwd=tmp_path)
        assert (done.code, done.err) == (0, "")
        assert not check(done.out.decode()).exists()


def test_with_nothing_prepared_it_makes_its_own_bundle(tmp_path):
    done = run("demo", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert not check(done.out.decode()).exists()
    made = int(re.search("make a bundle .* ([0-9,]+) bytes", done.out.decode())[1].replace(",", ""))
    assert 0 < made <= steps.BUNDLE_BYTES and made % CHUNK_BYTES == 0
    assert names(tmp_path) == []


def test_it_opens_with_what_it_will_show_and_ends_with_what_to_do_next(tmp_path):
    (tmp_path / "bundle").write_bytes(b"1")
    out = run("demo", "bundle", cwd=tmp_path).out.decode()
    said, _, table = out.partition("\nstep ")
    for what in ("sealed", "signed", "verified", "refused", "opened", "crashes", "old version", "v4 is kept from it"):
        assert what in said
    assert re.search(r"\nin .*; hashed by ", said)
    assert re.search(r"\ndone in [0-9.]+ s; next: capseal init", table), "one byte cannot tell of cold memory"


def test_without_the_compiled_module_it_says_why_hashing_is_slow(monkeypatch):
    assert demo._hashing().startswith("hashed by the kernel ") or hashing.kernels() == ("hashlib",)
    monkeypatch.setattr(hashing, "KERNELS", ("hashlib",))
    assert demo._hashing().startswith("hashed by hashlib, several times slower: built without a C compiler")


def _touched(first_s):
    """Memory whose first touch took so long, and whose second took a second."""
    return lambda _, size, **__: Touched(min(size, 3 * CHUNK_BYTES), first_s, 1.0)


@pytest.mark.parametrize(("first_s", "is_told"), [(3.9, False), (4.1, True)])
def test_cold_memory_is_told_once_as_the_reason_why_writing_is_slow(first_s, is_told, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "touch", _touched(first_s))
    out = run("demo", cwd=tmp_path).out.decode()
    check(out)
    assert len(re.findall("cold memory: the first write to 12,582,912 bytes of it went at 3 MB/s", out)) == is_told
    assert len(re.findall("the second at 13 MB/s, since .* pages when they are first touched", out)) == is_told
    assert ("12.3 s of it waiting for cold memory" in out) == is_told


def test_what_is_too_small_to_tell_is_not_called_cold():
    assert not Touched(CHUNK_BYTES - 1, 9.0, 1.0).is_cold


def test_touching_stops_in_time_at_a_whole_chunk_and_leaves_nothing(tmp_path):
    assert touch(str(tmp_path), 3 * CHUNK_BYTES, within_s=0.0).size == CHUNK_BYTES
    assert touch(str(tmp_path), 2 * CHUNK_BYTES + 1).size == 2 * CHUNK_BYTES + 1
    assert touch(str(tmp_path), 0).size == 0
    assert names(tmp_path) == []


def test_a_path_that_is_not_there_is_told(tmp_path):
    run("demo", "nix", cwd=tmp_path).failed_with(3, "nix: no such file or directory")


def test_it_says_so_where_there_is_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr(demo.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    run("demo", cwd=tmp_path).failed_with(3, "no room for 469,762,048 bytes")


def test_a_demo_whose_tampering_goes_unnoticed_fails(tmp_path, monkeypatch):
    (tmp_path / "bundle").write_bytes(bytes(1000))
    monkeypatch.setattr(steps, "_flip_bit", lambda *_: None)
    with pytest.raises(DemoFailedError, match="segment 0 was altered, and the bundle was accepted"):
        demo.demo(str(tmp_path / "bundle"))
