"""Both ways against the real Capgo command line, for both versions of the checksum."""

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from capseal import capgo
from capseal.capgo import ChecksumVersion
from support.capgo_tool import Project
from support.measured import measured

MIB = 1024 * 1024
CONTENT = os.urandom(2 * MIB + 3)
DIGEST = sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module", params=["v2", "v3"])
def version(request: pytest.FixtureRequest) -> ChecksumVersion:
    return ChecksumVersion(request.param)


@pytest.fixture(scope="module")
def project(version: ChecksumVersion, tmp_path_factory: pytest.TempPathFactory) -> Project:
    plugin = {ChecksumVersion.V2: None, ChecksumVersion.V3: "7.30.0"}[version]
    return Project.make(tmp_path_factory.mktemp("project"), plugin=plugin)


def test_capgo_decrypts_what_we_encrypt(project: Project, version: ChecksumVersion, tmp_path: Path) -> None:
    key = capgo.load_private_key(project.private_key)
    bundle = capgo.encrypt(io.BytesIO(CONTENT), tmp_path / "ours", key=key)
    assert project.decrypt(tmp_path / "ours", bundle.session_key, bundle.checksum(version)) == CONTENT


def test_we_decrypt_what_capgo_encrypts(project: Project, version: ChecksumVersion, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(CONTENT)
    made = project.encrypt(tmp_path / "a.zip", DIGEST)
    key = capgo.load_public_key(project.public_key)
    capgo.decrypt(
        made["filename"],
        tmp_path / "back",
        key=key,
        session_key=made["ivSessionKey"],
        checksum=made["checksum"],
        checksum_version=version,
    )
    assert (tmp_path / "back").read_bytes() == CONTENT
    # RSA type 1 has no randomness: one digest has one checksum.
    again = capgo.encrypt(io.BytesIO(CONTENT), io.BytesIO(), key=capgo.load_private_key(project.private_key))
    assert again.checksum(version) == made["checksum"]


def test_capgo_takes_our_keys(version: ChecksumVersion, project: Project, tmp_path: Path) -> None:
    ours = Project(tmp_path, project.command)
    for name in ("capacitor.config.json", "package.json"):
        (tmp_path / name).write_bytes((project.folder / name).read_bytes())
    key = capgo.PrivateKey.generate()
    key.save(tmp_path)
    bundle = capgo.encrypt(io.BytesIO(CONTENT), tmp_path / "ours", key=key)
    assert ours.decrypt(tmp_path / "ours", bundle.session_key, bundle.checksum(version)) == CONTENT


def test_empty_bundle_goes_both_ways(project: Project, version: ChecksumVersion, tmp_path: Path) -> None:
    key = capgo.load_private_key(project.private_key)
    bundle = capgo.encrypt(io.BytesIO(), tmp_path / "ours", key=key)
    assert project.decrypt(tmp_path / "ours", bundle.session_key, bundle.checksum(version)) == b""


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is one: on a disk, only our command waits until the file is safe."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


@pytest.mark.soak
def test_1_gib_is_encrypted_3_times_as_fast_as_capgo_does_in_64_mib(memory_folder: Path) -> None:
    project = Project.make(memory_folder, plugin="7.30.0")
    with open(memory_folder / "big.zip", "wb") as file:
        for _ in range(1024):
            file.write(os.urandom(MIB))
    digest = subprocess.run(["sha256sum", "big.zip"], cwd=memory_folder, capture_output=True, text=True, check=True)
    theirs = [*project.command, "bundle", "encrypt", "big.zip", digest.stdout.split()[0], "--json"]
    ours = [sys.executable, "-m", "capseal", "capgo", "encrypt", "big.zip", "-o", "ours", "--json"]
    bare = measured([sys.executable, "-c", "pass"])
    runs: list[dict[str, tuple[float, int]]] = []
    for _ in range(3):  # fresh processes in turns: a busy machine slows both
        runs.append({"theirs": measured(theirs, folder=memory_folder), "ours": measured(ours, folder=memory_folder)})
        for name in ("big.zip_encrypted.zip", "ours"):
            (memory_folder / name).unlink()
    theirs_s, ours_s = (min(run[name][0] for run in runs) for name in ("theirs", "ours"))
    extra_mib = (max(run["ours"][1] for run in runs) - bare[1]) / MIB
    theirs_mib = max(run["theirs"][1] for run in runs) / MIB
    print("\nruns, seconds:", [[round(run[name][0], 2) for name in ("ours", "theirs")] for run in runs])
    print(f"1 GiB: ours {ours_s:.2f} s, Capgo {theirs_s:.2f} s, ratio {theirs_s / ours_s:.1f}")
    print(f"peak: ours {extra_mib:.0f} MiB over the interpreter, Capgo {theirs_mib:.0f} MiB")
    assert extra_mib <= 64
    assert theirs_s / ours_s >= 3
