"""Build the source distribution and the wheels of every Linux, byte for byte the same wherever it is done.

    python .ci/build_wheels.py [--out dist] [--sdist | TARGET ...]

Whatever the machine, the compiler is zig's (`ziglang` from the package index), with the C library of the target: no
wheel asks for a newer glibc than its tag says. What is built is the last commit, or, where there is no git, as in an
unpacked source distribution, the folder. Times are `SOURCE_DATE_EPOCH`, or the commit's.

The wheels for macOS are for whoever wants to try them: nobody has run one. A release takes those of
`.github/workflows/wheels.yml`.
"""

import argparse
import gzip
import io
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MADE = shutil.ignore_patterns(
    *("__pycache__", "*.egg-info", "*.so", "*.o", "_native.c", "build", "dist", ".*_cache", ".venv", "venv"),
    *("node_modules", "types", ".git", ".hypothesis"),
)
"""What building, testing and installing leave behind, in a folder that is no git work tree."""

MODULE = "capseal/_native.abi3.so"


@dataclass(frozen=True, slots=True)
class Target:
    """For what a wheel is: zig's name, with the oldest C library, and the platform that it is tagged for."""

    zig: str
    tag: str
    host: str
    link: tuple[str, ...] = ()


MACH_O = ("-undefined", "dynamic_lookup")  # Python's symbols are found in whoever loads the module
MUSL = ("-nostdlib", "-Wl,--no-as-needed", "../libc.so")
"""musl by the name that distributions give it, of which `build_wheel` makes a stub: zig would call it libc.so."""

LINUX = {
    "manylinux-x86_64": Target("x86_64-linux-gnu.2.28", "manylinux_2_28_x86_64", "linux-x86_64"),
    "manylinux-aarch64": Target("aarch64-linux-gnu.2.28", "manylinux_2_28_aarch64", "linux-aarch64"),
    "musllinux-x86_64": Target("x86_64-linux-musl", "musllinux_1_2_x86_64", "linux-x86_64", MUSL),
    "musllinux-aarch64": Target("aarch64-linux-musl", "musllinux_1_2_aarch64", "linux-aarch64", MUSL),
}
MACOS = {
    "macos-x86_64": Target("x86_64-macos.11.0", "macosx_11_0_x86_64", "macosx-11.0-x86_64", MACH_O),
    "macos-arm64": Target("aarch64-macos.11.0", "macosx_11_0_arm64", "macosx-11.0-arm64", MACH_O),
}
TARGETS = LINUX | MACOS


def _git(*arguments: str) -> bytes | None:
    """Return what git says; nothing where it is absent or the folder is no work tree of its own."""
    try:
        done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 and (ROOT / ".git").exists() else None


def _extract(files: tarfile.TarFile, into: Path) -> None:
    # The filter by its attribute: the argument is not in every Python 3.11.
    files.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
    files.extractall(into)  # noqa: S202 - what git or this script made


def copy_sources(into: Path) -> None:
    """Put what is to be built into the new folder `into`: the last commit, or else the folder as it is."""
    archive = _git("archive", "HEAD")
    if archive is None:
        shutil.copytree(ROOT, into, ignore=MADE)
        return
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        _extract(files, into)


def epoch() -> int:
    """Return the time that everything in the archives gets, in seconds since 1970."""
    said = os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct")
    if not said:
        sys.exit("SOURCE_DATE_EPOCH is not set, and there is no commit to take the time from")
    return int(said)


def _build(what: str, source: Path, into: Path, environment: dict[str, str]) -> tuple[Path, str]:
    """Have setuptools call `what` in the folder `source`; return what it made in `into`, and what it said."""
    into.mkdir()
    code = f"from setuptools import build_meta; build_meta.{what}({str(into)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{what}: {done.stderr[-4000:]}")
    (made,) = into.iterdir()
    return made, done.stderr


def build_sdist(work: Path, out: Path, at: int) -> Path:
    """Build the source distribution: entries by name, no owner, one time, one mode."""
    copy_sources(work / "source")
    made, _ = _build("build_sdist", work / "source", work / "sdist", os.environ | {"SOURCE_DATE_EPOCH": str(at)})
    with (
        tarfile.open(made) as old,
        (out / made.name).open("wb") as raw,
        # No name in the header, and its time is what is asked for.
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=at) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda one: one.name):
            runs = member.isdir() or member.mode & 0o100
            content = old.extractfile(member) if member.isfile() else None
            kept = tarfile.TarInfo(member.name)
            kept.type, kept.size, kept.mtime, kept.mode = member.type, member.size, at, 0o755 if runs else 0o644
            new.addfile(kept, content)
    return out / made.name


