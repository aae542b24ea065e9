"""The source distribution holds all that belongs to the project; wheels are the same wherever they are built."""

import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version

import capseal
from support.places import ROOT

KEPT = ("engine", "csrc", "tests", "bench", "docs", "examples", "web", ".ci", ".github")
FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "LICENSE", "mkdocs.yml")
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
MADE = re.compile(r"(^|/)(__pycache__|node_modules|types|[^/]*\.egg-info)/|\.(so|o|pyc)$|/_native\.c$")
FOR_GIT_ALONE = {".gitattributes", ".gitignore"}
LINUX = ["manylinux-x86_64", "manylinux-aarch64", "musllinux-x86_64", "musllinux-aarch64"]
MACOS = ["macos-x86_64", "macos-arm64"]

PROGRAM = """
import capseal

def sequence(path: str, trust: capseal.TrustStore) -> int:
    return capseal.verify(path, trust=trust).statement.sequence

reveal_type(sequence)
sequence("game.sealed", None)
"""


def build(into: Path, targets: list[str], **environment: str) -> dict[str, Path]:
    """Build the source distribution and the wheels of `targets` into the new folder `into`; return them by name."""
    into.mkdir()
    command = [sys.executable, ROOT / ".ci" / "build_wheels.py", "--out", into / "made", *targets]
    settings = {"SOURCE_DATE_EPOCH": "1790000000", "TMPDIR": str(into)} | environment
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return {path.name: path for path in (into / "made").iterdir()}


def this_machines() -> str:
    """Return the target whose wheel runs here."""
    target = f"manylinux-{platform.machine()}"
    if target not in LINUX or platform.libc_ver()[0] != "glibc":
        pytest.skip(f"this machine is none that wheels are built for: {platform.machine()}, {platform.libc_ver()[0]}")
    return target


def native(wheel: Path) -> bytes:
    """Return the compiled module of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.read("capseal/_native.abi3.so")


def files() -> set[str]:
    """Return what belongs to the project: what git has of the last commit, or, without it, what is in its folders."""
    command = ["git", "ls-tree", "-r", "--name-only", "-z", "HEAD"]
    if (ROOT / ".git").exists() and shutil.which("git"):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode == 0:
            return set(done.stdout.split("\0")) - {""}
    found = {path.relative_to(ROOT).as_posix() for name in KEPT for path in (ROOT / name).rglob("*") if path.is_file()}
    return {name for name in found if not MADE.search(name)} | {*FILES, *PAGES}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where zig keeps the C libraries that it compiled."""
    return str(tmp_path_factory.getbasetemp() / "zig")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, cache: str) -> dict[str, Path]:
    """The source distribution, and the wheel of this machine."""
    return build(tmp_path_factory.mktemp("built") / "first", [this_machines()], ZIG_GLOBAL_CACHE_DIR=cache)


@pytest.fixture(scope="module")
def wheel(built: dict[str, Path]) -> Path:
    """The wheel of this machine."""
    return next(path for name, path in built.items() if name.endswith(".whl"))


@pytest.mark.timeout(1200)
def test_the_source_distribution_holds_every_file(built):
    with tarfile.open(built[f"capseal-{capseal.__version__}.tar.gz"]) as archive:
        members = archive.getmembers()
    held = {member.name.partition("/")[2] for member in members if member.isfile()}
    assert files() - held == FOR_GIT_ALONE & files()
    assert {"csrc/sha256/generated/hybrid_step.h", "csrc/sha256/capseal_hash.h", "csrc/file/mapped.c"} <= held
    assert {(member.uid, member.uname, member.mtime) for member in members} == {(0, "", 1790000000)}


@pytest.mark.timeout(1200)
def test_what_is_built_in_another_folder_by_another_user_is_the_same_byte_for_byte(built, cache, tmp_path):
    old = os.umask(0o077)
    try:
        second = build(tmp_path / "second folder", [this_machines()], ZIG_GLOBAL_CACHE_DIR=cache, TZ="Asia/Tokyo")
    finally:
        os.umask(old)
    assert len(built) == 2
    assert [name for name, path in built.items() if path.read_bytes() != second[name].read_bytes()] == []


@pytest.mark.timeout(1200)
def test_a_wheel_runs_from_where_it_is_unpacked(wheel, tmp_path):
    assert wheel.name == f"capseal-{capseal.__version__}-cp311-abi3-manylinux_2_28_{platform.machine()}.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644, 0o100755}
        archive.extractall(tmp_path / "installed")
    assert {"capseal/py.typed", "capseal/server/routes/status.html"} < set(names)
    assert names[-1].endswith(".dist-info/RECORD")
    code = "import capseal._native as native, capseal; print(native.__file__, capseal.verify.__module__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [str(tmp_path / "installed" / "capseal" / "_native.abi3.so"), "capseal.bundle.verify"]


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_wheels_of_every_platform_hold_what_their_tags_say(tmp_path):
    made = build(tmp_path / "all", LINUX + MACOS)
    tags = {name.removesuffix(".whl").split("abi3-")[1]: path for name, path in made.items() if "abi3-" in name}
    elf = {62: "x86_64", 183: "aarch64"}
    assert len(tags) == 6
    for tag, path in tags.items():
        module = native(path)
        if tag.startswith("macosx"):
            cpu = {0x01000007: "x86_64", 0x0100000C: "arm64"}[int.from_bytes(module[4:8], "little")]
            assert module[:4] == b"\xcf\xfa\xed\xfe" and tag == f"macosx_11_0_{cpu}"
        else:
            assert module[:4] == b"\x7fELF" and tag.endswith(elf[int.from_bytes(module[18:20], "little")])
            assert (b"libc.musl-" in module) == tag.startswith("musllinux_1_2")
            asked = [Version(found.decode()) for found in re.findall(rb"GLIBC_([\d.]+)", module)]
            assert max(asked, default=Version("0")) <= Version("2.28")


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_program_downstream_is_checked_against_the_types_in_the_wheel(wheel, tmp_path):
    venv.create(tmp_path / "venv", system_site_packages=False)
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", tmp_path / "venv" / "bin" / "python"]
    done = subprocess.run([*command, "program.py"], cwd=tmp_path, capture_output=True, text=True)
    assert "def (path: str, trust: capseal.trust.store.TrustStore) -> int" in done.stdout, done.stdout
    assert 'incompatible type "None"; expected "TrustStore"' in done.stdout
    assert "Found 1 error" in done.stdout
