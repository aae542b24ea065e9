"""capseal demo shows the main job with nothing prepared, and leaves nothing behind."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from capseal.cli.commands import demo
from capseal.cli.demo import bundle as steps
from capseal.cli.demo.scene import DemoFailedError
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
    return Path(lines[0].split()[1].rstrip(","))


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
    assert "268,435,456 bytes" in done.out.decode()
    assert names(tmp_path) == []


def test_a_path_that_is_not_there_is_told(tmp_path):
    run("demo", "nix", cwd=tmp_path).failed_with(3, "nix: no such file or directory")


def test_it_says_so_where_there_is_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr(demo.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    run("demo", cwd=tmp_path).failed_with(3, "no room for 872,415,232 bytes")


def test_a_demo_whose_tampering_goes_unnoticed_fails(tmp_path, monkeypatch):
    (tmp_path / "bundle").write_bytes(bytes(1000))
    monkeypatch.setattr(steps, "_flip_bit", lambda *_: None)
    with pytest.raises(DemoFailedError, match="segment 0 was altered, and the bundle was accepted"):
        demo.demo(str(tmp_path / "bundle"))