def _compiler(target: Target) -> dict[str, str]:
    """Return the environment in which setuptools compiles for `target` with zig, and nothing of this machine's."""
    zig = (sys.executable, "-m", "ziglang", "cc", "-target", target.zig)
    ours = {
        "CC": shlex.join(zig),
        "CFLAGS": "-O3 -g0 -I../include",
        "LDSHARED": shlex.join((*zig, "-shared", "-s", *target.link)),
        "_PYTHON_HOST_PLATFORM": target.host,
    }
    theirs = ("CPPFLAGS", "CPATH", "C_INCLUDE_PATH", "LDFLAGS", "LIBRARY_PATH", "MACOSX_DEPLOYMENT_TARGET")
    return {name: value for name, value in os.environ.items() if name not in theirs} | ours


def _link_headers(work: Path) -> None:
    """Put the pyconfig.h that Debian has in a folder of its processor's into `work`/include, for every processor.

    Nothing of the limited API depends on what differs between them, all of 64 bits.
    """
    common = Path(sysconfig.get_path("include"))
    own = common.parent / str(sysconfig.get_config_var("MULTIARCH")) / common.name
    if own.is_dir():
        for processor in ("x86_64", "aarch64"):
            folder = work / "include" / f"{processor}-linux-gnu"
            folder.mkdir(parents=True)
            (folder / common.name).symlink_to(own)


def _make_stub_of_musl(target: Target, work: Path) -> None:
    """Make an empty shared object `work`/libc.so, which calls itself what musl is called where it is the system's."""
    name = f"libc.musl-{target.host.removeprefix('linux-')}.so.1"
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", target.zig, "-shared", "-nostdlib", f"-Wl,-soname,{name}"]
    subprocess.run([*zig, "-x", "c", os.devnull, "-o", work / "libc.so"], check=True)


def build_wheel(target: Target, sdist: Path, work: Path, out: Path, at: int) -> Path:
    """Build one wheel from the source distribution: entries by name and `RECORD` last, one time, one mode."""
    with tarfile.open(sdist) as files:
        _extract(files, work)
    source = work / sdist.name.removesuffix(".tar.gz")
    (source / "setup.cfg").write_text(f"[bdist_wheel]\nplat_name = {target.tag}\n")
    if target.link == MUSL:
        _make_stub_of_musl(target, work)
    _link_headers(work)
    made, said = _build("build_wheel", source, work / "wheel", _compiler(target) | {"SOURCE_DATE_EPOCH": str(at)})
    # The format's times begin in 1980, and have no zone.
    when = time.gmtime(max(at, 315532800))[:6]
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(out / made.name, "w", zipfile.ZIP_DEFLATED) as new:
        names = sorted(
            old.namelist(), key=lambda name: (name.endswith(".dist-info/RECORD"), ".dist-info/" in name, name)
        )
        # setup.py has a wheel without the compiled module rather than none; a release has not.
        if MODULE not in names or not old.getinfo(MODULE).file_size:
            sys.exit(f"{made.name}: capseal._native did not compile: {said[-4000:]}")
        for name in names:
            entry = zipfile.ZipInfo(name, when)
            entry.create_system = 3  # Unix, whatever this is
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if name.endswith(".so") else 0o100644) << 16
            new.writestr(entry, old.read(name))
    return out / made.name


def build(out: Path, names: list[str]) -> list[Path]:
    """Build the source distribution and the wheels called `names` into the folder `out`; return their paths."""
    out.mkdir(parents=True, exist_ok=True)
    at = epoch()
    with tempfile.TemporaryDirectory() as work:
        made = [build_sdist(Path(work), out, at)]
        for name in names:
            made.append(build_wheel(TARGETS[name], made[0], Path(work, name), out, at))
    return made


def main() -> None:
    """Build what the arguments name; print the paths."""
    parser = argparse.ArgumentParser(description="Build the source distribution and the wheels.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="the folder that they go to (dist)")
    parser.add_argument("--sdist", action="store_true", help="the source distribution alone")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)} (all those of Linux)")
    arguments = parser.parse_args()
    if int(version("setuptools").partition(".")[0]) < 80:
        parser.error(f"setuptools {version('setuptools')} is too old: pip install -r .ci/release-requirements.txt")
    unknown = sorted(set(arguments.targets) - set(TARGETS))
    if unknown:
        parser.error(f"no target {unknown[0]!r}: {', '.join(TARGETS)}")
    for path in build(arguments.out, [] if arguments.sdist else arguments.targets or list(LINUX)):
        print(path)


if __name__ == "__main__":
    main()
