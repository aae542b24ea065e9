"""capseal device on the command line, in a process of its own each time."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from capseal import PrivateKey
from support.device_world import APP, World, files_of, make_world, read_tree

Device = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, signer: PrivateKey, recipient: PrivateKey) -> World:
    world = make_world(tmp_path_factory.mktemp("cli"), signer, recipient)
    world.save()
    return world


@pytest.fixture
def device(saved: World, tmp_path: Path) -> Device:
    def device(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        options = ["--root", tmp_path / "store", "--builtin", saved.builtin, "--app", APP]
        options += ["--trust", saved.folder / "trust.json", "--confirm-within", "600"]
        command = [sys.executable, "-m", "capseal", "device", *options, *arguments]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=tmp_path, timeout=60)

    return device


def install(device: Device, world: World, sequence: int) -> subprocess.CompletedProcess[str]:
    return device("install", world.sealed(sequence), "-i", world.folder / "recipient.pem")


def test_the_life_of_a_bundle(device: Device, saved: World) -> None:
    assert device("boot").stdout.strip() == str(saved.builtin)
    assert install(device, saved, 1).stdout.splitlines()[0] == "staged: 1.1.0 (sequence 1)"
    assert device("activate").stdout.splitlines()[0] == "pending: 1.1.0 (sequence 1)"
    booted = device("boot", "--verify")
    assert read_tree(booted.stdout.strip()) == files_of(1)
    assert device("confirm").stdout == booted.stdout == device("current").stdout
    assert device("verify").stdout == "1.1.0 (sequence 1): whole, and signed by a trusted key\n"
    status = json.loads(device("status", "--json").stdout)
    assert (status["floor"], status["current"]["sequence"], status["failed"]) == (1, 1, [])
    assert "floor:     1\n" in device("status").stdout
    assert device("rollback").stdout.strip() == str(saved.builtin)
    assert "failed:    1.1.0 (sequence 1): rolled back\n" in device("status").stdout
    (deleted,) = device("prune").stdout.splitlines()
    assert deleted.startswith("deleted: 1-")


def test_exit_codes_tell_what_went_wrong(device: Device, saved: World, tmp_path: Path) -> None:
    tampered = tmp_path / "tampered"
    bundle = bytearray(saved.sealed(1).read_bytes())
    bundle[-1] ^= 1
    tampered.write_bytes(bundle)
    identity = saved.folder / "recipient.pem"
    for arguments, code, message in (
        (("install", tampered, "-i", identity), 1, "digest"),
        (("install", saved.sealed(1)), 2, "no identity"),
        (("activate",), 2, "no bundle is staged"),
        (("rollback",), 2, "built-in bundle runs"),
        (("install", tmp_path / "absent", "-i", identity), 3, "no such file"),
    ):
        done = device(*arguments)
        assert done.returncode == code, done
        assert done.stdout == ""
        assert message in done.stderr.lower()
        assert done.stderr.startswith("capseal: ")
        assert done.stderr.count("\n") == 1


def test_a_damaged_state_is_told_with_its_file_and_the_way_out(device: Device, saved: World, tmp_path: Path) -> None:
    install(device, saved, 1)
    root = tmp_path / "store"
    (root / "state.json").write_text("{x")
    for done in (device("status"), install(device, saved, 2)):
        assert done.returncode == 1
        assert done.stderr.startswith(f"capseal: {root}/state.json: state at character 1")
        assert f"to begin anew delete {root}: what is installed, and the floor, are lost" in done.stderr
    assert device("boot").stdout.strip() == str(saved.builtin)
    shutil.rmtree(root)
    assert install(device, saved, 2).returncode == 0


def test_a_built_in_bundle_that_is_not_there_and_a_root_that_is_no_folder_are_told(
    device: Device, saved: World, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    for option, path, code, message in (
        ("--builtin", tmp_path / "nosuch", 3, "nosuch: no such file or folder; --builtin has to name what runs"),
        ("--root", file, 2, "file: not a folder; --root has to name the device's"),
    ):
        done = device(option, path, "boot")
        assert (done.returncode, done.stdout) == (code, "")
        assert message in done.stderr


def test_a_changed_bundle_is_told_and_the_device_runs_another(device: Device, saved: World, tmp_path: Path) -> None:
    install(device, saved, 1)
    device("activate")
    path = Path(device("boot").stdout.strip())
    device("confirm")
    (path / "index.html").write_bytes(b"evil")
    checked = device("verify")
    assert checked.returncode == 1
    assert "index.html" in checked.stderr
    booted = device("boot", "--verify")
    assert booted.returncode == 0
    assert booted.stdout.strip() == str(saved.builtin)
    assert "capseal: the built-in bundle runs: " in booted.stderr
    assert os.listdir(tmp_path / "store" / "staging") == []


def test_the_demo_tells_the_whole_story(saved: World, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "capseal", "demo", str(saved.sealed(1))]
    story = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert story.returncode == 0, story.stderr
    position = 0
    for expected in (
        "v1 installed, started and confirmed\n",
        "v2 altered on the way: REFUSED, v1 runs\n",
        "v2 started but never confirmed: v1 runs again\n",
        "not confirmed in 1 of 1 allowed starts\n",
        "v3 installed, started and confirmed\n",
        "v2 replayed: REFUSED, v3 runs\n",
    ):
        position = story.stdout.index(expected, position)


def test_help_and_version_need_no_library(tmp_path: Path) -> None:
    code = """if True:
        import sys
        import capseal.cli.commands.device
        sys.exit("numpy" in sys.modules or "cryptography" in sys.modules)
    """
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
